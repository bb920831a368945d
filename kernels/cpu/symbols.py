"""BLAS and LAPACK for compiled code, by symbol.

Every kernel module imports this one first: a cached kernel that is loaded before its symbols are
registered would jump to address zero. The addresses are SciPy's (`scipy.linalg.cython_blas`,
`cython_lapack`), so there is no further library; sizes are 32-bit integers, as BLAS takes them.
"""

import llvmlite.binding as llvm
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address, overload

from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE, TRANSPOSE

_LETTERS = {types.float32: "s", types.float64: "d", types.complex64: "c", types.complex128: "z"}
# role: (real name, number of arguments, complex name, number of arguments)
_ROUTINES = {
    "gemm": ("gemm", 13, "gemm", 13),
    "eigh": ("syevd", 11, "heevd", 13),
    "gesdd": ("gesdd", 14, "gesdd", 15),
    "gesvd": ("gesvd", 14, "gesvd", 15),
    "geqrf": ("geqrf", 8, "geqrf", 8),
    "orgqr": ("orgqr", 9, "ungqr", 9),
    "pstrf": ("pstrf", 9, "pstrf", 9),
}


def _register() -> dict[tuple[str, types.Type], types.ExternalFunction]:
    functions = {}
    for dtype, letter in _LETTERS.items():
        for role, (real, real_count, cplx, complex_count) in _ROUTINES.items():
            is_complex = isinstance(dtype, types.Complex)
            name = letter + (cplx if is_complex else real)
            module = "scipy.linalg.cython_blas" if role == "gemm" else "scipy.linalg.cython_lapack"
            llvm.add_symbol(f"tnsim_{name}", get_cython_function_address(module, name))
            arguments = [types.intp] * (complex_count if is_complex else real_count)
            functions[role, dtype] = types.ExternalFunction(f"tnsim_{name}", types.void(*arguments))
    for dtype, name in ((types.float32, "sdot"), (types.float64, "ddot")):
        llvm.add_symbol(f"tnsim_{name}", get_cython_function_address("scipy.linalg.cython_blas", name))
        functions["dot", dtype] = types.ExternalFunction(f"tnsim_{name}", dtype(*[types.intp] * 5))
    return functions


_FUNCTIONS = _register()
_N, _T, _C = NO_TRANSPOSE, TRANSPOSE, ADJOINT


@njit(cache=True, nogil=True)
def _ints(a, b, c, d):
    """Integer arguments of a LAPACK routine and its info, 0 (`np.array` of a list compiles for a second)."""
    ints = np.zeros(5, dtype=np.int32)
    ints[0], ints[1], ints[2], ints[3] = a, b, c, d
    return ints


@njit(cache=True, nogil=True)
def _chars(a, b):
    chars = np.empty(2, dtype=np.uint8)
    chars[0], chars[1] = a, b
    return chars


