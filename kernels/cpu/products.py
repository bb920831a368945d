"""Runs a plan of block products (see `kernels/table.py`) in one compiled call."""

from functools import lru_cache

import numpy as np
from numba import njit

from tnsim.kernels.cpu.layout import longest_first
from tnsim.kernels.cpu.symbols import gemm
from tnsim.kernels.cpu.team import share, tasks
from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    A_TRANSPOSE,
    ADD,
    ADD_CONJUGATE,
    B_BUFFER,
    B_OFFSET,
    B_STEP,
    B_STRIDE,
    B_TRANSPOSE,
    BUFFERS,
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    CLEAR,
    KIND,
    PRODUCT,
    K,
    M,
    N,
)


@njit(cache=True, nogil=True)
def _add(m, n, alpha, conjugate, b, row_b, step_b, c, row_c, step_c):
    """c += alpha b (or its conjugate), element by element on strided matrices."""
    if step_b == 1 and step_c == 1 and not conjugate:
        for i in range(m):
            x, y = b[i * row_b : i * row_b + n], c[i * row_c : i * row_c + n]
            for j in range(n):
                y[j] += alpha * x[j]
    elif conjugate:
        for i in range(m):
            for j in range(n):
                c[i * row_c + j * step_c] += alpha * np.conj(b[i * row_b + j * step_b])
    else:
        for i in range(m):
            for j in range(n):
                c[i * row_c + j * step_c] += alpha * b[i * row_b + j * step_b]


@njit(cache=True, nogil=True)
def run_rows(rows, alphas, one, buffers, first, last):
    """Run rows first..last-1 in order, on this thread."""
    ints = np.empty(6, dtype=np.int32)
    chars = np.empty(2, dtype=np.uint8)
    for i in range(first, last):
        row = rows[i]
        kind, m, n = row[KIND], row[M], row[N]
        c = buffers[row[C_BUFFER]][row[C_OFFSET] :]
        if kind == PRODUCT:
            a, b = buffers[row[A_BUFFER]][row[A_OFFSET] :], buffers[row[B_BUFFER]][row[B_OFFSET] :]
            gemm(
                row[A_TRANSPOSE], row[B_TRANSPOSE], m, n, row[K], alphas[i:], one,
                a, row[A_STRIDE], b, row[B_STRIDE], c, row[C_STRIDE], ints, chars,
            )  # fmt: skip
        elif kind in (ADD, ADD_CONJUGATE):
            b = buffers[row[B_BUFFER]][row[B_OFFSET] :]
            _add(
                m,
                n,
                alphas[i],
                kind == ADD_CONJUGATE,
                b,
                row[B_STRIDE],
                row[B_STEP],
                c,
                row[C_STRIDE],
                row[C_STEP],
            )
        elif kind == CLEAR:
            for r in range(m):
                c[r * row[C_STRIDE] : r * row[C_STRIDE] + n] = 0
        else:
            for r in range(m):
                c[r * row[C_STRIDE]] += alphas[i]


@njit(cache=True, nogil=True)
def share_rows(rows, alphas, one, buffers, starts, order, board):
    """The tasks of the round that is open, as many as this thread can claim."""
    for task in tasks(board, order):
        run_rows(rows, alphas, one, buffers, starts[task], starts[task + 1])


def run_products(rows, alphas, starts, weights, buffers, threads=1):
    """Execute a plan: rows grouped in tasks by `starts`, `weights` their flops, `buffers` a tuple of arrays.

    All buffers are 1-D, contiguous and of one dtype; `alphas` has the same dtype.
    """
    # always as many buffers: the kernel is compiled for one length of the tuple
    buffers += buffers[:1] * (BUFFERS - len(buffers))
    one = _one(alphas.dtype)
    if threads <= 1 or len(weights) < 2:
        run_rows(rows, alphas, one, buffers, 0, len(rows))
    else:
        share(threads, len(weights), share_rows, rows, alphas, one, buffers, starts, longest_first(weights))


@lru_cache(maxsize=4)
def _one(dtype):
    return np.ones(1, dtype=dtype)
