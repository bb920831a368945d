"""Half of the effective Hamiltonian as terms: integer kernels over operator entries and environment blocks.

An environment and the site next to it act as `H_m[dst rows, src rows] += alpha * matrix` for every channel m
of the middle MPO bond, where the matrix is a block of the environment, an identity (channels that have not
started, or have finished), or a sum of such pieces: of blocks that stand in one place (a compressed MPO has channels
that are sums of many), or of all pieces of a sector, laid out as one dense block because they fill most of it.
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
def _by_place(pieces, first, last, width):
    """The pieces of a group by where they stand, blocks that stand in one place behind each other, and how many of
    these there are from every piece on (0: others came before)."""
    keys, runs = np.empty(last - first, dtype=np.int64), np.ones(last - first, dtype=np.int64)
    for n in range(last - first):
        piece = pieces[first + n]
        keys[n] = 2 * (piece[DST] * width + piece[SRC]) + (piece[WHAT] == BLOCK)
    order, leader = stable_order(keys), 0
    for n in range(1, last - first):
        if keys[order[n]] == keys[order[leader]] and keys[order[n]] % 2 == 1:
            runs[leader] += 1
            runs[n] = 0
        else:
            leader = n
    return first + order, runs


@inner
def _kind_of(pieces, which, values, order, runs, sizes):
    """What a group of pieces is: WHOLE, an identity on all of its sector; SUMMED, better one dense block; or PARTS."""
    cost, matrices, covered, plain = 0, 0, 0, True
    for n in range(len(order)):
        piece = pieces[order[n]]
        if piece[WHAT] == BLOCK:
            matrices += 1
            cost += piece[ROWS] * piece[COLS] if runs[n] > 0 else 0
            plain = False
        else:
            covered += piece[ROWS]
            plain = plain and piece[DST] == piece[SRC] and piece[TO] == piece[FROM] and values[which[order[n]]] == 1
    to, source = pieces[order[0], TO], pieces[order[0], FROM]
    if plain and covered == sizes[to]:
        return WHOLE
    return SUMMED if matrices > 0 and cost >= FILL * sizes[to] * sizes[source] else PARTS


@inner
def _sum_row(row, piece, offset, stride, step):
    """One piece of a dense block, from `offset` on with these distances of rows and columns."""
    row[C_BUFFER], row[C_OFFSET] = 1, offset
    if piece[WHAT] == BLOCK:
        row[KIND], row[M], row[N] = ADD, piece[ROWS], piece[COLS]
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_STEP] = 0, piece[OFFSET], piece[STRIDE], 1
        row[C_STRIDE], row[C_STEP] = stride, step
    else:
        row[KIND], row[M], row[N] = IDENTITY, piece[ROWS], 1
        row[C_STRIDE] = stride + step


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
    most = len(pieces)
    terms, alphas = np.empty((most, TERM_COLUMNS), dtype=np.int64), np.ones(most, dtype=values.dtype)
    rows, row_alphas = np.zeros((most, COLUMNS), dtype=np.int64), np.empty(most, dtype=values.dtype)
    groups = np.zeros((channels, nq, 2), dtype=np.int64)
    starts, added = np.zeros(most + 2, dtype=np.int64), np.zeros(most + 1)
    t, r, task, size = 0, 0, 0, 0
    for g in range(len(places) - 1):
        if places[g] == places[g + 1]:
            continue
        channel, to, source = pieces[places[g], CHANNEL], pieces[places[g], TO], pieces[places[g], FROM]
        order, runs = _by_place(pieces, places[g], places[g + 1], sizes[source])
        kind = _kind_of(pieces, which, values, order, runs, sizes)
        groups[channel, to, 0] = t
        for n in range(len(order)):
            if n > 0 and (kind != PARTS or runs[n] == 0):
                continue
            count, term = len(order) if kind == SUMMED else runs[n], terms[t]
            copy_vector(term, pieces[order[n]])
            if kind == PARTS:
                alphas[t] = values[which[order[n]]]
            else:
                term[DST], term[DST_STRIDE], term[ROWS] = 0, 1, sizes[to]
                term[SRC], term[SRC_STRIDE], term[COLS] = 0, 1, sizes[source]
                term[WHAT], term[OFFSET], term[STRIDE] = UNIT, 0, 0
            if kind == SUMMED or count > 1:
                alphas[t] = 1
                term[WHAT], term[OFFSET], term[STRIDE] = DENSE, size, term[COLS]
                for i in order[n : n + count]:
                    offset, stride, step = size, term[COLS], 1
                    if kind == SUMMED:
                        offset += pieces[i, DST] * stride + pieces[i, SRC]
                        stride, step = pieces[i, DST_STRIDE] * stride, pieces[i, SRC_STRIDE]
                    _sum_row(rows[r], pieces[i], offset, stride, step)
                    row_alphas[r] = values[which[i]]
                    added[task] += rows[r, M] * rows[r, N]
                    r += 1
                size += term[ROWS] * term[COLS]
                task += 1
                starts[task] = r
            t += 1
        groups[channel, to, 1] = t
    tasks = max(1, task)
    return (
        terms[:t].copy(), alphas[:t].copy(), groups, rows[:r].copy(), row_alphas[:r].copy(), starts[: tasks + 1].copy(),
        added[:tasks].copy(), size,
    )  # fmt: skip
