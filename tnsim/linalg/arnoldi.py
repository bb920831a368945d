"""The eigenvalues of largest magnitude of any callable, by the Krylov-Schur method."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import schur

from tnsim.backend import Array, Backend
from tnsim.linalg.krylov_basis import KrylovBasis, orthogonalize

# spaces of at most this dimension are written out and diagonalised in full
_SMALL = 48


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """values: complex, largest magnitude first; vectors: flat, norm 1, complex where a value is not real.

    residuals: norms of A v - value v; converged: all below the tolerance.
    """

    values: np.ndarray
    vectors: list[Array]
    residuals: np.ndarray
    converged: bool


def dominant(
    matvec: Callable[[Array], Array],
    start: Array,
    backend: Backend,
    *,
    count: int = 1,
    tolerance: float = 1e-12,
    krylov_max: int = 30,
    restarts: int = 60,
) -> Eigenpairs:
    """`count` eigenpairs of largest magnitude of a linear callable, in the sector of `start`.

    Small spaces are diagonalised in full, so that multiplicities are found there; else one vector of a
    degenerate set. Residuals are relative to the largest value. A start of length 0 has the value 0. Not converging is
    a result. Raises NumericalError on NaN. Source: G. W. Stewart, SIAM J. Matrix Anal. Appl. 23, 601 (2001).

    >>> from tnsim.backend import get_backend
    >>> dominant(lambda x: np.array([3.0, -2.0, 1.0]) * x, np.ones(3), get_backend("numpy"), count=2).values.real
    array([ 3., -2.])
    """
    size = start.shape[0]
    if size <= _SMALL:
        return _full(matvec, start, backend, min(count, size))
    length = backend.read(backend.norm(start))
    if length == 0:
        return Eigenpairs(np.zeros(1), [start], np.zeros(1), True)
    keep = min(count + max(3, count // 2), size)
    krylov_max = min(max(krylov_max, 2 * keep + 4), size)
    basis = KrylovBasis(start * float(1 / length), backend)
    small = np.zeros((krylov_max + 1, krylov_max), dtype=complex)
    for attempt in range(restarts):
        exhausted = _extend(matvec, basis, small, krylov_max, backend)
        order = len(basis) - 1 if not exhausted else len(basis)
        values, vectors, residuals = _ritz(small, order, exhausted)
        done = (residuals[:count] <= tolerance * max(1e-300, abs(values[0]))).all()
        if done or exhausted or attempt == restarts - 1:
            break
        basis, small = _restart(small, basis, order, keep, backend)
    found = [_combine(vectors[:, k], basis, values[k], backend) for k in range(min(count, order))]
    return Eigenpairs(values[:count], found, residuals[:count], bool(done or exhausted))


def _extend(matvec, basis: KrylovBasis, small: np.ndarray, krylov_max: int, backend: Backend) -> bool:
    """Grow the Krylov basis to its full size; True where the space is exhausted."""
    while len(basis) <= krylov_max:
        j = len(basis) - 1
        w, column = orthogonalize(matvec(basis[-1]), basis, backend)
        small[: j + 2, j] = column
        if abs(column[-1]) <= 1e-14 * np.abs(small).max():
            return True
        basis.append(w * float(1 / column[-1].real))
    return False


def _ritz(small: np.ndarray, order: int, exhausted: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eig(small[:order, :order])
    ranking = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[ranking], vectors[:, ranking]
    residuals = np.zeros(order) if exhausted else np.abs(small[order, :order] @ vectors)
    return values, vectors, residuals


def _restart(small: np.ndarray, basis: KrylovBasis, order: int, keep: int, backend: Backend):
    """Keep the part of the space that belongs to the largest values: Schur form, wanted values first."""
    is_complex = basis[0].dtype.kind == "c"
    head = small[:order, :order] if is_complex else small[:order, :order].real
    limit = np.sort(np.abs(np.linalg.eigvals(head)))[::-1][keep - 1] * (1 - 1e-10)
    form, rotation, kept = (
        schur(head, "complex", sort=lambda x: abs(x) >= limit)
        if is_complex
        else schur(head, "real", sort=lambda x, y=0.0: abs(complex(x, y)) >= limit)
    )
    kept = min(max(kept, 1), order - 1)
    new = np.zeros_like(small)
    new[:kept, :kept] = form[:kept, :kept]
    new[kept, :kept] = small[order, :order] @ rotation[:, :kept]
    turned = KrylovBasis(basis.combine(rotation[:, 0]), backend)
    for k in range(1, kept):
        turned.append(basis.combine(rotation[:, k]))
    turned.append(basis[order])
    return turned, new


def _combine(weights: np.ndarray, basis: KrylovBasis, value: complex, backend: Backend) -> Array:
    """A Ritz vector of norm 1, real where data and value are."""
    is_complex = basis[0].dtype.kind == "c"
    if not is_complex and abs(complex(value).imag) <= 1e-13 * abs(value):
        weights = (weights * np.exp(-1j * np.angle(weights[np.abs(weights).argmax()]))).real
    vector = basis.combine(weights)
    if not is_complex and weights.dtype.kind == "c":
        dtype = np.result_type(vector.dtype, np.complex64)
        vector = backend.astype(vector, dtype) + backend.astype(basis.combine(weights.imag), dtype) * 1j
    return vector * float(1 / backend.read(backend.norm(vector)))


def _full(matvec: Callable[[Array], Array], start: Array, backend: Backend, count: int) -> Eigenpairs:
    """All products with unit vectors, and one small eigenvalue problem on the host."""
    size = start.shape[0]
    rows = backend.asarray(np.eye(size, dtype=start.dtype))
    units = KrylovBasis(rows[0], backend)
    for k in range(1, size):
        units.append(rows[k])
    columns = backend.to_host(backend.concatenate([matvec(units[k]) for k in range(size)]))
    values, vectors = np.linalg.eig(columns.reshape(size, size).T.astype(np.complex128))
    ranking = np.argsort(-np.abs(values), kind="stable")[:count]
    found = [_combine(vectors[:, k], units, values[k], backend) for k in ranking]
    return Eigenpairs(values[ranking], found, np.zeros(len(ranking)), True)
