"""Integer kernels for one bond: panels of fused legs, and the plans that join and split two sites.

A fused index (bond sector x, physical sector s) lies in the centre sector of its charge, as a panel of
dims[x] * dims[s] rows; panels follow each other with x slowest, in an order of the bond's sectors that the caller
chooses. Left panels have the order (x, s), the rows of a left site block; right panels (s, x), the columns of a right
site block.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.layout import find, first_places, fuse_key, stable_order
from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    A_TRANSPOSE,
    ADD,
    ADD_CONJUGATE,
    ADJOINT,
    B_BUFFER,
    B_OFFSET,
    B_STEP,
    B_STRIDE,
    B_TRANSPOSE,
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    COLUMNS,
    KIND,
    PRODUCT,
    TASK,
    K,
    M,
    N,
)


@kernel
def fused_keys(bond_keys, phys_keys, sign, moduli):
    """Charge of every (bond, physical) pair of sectors: bond + sign * physical."""
    keys = np.empty((len(bond_keys), len(phys_keys)), dtype=np.int64)
    for x in range(len(bond_keys)):
        for s in range(len(phys_keys)):
            keys[x, s] = fuse_key(bond_keys[x], phys_keys[s], sign, moduli)
    return keys


@kernel
def common_keys(left, right):
    """Sorted charges that occur in both tables of fused keys."""
    a, b = left.ravel(), right.ravel()
    order_a, order_b = stable_order(a), stable_order(b)
    result = np.empty(min(len(a), len(b)), dtype=np.int64)
    count, j = 0, 0
    for i in order_a:
        while j < len(order_b) and b[order_b[j]] < a[i]:
            j += 1
        if j < len(order_b) and b[order_b[j]] == a[i] and (count == 0 or result[count - 1] != a[i]):
            result[count] = a[i]
            count += 1
    return result[:count].copy()


@kernel
def panels(keys, bond_dims, phys_dims, center_keys, order):
    """Centre sector (-1: none) and start of every panel, and the size of every centre sector.

    order: in which the bond's sectors follow each other.
    """
    sector = np.full(keys.shape, -1, dtype=np.int64)
    start = np.zeros(keys.shape, dtype=np.int64)
    sizes = np.zeros(len(center_keys), dtype=np.int64)
    for x in order:
        for s in range(keys.shape[1]):
            q = find(center_keys, keys[x, s])
            if q >= 0:
                sector[x, s], start[x, s] = q, sizes[q]
                sizes[q] += bond_dims[x] * phys_dims[s]
    return sector, start, sizes


@inner
def _bond_blocks(indices, offsets, bond_axis, count):
    """Site blocks by sector of the bond they share: (bond sector, block number), sorted by sector."""
    sectors = np.ascontiguousarray(indices[:, bond_axis])
    return stable_order(sectors), first_places(sectors, count)


@kernel
def join_rows(a_indices, a_offsets, b_indices, b_offsets, bond_dims, left, right, l_dims, s_dims, t_dims, r_dims, bond):
    """theta = A B in centre blocks: rows C(buffer 2) += A(0) B(1), one task a centre sector.

    left, right are (sector, start, sizes) of `panels`; `bond` maps a shared bond sector to its centre sector.
    """
    count = len(bond_dims)
    order_a, first_a = _bond_blocks(a_indices, a_offsets, 2, count)
    order_b, first_b = _bond_blocks(b_indices, b_offsets, 0, count)
    offsets = np.zeros(len(left[2]) + 1, dtype=np.int64)
    for q in range(len(left[2])):
        offsets[q + 1] = offsets[q] + left[2][q] * right[2][q]
    total = 0
    for x in range(count):
        total += (first_a[x + 1] - first_a[x]) * (first_b[x + 1] - first_b[x])
    rows = np.zeros((total, COLUMNS), dtype=np.int64)
    starts = np.zeros(count + 1, dtype=np.int64)
    weights = np.zeros(count)
    r = 0
    for x in range(count):
        q = bond[x]
        for i in range(first_a[x], first_a[x + 1]):
            y, s = a_indices[order_a[i], 0], a_indices[order_a[i], 1]
            if left[0][y, s] != q or q < 0:
                continue
            for j in range(first_b[x], first_b[x + 1]):
                t, z = b_indices[order_b[j], 1], b_indices[order_b[j], 2]
                if right[0][z, t] != q:
                    continue
                row = rows[r]
                row[KIND], row[TASK] = PRODUCT, x
                row[M], row[N], row[K] = l_dims[y] * s_dims[s], t_dims[t] * r_dims[z], bond_dims[x]
                row[A_BUFFER], row[A_OFFSET], row[A_STRIDE] = 0, a_offsets[order_a[i]], bond_dims[x]
                row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 1, b_offsets[order_b[j]], row[N]
                row[C_BUFFER], row[C_STRIDE] = 2, right[2][q]
                row[C_OFFSET] = offsets[q] + left[1][y, s] * right[2][q] + right[1][z, t]
                weights[x] += 2.0 * row[M] * row[N] * row[K]
                r += 1
        starts[x + 1] = r
    return rows[:r].copy(), starts, weights, offsets


@kernel
def project_rows(join, bond_dims, bond, left_sizes, right_sizes):
    """Project a centre tensor on the right site: C = A^dagger r.

    Made from the rows of `join_rows`; buffers: 0 A, 1 B, 2 r, 3 C (one matrix a bond sector).
    """
    rows = join.copy()
    sizes = np.zeros(len(bond_dims) + 1, dtype=np.int64)
    for x in range(len(bond_dims)):
        sizes[x + 1] = sizes[x] + right_sizes[bond[x]] * bond_dims[x]
    offset_of = np.zeros(len(left_sizes) + 1, dtype=np.int64)
    for q in range(len(left_sizes)):
        offset_of[q + 1] = offset_of[q] + left_sizes[q] * right_sizes[q]
    for i in range(len(join)):
        old, row = join[i], rows[i]
        x = old[TASK]
        q = bond[x]
        first_col = (old[C_OFFSET] - offset_of[q]) % right_sizes[q]
        row[M], row[K] = old[K], old[M]
        row[A_TRANSPOSE] = ADJOINT
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_TRANSPOSE] = 2, old[C_OFFSET], old[C_STRIDE], 0
        row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 3, sizes[x] + first_col, right_sizes[q]
    return rows, sizes[len(bond_dims)]


@kernel
def split_rows(center, left, right, l_dims, s_dims, t_dims, r_dims, a_blocks, b_blocks, dims, rightwards):
    """Site tensors from theta (buffer 0) and the kept basis P (1): isometry Q (2), left site (3), right site (4).

    center: centre sector of every new bond sector; dims: its kept dimension. P holds orthonormal rows, with
    room for a square matrix a centre sector: rightwards the adjoint of the left basis, leftwards the right basis.
    Q is P's adjoint (rightwards) or transpose (leftwards), one (size x kept) matrix a bond sector.
    """
    nq = len(left[2])
    theta_offset, p_offset = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq + 1, dtype=np.int64)
    for q in range(nq):
        theta_offset[q + 1] = theta_offset[q] + left[2][q] * right[2][q]
        p_offset[q + 1] = p_offset[q] + (left[2][q] if rightwards else right[2][q]) ** 2
    q_offset = np.zeros(len(dims) + 1, dtype=np.int64)
    for x in range(len(dims)):
        n = left[2][center[x]] if rightwards else right[2][center[x]]
        q_offset[x + 1] = q_offset[x] + n * dims[x]
    (a_indices, a_offsets), (b_indices, b_offsets) = a_blocks, b_blocks
    order_a, first_a = _bond_blocks(a_indices, a_offsets, 2, len(dims))
    order_b, first_b = _bond_blocks(b_indices, b_offsets, 0, len(dims))
    rows = np.zeros((len(dims) + len(a_indices) + len(b_indices), COLUMNS), dtype=np.int64)
    starts = np.zeros(len(dims) + 1, dtype=np.int64)
    weights = np.zeros(len(dims))
    r = 0
    for x in range(len(dims)):
        q, kept = center[x], dims[x]
        n_left, n_right = left[2][q], right[2][q]
        n = n_left if rightwards else n_right
        row = rows[r]
        row[KIND] = ADD_CONJUGATE if rightwards else ADD
        row[TASK], row[M], row[N] = x, n, kept
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_STEP] = 1, p_offset[q], 1, n
        row[C_BUFFER], row[C_OFFSET], row[C_STRIDE], row[C_STEP] = 2, q_offset[x], kept, 1
        r += 1
        for i in range(first_a[x], first_a[x + 1]):
            y, s = a_indices[order_a[i], 0], a_indices[order_a[i], 1]
            row = rows[r]
            row[TASK], row[M], row[N] = x, l_dims[y] * s_dims[s], kept
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 3, a_offsets[order_a[i]], kept
            if rightwards:
                row[KIND], row[C_STEP] = ADD, 1
                row[B_BUFFER], row[B_OFFSET] = 2, q_offset[x] + left[1][y, s] * kept
                row[B_STRIDE], row[B_STEP] = kept, 1
            else:
                row[KIND], row[K] = PRODUCT, n_right
                row[A_BUFFER], row[A_OFFSET] = 0, theta_offset[q] + left[1][y, s] * n_right
                row[A_STRIDE] = n_right
                row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_TRANSPOSE] = 1, p_offset[q], n_right, ADJOINT
                weights[x] += 2.0 * row[M] * row[N] * row[K]
            r += 1
        for j in range(first_b[x], first_b[x + 1]):
            t, z = b_indices[order_b[j], 1], b_indices[order_b[j], 2]
            row = rows[r]
            row[TASK], row[M], row[N] = x, kept, t_dims[t] * r_dims[z]
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 4, b_offsets[order_b[j]], row[N]
            if rightwards:
                row[KIND], row[K] = PRODUCT, n_left
                row[A_BUFFER], row[A_OFFSET], row[A_STRIDE] = 1, p_offset[q], n_left
                row[B_BUFFER], row[B_OFFSET] = 0, theta_offset[q] + right[1][z, t]
                row[B_STRIDE] = n_right
                weights[x] += 2.0 * row[M] * row[N] * row[K]
            else:
                row[KIND], row[C_STEP] = ADD, 1
                row[B_BUFFER], row[B_OFFSET] = 1, p_offset[q] + right[1][z, t]
                row[B_STRIDE], row[B_STEP] = n_right, 1
            r += 1
        starts[x + 1] = r
    return rows[:r].copy(), starts, weights, q_offset[len(dims)]


@kernel
def gather_rows(indices, offsets, bond_axis, sector_of_bond, fused, x_dims, s_dims, bond_dims, by_columns):
    """The isometry Q of a site tensor (buffer 0) as one (size x kept) matrix a bond sector (buffer 1).

    Left sites (by_columns False): Q = A, rows (x, s). Right sites: Q = transpose of B, rows (s, x).
    """
    rows = np.zeros((len(indices), COLUMNS), dtype=np.int64)
    sector, start, sizes = fused
    q_offset = np.zeros(len(bond_dims) + 1, dtype=np.int64)
    for x in range(len(bond_dims)):
        q_offset[x + 1] = q_offset[x] + sizes[sector_of_bond[x]] * bond_dims[x]
    for i in range(len(indices)):
        b = indices[i, bond_axis]
        z, s = (indices[i, 2], indices[i, 1]) if by_columns else (indices[i, 0], indices[i, 1])
        row = rows[i]
        n = x_dims[z] * s_dims[s]
        row[KIND], row[M], row[N] = ADD, n, bond_dims[b]
        row[B_BUFFER], row[B_OFFSET] = 0, offsets[i]
        row[B_STRIDE], row[B_STEP] = (1, n) if by_columns else (bond_dims[b], 1)
        row[C_BUFFER], row[C_OFFSET] = 1, q_offset[b] + start[z, s] * bond_dims[b]
        row[C_STRIDE], row[C_STEP] = bond_dims[b], 1
    return rows, q_offset[len(bond_dims)]
