"""Lanczos for the lowest eigenvector of a product plan, all in one compiled call."""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.lapack import eigh
from tnsim.kernels.cpu.products import share_rows
from tnsim.kernels.cpu.shares import shares_of
from tnsim.kernels.cpu.symbols import dot, real_dot
from tnsim.kernels.cpu.team import led
from tnsim.kernels.cpu.vectors import (
    CORRECT,
    OVERLAP,
    SCALE,
    SUBTRACT,
    combine,
    in_dtype,
    subtract,
    work_on_vectors,
)

# the three-term recurrence keeps a basis of few long vectors orthogonal; else each is made orthogonal to all
_FEW, _LONG = 6, 2048
# residuals of so many eps of the operator are none
ROUNDING = {char: 30 * float(np.finfo(char).eps) for char in "fdFD"}
# the dtype of half the digits; where products have at least so many flops, and a residual has to fall by a factor of no
# less than this, it takes less time, environments turned into it included
SINGLE = {"f": np.dtype("f"), "d": np.dtype("f"), "F": np.dtype("F"), "D": np.dtype("F")}
_WORTH, _COARSE = 4e6, 1e-3
# squares of energies and residuals outside of these lie close to the ends of single precision
_LEAST, _MOST = 1e-12, 1e12
# rounding may hide this share of the residual that is left
HIDDEN = 0.1


def pays_in_single(plan, dtype, enough, energy, norm, constraints):
    """Whether directions are best found in single precision, for a residual to fall from `norm` to `enough`."""
    fits = enough > _LEAST and max(abs(energy), norm) < _MOST
    return fits and dtype.char in "dD" and constraints is None and plan.flops > _WORTH and enough > _COARSE * norm


@inner
def project_out(w, constraints):
    """w without its parts along the (orthonormal) constraints."""
    ints = np.empty(2, dtype=np.int32)
    for i in range(len(constraints)):
        subtract(w, dot(constraints[i], w, ints), constraints[i])


@inlined
def _recur(basis, j, before, constraints, factors, sums, shares, board):
    """The product of basis vector j, which lies behind it, less its parts along all vectors: what it has along the last
    one, its norm without them, and what is still to be taken off along that one; before: the norm one step ago."""
    u, v, w = basis[max(0, j - 1)], basis[j], basis[j + 1]
    size, number, ints = len(v), basis.dtype.type, np.empty(2, dtype=np.int32)
    if constraints is not None:
        project_out(w, constraints)
    alpha = work_on_vectors(OVERLAP, w, v, u, factors, sums, shares, board)[0]
    factors[0], factors[1] = alpha, before
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
    return alpha, np.sqrt(rest), overlap


@kernel
def begin(rows, alphas, starts, order, work, start, shares, left, left_dense, right, right_dense, constraints, board):
    """The first product: the start vector with norm 1, its energy, its residual and the norm of that.

    Arguments as in `lowest`.
    """
    size, buffer = len(start), np.empty(work, dtype=start.dtype)
    basis, factors = np.empty((2, size), dtype=start.dtype), np.zeros(2, dtype=start.dtype)
    v, w, sums = basis[0], basis[1], np.empty(2 * shares)
    factors[1] = 1 / np.sqrt(work_on_vectors(OVERLAP, start, start, start, factors, sums, shares, board)[0])
    work_on_vectors(SCALE, v, start, start, factors, sums, shares, board)
    share_rows(rows, alphas, starts, order, (v, w, buffer, left, left_dense, right, right_dense, buffer), board)
    alpha, beta, overlap = _recur(basis, 0, 0.0, constraints, factors, sums, shares, board)
    factors[0], factors[1] = overlap, 1
    work_on_vectors(CORRECT, w, v, v, factors, sums, shares, board)
    return v, alpha, w, beta


