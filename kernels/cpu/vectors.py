"""What eigensolvers do with long vectors: piece by piece in the nearest cache, in shares that a team works through.

Sums are added up share by share, so that they are the same on any number of threads.
"""

from functools import lru_cache

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.symbols import real_dot
from tnsim.kernels.cpu.team import (
    ARGUMENTS,
    COMBINE,
    COPY,
    KIND,
    SINGLE_COMBINE,
    SINGLE_COPY,
    SINGLE_VECTORS,
    VECTORS,
    array_at,
    describe,
    integers_at,
    keep,
    led,
    next_task,
    open_round,
    wait,
)

# numbers of a piece of several vectors that stays in the nearest cache from one operation to the next
PIECE = 1024
# numbers of a share
SHARE = 8 * PIECE
# what is done: the real part of <v|w>; w -= a v + b u, then <v|w> and <w|w> of what is left; w = (w - a v) b; w = b v
OVERLAP, SUBTRACT, CORRECT, SCALE = range(4)


@inner
def subtract(w, alpha, v):
    """w -= alpha v."""
    for i in range(len(w)):
        w[i] -= alpha * v[i]


@lru_cache(maxsize=512)
def shares_of(size):
    """The shares of vectors of so many numbers."""
    return np.arange(max(1, size // SHARE))


@inner
def _work_on_share(i, count, what, w, v, u, factors, sums):
    size, a, b = len(w), factors[0], factors[1]
    start, end = i * SHARE, size if i == count - 1 else (i + 1) * SHARE
    overlap, square = 0.0, 0.0
    for first in range(start, end, PIECE):
        last = min(end, first + PIECE)
        x, y, z = w[first:last], v[first:last], u[first:last]
        if what == CORRECT:
            for k in range(len(x)):
                x[k] = (x[k] - a * y[k]) * b
            continue
        if what == SCALE:
            for k in range(len(x)):
                x[k] = b * y[k]
            continue
        if what == SUBTRACT:
            for k in range(len(x)):
                x[k] -= a * y[k] + b * z[k]
            square += real_dot(x, x)
        overlap += real_dot(y, x)
    sums[2 * i], sums[2 * i + 1] = overlap, square


@inner
def work_on_vectors(what, w, v, u, factors, sums, shares, board):
    """One of these, alone (with an empty board) or with helpers; returns both sums, zero where there are none.

    factors: a and b in the vectors' dtype; sums: room for two numbers a share.
    """
    count = len(shares)
    helped = board if count > 1 else board[:0]
    if len(helped) > 0:
        board[ARGUMENTS] = what
        place = describe(board, ARGUMENTS + 1, w)
        place = describe(board, place, v)
        place = describe(board, place, u)
        place = describe(board, place, factors)
        place = describe(board, place, sums)
        describe(board, place, shares)
        board[KIND] = VECTORS if w.real.itemsize == 8 else SINGLE_VECTORS
        open_round(board, count)
    left = next_task(helped, count, count + 1)
    while left > 0:
        _work_on_share(shares[count - left], count, what, w, v, u, factors, sums)
        left = next_task(helped, count, left)
    wait(helped, count)
    overlap, square = 0.0, 0.0
    for i in range(count):
        overlap += sums[2 * i]
        square += sums[2 * i + 1]
    return overlap, square


@inner
def help_vectors(board, left, like, numbers):
    """A helper's task of `work_on_vectors`."""
    first, shares = ARGUMENTS + 1, integers_at(board, ARGUMENTS + 11)
    _work_on_share(
        shares[len(shares) - left], len(shares), board[ARGUMENTS], array_at(board, first, like),
        array_at(board, first + 2, like), array_at(board, first + 4, like), array_at(board, first + 6, like),
        array_at(board, first + 8, numbers),
    )  # fmt: skip


@inner
def _combine_share(i, count, step, start, rows, factors, out, sums):
    size = len(out)
    first, end, square = i * SHARE, size if i == count - 1 else (i + 1) * SHARE, 0.0
    for here in range(first, end, PIECE):
        last = min(end, here + PIECE)
        piece, c, v = out[here:last], factors[0], start[here:last]
        for k in range(len(piece)):
            piece[k] = c * v[k]
        for j in range(1, len(factors)):
            c, w = factors[j], rows[j * step + here : j * step + last]
            for k in range(len(piece)):
                piece[k] += c * w[k]
        square += real_dot(piece, piece)
    sums[2 * i] = square


@inner
def combine(start, rows, step, coefficients, out, sums, shares, board):
    """out = the sum of coefficients times the start vector and the rows behind the first, of norm 1.

    rows: flat, one every `step` numbers, perhaps with half the digits; the rest as in `work_on_vectors`.
    """
    count, factors, number = len(shares), np.empty(len(coefficients) + 1, dtype=out.dtype), out.dtype.type
    for j in range(len(coefficients)):
        factors[j] = number(coefficients[j])
    used = factors[: len(coefficients)]
    helped = board if count > 1 else board[:0]
    if len(helped) > 0:
        board[ARGUMENTS] = step
        place = describe(board, ARGUMENTS + 1, start)
        place = describe(board, place, rows)
        place = describe(board, place, used)
        place = describe(board, place, out)
        place = describe(board, place, sums)
        describe(board, place, shares)
        board[KIND] = COMBINE if rows.real.itemsize == 8 else SINGLE_COMBINE
        open_round(board, count)
    left = next_task(helped, count, count + 1)
    while left > 0:
        _combine_share(count - left, count, step, start, rows, used, out, sums)
        left = next_task(helped, count, left)
    wait(helped, count)
    square = 0.0
    for i in range(count):
        square += sums[2 * i]
    factors[1] = number(1 / np.sqrt(square))
    work_on_vectors(SCALE, out, out, out, factors, sums, shares, board)
    keep(factors)


@inner
def help_combine(board, left, like, row, numbers):
    """A helper's task of `combine`, with rows of the dtype of `row`."""
    first, shares = ARGUMENTS + 1, integers_at(board, ARGUMENTS + 11)
    _combine_share(
        len(shares) - left, len(shares), board[ARGUMENTS], array_at(board, first, like),
        array_at(board, first + 2, row), array_at(board, first + 4, like), array_at(board, first + 6, like),
        array_at(board, first + 8, numbers),
    )  # fmt: skip


@inner
def _copy_share(i, count, source, target):
    for k in range(i * SHARE, len(source) if i == count - 1 else (i + 1) * SHARE):
        target[k] = source[k]


@kernel
def copy_all(sources, targets, board):
    """Copy arrays of one dtype into others, perhaps of half the digits, alone (with an empty board) or with helpers."""
    for n in range(len(sources)):
        source, target = sources[n], targets[n]
        count = max(1, len(source) // SHARE)
        helped = board if count > 1 else board[:0]
        if len(helped) > 0:
            describe(board, describe(board, ARGUMENTS, source), target)
            board[KIND] = COPY if target.real.itemsize == 8 else SINGLE_COPY
            open_round(board, count)
        left = next_task(helped, count, count + 1)
        while left > 0:
            _copy_share(count - left, count, source, target)
            left = next_task(helped, count, left)
        wait(helped, count)


@inner
def help_copy(board, left, like, goal):
    """A helper's task of `copy_all`, into an array of the dtype of `goal`."""
    source = array_at(board, ARGUMENTS, like)
    count = max(1, len(source) // SHARE)
    _copy_share(count - left, count, source, array_at(board, ARGUMENTS + 2, goal))


def in_dtype(arrays, dtype, threads):
    """Arrays of one dtype in another one, themselves where it is theirs."""
    if arrays[0].dtype == dtype:
        return arrays
    targets = tuple(np.empty(len(array), dtype=dtype) for array in arrays)
    led(threads, arrays[0].dtype, copy_all, arrays, targets)
    return targets
