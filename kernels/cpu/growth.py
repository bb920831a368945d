"""The integer kernel that turns the terms of a half into a plan for the environment one site further."""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
from tnsim.kernels.cpu.half_terms import COLS, DST, DST_STRIDE, ROWS, SRC, SRC_STRIDE, UNIT, WHAT
from tnsim.kernels.cpu.hamiltonian import block_offsets, clear_row, close_task, left_factor
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
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    COLUMNS,
    IDENTITY,
    KIND,
    PRODUCT,
    K,
    M,
    N,
)


@inlined
def _transfer(rows, alphas, r, term, alpha, q_from, d_from, q_to, d_to, work, target, stride):
    """One term of an environment: C += alpha Q_to[dst]^dagger (matrix Q_from[src]), through `work` where there is a
    matrix. Returns the next row."""
    source = q_from + term[SRC] * d_from
    last = rows[r]
    if term[WHAT] != UNIT:
        clear_row(rows[r], 2, work, term[ROWS] * d_from)
        row = rows[r + 1]
        row[KIND], row[M], row[N], row[K] = PRODUCT, term[ROWS], d_from, term[COLS]
        left_factor(row, term, 3, False)
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE] = 0, source, term[SRC_STRIDE] * d_from
        row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, work, d_from
        r += 2
        last = rows[r]
        last[B_BUFFER], last[B_OFFSET], last[B_STRIDE] = 2, work, d_from
    else:
        last[B_BUFFER], last[B_OFFSET], last[B_STRIDE] = 0, source, term[SRC_STRIDE] * d_from
    alphas[r] = alpha
    last[KIND], last[M], last[N], last[K] = PRODUCT, d_to, d_from, term[ROWS]
    last[A_BUFFER], last[A_TRANSPOSE] = 0, ADJOINT
    last[A_OFFSET], last[A_STRIDE] = q_to + term[DST] * d_to, term[DST_STRIDE] * d_to
    last[C_BUFFER], last[C_OFFSET], last[C_STRIDE] = 1, target, stride
    return r + 1


@inner
def _sectors_of(starts):
    """The sector of every channel."""
    found = np.empty(starts[-1], dtype=np.int64)
    for j in range(len(starts) - 1):
        found[starts[j] : starts[j + 1]] = j
    return found


@inner
def _places(indices, bonds, channels):
    """Which block has these sectors of bra and channel, -1 where none has."""
    found = np.full((bonds, channels), -1)
    for block in range(len(indices)):
        found[indices[block, 0], indices[block, 1]] = block
    return found


@inlined
def _partner(block, m, flipped, indices, place, sector_of, channels, bond):
    """The block and channel that hold the adjoint (flipped: the reflection) of these, and its sign; 0 where none do."""
    (unit_channel, mates, images), (_, reflected, _) = channels, bond
    known = images if flipped else mates
    mate = abs(known[m]) - 1 if len(known) > 0 else -1
    if mate < 0 or mate == unit_channel:
        return -1, -1, 0
    bra, ket = indices[block, 0], indices[block, 2]
    bra, ket = (reflected[bra], reflected[ket]) if flipped else (ket, bra)
    found = place[bra, sector_of[mate]]
    if found < 0 or indices[found, 2] != ket:
        return -1, -1, 0
    return found, mate, 1 if known[m] > 0 else -1


@inner
def _element(block, m, offsets, op_starts, op_dims, sector_of, indices, dims):
    """Where a channel of a block begins, and the distance of its rows."""
    j, width = sector_of[m], dims[indices[block, 2]]
    return offsets[block] + (m - op_starts[j]) * width, op_dims[j] * width


@inlined
def _follow(rows, alphas, r, source, target, size, sign, flipped, parts):
    """The adjoint (flipped: the reflection) of a channel of a block, written to where it belongs; the next row."""
    (from_offset, from_stride), (to_offset, to_stride), (height, width) = source, target, size
    if not flipped:
        row = rows[r]
        alphas[r] = sign
        row[KIND], row[M], row[N] = ADD_CONJUGATE, width, height
        row[B_BUFFER], row[B_OFFSET], row[B_STRIDE], row[B_STEP] = 1, from_offset, 1, from_stride
        row[C_BUFFER], row[C_OFFSET], row[C_STRIDE], row[C_STEP] = 1, to_offset, to_stride, 1
        return r + 1
    for up in range(2):
        for across in range(2):
            top, rest = (0, parts[0]) if up == 0 else (parts[0], height - parts[0])
            first, count = (0, parts[1]) if across == 0 else (parts[1], width - parts[1])
            if rest == 0 or count == 0:
                continue
            row = rows[r]
            alphas[r] = sign if up == across else -sign
            row[KIND], row[M], row[N] = ADD, rest, count
            row[B_BUFFER], row[B_OFFSET] = 1, from_offset + top * from_stride + first
            row[B_STRIDE], row[B_STEP] = from_stride, 1
            row[C_BUFFER], row[C_OFFSET] = 1, to_offset + top * to_stride + first
            row[C_STRIDE], row[C_STEP] = to_stride, 1
            r += 1
    return r


