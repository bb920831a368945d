"""Integer kernels that turn the terms of two halves into plans: products and noise."""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.half_terms import (
    BLOCK,
    COLS,
    DST,
    DST_STRIDE,
    FROM,
    OFFSET,
    ROWS,
    SRC,
    SRC_STRIDE,
    STRIDE,
    TO,
    UNIT,
    WHAT,
)
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
    KIND,
    NO_TRANSPOSE,
    PRODUCT,
    TASK,
    TRANSPOSE,
    K,
    M,
    N,
)


@inner
def _only_units(terms, first, last):
    units = True
    for i in range(first, last):
        units = units and terms[i, WHAT] == UNIT
    return units


@inner
def left_factor(row, term, env_buffer, turned):
    """The term's matrix, of a turned term its transpose, as the left operand of a product."""
    row[A_BUFFER] = env_buffer if term[WHAT] == BLOCK else env_buffer + 1
    row[A_OFFSET], row[A_STRIDE], row[A_TRANSPOSE] = term[OFFSET], term[STRIDE], TRANSPOSE if turned else NO_TRANSPOSE


@inner
def _right_factor(row, term, env_buffer, turned):
    """The term's matrix, transposed unless the term is turned, as the right operand of a product."""
    row[B_BUFFER] = env_buffer if term[WHAT] == BLOCK else env_buffer + 1
    row[B_OFFSET], row[B_STRIDE], row[B_TRANSPOSE] = term[OFFSET], term[STRIDE], NO_TRANSPOSE if turned else TRANSPOSE


@inlined
def _turn(terms, groups):
    """Terms and groups of the transposed half: source and target change places."""
    turned, places = terms.copy(), np.zeros_like(groups)
    for i in range(len(terms)):
        turned[i, TO], turned[i, FROM] = terms[i, FROM], terms[i, TO]
        turned[i, DST], turned[i, SRC] = terms[i, SRC], terms[i, DST]
        turned[i, DST_STRIDE], turned[i, SRC_STRIDE] = terms[i, SRC_STRIDE], terms[i, DST_STRIDE]
        turned[i, ROWS], turned[i, COLS] = terms[i, COLS], terms[i, ROWS]
    for m in range(groups.shape[0]):
        for to in range(groups.shape[1]):
            first, last = groups[m, to]
            if first < last:
                places[m, terms[first, FROM], 0], places[m, terms[first, FROM], 1] = first, last
    return turned, places


@inner
def clear_row(row, buffer, offset, count):
    """A row that clears so many numbers."""
    row[KIND], row[M], row[N] = CLEAR, 1, count
    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = buffer, offset, count


@inner
def close_task(rows, weights, task, first, last):
    """Number the rows of a task and add up its flops."""
    for i in range(first, last):
        rows[i, TASK] = task
        weights[task] += 2.0 * rows[i, M] * rows[i, N] * max(1, rows[i, K] if rows[i, KIND] == PRODUCT else 1)


@inner
def block_offsets(n_left, n_right):
    """Where blocks of these sizes begin, one after the other, and the end."""
    offsets = np.zeros(len(n_left) + 1, dtype=np.int64)
    for q in range(len(n_left)):
        offsets[q + 1] = offsets[q] + n_left[q] * n_right[q]
    return offsets


@inlined
def _capacity(l_groups, r_groups):
    """An upper bound on the rows of a matrix-vector product."""
    channels, nq = l_groups.shape[0], l_groups.shape[1]
    capacity = nq
    for m in range(channels):
        for q in range(nq):
            nl, nr = l_groups[m, q, 1] - l_groups[m, q, 0], r_groups[m, q, 1] - r_groups[m, q, 0]
            if nl > 0 and nr > 0:
                capacity += max(nl * nr, nl + nr + 1)
    return capacity