def gemm(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
    """C += alpha op(A) op(B) on row-major matrices at the start of the 1-D views a, b, c.

    `alpha` and `one` are 1-element views; `ints` (6 x int32) and `chars` (2 x uint8) are scratch.
    """
    raise RuntimeError("for compiled code only")


@overload(gemm)
def _gemm(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
    function = _FUNCTIONS["gemm", c.dtype]

    def implementation(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
        # Row-major C = A B is column-major C^T = B^T A^T: the operands change places.
        chars[0] = 78 if tb == _N else (84 if tb == _T else 67)
        chars[1] = 78 if ta == _N else (84 if ta == _T else 67)
        ints[0], ints[1], ints[2], ints[3], ints[4], ints[5] = n, m, k, ldb, lda, ldc
        p, t = ints.ctypes.data, chars.ctypes.data
        function(
            t, t + 1, p, p + 4, p + 8, alpha.ctypes.data, b.ctypes.data, p + 12,
            a.ctypes.data, p + 16, one.ctypes.data, c.ctypes.data, p + 20,
        )  # fmt: skip

    return implementation


def real_dot(a, b):
    """Real part of <a|b>."""
    raise RuntimeError("for compiled code only")


@overload(real_dot)
def _real_dot(a, b):
    # BLAS, not a loop of ours: a compiler that may reorder a sum gives other bits in every copy of a function
    width, real = (2, a.dtype.underlying_float) if isinstance(a.dtype, types.Complex) else (1, a.dtype)
    function = _FUNCTIONS["dot", real]

    def implementation(a, b):
        ints = np.empty(2, dtype=np.int32)
        ints[0], ints[1] = width * len(a), 1
        p = ints.ctypes.data
        value = function(p, a.ctypes.data, p + 4, b.ctypes.data, p + 4)
        ints[0] = 0  # alive until here
        return value

    return implementation


def eigh(matrix, values):
    """Eigenvalues (ascending, into `values`) of the Hermitian row-major `matrix`; row j of it becomes the
    conjugate of eigenvector j. Only one triangle is read. Returns LAPACK's info."""
    raise RuntimeError("for compiled code only")


@overload(eigh)
def _eigh(matrix, values):
    function = _FUNCTIONS["eigh", matrix.dtype]

    if isinstance(matrix.dtype, types.Complex):

        def implementation(matrix, values):
            n = matrix.shape[0]
            chars = _chars(86, 85)  # 'V', 'U'
            lwork, lrwork, liwork = 2 * n + 33 * n * n, 1 + 5 * n + 2 * n * n, 3 + 5 * n
            ints = _ints(n, lwork, lrwork, liwork)
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
            chars = _chars(86, 85)
            lwork, liwork = 1 + 6 * n + 2 * n * n + 33 * n, 3 + 5 * n
            ints = _ints(n, lwork, liwork, 0)
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
    gesdd, gesvd = _FUNCTIONS["gesdd", matrix.dtype], _FUNCTIONS["gesvd", matrix.dtype]

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
        chars = _chars(83, 83)  # 'S'
        ints = _ints(cols, rows, k, lwork)
        keep = matrix.copy()
        _call_svd(False, chars.ctypes.data, ints.ctypes.data, matrix, u, values, vh, work, rwork, iwork)
        if ints[4] != 0:
            _call_svd(True, chars.ctypes.data, ints.ctypes.data, keep, u, values, vh, work, rwork, iwork)
        return ints[4]

    return implementation


def lq(matrix, taus):
    """Row-orthonormal factor of a row-major matrix with rows <= cols, in place: A = L Q becomes Q.

    Returns LAPACK's info. L is A Q^H, formed by the caller where it is needed.
    """
    raise RuntimeError("for compiled code only")


@overload(lq)
def _lq(matrix, taus):
    geqrf, orgqr = _FUNCTIONS["geqrf", matrix.dtype], _FUNCTIONS["orgqr", matrix.dtype]

    def implementation(matrix, taus):
        # LAPACK sees the transpose (cols x rows) and makes its columns orthonormal: our rows.
        rows, cols = matrix.shape
        lwork = 64 * max(rows, 1)
        work = np.empty(lwork, dtype=matrix.dtype)
        ints = _ints(cols, rows, lwork, 0)
        p = ints.ctypes.data
        geqrf(p, p + 4, matrix.ctypes.data, p, taus.ctypes.data, work.ctypes.data, p + 8, p + 12)
        if ints[3] == 0:
            orgqr(p, p + 4, p + 4, matrix.ctypes.data, p, taus.ctypes.data, work.ctypes.data, p + 8, p + 12)
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
    function = _FUNCTIONS["pstrf", matrix.dtype]

    def implementation(matrix, pivots, tolerance):
        # LAPACK sees the transpose, so its lower triangle is our upper one, and its L our R^T
        chars, ints = _chars(76, 76), _ints(matrix.shape[0], 0, 0, 0)  # 'L'
        work = np.empty(2 * matrix.shape[0], dtype=tolerance.dtype)
        p = ints.ctypes.data
        function(
            chars.ctypes.data, p, matrix.ctypes.data, p, pivots.ctypes.data, p + 4, tolerance.ctypes.data,
            work.ctypes.data, p + 8,
        )  # fmt: skip
        return ints[1]

    return implementation
