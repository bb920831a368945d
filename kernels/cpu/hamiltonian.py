"""Integer kernels that turn operator entries and environment blocks into plans.

Half of the effective Hamiltonian (an environment and the site next to it) is a list of terms
`H_m[dst rows, src rows] += alpha * matrix` for every channel m of the middle MPO bond, where the matrix is
a block of the environment, an identity (channels that have not started, or have finished), or a sum of
such pieces that was laid out as one dense block because it fills most of it.
"""

import numpy as np
from numba import njit

from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    A_TRANSPOSE,
    ADD,
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
    CLEAR,
    COLUMNS,
    IDENTITY,
    KIND,
    NO_TRANSPOSE,
    PRODUCT,
    TASK,
    TRANSPOSE,
    K,
    M,
    N,
)

# columns of a term
CHANNEL, TO, FROM, DST, DST_STRIDE, ROWS, SRC, SRC_STRIDE, COLS, WHAT, OFFSET, STRIDE = range(12)
TERM_COLUMNS = 12
# what a term multiplies with
UNIT, BLOCK, DENSE = 0, 1, 2
# pieces are summed into a dense block where their products would cost this share of the block's product
FILL = 0.7


@njit(cache=True, nogil=True)
def _pieces(env, entries, states, fused, bond_dims, left, unit_channel):
    """All (entry, environment block) pairs as terms; a first pass counts, a second one writes."""
    indices, offsets, op_starts, op_dims = env
    state_sector, state_within, phys_dims = states
    sector, start, _ = fused
    channel_sector = np.empty(op_starts[-1], dtype=np.int64)
    for j in range(len(op_dims)):
        channel_sector[op_starts[j] : op_starts[j + 1]] = j
    order = np.argsort(indices[:, 1], kind="mergesort")
    first = np.searchsorted(indices[order, 1], np.arange(len(op_dims) + 1))
    terms = np.empty((0, TERM_COLUMNS), dtype=np.int64)
    which = np.empty(0, dtype=np.int64)
    for writing in (False, True):
        count = 0
        for e in range(len(entries)):
            source, target, out, into = entries[e]
            so, wo, si, wi = state_sector[out], state_within[out], state_sector[into], state_within[into]
            j = channel_sector[source]
            unit = source == unit_channel
            number = len(bond_dims) if unit else first[j + 1] - first[j]
            for i in range(number):
                block = 0 if unit else order[first[j] + i]
                bra, ket = (i, i) if unit else (indices[block, 0], indices[block, 2])
                if sector[bra, so] < 0 or sector[ket, si] < 0:
                    continue
                if writing:
                    term = terms[count]
                    which[count] = e
                    term[CHANNEL], term[TO], term[FROM] = target, sector[bra, so], sector[ket, si]
                    term[ROWS], term[COLS] = bond_dims[bra], bond_dims[ket]
                    if left:
                        term[DST], term[DST_STRIDE] = start[bra, so] + wo, phys_dims[so]
                        term[SRC], term[SRC_STRIDE] = start[ket, si] + wi, phys_dims[si]
                    else:
                        term[DST], term[DST_STRIDE] = start[bra, so] + wo * bond_dims[bra], 1
                        term[SRC], term[SRC_STRIDE] = start[ket, si] + wi * bond_dims[ket], 1
                    if unit:
                        term[WHAT], term[OFFSET], term[STRIDE] = UNIT, 0, 0
                    else:
                        term[WHAT] = BLOCK
                        term[OFFSET] = offsets[block] + (source - op_starts[j]) * bond_dims[ket]
                        term[STRIDE] = op_dims[j] * bond_dims[ket]
                count += 1
        if not writing:
            terms = np.zeros((count, TERM_COLUMNS), dtype=np.int64)
            which = np.zeros(count, dtype=np.int64)
    return terms, which


