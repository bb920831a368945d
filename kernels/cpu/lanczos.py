"""Lanczos for the lowest eigenvector of a product plan, all in one compiled call."""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.lapack import eigh
from tnsim.kernels.cpu.layout import copy_vector, longest_first
from tnsim.kernels.cpu.products import share_rows
from tnsim.kernels.cpu.symbols import dot, real_dot
from tnsim.kernels.cpu.team import led

# the three-term recurrence keeps a basis of few long vectors orthogonal; else each is made orthogonal to all
_FEW, _LONG = 6, 2048


@inner
def subtract(w, alpha, v):
    """w -= alpha v."""
    for i in range(len(w)):
        w[i] -= alpha * v[i]


@inner
def _subtract_both(w, alpha, v, beta, u):
    """w -= alpha v + beta u."""
    for i in range(len(w)):
        w[i] -= alpha * v[i] + beta * u[i]


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
    number, zero = basis.dtype.type, basis.dtype.type(0)
    first, second = number(coefficients[0]), number(coefficients[1]) if len(coefficients) > 1 else zero
    u, v = basis[0], basis[1]
    for i in range(len(vector)):
        vector[i] = first * u[i] + (second * v[i] if second != zero else zero)
    for j in range(2, len(coefficients)):
        c, u = number(coefficients[j]), basis[j]
        for i in range(len(vector)):
            vector[i] += c * u[i]
    rescale(vector, number(1 / norm_of(vector)))


@inner
def project_out(w, constraints):
    """w without its parts along the (orthonormal) constraints."""
    ints = np.empty(2, dtype=np.int32)
    for i in range(len(constraints)):
        subtract(w, dot(constraints[i], w, ints), constraints[i])


@kernel
def lowest(rows, alphas, basis, halves, work, starts, order, limits, constraints, board):
    """Lowest Ritz pair from the first vector of `basis`, at most len(basis) - 1 products.

    limits: (k_min, tolerance, gain, rounding): stops after k_min products where the residual norm falls below
    `tolerance`, or below `gain` times that of the start vector, or where it is `rounding` of the operator. halves:
    left environment, left dense blocks, right environment, right dense blocks. board: empty, or that of a team (see
    `team`); `order` of the tasks. constraints: None, or orthonormal rows that the first vector has no
    part along, and that are projected out of every vector.
    Returns (vector of norm 1, energy, first energy, residual of the start vector, its norm, products).
    """
    k_min, tolerance, gain, rounding = limits
    k_max, size, number = len(basis) - 1, basis.shape[1], basis.dtype.type
    free = size
    if constraints is not None:
        free -= len(constraints)
    rescale(basis[0], number(1 / norm_of(basis[0])))
    first_residual = np.empty(size, dtype=basis.dtype)
    alpha, beta = np.zeros(k_max), np.zeros(k_max)
    ints = np.empty(2, dtype=np.int32)
    ritz, values, count, scale = np.ones((1, 1)), np.zeros(1), 0, 0.0
    for j in range(k_max):
        u, v, w = basis[max(0, j - 1)], basis[j], basis[j + 1]
        buffers = (v, w, work, halves[0], halves[1], halves[2], halves[3], work)
        share_rows(rows, alphas, starts, order, buffers, board)
        count = j + 1
        if constraints is not None:
            project_out(w, constraints)
        alpha[j] = real_dot(v, w)
        _subtract_both(w, number(alpha[j]), v, number(beta[j - 1] if j > 0 else 0.0), u)
        subtract(w, number(real_dot(v, w)), v)  # most of H v cancelled: so did digits of what is left
        if j >= _FEW or size < _LONG:
            for i in range(j, -1, -1):
                subtract(w, dot(basis[i], w, ints), basis[i])
        if constraints is not None:
            project_out(w, constraints)
        beta[j] = norm_of(w)
        scale = max(scale, np.sqrt(alpha[j] ** 2 + beta[j] ** 2))
        ritz, values = np.zeros((count, count)), np.empty(count)
        for i in range(count):
            ritz[i, i] = alpha[i]
            if i < j:
                ritz[i, i + 1] = ritz[i + 1, i] = beta[i]
        eigh(ritz, values)
        if j == 0:
            copy_vector(first_residual, w)
        residual = beta[j] * abs(ritz[0, j])
        exhausted = beta[j] <= rounding * scale or count >= free
        if exhausted or (count >= k_min and residual < max(tolerance, gain * beta[0])):
            break
        rescale(w, number(1 / beta[j]))
    vector = np.empty(size, dtype=basis.dtype)
    _combine(basis, ritz[0], vector)
    return vector, values[0], alpha[0], first_residual, beta[0], count


def solve(plan, start, halves, limits, threads, constraints=None):
    """Lowest Ritz pair of a product plan from `start`; `limits` are (k_min, k_max, tolerance, gain).

    constraints: orthonormal rows (count, size) that `start` has no part along; the pair is that of their complement.
    """
    k_min, k_max, tolerance, gain = limits
    limits = k_min, tolerance, gain, 30 * float(np.finfo(start.dtype).eps)
    basis = np.empty((k_max + 1, len(start)), dtype=start.dtype)
    basis[0] = start
    work = np.empty(max(1, plan.work), dtype=start.dtype)
    order = longest_first(plan.weights)
    return led(
        min(threads, len(order)), start.dtype, lowest,
        plan.rows, plan.alphas, basis, halves, work, plan.starts, order, limits, constraints,
    )  # fmt: skip
