"""LAPACK for compiled code, in row-major terms."""

import numpy as np
from numba import types

from tnsim.kernels.cpu.compiled import overload
from tnsim.kernels.cpu.layout import copy_vector
from tnsim.kernels.cpu.symbols import FUNCTIONS, char_arguments, int_arguments


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


# complex matrices of so many rows are faster in LAPACK than in blocks of ours, by measurement
_LARGE = 80


def large_lq(matrix, lower):
    """`householder.lq_with` by LAPACK for large complex matrices; -1 (and nothing done) for others."""
    raise RuntimeError("for compiled code only")


@overload(large_lq)
def _large_lq(matrix, lower):
    if not isinstance(matrix.dtype, types.Complex):
        return lambda matrix, lower: -1
    geqrf, ungqr = FUNCTIONS["geqrf", matrix.dtype], FUNCTIONS["orgqr", matrix.dtype]

    def implementation(matrix, lower):
        # LAPACK sees the transpose A^T = Q R: L is R^T, and the rows of Q^T are orthonormal as well
        rows, cols = matrix.shape
        if rows < _LARGE:
            return -1
        lwork = 64 * cols
        ints, tau, work = (
            int_arguments(cols, rows, rows, lwork),
            np.empty(rows, matrix.dtype),
            np.empty(lwork, matrix.dtype),
        )
        p, a, t, w = ints.ctypes.data, matrix.ctypes.data, tau.ctypes.data, work.ctypes.data
        geqrf(p, p + 4, a, p, t, w, p + 12, p + 16)
        finite = ints[4] == 0
        for i in range(rows):
            finite = finite and np.isfinite(matrix[i, i])
            if len(lower) > 0:
                copy_vector(lower[i], matrix[i, : i + 1])
                lower[i, i + 1 :] = 0
        ungqr(p, p + 4, p + 8, a, p, t, w, p + 12, p + 16)
        tau[0], work[0] = 0, 0  # alive until here
        return 0 if finite and ints[4] == 0 else 1

    return implementation
