"""What eigensolvers do with long vectors: piece by piece in the nearest cache, in shares that a team works through."""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.shares import PIECE, open_shares, share_at, shares_of
from tnsim.kernels.cpu.symbols import real_dot
from tnsim.kernels.cpu.team import COMBINE, COPY, VECTORS, keep, led, next_task, wait

# what is done: the real part of <v|w>; w -= a v + b u, then <v|w> and <w|w> of what is left; w = (w - a v) b; w = b v
OVERLAP, SUBTRACT, CORRECT, SCALE = range(4)


@inner
def subtract(w, alpha, v):
    """w -= alpha v."""
    for i in range(len(w)):
        w[i] -= alpha * v[i]


@inner
def update_share(i, shares, what, _, w, v, u, factors, sums):
    """What `work_on_vectors` does with one share."""
    (start, end), a, b = share_at(i, shares, len(w)), factors[0], factors[1]
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
    helped = open_shares(VECTORS, shares, what, 0, w, v, u, factors, sums, board)
    left = next_task(helped, shares, shares + 1)
    while left > 0:
        update_share(shares - left, shares, what, 0, w, v, u, factors, sums)
        left = next_task(helped, shares, left)
    wait(helped, shares)
    overlap, square = 0.0, 0.0
    for i in range(shares):
        overlap += sums[2 * i]
        square += sums[2 * i + 1]
    return overlap, square


@inner
def combine_share(i, shares, step, _, start, rows, factors, out, sums):
    """What `combine` does with one share, and the square of its norm."""
    (first, end), square = share_at(i, shares, len(out)), 0.0
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
    factors, number = np.empty(len(coefficients) + 1, dtype=out.dtype), out.dtype.type
    for j in range(len(coefficients)):
        factors[j] = number(coefficients[j])
    used = factors[: len(coefficients)]
    helped = open_shares(COMBINE, shares, step, 0, start, rows, used, out, sums, board)
    left = next_task(helped, shares, shares + 1)
    while left > 0:
        combine_share(shares - left, shares, step, 0, start, rows, used, out, sums)
        left = next_task(helped, shares, left)
    wait(helped, shares)
    square = 0.0
    for i in range(shares):
        square += sums[2 * i]
    factors[1] = number(1 / np.sqrt(square))
    work_on_vectors(SCALE, out, out, out, factors, sums, shares, board)
    keep(factors)


@inner
def copy_share(i, shares, _what, _count, source, target, _c, _d, _sums):
    """What `copy_all` does with one share."""
    start, end = share_at(i, shares, len(source))
    for k in range(start, end):
        target[k] = source[k]


@kernel
def copy_all(sources, targets, board):
    """Copy arrays of one dtype into others, perhaps of half the digits, alone (with an empty board) or with helpers."""
    none = np.empty(0)
    for n in range(len(sources)):
        source, target = sources[n], targets[n]
        shares = shares_of(len(source))
        helped = open_shares(COPY, shares, 0, 0, source, target, source, source, none, board)
        left = next_task(helped, shares, shares + 1)
        while left > 0:
            copy_share(shares - left, shares, 0, 0, source, target, source, source, none)
            left = next_task(helped, shares, left)
        wait(helped, shares)


def in_dtype(arrays, dtype, threads):
    """Arrays of one dtype in another one, themselves where it is theirs."""
    if arrays[0].dtype == dtype:
        return arrays
    targets = tuple(np.empty(len(array), dtype=dtype) for array in arrays)
    led(threads, arrays[0].dtype, copy_all, arrays, targets)
    return targets