@njit(cache=True, nogil=True)
def half_terms(env, entries, values, states, fused, bond_dims, left, unit_channel, channels):
    """Terms of one half, grouped by (channel, target sector).

    env: (block indices, offsets, channel starts and dims of the operator leg); entries: (from channel, to
    channel, out state, in state); states: (sector, place in it, sector dims) of the physical leg.
    Returns terms, coefficients, group starts (channels x sectors, 2) and the build plan of the dense
    blocks: rows (buffers 0 environment, 1 dense), coefficients, size.
    """
    sizes = fused[2]
    pieces, which = _pieces(env, entries, states, fused, bond_dims, left, unit_channel)
    order = np.argsort(pieces[:, CHANNEL] * len(sizes) + pieces[:, TO], kind="mergesort")
    terms = np.zeros((len(pieces), TERM_COLUMNS), dtype=np.int64)
    alphas = np.zeros(len(pieces), dtype=values.dtype)
    groups = np.zeros((channels, len(sizes), 2), dtype=np.int64)
    rows = np.zeros((len(pieces), COLUMNS), dtype=np.int64)
    row_alphas = np.zeros(len(pieces), dtype=values.dtype)
    n_terms, n_rows, size, g = 0, 0, 0, 0
    while g < len(order):
        head = pieces[order[g]]
        end = g
        cost, matrices, covered = 0, 0, 0
        plain = True
        while end < len(order):
            piece = pieces[order[end]]
            if piece[CHANNEL] != head[CHANNEL] or piece[TO] != head[TO]:
                break
            if piece[WHAT] == BLOCK:
                matrices += 1
                cost += piece[ROWS] * piece[COLS]
                plain = False
            else:
                covered += piece[ROWS]
                same = piece[DST] == piece[SRC] and piece[TO] == piece[FROM]
                plain = plain and same and values[which[order[end]]] == 1
            end += 1
        full = sizes[head[TO]] * sizes[head[FROM]]
        begin = n_terms
        whole = plain and covered == sizes[head[TO]]
        dense = matrices > 0 and cost >= FILL * full
        if whole or dense:
            term = terms[n_terms]
            term[CHANNEL], term[TO], term[FROM] = head[CHANNEL], head[TO], head[FROM]
            term[DST_STRIDE], term[ROWS], term[SRC_STRIDE], term[COLS] = 1, sizes[head[TO]], 1, sizes[head[FROM]]
            term[WHAT], term[OFFSET], term[STRIDE] = UNIT, 0, 0
            alphas[n_terms] = 1
            if dense:
                term[WHAT], term[OFFSET], term[STRIDE] = DENSE, size, sizes[head[FROM]]
            n_terms += 1
        for i in range(g, end):
            piece, value = pieces[order[i]], values[which[order[i]]]
            if dense:
                row, width = rows[n_rows], sizes[head[FROM]]
                row_alphas[n_rows] = value
                row[C_BUFFER], row[C_OFFSET] = 1, size + piece[DST] * width + piece[SRC]
                if piece[WHAT] == BLOCK:
                    row[KIND], row[M], row[N] = ADD, piece[ROWS], piece[COLS]
                    row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_STEP] = 0, piece[OFFSET], piece[STRIDE], 1
                    row[C_STRIDE], row[C_STEP] = piece[DST_STRIDE] * width, piece[SRC_STRIDE]
                else:
                    row[KIND], row[M], row[N] = IDENTITY, piece[ROWS], 1
                    row[C_STRIDE] = piece[DST_STRIDE] * width + piece[SRC_STRIDE]
                row[TASK] = 0
                n_rows += 1
            elif not whole:
                terms[n_terms] = piece
                alphas[n_terms] = value
                n_terms += 1
        if dense:
            size += full
        groups[head[CHANNEL], head[TO], 0], groups[head[CHANNEL], head[TO], 1] = begin, n_terms
        g = end
    return (
        terms[:n_terms].copy(),
        alphas[:n_terms].copy(),
        groups,
        rows[:n_rows].copy(),
        row_alphas[:n_rows].copy(),
        size,
    )


@njit(cache=True, nogil=True)
def _only_units(terms, first, last):
    for i in range(first, last):
        if terms[i, WHAT] != UNIT:
            return False
    return True


@njit(cache=True, nogil=True)
def _left_factor(row, term, env_buffer):
    """The term's matrix as the left operand of a product."""
    row[A_BUFFER] = env_buffer if term[WHAT] == BLOCK else env_buffer + 1
    row[A_OFFSET], row[A_STRIDE], row[A_TRANSPOSE] = term[OFFSET], term[STRIDE], NO_TRANSPOSE


