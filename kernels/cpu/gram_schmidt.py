"""Orthonormal rows by blocks, in matrix products: rows are projected off those before, and a Cholesky factor of what is
left makes a block orthonormal. Twice where much was cancelled, and by reflectors where rows depend on each other.

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
# what may be left of a squared norm, and of a pivot of rows with norm 1, before rounding counts (1e-13) and at all
_CANCELLED, _DEPENDENT = 1e-4, 1e-13
_PLAIN, _TURNED = np.int64(NO_TRANSPOSE), np.int64(ADJOINT)


@inner
def _inverse_factor(gram, size, inverse):
    """The inverse of the Cholesky factor of a Hermitian matrix (upper triangle, overwritten), in flat arrays.

    Returns the smallest pivot relative to its diagonal element; 0 where there is none, NaN where there is NaN.
    """
    least = 1.0
    inverse[:] = 0
    scale = np.empty(size)
    for i in range(size):
        scale[i] = gram[i * size + i].real
        if not scale[i] > 0:
            return scale[i] * 0
    for i in range(size):  # row i of R in the upper triangle: R^dagger R = gram
        pivot = gram[i * size + i].real
        if not pivot > _DEPENDENT * scale[i]:
            return pivot * 0
        least = min(least, pivot / scale[i])
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
    return least


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
    for first in range(0, rows, _WIDTH):
        last = min(rows, first + _WIDTH)
        size, panel = last - first, flat[first * cols : last * cols]
        for _ in range(3):
            for k in range(size):
                before[k] = real_dot(matrix[first + k], matrix[first + k])
            if first > 0:
                _project(flat, first, last, cols, scales, room)
            square(panel, size, cols, True, one, gram)
            least = 1.0
            for k in range(size):
                least = min(least, gram[k * (size + 1)].real / before[k]) if before[k] > 0 else 0.0
            pivot = _inverse_factor(gram, size, inverse)
            if not pivot > 0:
                return lq(matrix)
            ints, chars = np.empty(6, dtype=np.int32), np.empty(2, dtype=np.uint8)
            copy = room[: size * cols]
            copy_vector(copy, panel)
            gemm(
                _PLAIN, _PLAIN, size, cols, size, scales[:1], scales[2:], inverse, size, copy, cols, panel, cols,
                ints, chars,
            )  # fmt: skip
            if min(least, pivot) > _CANCELLED:
                break
    return 0
