"""BLAS for compiled code, and the symbols of BLAS and LAPACK.

Every kernel module imports this one first: a cached kernel that is loaded before its symbols are
registered would jump to address zero. The addresses are SciPy's (`scipy.linalg.cython_blas`,
`cython_lapack`), so there is no further library; sizes are 32-bit integers, as BLAS takes them.
"""

import llvmlite.binding as llvm
import numpy as np
from numba import types
from numba.extending import get_cython_function_address

from tnsim.kernels.cpu.compiled import inner, overload
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE, TRANSPOSE

_LETTERS = {types.float32: "s", types.float64: "d", types.complex64: "c", types.complex128: "z"}
# role: (real name, number of arguments, complex name, number of arguments)
_ROUTINES = {
    "gemm": ("gemm", 13, "gemm", 13),
    "square": ("syrk", 10, "herk", 10),
    "eigh": ("syevd", 11, "heevd", 13),
    "gesdd": ("gesdd", 14, "gesdd", 15),
    "gesvd": ("gesvd", 14, "gesvd", 15),
    "pstrf": ("pstrf", 9, "pstrf", 9),
    "geqrf": ("geqrf", 8, "geqrf", 8),
    "orgqr": ("orgqr", 9, "ungqr", 9),
}


def _register() -> dict[tuple[str, types.Type], types.ExternalFunction]:
    functions = {}
    for dtype, letter in _LETTERS.items():
        for role, (real, real_count, cplx, complex_count) in _ROUTINES.items():
            is_complex = isinstance(dtype, types.Complex)
            name = letter + (cplx if is_complex else real)
            module = f"scipy.linalg.cython_{'blas' if role in ('gemm', 'square') else 'lapack'}"
            llvm.add_symbol(f"tnsim_{name}", get_cython_function_address(module, name))
            arguments = [types.intp] * (complex_count if is_complex else real_count)
            functions[role, dtype] = types.ExternalFunction(f"tnsim_{name}", types.void(*arguments))
    for dtype, name in ((types.float32, "sdot"), (types.float64, "ddot")):
        llvm.add_symbol(f"tnsim_{name}", get_cython_function_address("scipy.linalg.cython_blas", name))
        functions["dot", dtype] = types.ExternalFunction(f"tnsim_{name}", dtype(*[types.intp] * 5))
    return functions


FUNCTIONS = _register()
_N, _T, _C = NO_TRANSPOSE, TRANSPOSE, ADJOINT
# OpenBLAS has kernels without packing for real products up to _SMALL on AVX-512: at sizes of 100 to 200 a product in
# such tiles takes three quarters of the time. Above _LARGE packing pays.
_SMALL, _LARGE, _TILE_ROWS, _TILE_COLS, _TILE_DEPTH = 1_000_000, 10_000_000, 96, 64, 160
_TILES = bool(llvm.get_host_cpu_features().get("avx512f", False))


@inner
def int_arguments(a, b, c, d):
    """Integer arguments of a LAPACK routine and its info, 0 (`np.array` of a list compiles for a second)."""
    ints = np.zeros(5, dtype=np.int32)
    ints[0], ints[1], ints[2], ints[3] = a, b, c, d
    return ints


