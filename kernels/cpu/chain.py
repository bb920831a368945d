"""A whole chain of right-isometric site tensors in a few flat arrays, for kernels that work on many bonds in one call.

A chain is (store, starts, cores, core_starts, keys, dims, counts, phys_keys, phys_dims, phys_counts, moduli). Site i
has its blocks in `store` from starts[i] on, in the order of `Layout`; bond i lies left of site i, has the sectors
keys[i, :counts[i]], the density matrix rho of what lies left of it, with trace 1, a square matrix for every sector, and
its core C with C^dagger C = rho: from core_starts[i] on all C, then all rho.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.gram_schmidt import orthonormal_rows
from tnsim.kernels.cpu.lapack import pivoted_cholesky
from tnsim.kernels.cpu.layout import copy_vector, find
from tnsim.kernels.cpu.sectors import common_keys, fused_keys, panels
from tnsim.kernels.cpu.symbols import gemm, real_dot, square
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE

# rounding of a weight relative to all of its block
EPS = 2.0**-52
PLAIN, TURNED = np.int64(NO_TRANSPOSE), np.int64(ADJOINT)


@inner
def bond_of(chain, i):
    """Charges and dimensions of a bond."""
    keys, dims, counts = chain[4], chain[5], chain[6]
    return keys[i, : counts[i]], dims[i, : counts[i]]


@inner
def phys_of(chain, i):
    """Charges and dimensions of a site."""
    keys, dims, counts = chain[7], chain[8], chain[9]
    return keys[i, : counts[i]], dims[i, : counts[i]]


@inner
def running_sums(sizes):
    """Starts of pieces of these sizes, and their end."""
    starts = np.zeros(len(sizes) + 1, dtype=np.int64)
    for i in range(len(sizes)):
        starts[i + 1] = starts[i] + sizes[i]
    return starts


@inner
def squares(sizes):
    """Starts of square matrices, and their end."""
    return running_sums(sizes * sizes)


@kernel
def site_blocks(chain, i):
    """For every (left sector, state sector) the right sector (-1: none) and where the block begins, and the size."""
    (left, left_dims), (phys, phys_dims), (right, right_dims) = (
        bond_of(chain, i),
        phys_of(chain, i),
        bond_of(chain, i + 1),
    )
    sector = fused_keys(left, phys, 1, chain[10])
    places, place = np.zeros(sector.shape, dtype=np.int64), np.int64(0)
    for y in range(len(left)):
        for s in range(len(phys)):
            sector[y, s] = find(right, sector[y, s])
            if sector[y, s] >= 0:
                places[y, s] = place
                place += left_dims[y] * phys_dims[s] * right_dims[sector[y, s]]
    return sector, places, place


@kernel
def pair_panels(chain, i):
    """Centre charges of sites i and i + 1, and panels of both sides (sector, start, sizes); see `sectors.panels`."""
    (left, left_dims), (right, right_dims) = bond_of(chain, i), bond_of(chain, i + 2)
    (first, first_dims), (second, second_dims) = phys_of(chain, i), phys_of(chain, i + 1)
    from_left, from_right = fused_keys(left, first, 1, chain[10]), fused_keys(right, second, -1, chain[10])
    center = common_keys(from_left, from_right)
    return (
        center, panels(from_left, left_dims, first_dims, center, np.arange(len(left_dims))),
        panels(from_right, right_dims, second_dims, center, np.arange(len(right_dims))),
    )  # fmt: skip


@inner
def cores_of(chain, i):
    """The cores of a bond, one after the other, and its density matrices."""
    begin, size = chain[3][i], squares(bond_of(chain, i)[1])[-1]
    return chain[2][begin : begin + size], chain[2][begin + size : begin + 2 * size]


@inner
def fresh_product(ta, tb, m, n, k, a, lda, b, ldb, c):
    """C = op(A) op(B) of complex row-major matrices without gaps in C, whatever C held."""
    one, zero = np.ones(1, dtype=c.dtype), np.zeros(1, dtype=c.dtype)
    gemm(ta, tb, m, n, k, one, zero, a, lda, b, ldb, c, n, np.empty(6, dtype=np.int32), np.empty(2, dtype=np.uint8))
    zero[0] = 0  # alive until here


@inner
def weigh(chain, i, rows, width, matrices, weights):
    """Square matrices of bond i on the left of rows of the pair's centre blocks: `width` columns a sector."""
    (_, dims), (_, phys_dims), (sector, start, sizes) = bond_of(chain, i), phys_of(chain, i), rows
    first, places, out = squares(dims), running_sums(sizes * width), np.empty_like(matrices)
    for y in range(len(dims)):
        weight = weights[first[y] : first[y + 1]]
        for s in range(len(phys_dims)):
            q = sector[y, s]
            if q < 0 or width[q] == 0:
                continue
            across, a = phys_dims[s] * width[q], places[q] + start[y, s] * width[q]
            end = a + dims[y] * across
            fresh_product(PLAIN, PLAIN, dims[y], across, dims[y], weight, dims[y], matrices[a:end], across, out[a:end])
    return out


