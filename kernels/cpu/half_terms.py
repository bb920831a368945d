"""Half of the effective Hamiltonian as terms: integer kernels over operator entries and environment blocks.

An environment and the site next to it act as `H_m[dst rows, src rows] += alpha * matrix` for every channel m
of the middle MPO bond, where the matrix is a block of the environment, an identity (channels that have not
started, or have finished), or a sum of such pieces that was laid out as one dense block because it fills
most of it.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
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
    M,
    N,
)

# columns of a term
CHANNEL, TO, FROM, DST, DST_STRIDE, ROWS, SRC, SRC_STRIDE, COLS, WHAT, OFFSET, STRIDE = range(12)
TERM_COLUMNS = 12
# what a term multiplies with
UNIT, BLOCK, DENSE = 0, 1, 2
# what a group of pieces becomes
PARTS, WHOLE, SUMMED = range(3)
# pieces are summed into a dense block where their products would cost this share of the block's product
FILL = 0.7


@inlined
def _pieces(env, entries, states, fused, bond_dims, left, unit_channel, channels):
    """All (entry, environment block) pairs as terms, in the order of (channel, target sector), the entry of each, and
    where these groups begin; a first pass counts, a second one writes."""
    indices, offsets, op_starts, op_dims = env
    state_sector, state_within, phys_dims = states
    sector, start, sizes = fused
    channel_sector = np.empty(op_starts[-1], dtype=np.int64)
    for j in range(len(op_dims)):
        channel_sector[op_starts[j] : op_starts[j + 1]] = j
    op_sectors = np.ascontiguousarray(indices[:, 1])
    order, first = stable_order(op_sectors), first_places(op_sectors, len(op_dims))
    nq = len(sizes)
    groups = np.zeros(channels * nq + 1, dtype=np.int64)
    terms = np.empty((0, TERM_COLUMNS), dtype=np.int64)
    which, places = np.empty(0, dtype=np.int64), groups
    for writing in (False, True):
        for e in range(len(entries)):
            source, target, out, into = entries[e]
            so, wo, si, wi = state_sector[out], state_within[out], state_sector[into], state_within[into]
            j = channel_sector[source]
            unit = source == unit_channel
            number = len(bond_dims) if unit else first[j + 1] - first[j]
            for i in range(number):
                block = 0 if unit else order[first[j] + i]
                bra, ket = (i, i) if unit else (indices[block, 0], indices[block, 2])
                to = sector[bra, so]
                if to < 0 or sector[ket, si] < 0:
                    continue
                if not writing:
                    groups[target * nq + to + 1] += 1
                    continue
                place = places[target * nq + to]
                places[target * nq + to] += 1
                term, which[place] = terms[place], e
                term[CHANNEL], term[TO], term[FROM] = target, to, sector[ket, si]
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
        if not writing:
            for n in range(channels * nq):
                groups[n + 1] += groups[n]
            terms = np.empty((groups[-1], TERM_COLUMNS), dtype=np.int64)
            which, places = np.empty(groups[-1], dtype=np.int64), groups.copy()
    return terms, which, groups


@inner
def _kind_of(pieces, which, values, first, last, sizes):
    """What a group of pieces is: WHOLE, an identity on all of its sector; SUMMED, better one dense block; or PARTS."""
    cost, matrices, covered, plain = 0, 0, 0, True
    for i in range(first, last):
        piece = pieces[i]
        if piece[WHAT] == BLOCK:
            matrices += 1
            cost += piece[ROWS] * piece[COLS]
            plain = False
        else:
            covered += piece[ROWS]
            plain = plain and piece[DST] == piece[SRC] and piece[TO] == piece[FROM] and values[which[i]] == 1
    to, source = pieces[first, TO], pieces[first, FROM]
    if plain and covered == sizes[to]:
        return WHOLE
    return SUMMED if matrices > 0 and cost >= FILL * sizes[to] * sizes[source] else PARTS


@inner
def _sum_row(row, piece, size, width):
    """One piece of a dense block that begins at `size`."""
    row[C_BUFFER], row[C_OFFSET] = 1, size + piece[DST] * width + piece[SRC]
    if piece[WHAT] == BLOCK:
        row[KIND], row[M], row[N] = ADD, piece[ROWS], piece[COLS]
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_STEP] = 0, piece[OFFSET], piece[STRIDE], 1
        row[C_STRIDE], row[C_STEP] = piece[DST_STRIDE] * width, piece[SRC_STRIDE]
    else:
        row[KIND], row[M], row[N] = IDENTITY, piece[ROWS], 1
        row[C_STRIDE] = piece[DST_STRIDE] * width + piece[SRC_STRIDE]


@inlined
def _kinds(pieces, which, values, places, sizes):
    """The kind of every group; how many terms and rows all of them make, and how many are summed."""
    kinds, n_terms, n_rows, n_summed = np.zeros(len(places) - 1, dtype=np.int64), 0, 0, 0
    for g in range(len(kinds)):
        count = places[g + 1] - places[g]
        if count > 0:
            kinds[g] = _kind_of(pieces, which, values, places[g], places[g + 1], sizes)
            n_terms += count if kinds[g] == PARTS else 1
            if kinds[g] == SUMMED:
                n_rows += count
                n_summed += 1
    return kinds, n_terms, n_rows, n_summed


@kernel
def half_terms(env, entries, values, states, fused, bond_dims, left, unit_channel, channels):
    """Terms of one half, grouped by (channel, target sector).

    env: (block indices, offsets, channel starts and dims of the operator leg); entries: (from channel, to
    channel, out state, in state); states: (sector, place in it, sector dims) of the physical leg.
    Returns terms, coefficients, group starts (channels x sectors, 2) and the build plan of the dense
    blocks: rows (buffers 0 environment, 1 dense), coefficients, task starts (one a block), numbers added by each, size.
    """
    sizes, nq = fused[2], len(fused[2])
    pieces, which, places = _pieces(env, entries, states, fused, bond_dims, left, unit_channel, channels)
    kinds, n_terms, n_rows, n_summed = _kinds(pieces, which, values, places, sizes)
    terms, alphas = np.empty((n_terms, TERM_COLUMNS), dtype=np.int64), np.ones(n_terms, dtype=values.dtype)
    rows, row_alphas = np.zeros((n_rows, COLUMNS), dtype=np.int64), np.empty(n_rows, dtype=values.dtype)
    groups, tasks = np.zeros((channels, nq, 2), dtype=np.int64), max(1, n_summed)
    starts, added = np.zeros(tasks + 1, dtype=np.int64), np.zeros(tasks)
    t, r, task, size = 0, 0, 0, 0
    for g in range(len(kinds)):
        if places[g] == places[g + 1]:
            continue
        channel, to, source = pieces[places[g], CHANNEL], pieces[places[g], TO], pieces[places[g], FROM]
        groups[channel, to, 0] = t
        if kinds[g] != PARTS:
            term = terms[t]
            term[CHANNEL], term[TO], term[FROM] = channel, to, source
            term[DST], term[DST_STRIDE], term[ROWS] = 0, 1, sizes[to]
            term[SRC], term[SRC_STRIDE], term[COLS] = 0, 1, sizes[source]
            term[WHAT], term[OFFSET], term[STRIDE] = UNIT, 0, 0
            if kinds[g] == SUMMED:
                term[WHAT], term[OFFSET], term[STRIDE] = DENSE, size, sizes[source]
            t += 1
        for i in range(places[g], places[g + 1]):
            if kinds[g] == SUMMED:
                row_alphas[r] = values[which[i]]
                _sum_row(rows[r], pieces[i], size, sizes[source])
                added[task] += rows[r, M] * rows[r, N]
                r += 1
            elif kinds[g] == PARTS:
                copy_vector(terms[t], pieces[i])
                alphas[t] = values[which[i]]
                t += 1
        if kinds[g] == SUMMED:
            size += sizes[to] * sizes[source]
            task += 1
            starts[task] = r
        groups[channel, to, 1] = t
    return terms, alphas, groups, rows, row_alphas, starts, added, size