@njit(cache=True, nogil=True)
def _right_factor(row, term, env_buffer):
    """The term's matrix, transposed, as the right operand of a product."""
    row[B_BUFFER] = env_buffer if term[WHAT] == BLOCK else env_buffer + 1
    row[B_OFFSET], row[B_STRIDE], row[B_TRANSPOSE] = term[OFFSET], term[STRIDE], TRANSPOSE


@njit(cache=True, nogil=True)
def matvec_rows(l_terms, l_alphas, l_groups, r_terms, r_alphas, r_groups, n_left, n_right):
    """out = sum_m L_m theta R_m^T, one task a target sector.

    Buffers: 0 theta, 1 out, 2 work, 3 left environment, 4 left dense blocks, 5 right environment,
    6 right dense blocks. Returns rows, coefficients, task starts, flops, size of the work buffer.
    """
    channels, nq = l_groups.shape[0], l_groups.shape[1]
    offsets = np.zeros(nq + 1, dtype=np.int64)
    for q in range(nq):
        offsets[q + 1] = offsets[q] + n_left[q] * n_right[q]
    capacity = nq
    for m in range(channels):
        for q in range(nq):
            nl, nr = l_groups[m, q, 1] - l_groups[m, q, 0], r_groups[m, q, 1] - r_groups[m, q, 0]
            if nl > 0 and nr > 0:
                capacity += max(nl * nr, nl + nr + 1)
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.zeros(capacity, dtype=l_alphas.dtype)
    starts, weights = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq)
    r, work = 0, 0
    for to in range(nq):
        first_row, task_work = r, 0
        row = rows[r]
        row[KIND], row[M], row[N] = CLEAR, 1, n_left[to] * n_right[to]
        row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 1, offsets[to], row[N]
        r += 1
        for m in range(channels):
            l0, l1 = l_groups[m, to, 0], l_groups[m, to, 1]
            r0, r1 = r_groups[m, to, 0], r_groups[m, to, 1]
            if l0 == l1 or r0 == r1:
                continue
            q = l_terms[l0, FROM]
            units_left, units_right = _only_units(l_terms, l0, l1), _only_units(r_terms, r0, r1)
            # where one side is a sum of identities no intermediate is formed
            through_work = not units_left and not units_right
            if through_work:
                task_work = max(task_work, n_left[to] * n_right[q])
                row = rows[r]
                row[KIND], row[M], row[N] = CLEAR, 1, n_left[to] * n_right[q]
                row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, work, row[N]
                r += 1
                for i in range(l0, l1):
                    r = _apply_left(
                        rows,
                        alphas,
                        r,
                        l_terms[i],
                        l_alphas[i],
                        offsets[q],
                        n_right[q],
                        0,
                        n_right[q],
                        2,
                        work,
                        n_right[q],
                    )
                for j in range(r0, r1):
                    r = _apply_right(
                        rows,
                        alphas,
                        r,
                        r_terms[j],
                        r_alphas[j],
                        2,
                        work,
                        n_right[q],
                        n_left[to],
                        offsets[to],
                        n_right[to],
                    )
            else:
                for i in range(l0, l1):
                    for j in range(r0, r1):
                        r = _apply_both(
                            rows, alphas, r, l_terms[i], l_alphas[i], r_terms[j], r_alphas[j],
                            offsets[q], n_right[q], offsets[to], n_right[to],
                        )  # fmt: skip
        work += task_work
        starts[to + 1] = r
        for i in range(first_row, r):
            rows[i, TASK] = to
            if rows[i, KIND] == PRODUCT:
                weights[to] += 2.0 * rows[i, M] * rows[i, N] * rows[i, K]
            else:
                weights[to] += 2.0 * rows[i, M] * rows[i, N]
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work


@njit(cache=True, nogil=True)
def _apply_left(rows, alphas, r, term, alpha, offset, stride, col, cols, c_buffer, c_offset, c_stride):
    """C[dst, :] += alpha * matrix * theta[src, col : col + cols]."""
    row = rows[r]
    alphas[r] = alpha
    row[M], row[N] = term[ROWS], cols
    source = offset + term[SRC] * stride + col
    row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 0, source, term[SRC_STRIDE] * stride
    row[C_BUFFER], row[C_OFFSET] = c_buffer, c_offset + term[DST] * c_stride
    row[C_STRIDE] = term[DST_STRIDE] * c_stride
    if term[WHAT] == UNIT:
        row[KIND], row[B_STEP], row[C_STEP] = ADD, 1, 1
    else:
        row[KIND], row[K], row[B_TRANSPOSE] = PRODUCT, term[COLS], NO_TRANSPOSE
        _left_factor(row, term, 3)
    return r + 1


