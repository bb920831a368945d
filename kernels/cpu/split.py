"""Orthonormal bases of the centre blocks of a two-site tensor, many blocks in one compiled call."""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.householder import lq
from tnsim.kernels.cpu.lapack import eigh, svd
from tnsim.kernels.cpu.layout import adjoint, copy_vector, longest_first, stable_order
from tnsim.kernels.cpu.symbols import gemm, square
from tnsim.kernels.cpu.team import (
    ARGUMENTS,
    GRAM,
    KIND,
    SVD,
    array_at,
    describe,
    integers_at,
    led,
    next_task,
    open_round,
    table_at,
    wait,
)
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE

# the Gram matrix of the other side is taken where this side is so much longer
LONGER = 1.3


@inner
def product(ta, tb, m, n, k, a, lda, b, ldb, c):
    """C = op(A) op(B) on row-major matrices, C (m x n) without gaps; see `gemm`."""
    one = np.ones(1, dtype=c.dtype)
    c[:] = 0
    gemm(ta, tb, m, n, k, one, one, a, lda, b, ldb, c, n, np.empty(6, dtype=np.int32), np.empty(2, dtype=np.uint8))


@inner
def _descending(rows, values, basis, weights):
    """Rows and values of `eigh` in reverse order, as many as fit; rounding below zero becomes zero."""
    n = len(values)
    for i in range(len(weights)):
        weights[i] = max(values[n - 1 - i], values[0] * 0)
        copy_vector(basis[i], rows[n - 1 - i])


@inner
def gram_matrix(theta, m, n, of_rows, noise, amplitude, gram):
    """Theta times its adjoint, or the other way round, with a share of the noise where there is any."""
    own = m if of_rows else n
    square(theta, m, n, of_rows, np.ones(1, dtype=gram.real.dtype), gram)
    if len(noise) > 0:
        for i in range(own * own):
            gram[i] += amplitude * noise[i]


@inlined
def _gram_basis(theta, m, n, rightwards, noise, amplitude, basis, weights):
    """Basis of the rows (rightwards: its adjoint) or columns from the smaller Gram matrix."""
    own, other = (m, n) if rightwards else (n, m)
    if len(noise) > 0 or own <= LONGER * other:
        gram = np.empty(own * own, dtype=theta.dtype)
        gram_matrix(theta, m, n, rightwards, noise, amplitude, gram)
        rows, values = gram.reshape(own, own), np.empty(own, dtype=weights.dtype)
        info = eigh(rows, values)
        _descending(rows, values, basis, weights)
        return info
    gram = np.empty(other * other, dtype=theta.dtype)
    gram_matrix(theta, m, n, not rightwards, noise, amplitude, gram)
    rows, values = gram.reshape(other, other), np.empty(other, dtype=weights.dtype)
    info = eigh(rows, values)
    ordered = np.empty_like(rows)
    _descending(rows, values, ordered, weights)
    flat, plain = basis.reshape(other * own), np.int64(NO_TRANSPOSE)
    turned = ADJOINT if rightwards else NO_TRANSPOSE
    product(plain, turned, other, own, other, ordered.reshape(other * other), other, theta, n, flat)
    return max(info, lq(basis))


@inlined
def _svd_basis(theta, m, n, rightwards, basis, weights):
    k = min(m, n)
    u, vh = np.empty((m, k), dtype=theta.dtype), np.empty((k, n), dtype=theta.dtype)
    info = svd(theta[: m * n].copy().reshape(m, n), u, weights, vh)
    if rightwards:
        adjoint(u.reshape(m * k), k, basis)
    else:
        copy_vector(basis.reshape(k * n), vh.reshape(k * n))
    for i in range(k):
        weights[i] *= weights[i]
    return info


@kernel
def squares_of(blocks, rightwards):
    """Starts of the Gram matrices (and of the bases, which leave gaps) and of their rows."""
    squares, rows = np.zeros(len(blocks) + 1, dtype=np.int64), np.zeros(len(blocks) + 1, dtype=np.int64)
    for i in range(len(blocks)):
        own = blocks[i, 1] if rightwards else blocks[i, 2]
        squares[i + 1], rows[i + 1] = squares[i] + own * own, rows[i] + own
    return squares, rows


