"""Lanczos for the lowest eigenvector of a product plan, all in one compiled call."""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.lapack import eigh
from tnsim.kernels.cpu.products import share_rows
from tnsim.kernels.cpu.symbols import dot, real_dot
from tnsim.kernels.cpu.team import led
from tnsim.kernels.cpu.vectors import CORRECT, OVERLAP, PIECE, SUBTRACT, shares_of, work_on_vectors

# the three-term recurrence keeps a basis of few long vectors orthogonal; else each is made orthogonal to all
_FEW, _LONG = 6, 2048
# residuals of so many eps of the operator are none
_ROUNDING = {char: 30 * float(np.finfo(char).eps) for char in "fdFD"}


@inner
def subtract(w, alpha, v):
    """w -= alpha v."""
    for i in range(len(w)):
        w[i] -= alpha * v[i]


@inner
def norm_of(w):
    """The 2-norm."""
    return np.sqrt(real_dot(w, w))


@inner
def rescale(a, factor):
    """a *= factor."""
    for i in range(len(a)):
        a[i] *= factor


@inlined
def _combine(basis, coefficients, vector):
    """vector = sum of coefficients times rows of the basis, scaled to norm 1."""
    number = basis.dtype.type
    for first in range(0, len(vector), PIECE):
        piece = vector[first : first + PIECE]
        piece[:] = 0
        for j in range(len(coefficients)):
            subtract(piece, number(-coefficients[j]), basis[j, first : first + PIECE])
    rescale(vector, number(1 / norm_of(vector)))


@inner
def project_out(w, constraints):
    """w without its parts along the (orthonormal) constraints."""
    ints = np.empty(2, dtype=np.int32)
    for i in range(len(constraints)):
        subtract(w, dot(constraints[i], w, ints), constraints[i])


@kernel
def lowest(
    rows, alphas, starts, order, work, start, shares, left, left_dense, right, right_dense, k_min, k_max, tolerance,
    gain, rounding, constraints, board,
):  # fmt: skip
    """Lowest Ritz pair near `start` of a product plan with a work buffer of so many numbers, at most k_max products.

    Stops after k_min products where the residual norm falls below `tolerance`, or below `gain` times that of the start
    vector, or where it is `rounding` of the operator. left, left_dense, right, right_dense: environments and their
    dense blocks. shares: of long vectors (see `vectors`). board: empty, or that of a team (see `team`); `order` of the
    tasks. constraints: None, or orthonormal rows that the start vector has no part along, and that are projected out of
    every vector.
    Returns (vector of norm 1, energy, first energy, residual of the start vector, its norm, products).
    """
    size, number = len(start), start.dtype.type
    free = size
    if constraints is not None:
        free -= len(constraints)
    ints, buffer = np.empty(2, dtype=np.int32), np.empty(work, dtype=start.dtype)
    basis = np.empty((k_max + 1, size), dtype=start.dtype)
    factor = number(1 / norm_of(start))
    for i in range(size):
        basis[0, i] = factor * start[i]
    alpha, beta = np.zeros(k_max), np.zeros(k_max)
    ritz, values, count, scale = np.ones((1, 1)), np.zeros(1), 0, 0.0
    factors, sums = np.zeros(2, dtype=start.dtype), np.empty(2 * len(shares))
    for j in range(k_max):
        u, v, w = basis[max(0, j - 1)], basis[j], basis[j + 1]
        buffers = (v, w, buffer, left, left_dense, right, right_dense, buffer)
        share_rows(rows, alphas, starts, order, buffers, board)
        count = j + 1
        if constraints is not None:
            project_out(w, constraints)
        alpha[j] = work_on_vectors(OVERLAP, w, v, u, factors, sums, shares, board)[0]
        factors[0], factors[1] = alpha[j], beta[j - 1] if j > 0 else 0.0
        overlap, square = work_on_vectors(SUBTRACT, w, v, u, factors, sums, shares, board)
        # most of H v cancelled: so did digits of what is left
        rest = square - overlap * overlap
        if constraints is not None or j >= _FEW or size < _LONG or rest < 0.5 * square:
            subtract(w, number(overlap), v)
            overlap = 0.0
            if j >= _FEW or size < _LONG:
                for i in range(j, -1, -1):
                    subtract(w, dot(basis[i], w, ints), basis[i])
            if constraints is not None:
                project_out(w, constraints)
            rest = real_dot(w, w)
        beta[j] = np.sqrt(rest)
        scale = max(scale, np.sqrt(alpha[j] ** 2 + beta[j] ** 2))
        exhausted = beta[j] <= rounding * scale or count >= free
        done = exhausted or count == k_max
        if done or count >= k_min:
            ritz, values = np.zeros((count, count)), np.empty(count)
            for i in range(count):
                ritz[i, i] = alpha[i]
                if i < j:
                    ritz[i, i + 1] = ritz[i + 1, i] = beta[i]
            eigh(ritz, values)
            done = done or beta[j] * abs(ritz[0, j]) < max(tolerance, gain * beta[0])
        if done and j > 0:
            break
        factors[0], factors[1] = overlap, 1 / beta[j] if beta[j] > 0 else 0.0
        work_on_vectors(CORRECT, w, v, u, factors, sums, shares, board)
        if done:
            break
    vector, residual = np.empty(size, dtype=basis.dtype), basis[1]
    _combine(basis, ritz[0], vector)
    rescale(residual, number(beta[0]))
    return vector, values[0], alpha[0], residual, beta[0], count


def solve(plan, start, halves, limits, threads, constraints=None):
    """Lowest Ritz pair of a product plan from `start`; `limits` are (k_min, k_max, tolerance, gain).

    constraints: orthonormal rows (count, size) that `start` has no part along; the pair is that of their complement.
    """
    return led(
        min(threads, len(plan.order)), start.dtype, lowest, plan.rows, plan.alphas, plan.starts, plan.order,
        plan.work or 1, start, shares_of(len(start)), *halves, *limits, _ROUNDING[start.dtype.char], constraints,
    )  # fmt: skip