@njit(cache=True, nogil=True)
def _apply_right(rows, alphas, r, term, alpha, buffer, offset, stride, count, c_offset, c_stride):
    """out[:, dst] += alpha * T[:, src] * matrix^T on all `count` rows."""
    row = rows[r]
    alphas[r] = alpha
    row[M], row[N] = count, term[ROWS]
    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 1, c_offset + term[DST], c_stride
    if term[WHAT] == UNIT:
        row[KIND], row[B_STEP], row[C_STEP] = ADD, 1, 1
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = buffer, offset + term[SRC], stride
    else:
        row[KIND], row[K] = PRODUCT, term[COLS]
        row[A_BUFFER], row[A_OFFSET], row[A_STRIDE] = buffer, offset + term[SRC], stride
        row[A_TRANSPOSE] = NO_TRANSPOSE
        _right_factor(row, term, 5)
    return r + 1


@njit(cache=True, nogil=True)
def _apply_both(rows, alphas, r, left, l_alpha, right, r_alpha, offset, stride, c_offset, c_stride):
    """out[l dst, r dst] += theta[l src, r src] times both coefficients and the one matrix there is."""
    row = rows[r]
    alphas[r] = l_alpha * r_alpha
    row[M], row[N] = left[ROWS], right[ROWS]
    source, source_stride = offset + left[SRC] * stride + right[SRC], left[SRC_STRIDE] * stride
    row[C_BUFFER], row[C_OFFSET] = 1, c_offset + left[DST] * c_stride + right[DST]
    row[C_STRIDE] = left[DST_STRIDE] * c_stride
    if right[WHAT] != UNIT:
        row[KIND], row[K] = PRODUCT, right[COLS]
        row[A_BUFFER], row[A_OFFSET], row[A_STRIDE], row[A_TRANSPOSE] = 0, source, source_stride, NO_TRANSPOSE
        _right_factor(row, right, 5)
        return r + 1
    row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 0, source, source_stride
    if left[WHAT] != UNIT:
        row[KIND], row[K], row[B_TRANSPOSE] = PRODUCT, left[COLS], NO_TRANSPOSE
        _left_factor(row, left, 3)
    else:
        row[KIND], row[B_STEP], row[C_STEP] = ADD, 1, 1
    return r + 1