@inner
def first_failure(infos):
    """The first block that LAPACK failed on, or -1."""
    for i in range(len(infos)):
        if infos[i] != 0:
            return i
    return -1


@kernel
def _ranks(blocks, rightwards, noisy):
    """Rows of every basis, and the starts of their weights."""
    ranks, sums = np.empty(len(blocks), dtype=np.int64), np.zeros(len(blocks) + 1, dtype=np.int64)
    for i in range(len(blocks)):
        m, n = blocks[i, 1], blocks[i, 2]
        ranks[i] = (m if rightwards else n) if noisy else min(m, n)
        sums[i + 1] = sums[i] + ranks[i]
    return ranks, sums


@inner
def _gram_task(i, theta, blocks, rightwards, noise, amplitude, places, results):
    """Block number i; places: (squares, ranks, sums), results: (basis, weights, infos)."""
    (squares, ranks, sums), (basis, weights, infos) = places, results
    (offset, m, n), own = blocks[i], blocks[i, 1 if rightwards else 2]
    rows = basis[squares[i] : squares[i] + ranks[i] * own].reshape(ranks[i], own)
    local, found = noise[squares[i] : squares[i + 1]], weights[sums[i] : sums[i + 1]]
    infos[i] = _gram_basis(theta[offset : offset + m * n], m, n, rightwards, local, amplitude[0], rows, found)


@inner
def _svd_task(i, theta, blocks, rightwards, places, results):
    """Like `_gram_task`."""
    (squares, ranks, sums), (basis, weights, infos) = places, results
    (offset, m, n), own = blocks[i], blocks[i, 1 if rightwards else 2]
    rows = basis[squares[i] : squares[i] + ranks[i] * own].reshape(ranks[i], own)
    infos[i] = _svd_basis(theta[offset:], m, n, rightwards, rows, weights[sums[i] : sums[i + 1]])


@inner
def describe_blocks(board, theta, blocks, rightwards, noise, amplitude, order, integers):
    """Write down what every job on blocks takes (four arrays of `integers` in it); the next free place."""
    board[ARGUMENTS] = rightwards
    place = describe(board, ARGUMENTS + 1, theta)
    place = describe(board, place, blocks.ravel())
    place = describe(board, place, noise)
    place = describe(board, place, amplitude)
    place = describe(board, place, order)
    for array in integers:
        place = describe(board, place, array)
    return place


@inner
def blocks_at(board, left, like):
    """What `describe_blocks` wrote down, for the task that was claimed: its block, (theta, blocks, rightwards, noise,
    amplitude), the four arrays of integers, and the next place."""
    first, order = ARGUMENTS + 1, integers_at(board, ARGUMENTS + 9)
    given = (
        array_at(board, first, like), table_at(board, first + 2, 3), board[ARGUMENTS] != 0,
        array_at(board, first + 4, like), array_at(board, first + 6, like),
    )  # fmt: skip
    integers = (
        integers_at(board, first + 10), integers_at(board, first + 12), integers_at(board, first + 14),
        integers_at(board, first + 16),
    )  # fmt: skip
    return order[len(order) - left], given, integers, first + 18


@inlined
def _open_job(board, kind, theta, blocks, rightwards, noise, amplitude, places, results, order):
    """Write a job on a board and open its round; nothing where there is no board."""
    if len(board) == 0:
        return
    (squares, ranks, sums), (basis, weights, infos) = places, results
    integers = squares, ranks, sums, infos
    place = describe_blocks(board, theta, blocks, rightwards, noise, amplitude, order, integers)
    place = describe(board, place, basis)
    describe(board, place, weights)
    board[KIND] = kind
    open_round(board, len(order))


@inner
def help_bases(board, left, like, real, use_svd):
    """A helper's task of `bases`."""
    i, given, (squares, ranks, sums, infos), place = blocks_at(board, left, like)
    theta, blocks, rightwards, noise, amplitude = given
    places, results = (squares, ranks, sums), (array_at(board, place, like), array_at(board, place + 2, real), infos)
    if use_svd:
        _svd_task(i, theta, blocks, rightwards, places, results)
    else:
        _gram_task(i, theta, blocks, rightwards, noise, amplitude, places, results)


