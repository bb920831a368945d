"""Orthonormal rows by blocks, in matrix products: rows are projected off those before, and a Cholesky factor of what is
left makes a block orthonormal. Again where errors grew, and by reflectors where rows depend on each other.

Half the work of Householder's reflectors in LAPACK, which takes rows one by one up to 128 of them.
Sources: A. Stathopoulos, K. Wu, SIAM J. Sci. Comput. 23, 2165 (2002); L. Giraud et al., Numer. Math. 101, 87 (2005),
on why two times are enough.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inner
from tnsim.kernels.cpu.householder import lq
from tnsim.kernels.cpu.layout import copy_vector
from tnsim.kernels.cpu.symbols import gemm, real_dot, square
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE

# rows of a block, by measurement
_WIDTH = 24
# a pivot of rows of norm 1 below which they depend on each other
_DEPENDENT = 1e-13
# how far errors of rows may grow (what a Gram matrix does to them grows with the square)
_GROWN = 10.0
# more than two times where rounding is what is left
_TIMES = 3
_PLAIN, _TURNED = np.int64(NO_TRANSPOSE), np.int64(ADJOINT)


@inner
def _inverse_factor(gram, size, inverse):
    """The inverse of the Cholesky factor of a Hermitian matrix (upper triangle, overwritten), in flat arrays.

    Returns whether there is one: not where rows depend on each other, are zero, or hold NaN.
    """
    inverse[:] = 0
    scale = np.empty(size)
    for i in range(size):
        scale[i] = gram[i * size + i].real
    for i in range(size):  # row i of R in the upper triangle: R^dagger R = gram
        pivot = gram[i * size + i].real
        if not (pivot > _DEPENDENT * scale[i] and scale[i] > 0):
            return False
        factor = 1 / np.sqrt(pivot)
        for j in range(i, size):
            gram[i * size + j] *= factor
        for k in range(i + 1, size):
            weight = np.conj(gram[i * size + k])
            for j in range(k, size):
                gram[k * size + j] -= weight * gram[i * size + j]
    for i in range(size):  # L = R^dagger, row by row: L X = 1
        for k in range(i):
            weight = np.conj(gram[k * size + i])
            for j in range(k + 1):
                inverse[i * size + j] -= weight * inverse[k * size + j]
        factor = 1 / gram[i * size + i].real
        for j in range(i):
            inverse[i * size + j] *= factor
        inverse[i * size + i] = factor
    return True


@inner
def _growth(inverse, squared, size):
    """How much larger errors of rows with these squared norms may be in the rows that the inverse makes of them."""
    most = 0.0
    for i in range(size):
        total = 0.0
        for k in range(i + 1):
            total += abs(inverse[i * size + k]) * np.sqrt(squared[k])
        most = max(most, total)
    return most


@inner
def _project(flat, first, last, cols, scales, room):
    """Rows first..last - 1 without what lies along the rows before."""
    ints, chars, size = np.empty(6, dtype=np.int32), np.empty(2, dtype=np.uint8), last - first
    rows, along = flat[first * cols : last * cols], room[: size * first]
    gemm(_PLAIN, _TURNED, size, first, cols, scales[:1], scales[2:], rows, cols, flat, cols, along, first, ints, chars)
    gemm(_PLAIN, _PLAIN, size, cols, first, scales[1:], scales, along, first, flat, cols, rows, cols, ints, chars)


@inner
def orthonormal_rows(matrix):
    """Orthonormal rows that span those of a row-major matrix with rows <= cols, in place, in their order.

    Returns 1 where the matrix holds NaN or Inf, else 0.
    """
    rows, cols = matrix.shape
    flat, one = matrix.reshape(rows * cols), np.ones(1)
    scales = np.zeros(3, dtype=matrix.dtype)
    scales[0], scales[1] = 1, -1
    room = np.empty(_WIDTH * max(rows, cols), dtype=matrix.dtype)
    gram, inverse = np.empty(_WIDTH * _WIDTH, dtype=matrix.dtype), np.empty(_WIDTH * _WIDTH, dtype=matrix.dtype)
    before = np.empty(_WIDTH)
    ints, chars = np.empty(6, dtype=np.int32), np.empty(2, dtype=np.uint8)
    for first in range(0, rows, _WIDTH):
        last, accurate = min(rows, first + _WIDTH), False
        size, panel = last - first, flat[first * cols : last * cols]
        for _ in range(_TIMES):
            for k in range(size):
                before[k] = real_dot(matrix[first + k], matrix[first + k])
            if first > 0:
                _project(flat, first, last, cols, scales, room)
            square(panel, size, cols, True, one, gram)
            if not _inverse_factor(gram, size, inverse):
                return lq(matrix)
            copy = room[: size * cols]
            copy_vector(copy, panel)
            gemm(
                _PLAIN, _PLAIN, size, cols, size, scales[:1], scales[2:], inverse, size, copy, cols, panel, cols,
                ints, chars,
            )  # fmt: skip
            accurate = _growth(inverse, before, size) < _GROWN
            if accurate:
                break
        if not accurate:
            return lq(matrix)
    return 0
