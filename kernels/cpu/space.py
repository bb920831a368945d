"""What Davidson does with the vectors of its space and their products with H, in shares that a team works through.

Every round measures the vector that it changes while that is in the nearest cache: its norm, and its overlaps with the
vectors or products that are there.
"""

import numpy as np
from numba.extending import register_jitable

from tnsim.kernels.cpu.compiled import inner
from tnsim.kernels.cpu.shares import PIECE, open_shares, share_at
from tnsim.kernels.cpu.symbols import dot, real_dot
from tnsim.kernels.cpu.team import SPACE, next_task, wait
from tnsim.kernels.cpu.vectors import subtract

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
def change_share(i, shares, what, count, space, x, diagonal, factors, sums):
    """sums: of every share the square of its part of x, and two numbers for every overlap."""
    size, width, ints = len(x), len(sums) // shares, np.empty(2, dtype=np.int32)
    (start, end), found = share_at(i, shares, size), sums[i * width : (i + 1) * width]
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
    helped = open_shares(SPACE, shares, what, count, space, x, diagonal, factors, sums, board)
    left = next_task(helped, shares, shares + 1)
    while left > 0:
        change_share(shares - left, shares, what, count, space, x, diagonal, factors, sums)
        left = next_task(helped, shares, left)
    wait(helped, shares)
    width = len(sums) // shares
    for i in range(1, shares):
        for n in range(1 + 2 * count):
            sums[n] += sums[i * width + n]
    return np.sqrt(sums[0])


@inner
def overlaps_of(sums, count, out):
    """out[k] = overlap number k of a round."""
    parts = out.view(out.real.dtype)
    step = len(parts) // len(out)
    for k in range(count):
        parts[step * k] = sums[1 + 2 * k]
        if step == 2:
            parts[step * k + 1] = sums[2 + 2 * k]
