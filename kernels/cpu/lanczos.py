"""Lanczos for the lowest eigenvector of a product plan, all in one compiled call."""

import numpy as np
from numba import njit

from tnsim.kernels.cpu.products import assign_tasks, run_parallel, run_rows
from tnsim.kernels.cpu.symbols import eigh

# sums may be reordered, so that they run in vector registers
_REORDER = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, fastmath=_REORDER)
def _dot(a, b):
    total = a[0] * 0
    for i in range(len(a)):
        total += np.conj(a[i]) * b[i]
    return total


@njit(cache=True, nogil=True, fastmath=_REORDER)
def _norm(a):
    total = 0.0
    for i in range(len(a)):
        total += a[i].real ** 2 + a[i].imag ** 2
    return np.sqrt(total)


@njit(cache=True, nogil=True)
def lowest(rows, alphas, starts, weights, start, halves, work, k_min, k_max, tolerance, gain, threads):
    """Lowest Ritz pair from `start`, at most k_max products.

    Stops where the residual norm falls below `tolerance`, or below `gain` times that of the start vector.

    halves: left environment, left dense blocks, right environment, right dense blocks.
    Returns (vector of norm 1, energy, first energy, residual of the start vector, its norm, products).
    """
    size = len(start)
    basis = np.empty((k_max + 1, size), dtype=start.dtype)
    basis[0] = start / start.dtype.type(_norm(start))
    first_residual = np.empty(size, dtype=start.dtype)
    alpha, beta = np.zeros(k_max), np.zeros(k_max)
    one = np.ones(1, dtype=start.dtype)
    owner = assign_tasks(weights, threads)
    ritz, energy, count = np.ones((1, 1)), 0.0, 0
    for j in range(k_max):
        v, w = basis[j], basis[j + 1]
        buffers = (v, w, work, halves[0], halves[1], halves[2], halves[3])
        if threads > 1:
            run_parallel(rows, alphas, one, buffers, starts, owner, threads)
        else:
            run_rows(rows, alphas, one, buffers, 0, len(rows))
        count = j + 1
        alpha[j] = _dot(v, w).real
        for i in range(j, -1, -1):
            overlap = start.dtype.type(alpha[j]) if i == j else _dot(basis[i], w)
            u = basis[i]
            for n in range(size):
                w[n] -= overlap * u[n]
        beta[j] = _norm(w)
        if j == 0:
            first_residual[:] = w
        small = np.zeros((count, count))
        for i in range(count):
            small[i, i] = alpha[i]
            if i + 1 < count:
                small[i, i + 1] = small[i + 1, i] = beta[i]
        if count > 1:
            values = np.empty(count)
            eigh(small, values)
            energy, ritz = values[0], small
        else:
            energy = alpha[0]
        residual = beta[j] * abs(ritz[0, count - 1])
        exhausted = beta[j] <= 1e-13 * max(1.0, abs(alpha[0])) or count >= size
        if exhausted or (count >= k_min and residual < max(tolerance, gain * beta[0])):
            break
        scale = start.dtype.type(1 / beta[j])
        for n in range(size):
            w[n] *= scale
    vector = np.zeros(size, dtype=start.dtype)
    for i in range(count):
        c = start.dtype.type(ritz[0, i])
        u = basis[i]
        for n in range(size):
            vector[n] += c * u[n]
    scale = start.dtype.type(1 / _norm(vector))
    for n in range(size):
        vector[n] *= scale
    return vector, energy, alpha[0], first_residual, beta[0], count
