"""LAPACK for compiled code, in row-major terms."""

import numpy as np
from numba import types
from numba.extending import overload

from tnsim.kernels.cpu.symbols import FUNCTIONS, char_arguments, int_arguments

# from so many numbers on QR goes by blocks of so many columns
_BLOCKED, _WIDTH = 4096, 8


def eigh(matrix, values):
    """Eigenvalues (ascending, into `values`) of the Hermitian row-major `matrix`; row j of it becomes the
    conjugate of eigenvector j. Only one triangle is read. Returns LAPACK's info."""
    raise RuntimeError("for compiled code only")


@overload(eigh)
def _eigh(matrix, values):
    function = FUNCTIONS["eigh", matrix.dtype]

    if isinstance(matrix.dtype, types.Complex):

        def implementation(matrix, values):
            n = matrix.shape[0]
            chars = char_arguments(86, 85)  # 'V', 'U'
            lwork, lrwork, liwork = 2 * n + 33 * n * n, 1 + 5 * n + 2 * n * n, 3 + 5 * n
            ints = int_arguments(n, lwork, lrwork, liwork)
            work = np.empty(lwork, dtype=matrix.dtype)
            rwork = np.empty(lrwork, dtype=values.dtype)
            iwork = np.empty(liwork, dtype=np.int32)
            p, t = ints.ctypes.data, chars.ctypes.data
            function(
                t, t + 1, p, matrix.ctypes.data, p, values.ctypes.data, work.ctypes.data, p + 4,
                rwork.ctypes.data, p + 8, iwork.ctypes.data, p + 12, p + 16,
            )  # fmt: skip
            return ints[4]

    else:

        def implementation(matrix, values):
            n = matrix.shape[0]
            chars = char_arguments(86, 85)
            lwork, liwork = 1 + 6 * n + 2 * n * n + 33 * n, 3 + 5 * n
            ints = int_arguments(n, lwork, liwork, 0)
            work = np.empty(lwork, dtype=matrix.dtype)
            iwork = np.empty(liwork, dtype=np.int32)
            p, t = ints.ctypes.data, chars.ctypes.data
            function(
                t, t + 1, p, matrix.ctypes.data, p, values.ctypes.data, work.ctypes.data, p + 4,
                iwork.ctypes.data, p + 8, p + 12,
            )  # fmt: skip
            return ints[3]

    return implementation


def _call_svd(fallback, t, p, matrix, u, values, vh, work, rwork, iwork):
    """gesdd, or gesvd as `fallback`: the complex routines take one argument more (rwork)."""
    raise RuntimeError("for compiled code only")


@overload(_call_svd)
def _call_svd_overload(fallback, t, p, matrix, u, values, vh, work, rwork, iwork):
    gesdd, gesvd = FUNCTIONS["gesdd", matrix.dtype], FUNCTIONS["gesvd", matrix.dtype]

    def real(fallback, t, p, matrix, u, values, vh, work, rwork, iwork):
        a, s = matrix.ctypes.data, values.ctypes.data
        left, right, w, i = vh.ctypes.data, u.ctypes.data, work.ctypes.data, iwork.ctypes.data
        if fallback:
            gesvd(t, t + 1, p, p + 4, a, p, s, left, p, right, p + 8, w, p + 12, p + 16)
        else:
            gesdd(t, p, p + 4, a, p, s, left, p, right, p + 8, w, p + 12, i, p + 16)

    def complex_(fallback, t, p, matrix, u, values, vh, work, rwork, iwork):
        a, s, r = matrix.ctypes.data, values.ctypes.data, rwork.ctypes.data
        left, right, w, i = vh.ctypes.data, u.ctypes.data, work.ctypes.data, iwork.ctypes.data
        if fallback:
            gesvd(t, t + 1, p, p + 4, a, p, s, left, p, right, p + 8, w, p + 12, r, p + 16)
        else:
            gesdd(t, p, p + 4, a, p, s, left, p, right, p + 8, w, p + 12, r, i, p + 16)

    return complex_ if isinstance(matrix.dtype, types.Complex) else real


def svd(matrix, u, values, vh):
    """Thin SVD of a row-major matrix (overwritten): gesdd, and gesvd where that fails. Returns the info."""
    raise RuntimeError("for compiled code only")


@overload(svd)
def _svd(matrix, u, values, vh):
    def implementation(matrix, u, values, vh):
        # LAPACK sees the transpose (cols x rows) = Vh^T S U^T, so its first basis is our vh, its second our u.
        rows, cols = matrix.shape
        k, big = min(rows, cols), max(rows, cols)
        lwork = max(4 * k * k + 7 * k + 34 * (rows + cols) + 64, 3 * k + big + 64 * (rows + cols))
        work = np.empty(lwork, dtype=matrix.dtype)
        rwork = np.empty(k * max(5 * k + 7, 2 * big + 2 * k + 1) + 5 * k, dtype=values.dtype)
        iwork = np.empty(8 * k, dtype=np.int32)
        chars = char_arguments(83, 83)  # 'S'
        ints = int_arguments(cols, rows, k, lwork)
        keep = matrix.copy()
        _call_svd(False, chars.ctypes.data, ints.ctypes.data, matrix, u, values, vh, work, rwork, iwork)
        if ints[4] != 0:
            _call_svd(True, chars.ctypes.data, ints.ctypes.data, keep, u, values, vh, work, rwork, iwork)
        return ints[4]

    return implementation


