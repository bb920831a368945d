"""Half of the effective Hamiltonian as terms: integer kernels over operator entries and environment blocks.

An environment and the site next to it act as `H_m[dst rows, src rows] += alpha * matrix` for every channel m
of the middle MPO bond, where the matrix is a block of the environment, an identity (channels that have not
started, or have finished), or a sum of such pieces that was laid out as one dense block because it fills
most of it.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, kernel
from tnsim.kernels.cpu.layout import copy_vector, first_places, stable_order
from tnsim.kernels.table import (
    ADD,
    B_BUFFER,
    B_OFFSET,
    B_STEP,
    B_STRIDE,
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    COLUMNS,
    IDENTITY,
    KIND,
    TASK,
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


@inlined
def _pieces(env, entries, states, fused, bond_dims, left, unit_channel):
    """All (entry, environment block) pairs as terms; a first pass counts, a second one writes."""
    indices, offsets, op_starts, op_dims = env
    state_sector, state_within, phys_dims = states
    sector, start, _ = fused
    channel_sector = np.empty(op_starts[-1], dtype=np.int64)
    for j in range(len(op_dims)):
        channel_sector[op_starts[j] : op_starts[j + 1]] = j
    op_sectors = np.ascontiguousarray(indices[:, 1])
    order, first = stable_order(op_sectors), first_places(op_sectors, len(op_dims))
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


@kernel
def half_terms(env, entries, values, states, fused, bond_dims, left, unit_channel, channels):
    """Terms of one half, grouped by (channel, target sector).

    env: (block indices, offsets, channel starts and dims of the operator leg); entries: (from channel, to
    channel, out state, in state); states: (sector, place in it, sector dims) of the physical leg.
    Returns terms, coefficients, group starts (channels x sectors, 2) and the build plan of the dense
    blocks: rows (buffers 0 environment, 1 dense), coefficients, size.
    """
    sizes = fused[2]
    pieces, which = _pieces(env, entries, states, fused, bond_dims, left, unit_channel)
    order = stable_order(pieces[:, CHANNEL] * len(sizes) + pieces[:, TO])
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
                copy_vector(terms[n_terms], piece)
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
