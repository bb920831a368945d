"""What Lanczos does with long vectors: piece by piece in the nearest cache, in shares that a team works through.

Sums are added up share by share, so that they are the same on any number of threads.
"""

from functools import lru_cache

import numpy as np

from tnsim.kernels.cpu.compiled import inner
from tnsim.kernels.cpu.symbols import real_dot
from tnsim.kernels.cpu.team import (
    ARGUMENTS,
    KIND,
    SINGLE_VECTORS,
    VECTORS,
    array_at,
    describe,
    integers_at,
    next_task,
    open_round,
    wait,
)

# numbers of a piece of several vectors that stays in the nearest cache from one operation to the next
PIECE = 1024
# numbers of a share
_SHARE = 8 * PIECE
# what is done: the real part of <v|w>; w -= a v + b u, then <v|w> and <w|w> of what is left; w = (w - a v) b
OVERLAP, SUBTRACT, CORRECT = range(3)


@lru_cache(maxsize=512)
def shares_of(size):
    """The shares of vectors of so many numbers."""
    return np.arange(max(1, size // _SHARE))


@inner
def _work_on_share(i, count, what, w, v, u, factors, sums):
    size, a, b = len(w), factors[0], factors[1]
    start, end = i * _SHARE, size if i == count - 1 else (i + 1) * _SHARE
    overlap, square = 0.0, 0.0
    for first in range(start, end, PIECE):
        last = min(end, first + PIECE)
        x, y, z = w[first:last], v[first:last], u[first:last]
        if what == CORRECT:
            for k in range(len(x)):
                x[k] = (x[k] - a * y[k]) * b
            continue
        if what == SUBTRACT:
            for k in range(len(x)):
                x[k] -= a * y[k] + b * z[k]
            square += real_dot(x, x)
        overlap += real_dot(y, x)
    sums[2 * i], sums[2 * i + 1] = overlap, square


@inner
def work_on_vectors(what, w, v, u, factors, sums, shares, board):
    """One of the three, alone (with an empty board) or with helpers; returns both sums, zero where there are none.

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
