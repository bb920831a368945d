"""The leading eigenvectors of Gram matrices, near enough to cut a two-site tensor, without a full decomposition.

A pivoted Cholesky factor of a Gram matrix ranks its directions and spans nearly the leading ones; one step of subspace
iteration mends most of the rest. What it leaves mixed lies on both sides of the cut, among the last of them: these are
diagonalised. A quarter of the cost of all eigenvectors, and nearly all of it in matrix products and QR.
Source: G. W. Stewart, SIAM J. Sci. Comput. 20, 1336 (1999), on pivoted triangular factors and one step of iteration.
"""

import numpy as np
from numba import types

from tnsim.kernels.cpu.compiled import inlined, inner, kernel, overload
from tnsim.kernels.cpu.householder import lq
from tnsim.kernels.cpu.lapack import eigh, pivoted_cholesky
from tnsim.kernels.cpu.layout import copy_vector, stable_order
from tnsim.kernels.cpu.split import blocks_at, describe_blocks, first_failure, gram_matrix, product, squares_of
from tnsim.kernels.cpu.symbols import real_dot
from tnsim.kernels.cpu.team import FACTOR, ITERATE, KIND, array_at, describe, keep, led, next_task, open_round, wait
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE

# rounding of a weight relative to all of its block
EPS = 2.0**-52
# rows next to the cut that are diagonalised: one in so many of a block, and no fewer than so many; those whose share of
# the weight is smaller are not, as largest eigenvalues of rounding are no weights
_LAST, _FEWEST, _SMALL = 3, 8, 2.0**-46


@inner
def _factor(i, theta, blocks, rightwards, noise, amplitude, places, work):
    """Gram matrix of a block and its pivoted Cholesky factor.

    places: starts of the matrices and of their rows; work: (Gram matrices, factors and then bases, pivots, their
    squares and then weights, rows kept of every block, infos).
    """
    (squares, rows), (grams, factors, pivots, weights) = places, work[:4]
    (offset, m, n), own = blocks[i], blocks[i, 1 if rightwards else 2]
    gram, factor = grams[squares[i] : squares[i + 1]], factors[squares[i] : squares[i + 1]]
    gram_matrix(theta[offset : offset + m * n], m, n, rightwards, noise[squares[i] :], amplitude[0], gram)
    copy_vector(factor, gram)
    matrix, tolerance = factor.reshape(own, own), np.zeros(1)
    for j in range(own):
        tolerance[0] = max(tolerance[0], EPS * matrix[j, j].real)
    rank = pivoted_cholesky(matrix, pivots[rows[i] : rows[i + 1]], tolerance)
    for j in range(own):
        weights[rows[i] + j] = matrix[j, j].real ** 2 if j < rank else 0.0


