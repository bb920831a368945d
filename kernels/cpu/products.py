"""Runs a plan of block products (see `kernels/table.py`) in one compiled call."""

from functools import lru_cache

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.layout import longest_first
from tnsim.kernels.cpu.symbols import gemm
from tnsim.kernels.cpu.team import (
    ARGUMENTS,
    ROWS,
    SINGLE,
    array_at,
    describe,
    integers_at,
    led,
    next_task,
    open_round,
    table_at,
    wait,
)
from tnsim.kernels.cpu.team import KIND as JOB_KIND
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
    COLUMNS,
    KIND,
    PRODUCT,
    K,
    M,
    N,
)


@inner
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


@kernel
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


@kernel
def share_rows(rows, alphas, starts, order, buffers, board):
    """Run all rows, with helpers where there is a board."""
    one = np.ones(1, dtype=alphas.dtype)
    if len(board) == 0:
        run_rows(rows, alphas, one, buffers, 0, len(rows))
        return
    place = describe(board, ARGUMENTS, rows.ravel())
    place = describe(board, place, alphas)
    place = describe(board, place, starts)
    place = describe(board, place, order)
    for buffer in buffers:
        place = describe(board, place, buffer)
    board[JOB_KIND] = ROWS if one.real.itemsize == 8 else SINGLE + ROWS
    open_round(board, len(order))
    count = len(order)
    left = next_task(board, count, count + 1)
    while left > 0:
        task = order[count - left]
        run_rows(rows, alphas, one, buffers, starts[task], starts[task + 1])
        left = next_task(board, count, left)
    wait(board, count)


@inner
def help_rows(board, left, like, one):
    """A helper's task of `share_rows`."""
    rows, alphas = table_at(board, ARGUMENTS, COLUMNS), array_at(board, ARGUMENTS + 2, like)
    starts, order = integers_at(board, ARGUMENTS + 4), integers_at(board, ARGUMENTS + 6)
    first = ARGUMENTS + 8
    buffers = (
        array_at(board, first, like), array_at(board, first + 2, like), array_at(board, first + 4, like),
        array_at(board, first + 6, like), array_at(board, first + 8, like), array_at(board, first + 10, like),
        array_at(board, first + 12, like), array_at(board, first + 14, like),
    )  # fmt: skip
    task = order[len(order) - left]
    run_rows(rows, alphas, one, buffers, starts[task], starts[task + 1])


def run_products(rows, alphas, starts, weights, buffers, threads=1):
    """Execute a plan: rows grouped in tasks by `starts`, `weights` their flops, `buffers` a tuple of arrays.

    All buffers are 1-D, contiguous and of one dtype; `alphas` has the same dtype.
    """
    # always as many buffers: the kernel is compiled for one length of the tuple
    buffers += buffers[:1] * (BUFFERS - len(buffers))
    if threads <= 1 or len(weights) < 2:
        run_rows(rows, alphas, _one(alphas.dtype), buffers, 0, len(rows))
    else:
        led(threads, alphas.dtype, share_rows, rows, alphas, starts, longest_first(weights), buffers)


@lru_cache(maxsize=4)
def _one(dtype):
    return np.ones(1, dtype=dtype)
