"""The diagonal of an effective Hamiltonian as a plan: diagonals of the terms gathered, and one product a sector."""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.half_terms import (
    BLOCK,
    DST,
    DST_STRIDE,
    FROM,
    OFFSET,
    ROWS,
    SRC,
    SRC_STRIDE,
    STRIDE,
    UNIT,
    WHAT,
)
from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    A_TRANSPOSE,
    ADD,
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


@inner
def _on_diagonal(terms, groups, channel, sector):
    """Places of the terms that lead from a sector to itself, and from states to the same states."""
    first, last = groups[channel, sector]
    found = np.empty(max(0, last - first), dtype=np.int64)
    count = 0
    for i in range(first, last):
        term = terms[i]
        if term[FROM] == sector and term[SRC] == term[DST] and term[SRC_STRIDE] == term[DST_STRIDE]:
            found[count] = i
            count += 1
    return found[:count]


@inner
def _clear(row, buffer, offset, count):
    row[KIND], row[M], row[N] = CLEAR, 1, count
    row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = buffer, offset, count


@inner
def _gather(row, term, environment, place):
    """work[place + states] += diagonal of the term's matrix."""
    row[C_BUFFER], row[C_OFFSET] = 0, place + term[DST]
    if term[WHAT] == UNIT:
        row[KIND], row[M], row[N], row[C_STRIDE] = IDENTITY, term[ROWS], 1, term[DST_STRIDE]
        return
    row[KIND], row[M], row[N] = ADD, 1, term[ROWS]
    row[B_BUFFER] = environment if term[WHAT] == BLOCK else environment + 1
    row[B_OFFSET], row[B_STRIDE], row[B_STEP] = term[OFFSET], term[ROWS], term[STRIDE] + 1
    row[C_STRIDE], row[C_STEP] = term[ROWS], term[DST_STRIDE]


@kernel
def diagonal_rows(l_terms, l_alphas, l_groups, r_terms, r_alphas, r_groups, n_left, n_right):
    """diagonal = sum_m diag(L_m) diag(R_m)^T, sector by sector; one task a sector.

    Buffers: 0 work, 1 the diagonal, 3 to 6 environments and dense blocks as in `hamiltonian.matvec_rows`. Returns
    rows, coefficients, task starts, flops, sizes of the work buffer and of the diagonal.
    """
    channels, nq = l_groups.shape[0], l_groups.shape[1]
    capacity = 3 * nq + len(l_terms) + len(r_terms)
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.ones(capacity, dtype=l_alphas.dtype)
    starts, weights = np.zeros(nq + 1, dtype=np.int64), np.zeros(nq)
    r, offset, work = 0, 0, 0
    for q in range(nq):
        m, n, both = n_left[q], n_right[q], 0
        for channel in range(channels):
            if len(_on_diagonal(l_terms, l_groups, channel, q)) and len(_on_diagonal(r_terms, r_groups, channel, q)):
                both += 1
        lefts, rights = work, work + both * m
        work = rights + both * n
        _clear(rows[r], 1, offset, m * n)
        _clear(rows[r + 1], 0, lefts, both * (m + n))
        r += 2
        k = 0
        for channel in range(channels):
            ours = _on_diagonal(l_terms, l_groups, channel, q)
            theirs = _on_diagonal(r_terms, r_groups, channel, q)
            if len(ours) == 0 or len(theirs) == 0:
                continue
            for i in ours:
                _gather(rows[r], l_terms[i], 3, lefts + k * m)
                alphas[r] = l_alphas[i]
                r += 1
            for i in theirs:
                _gather(rows[r], r_terms[i], 5, rights + k * n)
                alphas[r] = r_alphas[i]
                r += 1
            k += 1
        if both:
            row = rows[r]
            row[KIND], row[M], row[N], row[K] = PRODUCT, m, n, both
            row[A_BUFFER], row[A_OFFSET], row[A_STRIDE], row[A_TRANSPOSE] = 0, lefts, m, TRANSPOSE
            row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_TRANSPOSE] = 0, rights, n, NO_TRANSPOSE
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 1, offset, n
            r += 1
        offset += m * n
        starts[q + 1] = r
        rows[starts[q] : r, TASK] = q
        weights[q] = 2.0 * m * n * max(1, both)
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work, offset