@njit(cache=True, nogil=True)
def environment_rows(terms, term_alphas, groups, sizes, env, bond_dims, center, unit_channel):
    """New environment block (x', channel, x) = Q_x'^dagger H_m Q_x.

    env: (block indices, offsets, channel starts, channel dims) of the new environment; center: centre
    sector of every new bond sector. Buffers: 0 Q, 1 new environment (cleared), 2 work, 3 old
    environment, 4 dense blocks. One task a block of the new environment.
    """
    indices, offsets, op_starts, op_dims = env
    q_offset = np.zeros(len(bond_dims) + 1, dtype=np.int64)
    for x in range(len(bond_dims)):
        q_offset[x + 1] = q_offset[x] + sizes[center[x]] * bond_dims[x]
    capacity = 0
    for block in range(len(indices)):
        j = indices[block, 1]
        for m in range(op_starts[j], op_starts[j + 1]):
            to = center[indices[block, 0]]
            capacity += 1 + 3 * (groups[m, to, 1] - groups[m, to, 0])
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.ones(capacity, dtype=term_alphas.dtype)
    starts, weights = np.zeros(len(indices) + 1, dtype=np.int64), np.zeros(len(indices))
    r, work = 0, 0
    for block in range(len(indices)):
        x_to, j, x_from = indices[block]
        to, d_to, d_from = center[x_to], bond_dims[x_to], bond_dims[x_from]
        task_work, first_row = 0, r
        for m in range(op_starts[j], op_starts[j + 1]):
            target, stride = offsets[block] + (m - op_starts[j]) * d_from, op_dims[j] * d_from
            if m == unit_channel:
                if x_to == x_from:
                    row = rows[r]
                    row[KIND], row[M], row[N] = IDENTITY, d_to, 1
                    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 1, target, stride + 1
                    r += 1
                continue
            for i in range(groups[m, to, 0], groups[m, to, 1]):
                term = terms[i]
                source = q_offset[x_from] + term[SRC] * d_from
                last = rows[r]
                if term[WHAT] != UNIT:
                    task_work = max(task_work, term[ROWS] * d_from)
                    row = rows[r]
                    row[KIND], row[M], row[N] = CLEAR, 1, term[ROWS] * d_from
                    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, work, row[N]
                    row = rows[r + 1]
                    row[KIND], row[M], row[N], row[K] = PRODUCT, term[ROWS], d_from, term[COLS]
                    _left_factor(row, term, 3)
                    row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 0, source, term[SRC_STRIDE] * d_from
                    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, work, d_from
                    r += 2
                    last = rows[r]
                    last[B_BUFFER], last[B_OFFSET], last[B_STRIDE] = 2, work, d_from
                else:
                    last[B_BUFFER], last[B_OFFSET], last[B_STRIDE] = 0, source, term[SRC_STRIDE] * d_from
                alphas[r] = term_alphas[i]
                last[KIND], last[M], last[N], last[K] = PRODUCT, d_to, d_from, term[ROWS]
                last[A_BUFFER], last[A_TRANSPOSE] = 0, ADJOINT
                last[A_OFFSET], last[A_STRIDE] = q_offset[x_to] + term[DST] * d_to, term[DST_STRIDE] * d_to
                last[C_BUFFER], last[C_OFFSET], last[C_STRIDE] = 1, target, stride
                r += 1
        work += task_work
        starts[block + 1] = r
        for i in range(first_row, r):
            rows[i, TASK] = block
            weights[block] += 2.0 * rows[i, M] * rows[i, N] * max(1, rows[i, K])
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work


@njit(cache=True, nogil=True)
def noise_rows(terms, term_alphas, groups, n_left, n_right, left):
    """Gram matrices of all H_m theta: G = sum_m T_m T_m^dagger (left) or T_m^dagger T_m (right).

    Buffers: 0 theta, 1 gram (cleared), 2 work, 3/4 or 5/6 environment and dense blocks of this half.
    """
    channels, nq = groups.shape[0], groups.shape[1]
    offsets, g_offsets = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq + 1, dtype=np.int64)
    for q in range(nq):
        n = n_left[q] if left else n_right[q]
        offsets[q + 1] = offsets[q] + n_left[q] * n_right[q]
        g_offsets[q + 1] = g_offsets[q] + n * n
    capacity = 2 * channels * nq + len(terms)
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.ones(capacity, dtype=term_alphas.dtype)
    starts, weights = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq)
    r, work = 0, 0
    for to in range(nq):
        task_work = 0
        for m in range(channels):
            first, last = groups[m, to, 0], groups[m, to, 1]
            if first == last:
                continue
            q = terms[first, FROM]
            height, width = (n_left[to], n_right[q]) if left else (n_left[q], n_right[to])
            task_work = max(task_work, height * width)
            row = rows[r]
            row[KIND], row[M], row[N] = CLEAR, 1, height * width
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, work, row[N]
            r += 1
            for i in range(first, last):
                if left:
                    r = _apply_left(
                        rows, alphas, r, terms[i], term_alphas[i], offsets[q], width, 0, width, 2, work, width
                    )
                else:
                    r = _apply_right(
                        rows, alphas, r, terms[i], term_alphas[i], 0, offsets[q], n_right[q], height, work, width
                    )
                    rows[r - 1, C_BUFFER] = 2
            row = rows[r]
            n = height if left else width
            row[KIND], row[M], row[N], row[K] = PRODUCT, n, n, width if left else height
            row[A_BUFFER], row[A_OFFSET], row[A_STRIDE] = 2, work, width
            row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 2, work, width
            row[A_TRANSPOSE], row[B_TRANSPOSE] = (NO_TRANSPOSE, ADJOINT) if left else (ADJOINT, NO_TRANSPOSE)
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 1, g_offsets[to], n
            weights[to] += 2.0 * n * n * row[K]
            r += 1
        work += task_work
        starts[to + 1] = r
        for i in range(starts[to], r):
            rows[i, TASK] = to
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work, g_offsets[nq]