@kernel
def environment_rows(terms, term_alphas, groups, sizes, env, bond, center, channels):
    """New environment block (x', channel, x) = Q_x'^dagger H_m Q_x.

    env: (block indices, offsets, channel starts, channel dims) of the new environment; bond: (dims, images, even
    states) of the new bond's sectors; center: centre sector of every one; channels: (that of the identity, mates, see
    `SiteOperator`, and images under a reflection; both may be empty). Buffers: 0 Q, 1 new environment (cleared), 2
    work, 3 old environment, 4 dense blocks. One task a block of the new environment, and what follows from it as an
    adjoint or as a reflection: of up to four that follow from each other the first channel's is made.
    """
    (indices, offsets, op_starts, op_dims), (bond_dims, images, even), unit_channel = env, bond, channels[0]
    q_offset, sector_of = block_offsets(sizes[center], bond_dims), _sectors_of(op_starts)
    place, count = _places(indices, len(bond_dims), len(op_dims)), len(indices)
    capacity = 0
    for block in range(count):
        for m in range(op_starts[indices[block, 1]], op_starts[indices[block, 1] + 1]):
            to = center[indices[block, 0]]
            capacity += 12 + 3 * (groups[m, to, 1] - groups[m, to, 0])
    rows = np.zeros((capacity, COLUMNS), dtype=np.int64)
    alphas = np.ones(capacity, dtype=term_alphas.dtype)
    starts, weights = np.zeros(count + 1, dtype=np.int64), np.zeros(count)
    family = np.empty((4, 5), dtype=np.int64)  # block, channel, number of the one it follows from, how, sign
    r, work = 0, 0
    for block in range(count):
        x_to, j, x_from = indices[block]
        to, d_to, d_from, task_work = center[x_to], bond_dims[x_to], bond_dims[x_from], 0
        for m in range(op_starts[j], op_starts[j + 1]):
            target, stride = _element(block, m, offsets, op_starts, op_dims, sector_of, indices, bond_dims)
            if m == unit_channel:
                if x_to == x_from:
                    rows[r, KIND], rows[r, M], rows[r, N] = IDENTITY, d_to, 1
                    rows[r, C_BUFFER], rows[r, C_OFFSET], rows[r, C_STRIDE] = 1, target, stride + 1
                    r += 1
                continue
            family[0, 0], family[0, 1], members, n, first = block, m, 1, 0, True
            while n < members and first:
                for flipped in range(2):
                    other, mate, sign = _partner(
                        family[n, 0], family[n, 1], flipped == 1, indices, place, sector_of, channels, bond
                    )  # fmt: skip
                    known = sign == 0
                    for k in range(members):
                        known = known or (family[k, 0] == other and family[k, 1] == mate)
                    if not known and members < len(family):
                        family[members, 0], family[members, 1], family[members, 2] = other, mate, n
                        family[members, 3], family[members, 4] = flipped, sign
                        members += 1
                        first = first and mate * count + other > m * count + block
                n += 1
            if not first:
                continue
            for i in range(groups[m, to, 0], groups[m, to, 1]):
                task_work = max(task_work, terms[i, ROWS] * d_from)
                r = _transfer(
                    rows, alphas, r, terms[i], term_alphas[i], q_offset[x_from], d_from, q_offset[x_to], d_to,
                    work, target, stride,
                )  # fmt: skip
            for n in range(1, members if groups[m, to, 0] < groups[m, to, 1] else 1):
                origin, mate = family[family[n, 2]], family[n]
                bra, ket, flipped = indices[origin[0], 0], indices[origin[0], 2], mate[3] == 1
                source = _element(origin[0], origin[1], offsets, op_starts, op_dims, sector_of, indices, bond_dims)
                goal = _element(mate[0], mate[1], offsets, op_starts, op_dims, sector_of, indices, bond_dims)
                size = bond_dims[bra], bond_dims[ket]
                parts = even[bra] if images[bra] == bra else size[0], even[ket] if images[ket] == ket else size[1]
                r = _follow(rows, alphas, r, source, goal, size, mate[4], flipped, parts)
        work += task_work
        starts[block + 1] = r
        close_task(rows, weights, block, starts[block], r)
    return rows[:r].copy(), alphas[:r].copy(), starts, weights, work