@inner
def char_arguments(a, b):
    """Letters of a routine, by their codes."""
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
    if not _TILES or isinstance(c.dtype, types.Complex):
        return _plain_gemm

    def implementation(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
        if tb != _N or not _SMALL < m * n * k <= _LARGE:
            _call_gemm(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars)
            return
        down, across = (1, lda) if ta != _N else (lda, 1)
        for depth in range(0, k, _TILE_DEPTH):
            for i in range(0, m, _TILE_ROWS):
                for j in range(0, n, _TILE_COLS):
                    _call_gemm(
                        ta, tb, min(_TILE_ROWS, m - i), min(_TILE_COLS, n - j), min(_TILE_DEPTH, k - depth), alpha, one,
                        a[i * down + depth * across :], lda, b[depth * ldb + j :], ldb, c[i * ldc + j :], ldc,
                        ints, chars,
                    )  # fmt: skip

    return implementation


def _plain_gemm(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
    _call_gemm(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars)


def _call_gemm(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
    """One call of BLAS for `gemm`."""
    raise RuntimeError("for compiled code only")


@overload(_call_gemm)
def _call_gemm_overload(ta, tb, m, n, k, alpha, one, a, lda, b, ldb, c, ldc, ints, chars):
    function = FUNCTIONS["gemm", c.dtype]

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


def square(matrix, m, n, of_rows, one, out):
    """The square matrix A A^H (of_rows) or A^H A of a row-major m x n matrix A, all of it, in 1-D views.

    `one` is a 1-element view of the real dtype. Half the flops of a product.
    """
    raise RuntimeError("for compiled code only")


@overload(square)
def _square(matrix, m, n, of_rows, one, out):
    function, adjoint = FUNCTIONS["square", matrix.dtype], 67 if isinstance(matrix.dtype, types.Complex) else 84

    def implementation(matrix, m, n, of_rows, one, out):
        # BLAS sees the transpose of both: with X = A^T its lower triangle of X^H X is our upper one of A A^H
        own, other = (m, n) if of_rows else (n, m)
        chars, ints, zero = (
            char_arguments(76, adjoint if of_rows else 78),
            int_arguments(own, other, n, own),
            np.zeros_like(one),
        )
        t, p = chars.ctypes.data, ints.ctypes.data
        function(
            t, t + 1, p, p + 4, one.ctypes.data, matrix.ctypes.data, p + 8, zero.ctypes.data, out.ctypes.data, p + 12,
        )  # fmt: skip
        ints[0], chars[0], zero[0] = 0, 0, 0  # alive until here
        for i in range(1, own):
            for j in range(i):
                out[i * own + j] = np.conj(out[j * own + i])

    return implementation


def dot(a, b, ints):
    """<a|b>; `ints` (at least 2 x int32) is scratch."""
    raise RuntimeError("for compiled code only")


@overload(dot)
def _dot(a, b, ints):
    # BLAS, not a loop of ours: a compiler that may reorder a sum gives other bits in every copy of a function
    if isinstance(a.dtype, types.Complex):

        def implementation(a, b, ints):
            total = a.dtype.type(0)
            for i in range(len(a)):
                total += np.conj(a[i]) * b[i]
            return total

    else:
        function = FUNCTIONS["dot", a.dtype]

        def implementation(a, b, ints):
            ints[0], ints[1] = len(a), 1
            p = ints.ctypes.data
            return function(p, a.ctypes.data, p + 4, b.ctypes.data, p + 4)

    return implementation


def turn(a, out):
    """out = i a where a is complex: what `dot_with` takes beside a; nothing where it is real."""
    raise RuntimeError("for compiled code only")


@overload(turn)
def _turn(a, out):
    if isinstance(a.dtype, types.Complex):

        def implementation(a, out):
            for i in range(len(a)):
                out[i] = complex(-a[i].imag, a[i].real)

    else:

        def implementation(a, out):
            pass

    return implementation


def dot_with(a, turned, b, ints):
    """<a|b> for an a that meets many b, with turned = i a: for complex data two real products of BLAS."""
    raise RuntimeError("for compiled code only")


@overload(dot_with)
def _dot_with(a, turned, b, ints):
    if isinstance(a.dtype, types.Complex):
        function = FUNCTIONS["dot", a.dtype.underlying_float]

        def implementation(a, turned, b, ints):
            ints[0], ints[1] = 2 * len(a), 1
            p, q = ints.ctypes.data, b.ctypes.data
            real = function(p, a.ctypes.data, p + 4, q, p + 4)
            return a.dtype.type(complex(real, function(p, turned.ctypes.data, p + 4, q, p + 4)))

    else:

        def implementation(a, turned, b, ints):
            return dot(a, b, ints)

    return implementation


def real_dot(a, b):
    """Real part of <a|b>."""
    raise RuntimeError("for compiled code only")


@overload(real_dot)
def _real_dot(a, b):
    # BLAS, not a loop of ours: a compiler that may reorder a sum gives other bits in every copy of a function
    width, real = (2, a.dtype.underlying_float) if isinstance(a.dtype, types.Complex) else (1, a.dtype)
    function = FUNCTIONS["dot", real]

    def implementation(a, b):
        ints = np.empty(2, dtype=np.int32)
        ints[0], ints[1] = width * len(a), 1
        p = ints.ctypes.data
        value = function(p, a.ctypes.data, p + 4, b.ctypes.data, p + 4)
        ints[0] = 0  # alive until here
        return value

    return implementation