def lq(matrix):
    """Row-orthonormal factor of a row-major matrix with rows <= cols, in place: A = L Q becomes Q.

    Returns LAPACK's info. L is A Q^H, formed by the caller where it is needed.
    """
    raise RuntimeError("for compiled code only")


@overload(lq)
def _lq(matrix):
    def implementation(matrix):
        # LAPACK sees the transpose (cols x rows) and makes its columns orthonormal: our rows.
        return _lq_blocked(matrix) if matrix.size >= _BLOCKED else _lq_plain(matrix)

    return implementation


def _lq_plain(matrix):
    """`lq` by geqrf, which takes columns one by one up to 128 of them."""
    raise RuntimeError("for compiled code only")


@overload(_lq_plain)
def _lq_plain_overload(matrix):
    geqrf, orgqr = FUNCTIONS["geqrf", matrix.dtype], FUNCTIONS["orgqr", matrix.dtype]

    def implementation(matrix):
        rows, cols = matrix.shape
        lwork = 64 * max(rows, 1)
        work, taus = np.empty(lwork, dtype=matrix.dtype), np.empty(rows, dtype=matrix.dtype)
        ints = int_arguments(cols, rows, lwork, 0)
        p = ints.ctypes.data
        geqrf(p, p + 4, matrix.ctypes.data, p, taus.ctypes.data, work.ctypes.data, p + 8, p + 12)
        if ints[3] == 0:
            orgqr(p, p + 4, p + 4, matrix.ctypes.data, p, taus.ctypes.data, work.ctypes.data, p + 8, p + 12)
        return ints[3]

    return implementation


def _lq_blocked(matrix):
    """`lq` by blocks of _WIDTH reflectors, which are products: two thirds of the time at 120 x 68, half at 200 x 70."""
    raise RuntimeError("for compiled code only")


@overload(_lq_blocked)
def _lq_blocked_overload(matrix):
    geqrt, larfb = FUNCTIONS["geqrt", matrix.dtype], FUNCTIONS["larfb", matrix.dtype]

    def implementation(matrix):
        rows, cols = matrix.shape
        size = min(_WIDTH, rows)
        reflectors, work = matrix.copy(), np.empty(size * cols, dtype=matrix.dtype)
        triangles = np.empty((rows, size), dtype=matrix.dtype)
        ints, shape = int_arguments(cols, rows, size, 0), int_arguments(0, 0, 0, 0)
        p, q = ints.ctypes.data, shape.ctypes.data
        geqrt(
            p, p + 4, p + 8, reflectors.ctypes.data, p, triangles.ctypes.data, p + 8, work.ctypes.data, p + 12,
        )  # fmt: skip
        matrix[:] = 0
        for i in range(rows):
            matrix[i, i] = 1
        order, side = char_arguments(70, 67), char_arguments(76, 78)  # 'F', 'C'; 'L', 'N'
        f, t = order.ctypes.data, side.ctypes.data
        for j in range((rows - 1) // size * size, -1, -size):
            shape[0], shape[1], shape[2] = cols - j, rows - j, min(size, rows - j)
            larfb(
                t, t + 1, f, f + 1, q, q + 4, q + 8, reflectors[j, j:].ctypes.data, p, triangles[j:].ctypes.data, p + 8,
                matrix[j, j:].ctypes.data, p, work.ctypes.data, p,
            )  # fmt: skip
        order[0], side[0] = 0, 0  # alive until here
        return ints[3]

    return implementation


def pivoted_cholesky(matrix, pivots, tolerance):
    """Pivoted Cholesky factor of a positive row-major matrix, in place: A P = P R^dagger R, R with rows of
    falling norm in the upper triangle, column j of R for place pivots[j] - 1.

    Ends at a pivot below `tolerance` (1-element view, real). Returns the rank: rows beyond it are no part of R.
    Source: N. J. Higham, LAPACK Working Note 161 (2004).
    """
    raise RuntimeError("for compiled code only")


@overload(pivoted_cholesky)
def _pivoted_cholesky(matrix, pivots, tolerance):
    function = FUNCTIONS["pstrf", matrix.dtype]

    def implementation(matrix, pivots, tolerance):
        # LAPACK sees the transpose, so its lower triangle is our upper one, and its L our R^T
        chars, ints = char_arguments(76, 76), int_arguments(matrix.shape[0], 0, 0, 0)  # 'L'
        work = np.empty(2 * matrix.shape[0], dtype=tolerance.dtype)
        p = ints.ctypes.data
        function(
            chars.ctypes.data, p, matrix.ctypes.data, p, pivots.ctypes.data, p + 4, tolerance.ctypes.data,
            work.ctypes.data, p + 8,
        )  # fmt: skip
        return ints[1]

    return implementation
