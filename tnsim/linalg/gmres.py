"""GMRES: linear systems whose matrix is known by its products only, on the device of the data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError
from tnsim.linalg.krylov_basis import KrylovBasis, orthogonalize


@dataclass(frozen=True, eq=False)
class LinearSolution:
    """vector: flat; residual: norm of b - A x; matvecs: products spent; converged: residual below the tolerance."""

    vector: Array
    residual: float
    matvecs: int
    converged: bool


def gmres(
    matvec: Callable[[Array], Array],
    right: Array,
    start: Array | None,
    backend: Backend,
    *,
    tolerance: float = 1e-12,
    krylov_max: int = 30,
    restarts: int = 20,
) -> LinearSolution:
    """Solve A x = b from `start`, or from zero without one, to a residual norm of `tolerance` (absolute).

    The basis is orthogonalised twice, so that restarts stay accurate; one device read a product, of a column of the
    Hessenberg matrix. Cost: krylov_max vectors of memory. Not converging is a result. Raises
    NumericalError on NaN or Inf. Source: Y. Saad, M. Schultz, SIAM J. Sci. Stat. Comput. 7, 856 (1986).

    >>> from tnsim.backend import get_backend
    >>> A, b = np.diag([1.0, 2.0, 4.0]), np.ones(3)
    >>> gmres(lambda x: A @ x, b, 0 * b, get_backend("numpy")).vector.round(12).tolist()
    [1.0, 0.5, 0.25]
    """
    x, spent = 0.0 * right if start is None else start, 0
    residual = right if start is None else right - matvec(x)
    size = _checked(float(backend.read(backend.norm(residual))))
    for _ in range(restarts):
        if size <= tolerance:
            break
        x, used = _cycle(matvec, x, residual * (1 / size), size, backend, tolerance, krylov_max)
        spent += used
        residual = right - matvec(x)
        before, size = size, _checked(float(backend.read(backend.norm(residual))))
        if size > 0.9 * before:
            break
    return LinearSolution(x, size, spent, size <= tolerance)


def _cycle(matvec, x, first, size, backend, tolerance, krylov_max):
    """One restart: the correction in a Krylov space that makes the residual least."""
    basis, hessenberg = KrylovBasis(first, backend), np.zeros((krylov_max + 1, krylov_max), dtype=complex)
    target = np.zeros(krylov_max + 1)
    target[0] = size
    weights, count = np.zeros(0), 0
    for count in range(1, min(krylov_max, first.shape[0]) + 1):
        w, column = orthogonalize(matvec(basis[-1]), basis, backend)
        hessenberg[: count + 1, count - 1] = column
        small = hessenberg[: count + 1, :count]
        weights, *_ = np.linalg.lstsq(small, target[: count + 1], rcond=None)
        least = np.linalg.norm(small @ weights - target[: count + 1])
        if least <= 0.3 * tolerance or abs(column[-1]) <= 1e-14 * np.abs(hessenberg).max():
            break
        basis.append(w * float(1 / column[-1].real))
    return x + basis.combine(weights), count


def _checked(size: float) -> float:
    if not np.isfinite(size):
        raise NumericalError("NaN or Inf in the residual of a linear system: check what its operator was made from.")
    return size