@inner
def _clip(terms, heights):
    """Terms that write to the first rows of every centre sector alone; some have none left."""
    for term in terms:
        room, step = heights[term[TO]] - term[DST], term[DST_STRIDE]
        term[ROWS] = max(0, min(term[ROWS], (room + step - 1) // step))


@kernel
def matvec_rows(l_terms, l_alphas, l_groups, r_terms, r_alphas, r_groups, n_left, n_right, turned, heights):
    """out = sum_m L_m theta R_m^T, turned: sum_m L_m^T theta R_m; one task a target sector.

    For a real symmetric sum both are the same, and the second is faster: BLAS has kernels for small matrices that
    want both operands along the rows of theta. heights: how many rows of every block of out are wanted; where that is
    none the block is left alone. Buffers: 0 theta, 1 out, 2 work, 3 left environment, 4 left dense blocks, 5 right
    environment, 6 right dense blocks. Returns rows, coefficients, task starts, flops, size of the work buffer.
    """
    if turned:
        (l_terms, l_groups), (r_terms, r_groups) = _turn(l_terms, l_groups), _turn(r_terms, r_groups)
    else:
        l_terms = l_terms.copy()
    _clip(l_terms, heights)
    channels, nq = l_groups.shape[0], l_groups.shape[1]
    offsets, capacity = block_offsets(n_left, n_right), _capacity(l_groups, r_groups)
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.zeros(capacity, dtype=l_alphas.dtype)
    starts, weights = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq)
    r, work = 0, 0
    for to in range(nq):
        task_work, height = 0, heights[to]
        if height > 0:
            clear_row(rows[r], 1, offsets[to], n_left[to] * n_right[to])
            r += 1
        for m in range(channels):
            l0, l1 = l_groups[m, to, 0], l_groups[m, to, 1]
            r0, r1 = r_groups[m, to, 0], r_groups[m, to, 1]
            if l0 == l1 or r0 == r1 or height == 0:
                continue
            q = l_terms[l0, FROM]
            source, target, width = offsets[q], offsets[to], n_right[q]
            # where one side is a sum of identities no intermediate is formed
            if _only_units(l_terms, l0, l1) or _only_units(r_terms, r0, r1):
                for i in range(l0, l1):
                    for j in range(r0, r1 if l_terms[i, ROWS] > 0 else r0):
                        left, right, alpha = l_terms[i], r_terms[j], l_alphas[i] * r_alphas[j]
                        r = _apply_both(
                            rows, alphas, r, left, right, alpha, source, width, target, n_right[to], turned
                        )  # fmt: skip
                continue
            task_work = max(task_work, height * width)
            clear_row(rows[r], 2, work, height * width)
            r += 1
            for i in range(l0, l1):
                if l_terms[i, ROWS] > 0:
                    r = _apply_left(rows, alphas, r, l_terms[i], l_alphas[i], source, width, work, turned)
            for j in range(r0, r1):
                r = _apply_right(
                    rows, alphas, r, r_terms[j], r_alphas[j], 2, work, width, height, 1, target, n_right[to],
                    turned,
                )  # fmt: skip
        work += task_work
        starts[to + 1] = r
        close_task(rows, weights, to, starts[to], r)
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work


@inlined
def _apply_left(rows, alphas, r, term, alpha, offset, width, c_offset, turned):
    """work[dst, :] += alpha * matrix * theta[src, :], both `width` wide."""
    row = rows[r]
    alphas[r] = alpha
    row[M], row[N] = term[ROWS], width
    row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 0, offset + term[SRC] * width, term[SRC_STRIDE] * width
    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, c_offset + term[DST] * width, term[DST_STRIDE] * width
    if term[WHAT] == UNIT:
        row[KIND], row[B_STEP], row[C_STEP] = ADD, 1, 1
    else:
        row[KIND], row[K], row[B_TRANSPOSE] = PRODUCT, term[COLS], NO_TRANSPOSE
        left_factor(row, term, 3, turned)
    return r + 1


@inlined
def _apply_right(rows, alphas, r, term, alpha, buffer, offset, stride, count, c_buffer, c_offset, c_stride, turned):
    """C[:, dst] += alpha * T[:, src] * matrix^T on all `count` rows."""
    row = rows[r]
    alphas[r] = alpha
    row[M], row[N] = count, term[ROWS]
    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = c_buffer, c_offset + term[DST], c_stride
    if term[WHAT] == UNIT:
        row[KIND], row[B_STEP], row[C_STEP] = ADD, 1, 1
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = buffer, offset + term[SRC], stride
    else:
        row[KIND], row[K] = PRODUCT, term[COLS]
        row[A_BUFFER], row[A_OFFSET], row[A_STRIDE] = buffer, offset + term[SRC], stride
        row[A_TRANSPOSE] = NO_TRANSPOSE
        _right_factor(row, term, 5, turned)
    return r + 1


@inlined
def _apply_both(rows, alphas, r, left, right, alpha, offset, stride, c_offset, c_stride, turned):
    """out[l dst, r dst] += alpha * theta[l src, r src] times the one matrix there is, if any."""
    row = rows[r]
    alphas[r] = alpha
    row[M], row[N] = left[ROWS], right[ROWS]
    source, source_stride = offset + left[SRC] * stride + right[SRC], left[SRC_STRIDE] * stride
    row[C_BUFFER], row[C_OFFSET] = 1, c_offset + left[DST] * c_stride + right[DST]
    row[C_STRIDE] = left[DST_STRIDE] * c_stride
    if right[WHAT] != UNIT:
        row[KIND], row[K] = PRODUCT, right[COLS]
        row[A_BUFFER], row[A_OFFSET], row[A_STRIDE], row[A_TRANSPOSE] = 0, source, source_stride, NO_TRANSPOSE
        _right_factor(row, right, 5, turned)
        return r + 1
    row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 0, source, source_stride
    if left[WHAT] != UNIT:
        row[KIND], row[K], row[B_TRANSPOSE] = PRODUCT, left[COLS], NO_TRANSPOSE
        left_factor(row, left, 3, turned)
    else:
        row[KIND], row[B_STEP], row[C_STEP] = ADD, 1, 1
    return r + 1


@kernel
def noise_rows(terms, term_alphas, groups, n_left, n_right, left, heights):
    """Gram matrices of all H_m theta: G = sum_m T_m T_m^dagger (left) or T_m^dagger T_m (right).

    None of a sector whose height is zero. Buffers: 0 theta, 1 gram (cleared), 2 work, 3/4 or 5/6 environment and dense
    blocks of this half.
    """
    channels, nq = groups.shape[0], groups.shape[1]
    own = n_left if left else n_right
    offsets, g_offsets = block_offsets(n_left, n_right), block_offsets(own, own)
    capacity = 2 * channels * nq + len(terms)
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.ones(capacity, dtype=term_alphas.dtype)
    starts, weights = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq)
    r, work = 0, 0
    for to in range(nq):
        task_work, n = 0, own[to]
        for m in range(channels):
            first, last = groups[m, to, 0], groups[m, to, 1]
            if first == last or heights[to] == 0:
                continue
            q = terms[first, FROM]
            height, width = (n, n_right[q]) if left else (n_left[q], n)
            task_work = max(task_work, height * width)
            clear_row(rows[r], 2, work, height * width)
            r += 1
            for i in range(first, last):
                if left:
                    r = _apply_left(rows, alphas, r, terms[i], term_alphas[i], offsets[q], width, work, False)
                else:
                    r = _apply_right(
                        rows, alphas, r, terms[i], term_alphas[i], 0, offsets[q], n_right[q], height, 2, work, width,
                        False,
                    )  # fmt: skip
            row = rows[r]
            row[KIND], row[M], row[N], row[K] = PRODUCT, n, n, width if left else height
            row[A_BUFFER], row[A_OFFSET], row[A_STRIDE] = 2, work, width
            row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 2, work, width
            row[A_TRANSPOSE], row[B_TRANSPOSE] = (NO_TRANSPOSE, ADJOINT) if left else (ADJOINT, NO_TRANSPOSE)
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 1, g_offsets[to], n
            r += 1
        work += task_work
        starts[to + 1] = r
        close_task(rows, weights, to, starts[to], r)
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work, g_offsets[nq]
