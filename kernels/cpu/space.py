"""What Davidson does with the vectors of its space and their products with H, in shares that a team works through.

Every round measures the vector that it changes while that is in the nearest cache: its norm, and its overlaps with the
vectors or products that are there. Sums are added up share by share: they are the same on any number of threads.
"""

import numpy as np
from numba.extending import register_jitable

from tnsim.kernels.cpu.compiled import inner
from tnsim.kernels.cpu.symbols import dot, real_dot
from tnsim.kernels.cpu.team import (
    ARGUMENTS,
    KIND,
    SINGLE_SPACE,
    SPACE,
    array_at,
    describe,
    integers_at,
    next_task,
    open_round,
    wait,
)
from tnsim.kernels.cpu.vectors import PIECE, SHARE, subtract

# what becomes of a vector x: nothing; as the product of the last vector v, x -= a v; a residual, x = sum of c (w - e v)
# over all v and their products w; x / (|diagonal - e| + least); x -= sum of c v; or a x becomes the next vector
MEASURE, SHIFT, RESIDUAL, PRECONDITION, REMOVE, PLACE = range(6)


@register_jitable(error_model="numpy", no_cfunc_wrapper=True)  # a division that may be vectorised
def _precondition(x, diagonal, shift, least):
    for k in range(len(x)):
        x[k] /= abs(diagonal[k].real - shift) + least


@inner
def _change(what, count, x, place, space, diagonal, factors):
    """A piece of a vector, which begins at place[0] of place[1] numbers."""
    first, size = place
    last, step = first + len(x), 2 * size
    if what == SHIFT:
        subtract(x, factors[0], space[(count - 1) * step + first : (count - 1) * step + last])
    elif what == RESIDUAL:
        x[:] = 0
        for k in range(count):
            c, shift = factors[k], factors[count]
            v, w = space[k * step + first : k * step + last], space[k * step + size + first : k * step + size + last]
            for n in range(len(x)):
                x[n] += c * (w[n] - shift * v[n])
    elif what == PRECONDITION:
        _precondition(x, diagonal[first:last], factors[0].real, factors[1].real)
    elif what == REMOVE:
        for k in range(count):
            subtract(x, factors[k], space[k * step + first : k * step + last])
    elif what == PLACE:
        a, new = factors[0], space[count * step + first : count * step + last]
        for n in range(len(x)):
            new[n] = a * x[n]


@inner
def _work_on_share(i, what, count, space, x, diagonal, factors, sums, shares):
    """sums: of every share the square of its part of x, and two numbers for every overlap."""
    size, width, ints = len(x), len(sums) // len(shares), np.empty(2, dtype=np.int32)
    start, end, found = i * SHARE, size if i == len(shares) - 1 else (i + 1) * SHARE, sums[i * width : (i + 1) * width]
    found[: 1 + 2 * count] = 0
    # of a product v overlaps with all products, of others all vectors with x
    beside = (2 * count - 2) * size
    for first in range(start, end, PIECE):
        last = min(end, first + PIECE)
        piece = x[first:last]
        _change(what, count, piece, (first, size), space, diagonal, factors)
        if what == PLACE:
            continue
        found[0] += real_dot(piece, piece)
        for k in range(0 if what == RESIDUAL else count):
            row = 2 * k * size
            if what == SHIFT:
                overlap = dot(
                    space[beside + first : beside + last], space[row + size + first : row + size + last], ints
                )
            else:
                overlap = dot(space[row + first : row + last], piece, ints)
            found[1 + 2 * k] += overlap.real
            found[2 + 2 * k] += overlap.imag


@inner
def work_on_space(what, count, space, x, diagonal, factors, sums, shares, board):
    """One of these, alone (with an empty board) or with helpers; the norm of x behind it.

    count: of the vectors that take part; space: vectors and their products with H in turn, one after the other; sums:
    room for 1 + 2 count numbers a share or more, of which the first ones become the square of the norm, and real and
    imaginary parts of the overlaps.
    """
    number = len(shares)
    helped = board if number > 1 else board[:0]
    if len(helped) > 0:
        board[ARGUMENTS], board[ARGUMENTS + 1] = what, count
        place = describe(board, ARGUMENTS + 2, space)
        place = describe(board, place, x)
        place = describe(board, place, diagonal)
        place = describe(board, place, factors)
        place = describe(board, place, sums)
        describe(board, place, shares)
        board[KIND] = SPACE if x.real.itemsize == 8 else SINGLE_SPACE
        open_round(board, number)
    left = next_task(helped, number, number + 1)
    while left > 0:
        _work_on_share(number - left, what, count, space, x, diagonal, factors, sums, shares)
        left = next_task(helped, number, left)
    wait(helped, number)
    width = len(sums) // number
    for i in range(1, number):
        for n in range(1 + 2 * count):
            sums[n] += sums[i * width + n]
    return np.sqrt(sums[0])


@inner
def help_space(board, left, like, numbers):
    """A helper's task of `work_on_space`."""
    first = ARGUMENTS + 2
    shares = integers_at(board, first + 10)
    _work_on_share(
        len(shares) - left, board[ARGUMENTS], board[ARGUMENTS + 1], array_at(board, first, like),
        array_at(board, first + 2, like), array_at(board, first + 4, like), array_at(board, first + 6, like),
        array_at(board, first + 8, numbers), shares,
    )  # fmt: skip


@inner
def overlaps_of(sums, count, out):
    """out[k] = overlap number k of a round."""
    parts = out.view(out.real.dtype)
    step = len(parts) // len(out)
    for k in range(count):
        parts[step * k] = sums[1 + 2 * k]
        if step == 2:
            parts[step * k + 1] = sums[2 + 2 * k]