@inlined
def _diagonalise_last(matrix, images, found):
    """The last rows of a basis become Ritz vectors of the span that they had, by descending value.

    images: the rows times the Gram matrix; found: their Rayleigh quotients, before and after. Returns LAPACK's info."""
    own, end, plain, adjoint = matrix.shape[1], len(found), np.int64(NO_TRANSPOSE), np.int64(ADJOINT)
    while end > 1 and found[end - 1] <= _SMALL * found[0]:
        end -= 1
    first = max(0, end - max(_FEWEST, end // _LAST))
    count = end - first
    last, flat = matrix[first:end].copy().reshape(count * own), np.empty(count * own, dtype=matrix.dtype)
    small = np.empty(count * count, dtype=matrix.dtype)
    image = images[first:end].reshape(count * own)
    product(plain, adjoint, count, count, own, image, own, last, own, small)
    mixing, values = small.reshape(count, count), np.empty(count, dtype=matrix.real.dtype)
    info = eigh(mixing, values)
    product(plain, plain, count, own, count, small, count, last, own, flat)
    rows = flat.reshape(count, own)
    for row in range(count):
        found[first + row] = values[count - 1 - row]
        copy_vector(matrix[first + row], rows[count - 1 - row])
    return info


@inner
def _iterate(i, places, work):
    """One step of subspace iteration on the leading rows of a factor, and their Rayleigh quotients."""
    (squares, rows), (grams, factors, pivots, weights, kept, infos) = places, work
    rank, own = kept[i], rows[i + 1] - rows[i]
    if rank == 0:
        return
    factor, spots = factors[squares[i] : squares[i + 1]].reshape(own, own), pivots[rows[i] : rows[i + 1]]
    guess = np.zeros((rank, own), dtype=grams.dtype)
    for row in range(rank):
        for j in range(row, own):
            guess[row, spots[j] - 1] = factor[row, j]
    gram, plain = grams[squares[i] :], np.int64(NO_TRANSPOSE)
    basis, flat = factors[squares[i] : squares[i] + rank * own], guess.reshape(rank * own)
    matrix = basis.reshape(rank, own)
    product(plain, plain, rank, own, own, flat, own, gram, own, basis)
    infos[i] = lq(matrix)
    product(plain, plain, rank, own, own, basis, own, gram, own, flat)
    found = np.empty(rank)
    for row in range(rank):
        found[row] = real_dot(matrix[row], guess[row])
    infos[i] = max(infos[i], _diagonalise_last(matrix, guess, found))
    for row in range(rank):
        found[row] = max(found[row], 0.0)
    # falling weights, as the rows that are kept are the first
    for row, place in enumerate(stable_order(-found)):
        weights[rows[i] + row] = found[place]
        copy_vector(guess[row], matrix[place])
    copy_vector(basis, flat)


@inlined
def _candidates(pivots, rows, count, kept):
    """How many rows of every block are among the `count` largest of all."""
    smallest = pivots[stable_order(-pivots)[min(count, len(pivots)) - 1]]
    for i in range(len(kept)):
        kept[i] = 0
        for size in pivots[rows[i] : rows[i + 1]]:
            kept[i] += size > 0 and size >= smallest


@inlined
def _gathered(places, work):
    """The weights of all rows that are kept, and the weight of the blocks outside of them."""
    (squares, rows), (grams, _, _, weights, kept, _) = places, work
    found, count, lost = np.empty(kept.sum()), 0, 0.0
    for i in range(len(kept)):
        own, trace = rows[i + 1] - rows[i], 0.0
        for j in range(own):
            trace += grams[squares[i] + j * (own + 1)].real
        rest = trace
        for weight in weights[rows[i] : rows[i] + kept[i]]:
            found[count] = weight
            rest -= weight
            count += 1
        lost += 0.0 if rest <= 4 * EPS * trace else rest  # NaN stays
    return found, lost


def help_leading(board, left, like, factoring):
    """A helper's task of `lead_leading`; in single precision nothing, as no board has one: half of a compilation."""
    raise RuntimeError("for compiled code only")


@overload(help_leading)
def _help_leading(board, left, like, factoring):
    if like.dtype in (types.float32, types.complex64):
        return lambda board, left, like, factoring: None

    def implementation(board, left, like, factoring):
        i, given, (squares, rows, kept, infos), place = blocks_at(board, left, like)
        pivots, weights = np.empty(0, dtype=np.int32), np.empty(0)
        work = (
            array_at(board, place, like), array_at(board, place + 2, like), array_at(board, place + 4, pivots),
            array_at(board, place + 6, weights), kept, infos,
        )  # fmt: skip
        if factoring:
            theta, blocks, rightwards, noise, amplitude = given
            _factor(i, theta, blocks, rightwards, noise, amplitude, (squares, rows), work)
        else:
            _iterate(i, (squares, rows), work)

    return implementation


@kernel
def lead_leading(theta, blocks, rightwards, noise, amplitude, count, board):
    """Both rounds, alone (with an empty board) or with helpers; see `leading`."""
    number = len(blocks)
    share = np.empty(1, dtype=theta.dtype)
    share[0] = amplitude
    squares, rows = squares_of(blocks, rightwards)
    grams, factors = np.empty(squares[number], dtype=theta.dtype), np.empty(squares[number], dtype=theta.dtype)
    pivots, weights = np.empty(rows[number], dtype=np.int32), np.empty(rows[number])
    kept, infos = np.empty(number, dtype=np.int64), np.zeros(number, dtype=np.int64)
    places, work = (squares, rows), (grams, factors, pivots, weights, kept, infos)
    for i in range(number):
        kept[i] = rows[i] - rows[i + 1]
    order = stable_order(kept)  # the longest first
    shared = len(board) > 0
    if shared:
        integers = squares, rows, kept, infos
        place = describe_blocks(board, theta, blocks, rightwards, noise, share, order, integers)
        place = describe(board, place, grams)
        place = describe(board, place, factors)
        place = describe(board, place, pivots)
        describe(board, place, weights)
        board[KIND] = FACTOR
        open_round(board, number)
    left = next_task(board, number, number + 1)
    while left > 0:
        _factor(order[number - left], theta, blocks, rightwards, noise, share, places, work)
        left = next_task(board, number, left)
    wait(board, number)
    _candidates(weights, rows, count, kept)
    if shared:
        board[KIND] = ITERATE
        open_round(board, number)
    left = next_task(board, number, number + 1)
    while left > 0:
        _iterate(order[number - left], places, work)
        left = next_task(board, number, left)
    wait(board, number)
    found, lost = _gathered(places, work)
    keep(share)
    keep(order)
    keep(pivots)
    return factors, found, kept, lost, first_failure(infos)


def leading(theta, blocks, rightwards, noise, amplitude, count, threads):
    """About `count` orthonormal rows in all that span the leading eigenvectors of the blocks' Gram matrices.

    Rows fall in weight, which is their Rayleigh quotient. The weight outside of what is kept of them, less than nine in
    ten, is some per mille above the least possible. Arguments as in `split.bases`. Returns basis, weights, ranks, the
    weight outside, and the first block that failed (or -1).
    """
    threads = min(threads, len(blocks)) if theta.dtype.char in "dD" else 1  # helpers do it in double precision alone
    return led(threads, theta.dtype, lead_leading, theta, blocks, rightwards, noise, amplitude, count)
