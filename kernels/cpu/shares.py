"""Rounds over long vectors, cut into shares that a team works through.

What is done with share i of so many is a function that the lead and its helpers call,
    work(i, shares, what, count, a, b, c, d, sums)
with two numbers that say what to do, and four vectors. What it adds up it leaves in `sums`, at a place of its share:
the lead adds these up in order, so that they are the same on any number of threads.
Each lead calls its work itself: Numba keeps no kernel on disk in which a function is handed to another one.
"""

from numba.extending import register_jitable

from tnsim.kernels.cpu.compiled import inner
from tnsim.kernels.cpu.team import ARGUMENTS, KIND, SINGLE, array_at, describe, numbers_at, open_round

# numbers of a piece of several vectors that stays in the nearest cache from one operation to the next
PIECE = 1024
# numbers of a share
SHARE = 8 * PIECE


@register_jitable(no_cfunc_wrapper=True)
def shares_of(size):
    """The number of shares of vectors of so many numbers."""
    return max(1, size // SHARE)


@inner
def share_at(i, shares, size):
    """Where a share begins and where it ends; the last one is longer."""
    return i * SHARE, size if i == shares - 1 else (i + 1) * SHARE


@inner
def open_shares(kind, shares, what, count, a, b, c, d, sums, board):
    """Begin a round of this kind of job, in which helpers take part where there are several shares; their board.

    a, c and d have one dtype, that of b may have half the digits.
    """
    helped = board if shares > 1 else board[:0]
    if len(helped) > 0:
        board[KIND] = kind if b.real.itemsize == 8 else SINGLE + kind
        board[ARGUMENTS], board[ARGUMENTS + 1], board[ARGUMENTS + 2] = shares, what, count
        place = describe(board, ARGUMENTS + 3, a)
        place = describe(board, place, b)
        place = describe(board, place, c)
        place = describe(board, place, d)
        describe(board, place, sums)
        open_round(board, shares)
    return helped


@inner
def share_of_helper(board, left, like, other):
    """What a helper calls the work with, where a has the dtype of `like`, and b that of `other`."""
    first, shares = ARGUMENTS + 3, board[ARGUMENTS]
    return (
        shares - left, shares, board[ARGUMENTS + 1], board[ARGUMENTS + 2], array_at(board, first, like),
        array_at(board, first + 2, other), array_at(board, first + 4, like), array_at(board, first + 6, like),
        numbers_at(board, first + 8),
    )  # fmt: skip