@inner
def factor(rho, size, core):
    """C with C^dagger C = rho (row-major, overwritten), without inverses; rows beyond the rank are zero."""
    matrix, pivots, tolerance = rho.reshape(size, size), np.empty(size, dtype=np.int32), np.zeros(1)
    for j in range(size):
        tolerance[0] = max(tolerance[0], EPS * matrix[j, j].real)
    rank = pivoted_cholesky(matrix, pivots, tolerance)
    core[:] = 0
    for row in range(rank):
        for j in range(row, size):
            core[row * size + pivots[j] - 1] = matrix[row, j]


@inner
def fill_core(chain, i, dims, z, rho):
    """The density matrix of sector z of a bond with these dimensions, and its core."""
    cores, first = chain[2][chain[3][i] :], squares(dims)
    a, b, end = first[z], first[z + 1], first[-1]
    copy_vector(cores[end + a : end + b], rho)
    factor(rho, dims[z], cores[a:b])


@kernel
def fill_cores(chain):
    """All cores from the left to the right: rho = B^dagger rho B. Cost O(d chi^3) a site."""
    store, starts, cores, core_starts = chain[0], chain[1], chain[2], chain[3]
    one, count = np.ones(1), len(starts) - 1
    cores[core_starts[0]] = cores[core_starts[0] + 1] = 1
    for i in range(count - 1):
        sector, places, _ = site_blocks(chain, i)
        (_, dims), (_, phys_dims), (_, right_dims) = bond_of(chain, i), phys_of(chain, i), bond_of(chain, i + 1)
        first, into = squares(dims), squares(right_dims)
        rho, trace = np.zeros(into[-1], dtype=store.dtype), 0.0
        for y in range(len(dims)):
            core = cores[core_starts[i] + first[y] : core_starts[i] + first[y + 1]]
            for s in range(len(phys_dims)):
                z = sector[y, s]
                if z < 0:
                    continue
                across, width = phys_dims[s] * right_dims[z], right_dims[z]
                begin = starts[i] + places[y, s]
                moved, part = np.empty(dims[y] * across, dtype=store.dtype), np.empty(width**2, dtype=store.dtype)
                block = store[begin : begin + dims[y] * across]
                fresh_product(PLAIN, PLAIN, dims[y], across, dims[y], core, dims[y], block, across, moved)
                square(moved, dims[y] * phys_dims[s], width, False, one, part)
                for k in range(width**2):
                    rho[into[z] + k] += part[k]
                trace += real_dot(moved, moved)
        rho *= 1 / trace
        for z in range(len(right_dims)):
            fill_core(chain, i + 1, right_dims, z, rho[into[z] : into[z + 1]])


@inner
def _orthonormal_rows(chain, i, y, sector, places, lower):
    """Row-orthonormal blocks of one left sector of a site, as many rows as before; `lower` times them is what was."""
    store, begin = chain[0], chain[1][i]
    (_, dims), (_, phys_dims), (_, right_dims) = bond_of(chain, i), phys_of(chain, i), bond_of(chain, i + 1)
    across = 0
    for s in range(len(phys_dims)):
        across += phys_dims[s] * right_dims[sector[y, s]] if sector[y, s] >= 0 else 0
    size, wide = dims[y], max(across, dims[y])
    rows = np.empty((size, wide), dtype=store.dtype)
    for scatter in range(2):
        if scatter == 1:
            before = rows.reshape(size * wide).copy()
            if orthonormal_rows(rows) != 0:
                return False
            fresh_product(PLAIN, TURNED, size, size, wide, before, wide, rows.reshape(size * wide), wide, lower)
        rows[:, across:] = 0
        column = 0
        for s in range(len(phys_dims)):
            if sector[y, s] < 0:
                continue
            width, place = phys_dims[s] * right_dims[sector[y, s]], begin + places[y, s]
            for k in range(dims[y]):
                block, row = store[place + k * width : place + (k + 1) * width], rows[k, column : column + width]
                if scatter == 1:
                    copy_vector(block, row)
                else:
                    copy_vector(row, block)
            column += width
    return True


@kernel
def restore(chain):
    """Row-orthonormal tensors from the right to the left, exact; returns the norm, NaN where there is NaN or Inf.

    Nothing changes but the gauge: what is left of a site goes into the next one. Cores are those from before.
    """
    store, starts = chain[0], chain[1]
    for i in range(len(starts) - 2, 0, -1):
        sector, places, _ = site_blocks(chain, i)
        before, places_before, _ = site_blocks(chain, i - 1)
        (_, dims), (_, left_dims), (_, phys_dims) = bond_of(chain, i), bond_of(chain, i - 1), phys_of(chain, i - 1)
        for y in range(len(dims)):
            lower, size = np.empty(dims[y] ** 2, dtype=store.dtype), dims[y]
            if not _orthonormal_rows(chain, i, y, sector, places, lower):
                return np.nan
            for x in range(len(left_dims)):
                for s in range(len(phys_dims)):
                    if before[x, s] == y:
                        rows, place = left_dims[x] * phys_dims[s], starts[i - 1] + places_before[x, s]
                        block = store[place : place + rows * size]
                        fresh_product(PLAIN, PLAIN, rows, size, size, block.copy(), size, lower, size, block)
    size = site_blocks(chain, 0)[2]
    block = store[starts[0] : starts[0] + size]
    norm = np.sqrt(real_dot(block, block))
    for k in range(size if norm > 0 else 0):
        block[k] = block[k] / norm
    return norm
