"""Lanczos for the lowest eigenvector of any Hermitian callable, with few reads from the device."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import eigh_tridiagonal

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError
from tnsim.linalg.complement import project_out
from tnsim.linalg.krylov_basis import KrylovBasis


@dataclass(frozen=True, kw_only=True)
class Krylov:
    """When a Krylov solver stops: residual norm below `tolerance`, or below `gain` times that at the start.

    At least k_min and at most k_max products with the operator are spent. The energy error is bounded by
    residual^2 / gap, so a residual of the order of the truncation error's square root is enough. method: "lanczos", or
    "davidson" where the diagonal of the operator is at hand.
    """

    k_min: int = 2
    k_max: int = 20
    tolerance: float = 1e-8
    gain: float = 0.0
    method: str = "lanczos"

    @property
    def limits(self) -> tuple[int, int, float, float]:
        return self.k_min, self.k_max, self.tolerance, self.gain


@dataclass(frozen=True, eq=False)
class Ritz:
    """The lowest Ritz pair of a Krylov space.

    vector: flat, norm 1; energy: its Rayleigh quotient; start_energy: that of the start vector;
    residual: (H - start_energy) applied to the start vector, start_residual its norm; matvecs: products spent.
    """

    vector: Array = field(repr=False)
    energy: float
    start_energy: float
    residual: Array = field(repr=False)
    start_residual: float
    matvecs: int


def lanczos(
    matvec: Callable[[Array], Array],
    start: Array,
    backend: Backend,
    krylov: Krylov = Krylov(),
    *,
    check_every: int = 4,
    constraints: Array | None = None,
) -> Ritz:
    """Lowest eigenpair of a Hermitian `matvec` near `start`, with full orthogonalisation.

    constraints: orthonormal rows (count, size) that are projected out of every vector: the pair is that of their
    complement, in which `start` must lie. The coefficients stay on the device and are read once every `check_every`
    products. Raises NumericalError on NaN or Inf. Source: Golub & Van Loan, Matrix Computations, 10.1.
    """
    # Plain Python scalars keep float32 data float32; the tiny shift avoids 0/0 once the space is exhausted.
    tiny = 1e-30
    basis = KrylovBasis(start * (1 / (backend.norm(start) + tiny)), backend)
    alphas: list[Any] = []
    betas: list[Any] = []
    residual = start
    while True:
        w = project_out(matvec(basis[-1]), constraints, backend)
        alphas.append(backend.real(backend.vdot(basis[-1], w)))
        w, _ = basis.without(w - basis[-1] * alphas[-1])
        w = project_out(w, constraints, backend)
        betas.append(backend.norm(w))
        if len(alphas) == 1:
            residual = w
        count = len(alphas)
        last = count >= krylov.k_max or count >= start.shape[0]
        if last or (count >= krylov.k_min and (count - krylov.k_min) % check_every == 0):
            result = _solve(_read(alphas, betas, backend), basis, residual, backend, krylov, last)
            if result is not None:
                return result
        basis.append(w * (1 / (betas[-1] + tiny)))


def _read(alphas: list[Any], betas: list[Any], backend: Backend) -> np.ndarray:
    """All coefficients in one transfer, shape (2, count)."""
    flat = backend.concatenate([part.reshape(-1) for part in alphas + betas])
    return backend.to_host(flat).astype(np.float64).reshape(2, -1)


def _solve(
    coefficients: np.ndarray, basis: KrylovBasis, residual: Array, backend: Backend, krylov: Krylov, last: bool
) -> Ritz | None:
    """Diagonalise the tridiagonal matrix; None where the residual is still above the tolerance."""
    alpha, beta = coefficients
    if not np.isfinite(coefficients).all():
        raise NumericalError("NaN or Inf in the Lanczos coefficients: the operator or the state holds NaN or Inf.")
    scale = np.hypot(alpha, beta).max()
    spent = np.flatnonzero(beta <= 30 * np.finfo(residual.dtype).eps * scale)
    count = int(spent[0]) + 1 if len(spent) else len(alpha)
    values, vectors = eigh_tridiagonal(alpha[:count], beta[: count - 1], select="i", select_range=(0, 0))
    enough = max(krylov.tolerance, krylov.gain * beta[0])
    if not last and not len(spent) and beta[count - 1] * abs(vectors[-1, 0]) >= enough:
        return None
    vector = basis.combine(vectors[:, 0])
    vector = vector * (1 / backend.norm(vector))
    return Ritz(vector, float(values[0]), float(alpha[0]), residual, float(beta[0]), len(alpha))
