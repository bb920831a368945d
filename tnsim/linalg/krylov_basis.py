"""Orthonormal vectors of a Krylov space, as rows of one array: two products with it orthogonalise a vector."""

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError

_FIRST_ROWS = 8


class KrylovBasis:
    """Orthonormal flat vectors on the device of the first; there is room for more than are in use.

    `basis[k]` is a view of a vector, `len(basis)` their number.
    """

    def __init__(self, first: Array, backend: Backend) -> None:
        self._backend, self._count, self._size = backend, 0, first.shape[0]
        self._rows = backend.empty(_FIRST_ROWS * self._size, first.dtype).reshape(_FIRST_ROWS, self._size)
        self.append(first)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Array:
        return self._rows[place + self._count if place < 0 else place]

    def append(self, vector: Array) -> None:
        """One more vector, of norm 1 and orthogonal to the others. Room doubles where it ends.

        A complex operator makes complex vectors from a real first one: the others follow.
        """
        count, dtype = self._count, np.result_type(vector.dtype, self._rows.dtype)
        if dtype != self._rows.dtype:
            self._rows = self._backend.astype(self._rows, dtype)
        if count == self._rows.shape[0]:
            more = self._backend.empty(count * self._size, self._rows.dtype)
            self._rows = self._backend.concatenate([self._rows.reshape(-1), more]).reshape(2 * count, self._size)
        self._rows[count] = vector
        self._count += 1

    def without(self, w: Array) -> tuple[Array, Array]:
        """w without its part in this basis, and the overlaps <basis|w>, which stay on the device.

        Classical Gram-Schmidt twice, which is orthogonal to rounding: L. Giraud et al., Numer. Math. 101, 87 (2005).
        """
        known, overlaps = self._rows[: self._count], []
        for _ in range(2):
            overlaps.append(self._conj(known @ self._conj(w)))
            w = w - overlaps[-1] @ known
        return w, overlaps[0] + overlaps[1]

    def combine(self, weights: np.ndarray) -> Array:
        """sum_k weights[k] of the first vectors; of a real basis the real part."""
        weights = weights if self._rows.dtype.kind == "c" else weights.real
        return self._backend.asarray(weights.astype(self._rows.dtype)) @ self._rows[: len(weights)]

    def _conj(self, array: Array) -> Array:
        return self._backend.conj(array) if array.dtype.kind == "c" else array


def orthogonalize(w: Array, basis: KrylovBasis, backend: Backend) -> tuple[Array, np.ndarray]:
    """w without its part in `basis`, and the overlaps, with the norm of what is left at the end: one device read."""
    w, overlaps = basis.without(w)
    column = backend.to_host(backend.concatenate([overlaps, backend.norm(w).reshape(-1)])).astype(np.complex128)
    if not np.isfinite(column).all():
        raise NumericalError("NaN or Inf in the Krylov coefficients: the operator or the start vector holds them.")
    return w, column