@kernel
def _by_gram(theta, blocks, rightwards, noise, amplitude, places, results, order, board):
    """All blocks, alone (with an empty board) or with helpers."""
    _open_job(board, GRAM, theta, blocks, rightwards, noise, amplitude, places, results, order)
    count = len(order)
    left = next_task(board, count, count + 1)
    while left > 0:
        _gram_task(order[count - left], theta, blocks, rightwards, noise, amplitude, places, results)
        left = next_task(board, count, left)
    wait(board, count)


@kernel
def _by_svd(theta, blocks, rightwards, noise, amplitude, places, results, order, board):
    """Like `_by_gram`; apart, as most runs need only one of the two compiled."""
    _open_job(board, SVD, theta, blocks, rightwards, noise, amplitude, places, results, order)
    count = len(order)
    left = next_task(board, count, count + 1)
    while left > 0:
        _svd_task(order[count - left], theta, blocks, rightwards, places, results)
        left = next_task(board, count, left)
    wait(board, count)


def bases(theta, blocks, rightwards, use_svd, noise, amplitude, real, threads):
    """Orthonormal rows of every (offset, rows, cols) block by descending weight (singular value squared).

    rightwards: adjoint of the left basis; leftwards: the right basis. `noise` is empty or holds one Gram
    matrix a block, added with `amplitude`. `real` is the real dtype. The basis of a block begins where its square
    Gram matrix would. Returns basis, weights, ranks, infos.
    """
    squares = squares_of(blocks, rightwards)[0]
    ranks, sums = _ranks(blocks, rightwards, len(noise) > 0)
    basis, weights = np.empty(squares[-1], dtype=theta.dtype), np.empty(sums[-1], dtype=real)
    infos = np.zeros(len(blocks), dtype=np.int64)
    order = longest_first(blocks[:, 1 if rightwards else 2])
    places, results = (squares, ranks, sums), (basis, weights, infos)
    kernel = _by_svd if use_svd and len(noise) == 0 else _by_gram
    share = np.array([amplitude], dtype=theta.dtype)
    led(
        min(threads, len(blocks)), theta.dtype, kernel,
        theta, blocks, rightwards, noise, share, places, results, order,
    )  # fmt: skip
    return basis, weights, ranks, infos


@kernel
def choose(weights, ranks, lost, chi_max, chi_min, svd_min, trunc_err, degeneracy_tol):
    """How many leading rows of every block are kept: the rule of `Truncation` on squared values.

    `lost` is weight that no row holds. Returns (kept a block, the kept weights scaled to sum 1, discarded weight
    relative to all, the sum of the kept ones); where there is NaN, Inf or no weight at all, nothing and NaN.
    """
    total = lost
    for x in weights:
        total += x
    dims = np.zeros(len(ranks), dtype=np.int64)
    if not 0.0 < total < np.inf or len(weights) == 0:
        return dims, np.empty(0), np.nan, total
    order = stable_order(-weights)
    scale = 1.0 / total
    count = 0
    while count < len(order) and weights[order[count]] * scale > svd_min * svd_min:
        count += 1
    kept = min(len(order), chi_max, max(chi_min, count))
    if trunc_err > 0:
        tail, enough = lost * scale, len(order)
        while enough > 0 and tail + weights[order[enough - 1]] * scale <= trunc_err:
            tail += weights[order[enough - 1]] * scale
            enough -= 1
        kept = min(kept, max(chi_min, enough))
    kept = max(kept, 1)
    if degeneracy_tol > 0:
        ratio = (1 - degeneracy_tol) ** 2
        while 1 < kept < len(order) and weights[order[kept]] > weights[order[kept - 1]] * ratio:
            kept -= 1
    is_kept, discarded = np.zeros(len(weights), dtype=np.bool_), lost * scale
    for i in range(kept):
        is_kept[order[i]] = True
    chosen, place, count, held = np.empty(kept), 0, 0, 0.0
    for block in range(len(ranks)):
        for _ in range(ranks[block]):
            if is_kept[place]:
                dims[block] += 1
                chosen[count] = weights[place]
                held += weights[place]
                count += 1
            else:
                discarded += weights[place] * scale
            place += 1
    share = 1.0 / held if held > 0 else 0.0
    for i in range(count):
        chosen[i] *= share
    return dims, chosen, discarded, held
