"""The protocol over a library with NumPy's names: shared by NumPy and CuPy."""

from typing import Any

import numpy as np

Array = Any


class ArrayModule:
    """Array operations of a module `xp` that follows NumPy."""

    name = "numpy"
    xp: Any = np

    def empty(self, size: int, dtype: Any) -> Array:
        return self.xp.empty(size, dtype=dtype)

    def zeros(self, size: int, dtype: Any) -> Array:
        return self.xp.zeros(size, dtype=dtype)

    def copy(self, array: Array) -> Array:
        return array.copy()

    def astype(self, array: Array, dtype: Any) -> Array:
        return array.astype(dtype)

    def concatenate(self, arrays: list[Array]) -> Array:
        return self.xp.concatenate(arrays)

    def strided(self, buffer: Array, offset: int, shape: tuple, strides: tuple) -> Array:
        """A view of a flat buffer: `offset` and `strides` count elements."""
        item = buffer.dtype.itemsize
        steps = tuple(item * s for s in strides)
        return self.xp.lib.stride_tricks.as_strided(buffer[offset:], shape, steps)

    def take(self, array: Array, places: np.ndarray, axis: int) -> Array:
        """Rows, columns, ... at places that stand on the host, as a copy."""
        return self.xp.take(array, self.xp.asarray(places), axis=axis)

    def conj(self, array: Array) -> Array:
        return array.conj()

    def real(self, array: Array) -> Array:
        return array.real

    def sqrt(self, array: Array) -> Array:
        return self.xp.sqrt(array)

    def absolute(self, array: Array) -> Array:
        return self.xp.abs(array)

    def sum(self, array: Array) -> Array:
        return array.sum()

    def vdot(self, a: Array, b: Array) -> Array:
        """<a|b>, conjugating a."""
        return self.xp.vdot(a, b)

    def norm(self, array: Array) -> Array:
        return self.xp.linalg.norm(array)

    def all_finite(self, array: Array) -> bool:
        return bool(self.read(self.xp.isfinite(array).all()))

    def read(self, scalar: Array) -> Any:
        return scalar.item()

    def svd(self, matrix: Array) -> tuple[Array, Array, Array]:
        return self.xp.linalg.svd(matrix, full_matrices=False)

    def qr(self, matrix: Array) -> tuple[Array, Array]:
        return self.xp.linalg.qr(matrix)

    def eigh(self, matrix: Array) -> tuple[Array, Array]:
        return self.xp.linalg.eigh(matrix)

    def solve(self, matrix: Array, right: Array) -> Array:
        """x of matrix x = right, for a matrix that is far from singular."""
        return self.xp.linalg.solve(matrix, right)

    def synchronize(self) -> None:
        """Wait until the device has done what was asked."""
