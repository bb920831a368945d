"""QR of small matrices by blocks of Householder reflectors, in matrix products alone.

LAPACK takes columns one by one up to 128 of them, and its blocked routines for fewer spend their time in triangular
products, which threads do not share well. Half of LAPACK's time at 120 x 68 and a third at 200 x 110, on any thread.
Source: G. H. Golub and C. F. Van Loan, Matrix Computations, 5.1.3 and 5.2.3 (R. Schreiber and C. F. Van Loan, 1989).
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner
from tnsim.kernels.cpu.lapack import large_lq
from tnsim.kernels.cpu.layout import copy_vector
from tnsim.kernels.cpu.symbols import dot, dot_with, gemm, turn
from tnsim.kernels.table import NO_TRANSPOSE

# reflectors of a block, by measurement
_WIDTH = 8
_PLAIN = np.int64(NO_TRANSPOSE)


@inlined
def _norm(x, ints):
    """The norm of a vector, also where the squares leave the range of the dtype."""
    square = dot(x, x, ints).real
    if 1e-30 < square < 1e30:
        return np.sqrt(square)
    largest = abs(x[0])
    for value in x:
        largest = max(largest, abs(value))
    total = largest * 0
    if largest == 0:
        return largest
    for value in x:
        total += (abs(value) / largest) ** 2
    return largest * np.sqrt(total)


@inlined
def _reflector(x, v, ints):
    """v with v[0] = 1 and tau, such that (1 - tau v v^H)^H x has a first element alone, which x[0] becomes."""
    norm, one = _norm(x, ints), x.dtype.type(1)
    v[0] = one
    if norm == 0:
        v[1:] = 0
        return x.dtype.type(0)
    beta = -norm if x[0].real >= 0 else norm
    factor = one / (x[0] - beta)
    for i in range(1, len(x)):
        v[i] = x[i] * factor
    tau = (beta - x[0]) / beta
    x[0] = beta
    return tau


@inlined
def _block(a, first, last, v, triangle, turned, ints):
    """Reflectors of rows first..last - 1, which end up below one another in v, and T of their product 1 - V T V^H.

    turned: room for a row."""
    for i in range(first, last):
        b, row = i - first, v[i - first]
        row[:i] = 0
        y = row[i:]
        tau, times = _reflector(a[i, i:], y, ints), turned[: len(y)]
        turn(y, times)
        for other in range(i + 1, last):
            z = a[other, i:]
            weight = dot_with(y, times, z, ints) * np.conj(tau)
            for c in range(len(z)):
                z[c] -= weight * y[c]
        for k in range(b):
            triangle[b, k], triangle[k, b] = 0, np.conj(dot_with(y, times, v[k, i:], ints))
        for k in range(b):
            total = tau * 0
            for n in range(k, b):
                total += triangle[k, n] * triangle[n, b]
            triangle[k, b] = -tau * total
        triangle[b, b] = tau


@inner
def _apply(a, first, v, adjoint, triangle, start, scales, work, ints, chars):
    """Rows of a from `first` on -= (rows V^*) triangle V^T, from column `start` on; `adjoint` holds V^* densely."""
    (rows, cols), size = a.shape, len(triangle)
    m, n = rows - first, cols - start
    if m == 0:
        return
    ones, minus = scales[:1], scales[1:]
    inner, outer = work[: m * size], work[m * size : 2 * m * size]
    inner[:], outer[:] = 0, 0
    # views up to the last row: a product in tiles cuts pieces off them
    target, reflectors = a.reshape(rows * cols)[first * cols + start :], v.reshape(v.size)[start:]
    gemm(_PLAIN, _PLAIN, m, size, n, ones, ones, target, cols, adjoint, size, inner, size, ints, chars)
    gemm(_PLAIN, _PLAIN, m, size, size, ones, ones, inner, size, triangle.ravel(), size, outer, size, ints, chars)
    gemm(_PLAIN, _PLAIN, m, n, size, minus, ones, outer, size, reflectors, cols, target, cols, ints, chars)


@inlined
def lq(matrix):
    """As `lq_with`, without L."""
    return lq_with(matrix, matrix[:0])


@inner
def lq_with(matrix, lower):
    """Row-orthonormal factor of a row-major matrix with rows <= cols, in place: A = L Q becomes Q.

    lower: a square matrix that becomes L, or one without rows. Returns 1 where the matrix holds NaN or Inf, else 0.
    """
    rows, cols = matrix.shape
    info = large_lq(matrix, lower)
    if info >= 0:
        return info
    ints, chars, scales = np.empty(6, dtype=np.int32), np.empty(2, dtype=np.uint8), np.ones(2, dtype=matrix.dtype)
    scales[1] = -1
    room = np.empty(cols, dtype=matrix.dtype)
    v, adjoints = np.empty_like(matrix), np.empty(matrix.size, dtype=matrix.dtype)
    turned, work = np.empty(rows * _WIDTH, dtype=matrix.dtype), np.empty(2 * rows * _WIDTH, dtype=matrix.dtype)
    for first in range(0, rows, _WIDTH):
        last = min(rows, first + _WIDTH)
        size, adjoint = last - first, adjoints[first * cols : last * cols]
        triangle, conjugate = np.empty((size, size), dtype=matrix.dtype), np.empty((size, size), dtype=matrix.dtype)
        _block(matrix, first, last, v[first:], triangle, room, ints)
        for k in range(size):
            for c in range(first, cols):
                adjoint[(c - first) * size + k] = np.conj(v[first + k, c])
            for n in range(size):
                conjugate[n, k] = np.conj(triangle[n, k])
                turned[first * _WIDTH + k * size + n] = triangle[n, k]
        _apply(matrix, last, v[first:], adjoint, conjugate, first, scales, work, ints, chars)
    finite = True
    for i in range(rows):
        finite = finite and np.isfinite(matrix[i, i])
        if len(lower) > 0:
            copy_vector(lower[i], matrix[i, : i + 1])
            lower[i, i + 1 :] = 0
        matrix[i, :] = 0
        matrix[i, i] = 1
    for first in range((rows - 1) // _WIDTH * _WIDTH, -1, -_WIDTH):
        last = min(rows, first + _WIDTH)
        size, adjoint = last - first, adjoints[first * cols : last * cols]
        triangle = turned[first * _WIDTH : first * _WIDTH + size * size].reshape(size, size)
        _apply(matrix, first, v[first:], adjoint, triangle, first, scales, work, ints, chars)
    return 0 if finite else 1
