"""The leading eigenvectors of Gram matrices, near enough to cut a two-site tensor, without a full decomposition.

A pivoted Cholesky factor of a Gram matrix ranks its directions and spans nearly the leading ones; one step of subspace
iteration mends most of the rest. A quarter of the cost of all eigenvectors, and all of it in matrix products and QR.
Source: G. W. Stewart, SIAM J. Sci. Comput. 20, 1336 (1999), on pivoted triangular factors and one step of iteration.
"""

import numpy as np
from numba import njit

from tnsim.kernels.cpu.layout import copy_vector, longest_first, stable_order
from tnsim.kernels.cpu.split import gram_matrix, product
from tnsim.kernels.cpu.symbols import lq, pivoted_cholesky, real_dot
from tnsim.kernels.cpu.team import share, tasks
from tnsim.kernels.table import NO_TRANSPOSE

# rounding of a weight relative to all of its block
EPS = 2.0**-52


@njit(cache=True, nogil=True)
def _share_factors(theta, blocks, rightwards, noise, amplitude, places, results, order, board):
    """Gram matrix and pivoted Cholesky factor of the blocks that this thread can claim.

    places: (starts of the matrices, of the rows), results: (grams, factors, pivots, squares of the pivots).
    """
    (squares, rows), (grams, factors, pivots, sizes) = places, results
    for i in tasks(board, order):
        (offset, m, n), own = blocks[i], blocks[i, 1 if rightwards else 2]
        gram, factor = grams[squares[i] : squares[i + 1]], factors[squares[i] : squares[i + 1]]
        gram_matrix(theta[offset : offset + m * n], m, n, rightwards, noise[squares[i] :], amplitude, gram)
        copy_vector(factor, gram)
        matrix, tolerance = factor.reshape(own, own), np.zeros(1)
        for j in range(own):
            tolerance[0] = max(tolerance[0], EPS * matrix[j, j].real)
        rank = pivoted_cholesky(matrix, pivots[rows[i] : rows[i + 1]], tolerance)
        for j in range(own):
            sizes[rows[i] + j] = matrix[j, j].real ** 2 if j < rank else 0.0


@njit(cache=True, nogil=True)
def _share_leading(places, factored, ranks, results, order, board):
    """One step of subspace iteration on the leading rows of the factors; results: (basis, weights, infos)."""
    (squares, rows, starts, sums), (grams, factors, pivots), (basis, weights, infos) = places, factored, results
    for i in tasks(board, order):
        rank, own = ranks[i], rows[i + 1] - rows[i]
        if rank == 0:
            continue
        factor, places_of = factors[squares[i] : squares[i + 1]].reshape(own, own), pivots[rows[i] : rows[i + 1]]
        guess = np.zeros((rank, own), dtype=grams.dtype)
        for row in range(rank):
            for j in range(row, own):
                guess[row, places_of[j] - 1] = factor[row, j]
        found, gram, plain = basis[starts[i] : starts[i + 1]], grams[squares[i] :], np.int64(NO_TRANSPOSE)
        matrix, flat = found.reshape(rank, own), guess.reshape(rank * own)
        product(plain, plain, rank, own, own, flat, own, gram, own, found)
        infos[i] = lq(matrix, np.empty(rank, dtype=grams.dtype))
        product(plain, plain, rank, own, own, found, own, gram, own, flat)
        for row in range(rank):
            weights[sums[i] + row] = max(real_dot(matrix[row], guess[row]), 0.0)


@njit(cache=True, nogil=True)
def _squares(blocks, rightwards):
    """Starts of the Gram matrices and of their rows."""
    squares, rows = np.zeros(len(blocks) + 1, dtype=np.int64), np.zeros(len(blocks) + 1, dtype=np.int64)
    for i in range(len(blocks)):
        own = blocks[i, 1] if rightwards else blocks[i, 2]
        squares[i + 1], rows[i + 1] = squares[i] + own * own, rows[i] + own
    return squares, rows


@njit(cache=True, nogil=True)
def _candidates(sizes, rows, count):
    """How many rows of every block are among the `count` largest of all, and the starts of bases and weights."""
    blocks = len(rows) - 1
    smallest = sizes[stable_order(-sizes)[min(count, len(sizes)) - 1]]
    kept = np.zeros(blocks, dtype=np.int64)
    starts, sums = np.zeros(blocks + 1, dtype=np.int64), np.zeros(blocks + 1, dtype=np.int64)
    for i in range(blocks):
        for size in sizes[rows[i] : rows[i + 1]]:
            kept[i] += size > 0 and size >= smallest
        starts[i + 1] = starts[i] + kept[i] * (rows[i + 1] - rows[i])
        sums[i + 1] = sums[i] + kept[i]
    return kept, starts, sums


@njit(cache=True, nogil=True)
def _lost(places, grams, weights):
    """Weight of the blocks outside their rows."""
    squares, rows, _, sums = places
    lost = 0.0
    for i in range(len(rows) - 1):
        own, trace = rows[i + 1] - rows[i], 0.0
        for j in range(own):
            trace += grams[squares[i] + j * (own + 1)].real
        rest = trace
        for weight in weights[sums[i] : sums[i + 1]]:
            rest -= weight
        lost += 0.0 if rest <= 4 * EPS * trace else rest  # NaN stays
    return lost


def leading(theta, blocks, rightwards, noise, amplitude, count, threads):
    """About `count` orthonormal rows in all that span the leading eigenvectors of the blocks' Gram matrices.

    Rows nearly fall in weight, which is their Rayleigh quotient; the weight outside of them is a few per cent above
    the least possible. Arguments as in `split.bases`. Returns basis, weights, ranks, the weight outside, infos.
    """
    squares, rows = _squares(blocks, rightwards)
    grams, sizes = np.empty(squares[-1], dtype=theta.dtype), np.empty(rows[-1])
    factors, pivots = np.empty_like(grams), np.empty(rows[-1], dtype=np.int32)
    order = longest_first(blocks[:, 1 if rightwards else 2])
    share(
        threads, len(blocks), _share_factors,
        theta, blocks, rightwards, noise, amplitude, (squares, rows), (grams, factors, pivots, sizes), order,
    )  # fmt: skip
    kept, starts, sums = _candidates(sizes, rows, count)
    basis, weights = np.empty(starts[-1], dtype=theta.dtype), np.empty(sums[-1])
    infos = np.zeros(len(blocks), dtype=np.int64)
    places, results = (squares, rows, starts, sums), (basis, weights, infos)
    share(threads, len(blocks), _share_leading, places, (grams, factors, pivots), kept, results, order)
    return basis, weights, kept, _lost(places, grams, weights), infos
