"""Bases of two-site blocks from QR alone: some columns of a block, one step of subspace iteration, one small SVD.

Nothing is formed of the size of the larger side squared, and no decomposition is larger than the kept states: on sites
of d states a cut costs a d-th of one by Gram matrices.
Source: J. Unfried, J. Hauschild, F. Pollmann, Phys. Rev. B 107, 155133 (2023), section II.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.householder import lq, lq_with
from tnsim.kernels.cpu.lapack import svd
from tnsim.kernels.cpu.layout import copy_vector, stable_order
from tnsim.kernels.cpu.split import product, squares_of
from tnsim.kernels.cpu.symbols import real_dot
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE


@inner
def _longest(theta, m, n, rightwards, guess):
    """The columns (rightwards: conjugated) or rows of a block that have the largest norms, as rows of `guess`."""
    other = n if rightwards else m
    sizes = np.zeros(other)
    for i in range(m):
        for j in range(n):
            value = theta[i * n + j]
            sizes[j if rightwards else i] += value.real * value.real + value.imag * value.imag
    order = stable_order(-sizes)
    for row in range(len(guess)):
        place = order[row]
        if rightwards:
            for i in range(m):
                guess[row, i] = np.conj(theta[i * n + place])
        else:
            copy_vector(guess[row], theta[place * n : (place + 1) * n])


@inner
def _along(rows, theta, m, n, adjoint, out):
    """rows theta, or rows theta^dagger."""
    plain = np.int64(NO_TRANSPOSE)
    turn, width, inner = (np.int64(ADJOINT), m, n) if adjoint else (plain, n, m)
    product(plain, turn, len(rows), width, inner, rows.reshape(rows.size), inner, theta, n, out.reshape(out.size))


@inner
def _sketch(theta, m, n, rightwards, basis, weights):
    """Orthonormal rows near the leading ones of a block, by falling weight."""
    rank, own = basis.shape
    if rank == 0:
        return 0
    guess = np.empty((rank, own), dtype=theta.dtype)
    _longest(theta, m, n, rightwards, guess)
    info = lq(guess)
    across = np.empty((rank, n if rightwards else m), dtype=theta.dtype)
    _along(guess, theta, m, n, not rightwards, across)
    info = max(info, lq(across))
    _along(across, theta, m, n, rightwards, guess)
    small = np.empty((rank, rank), dtype=theta.dtype)
    info = max(info, lq_with(guess, small))
    u, vh = np.empty((rank, rank), dtype=theta.dtype), np.empty((rank, rank), dtype=theta.dtype)
    info = max(info, svd(small, u, weights, vh))
    plain, flat = np.int64(NO_TRANSPOSE), guess.reshape(rank * own)
    product(plain, plain, rank, own, rank, vh.reshape(rank * rank), rank, flat, own, basis.reshape(rank * own))
    for row in range(rank):
        weights[row] *= weights[row]
    return info


@kernel
def sketches(theta, blocks, rightwards, ranks, real):
    """`_sketch` of every block with so many rows: basis (with gaps, as of squares), weights, weight outside, infos."""
    squares, _ = squares_of(blocks, rightwards)
    sums = np.zeros(len(blocks) + 1, dtype=np.int64)
    for i in range(len(blocks)):
        sums[i + 1] = sums[i] + ranks[i]
    basis, weights = np.empty(squares[-1], dtype=theta.dtype), np.empty(sums[-1], dtype=real.dtype)
    infos, lost = np.zeros(len(blocks), dtype=np.int64), 0.0
    for i in range(len(blocks)):
        (offset, m, n), own = blocks[i], blocks[i, 1 if rightwards else 2]
        block, found = theta[offset : offset + m * n], weights[sums[i] : sums[i + 1]]
        rows = basis[squares[i] : squares[i] + ranks[i] * own].reshape(ranks[i], own)
        infos[i] = _sketch(block, m, n, rightwards, rows, found)
        if ranks[i] < min(m, n):
            whole = real_dot(block, block)
            rest = whole
            for weight in found:
                rest -= weight
            lost += 0.0 if rest <= 4 * 2.0**-52 * whole else rest  # NaN stays
    return basis, weights, lost, infos