@kernel
def lowest(
    rows, alphas, starts, order, work, first, shares, left, left_dense, right, right_dense, k_min, k_max, tolerance,
    gain, exact, rounding, constraints, board,
):  # fmt: skip
    """Lowest Ritz pair of a product plan with a work buffer of so many numbers, at most k_max products.

    first: what `begin` found. The vectors behind the start vector have the dtype of `alphas`, as have left, left_dense,
    right, right_dense: environments and their dense blocks. Stops after k_min products where the residual norm falls
    below `tolerance`, or below `gain` times that of the start vector, or where it is `rounding` of the operator; of the
    start vector, which may have more digits, `exact` of it.
    shares: of long vectors, how many (see `shares`). board: empty, or of a team (see `team`); `order` of the tasks.
    constraints: None, or orthonormal rows that the start vector has no part along, and that are projected out of
    every vector.
    Returns (vector of norm 1, energy, products, residual that rounding may hide).
    """
    start, energy, residual, norm = first
    size, number = len(start), alphas.dtype.type
    free = size
    if constraints is not None:
        free -= len(constraints)
    buffer, basis = np.empty(work, dtype=alphas.dtype), np.empty((k_max + 1, size), dtype=alphas.dtype)
    alpha, beta = np.zeros(k_max), np.zeros(k_max)
    alpha[0], beta[0], overlap = energy, norm, 0.0
    factor = 1 / norm if norm > 0 else 0.0
    for i in range(size):
        basis[0, i], basis[1, i] = number(start[i]), number(factor * residual[i])
    ritz, values, count, scale = np.ones((1, 1)), np.zeros(1), 0, 0.0
    factors, sums = np.zeros(2, dtype=alphas.dtype), np.empty(2 * shares)
    for j in range(k_max):
        u, v, w = basis[max(0, j - 1)], basis[j], basis[j + 1]
        if j > 0:
            buffers = (v, w, buffer, left, left_dense, right, right_dense, buffer)
            share_rows(rows, alphas, starts, order, buffers, board)
            alpha[j], beta[j], overlap = _recur(basis, j, beta[j - 1], constraints, factors, sums, shares, board)
        count = j + 1
        scale = max(scale, np.sqrt(alpha[j] ** 2 + beta[j] ** 2))
        done = beta[j] <= (rounding if j > 0 else exact) * scale or count >= free or count == k_max
        if done or count >= k_min:
            ritz, values = np.zeros((count, count)), np.empty(count)
            for i in range(count):
                ritz[i, i] = alpha[i]
                if i < j:
                    ritz[i, i + 1] = ritz[i + 1, i] = beta[i]
            eigh(ritz, values)
            done = done or beta[j] * abs(ritz[0, j]) < max(tolerance, gain * beta[0])
        if done:
            break
        if j > 0:
            factors[0], factors[1] = overlap, 1 / beta[j] if beta[j] > 0 else 0.0
            work_on_vectors(CORRECT, w, v, u, factors, sums, shares, board)
    vector, hidden = np.empty_like(start), rounding * scale * np.sqrt(max(0.0, 1 - ritz[0, 0] ** 2))
    combine(start, basis.reshape(basis.size), size, ritz[0], vector, sums, shares, board)
    return vector, values[0], count, hidden


def solve(plan, start, halves, limits, threads, constraints=None):
    """Lowest Ritz pair of a product plan from `start`; `limits` are (k_min, k_max, tolerance, gain).

    constraints: orthonormal rows (count, size) that `start` has no part along; the pair is that of their complement.
    Only the first product needs double precision: what the others add to the vector is small, and rounding in it
    smaller than the residual that is left; where that is not so, all is done in double precision.
    Source: V. Simoncini, D. B. Szyld, SIAM J. Sci. Comput. 25, 454 (2003), on Krylov spaces of inexact products.
    Returns (vector of norm 1, energy, first energy, residual of the start vector, its norm, products).
    """
    dtype, shares, threads = start.dtype, shares_of(len(start)), min(threads, len(plan.order))
    tables, work = (plan.starts, plan.order), plan.work or 1
    first = led(threads, dtype, begin, plan.rows, plan.alphas, *tables, work, start, shares, *halves, constraints)
    _, energy, residual, norm = first
    enough = max(limits[2], limits[3] * norm)
    single = SINGLE[dtype.char]
    for kind in (single, dtype) if pays_in_single(plan, dtype, enough, energy, norm, constraints) else (dtype,):
        alphas, given = plan.alphas.astype(kind, copy=False), in_dtype(halves, kind, threads)
        vector, value, count, hidden = led(
            threads, dtype, lowest, plan.rows, alphas, *tables, work, first, shares, *given, *limits,
            ROUNDING[dtype.char], ROUNDING[kind.char], constraints,
        )  # fmt: skip
        if hidden < HIDDEN * enough:
            break
    return vector, value, energy, residual, norm, count
