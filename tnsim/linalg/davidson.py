"""Block Davidson for the lowest eigenvectors of any Hermitian callable whose diagonal is known."""

from collections.abc import Callable, Sequence

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError
from tnsim.kernels.cpu.davidson import FLOOR
from tnsim.linalg.complement import as_rows, project_out
from tnsim.linalg.lanczos import Krylov, Ritz

# keeps a norm of zero from being divided by, also in single precision
_TINY = 1e-30


def davidson(
    matvec: Callable[[Array], Array],
    guesses: Sequence[Array],
    diagonal: Array,
    backend: Backend,
    krylov: Krylov,
    *,
    constraints: Array | None = None,
) -> list[Ritz]:
    """Lowest eigenpairs of a Hermitian `matvec`, as many as the guesses span, ascending, in one space for all.

    Every residual r gives the direction r / |diagonal - energy|, which spares products where the operator is large on
    its diagonal; each pair has its own limits, and at least k_min, at most k_max products on average. The start
    energies and residuals are those in the span of the guesses. constraints: as in `lanczos`. The small matrix is
    read from the device once a round. Raises NumericalError on NaN, Inf or zeros.
    Source: E. R. Davidson, J. Comput. Phys. 17, 87 (1975).

    >>> from tnsim.backend import get_backend
    >>> matrix = np.diag([3.0, -1.0, 0.5, 7.0]) + 0.1
    >>> starts = [np.array([0.1, 1, 0, 0]), np.array([0.0, 0, 1, 0])]
    >>> pairs = davidson(lambda x: matrix @ x, starts, np.diag(matrix), get_backend("numpy"), Krylov())
    >>> np.allclose([pair.energy for pair in pairs], np.linalg.eigvalsh(matrix)[:2])
    True
    """
    rounding, size = 30 * float(np.finfo(guesses[0].dtype).eps), guesses[0].shape[0]
    most = min(krylov.k_max * len(guesses), size - (0 if constraints is None else constraints.shape[0]))
    diagonal = backend.real(diagonal)
    space = _Space(matvec, backend, constraints)
    for guess in guesses:
        space.add(guess, rounding)
    count = len(space.basis)
    if count == 0:
        raise NumericalError("no start vector that is finite and not zero: check the state.")
    first: list[tuple[float, Array, float]] = []
    while True:
        energies, mixing = space.solve()
        residuals = [space.residual(float(energies[n]), mixing[:, n]) for n in range(count)]
        norms = backend.to_host(backend.concatenate([backend.norm(r).reshape(-1) for r in residuals])).tolist()
        first = first or list(zip(energies.tolist(), residuals, norms, strict=False))
        found, zero = len(space.images), rounding * float(np.abs(energies).max())
        for n in range(count if found < most else 0):
            enough = max(krylov.tolerance, krylov.gain * first[n][2]) if found >= krylov.k_min * count else 0.0
            if norms[n] > max(zero, enough) and len(space.basis) < most:
                gaps = backend.absolute(diagonal - float(energies[n]))
                space.add(residuals[n] / (gaps + FLOOR * max(abs(first[0][0]), first[0][2])), rounding)
        if len(space.basis) == found:
            break
    pairs = zip(energies[:count].tolist(), mixing.T, first, strict=False)
    return [Ritz(space.vector(row), energy, start, r, norm, found) for energy, row, (start, r, norm) in pairs]


class _Space:
    """Orthonormal vectors, their images under the operator, and the small matrix of the operator between them."""

    def __init__(self, matvec: Callable[[Array], Array], backend: Backend, constraints: Array | None) -> None:
        self.matvec, self.backend, self.constraints = matvec, backend, constraints
        self.basis: list[Array] = []
        self.images: list[Array] = []
        self.matrix = np.zeros((0, 0))

    def add(self, vector: Array, rounding: float) -> None:
        """Take in what of a vector the others do not span; nothing where that is rounding. Two reads."""
        backend, before = self.backend, self.backend.norm(vector)
        vector = vector * (1 / (before + _TINY))
        for _ in range(2):
            vector = project_out(vector, self.constraints, backend)
            for other in self.basis:
                vector = vector - other * backend.vdot(other, vector)
            norm = backend.norm(vector)
            if not backend.read(norm) > rounding:
                return
            vector = vector * (1 / norm)
        self.basis.append(vector)

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Ritz values and vectors (columns) with the new images taken in; one read."""
        backend, old = self.backend, len(self.images)
        self.images += [project_out(self.matvec(v), self.constraints, backend) for v in self.basis[old:]]
        images = as_rows(self.images[old:], backend)
        new = backend.to_host(as_rows([images @ backend.conj(v) for v in self.basis], backend))
        if not np.isfinite(new).all():
            raise NumericalError("NaN or Inf in the Davidson matrix: the operator or the state holds NaN or Inf.")
        size, kept = len(self.basis), self.matrix
        self.matrix = np.zeros((size, size), dtype=np.result_type(new.dtype, np.float64))
        self.matrix[:old, :old] = kept
        self.matrix[:, old:] = new
        self.matrix[old:, :old] = new[:old].conj().T
        return np.linalg.eigh((self.matrix + self.matrix.conj().T) / 2)

    def residual(self, energy: float, row: np.ndarray) -> Array:
        """(H - energy) of a Ritz vector."""
        return self._sum(self.images, row) - self._sum(self.basis, row) * energy

    def vector(self, row: np.ndarray) -> Array:
        """A Ritz vector of norm 1."""
        vector = self._sum(self.basis, row)
        return vector * (1 / self.backend.norm(vector))

    def _sum(self, vectors: Sequence[Array], row: np.ndarray) -> Array:
        weights = row.tolist()
        total = vectors[0] * weights[0]
        for weight, vector in zip(weights[1:], vectors[1:], strict=True):
            total = total + vector * weight
        return total
