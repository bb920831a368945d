"""Integer kernels for states that a reflection of every site (a spin flip) leaves as they are, up to a sign.

The reflection takes every sector of a bond, of a site and of the centre to another one, its image, or to itself. Bases
are chosen so that a state of one sector goes to the state at the same place of the image; in a sector that is its own
image every state is even or odd, the even ones first. Half of all numbers then follow from the others.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inlined, inner, kernel
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
    CLEAR,
    COLUMNS,
    KIND,
    M,
    N,
)

# columns of a run: rows of a fused index that the reflection moves together, and where they come to stand
SECTOR, START, STEP, COUNT, IMAGE, IMAGE_START, IMAGE_STEP, SIGN = range(8)
_RUN_COLUMNS = 8


@kernel
def runs(sector, start, bond, states, site, left):
    """Runs of the fused (bond, physical) index of one side, by centre sector.

    sector, start: panels; bond: (dims, images, even states) of its sectors; states: (sector, place in it, sector dims)
    of the physical leg; site: (image, sign) of every state. A bond sector that is its own image makes two runs a state.
    """
    (dims, images, even), (state_sector, state_within, phys_dims), (place, sign) = bond, states, site
    found = np.empty((2 * len(dims) * len(place), _RUN_COLUMNS), dtype=np.int64)
    count = 0
    for q in range(sector.max() + 1):
        for x in range(len(dims)):
            for s in range(len(place)):
                here, there = state_sector[s], state_sector[place[s]]
                if sector[x, here] != q:
                    continue
                y = images[x]
                for odd in range(2):
                    first, size = (0, even[x]) if odd == 0 else (even[x], dims[x] - even[x])
                    if size == 0:
                        continue
                    run = found[count]
                    run[SECTOR], run[IMAGE], run[COUNT] = q, sector[y, there], size
                    run[SIGN] = -sign[s] if odd == 1 and x == y else sign[s]
                    within, goal = state_within[s], state_within[place[s]]
                    if left:
                        run[STEP], run[IMAGE_STEP] = phys_dims[here], phys_dims[there]
                        run[START] = start[x, here] + within + first * phys_dims[here]
                        run[IMAGE_START] = start[y, there] + goal + first * phys_dims[there]
                    else:
                        run[STEP], run[IMAGE_STEP] = 1, 1
                        run[START] = start[x, here] + within * dims[x] + first
                        run[IMAGE_START] = start[y, there] + goal * dims[y] + first
                    count += 1
    return found[:count].copy()


@inner
def _starts_of(found, count):
    """Where the runs of every centre sector begin, and the end."""
    starts = np.zeros(count + 1, dtype=np.int64)
    for run in found:
        starts[run[SECTOR] + 1] += 1
    for q in range(count):
        starts[q + 1] += starts[q]
    return starts


@kernel
def heights(left_runs, images, n_left):
    """How many rows of every centre block have to be computed: none of an image, and no images at the end."""
    result = n_left.copy()
    follows = np.zeros(max(1, n_left.max()), dtype=np.bool_)
    starts = _starts_of(left_runs, len(n_left))
    for q in range(len(n_left)):
        if images[q] < q:
            result[q] = 0
        if images[q] != q:
            continue
        follows[:] = False
        for run in left_runs[starts[q] : starts[q + 1]]:
            if run[IMAGE_START] > run[START]:
                for i in range(run[COUNT]):
                    follows[run[IMAGE_START] + i * run[IMAGE_STEP]] = True
        while result[q] > 0 and follows[result[q] - 1]:
            result[q] -= 1
    return result


@inlined
def _copy(row, source, target, left, right, first, widths):
    """C[image of (left, right)] += B[left, right] from the run's number `first` on; source, target: buffer, offset."""
    row[KIND], row[M], row[N] = ADD, left[COUNT] - first, right[COUNT]
    row[B_BUFFER], row[C_BUFFER] = source[0], target[0]
    row[B_OFFSET] = source[1] + (left[START] + first * left[STEP]) * widths[0] + right[START]
    row[C_OFFSET] = target[1] + (left[IMAGE_START] + first * left[IMAGE_STEP]) * widths[1] + right[IMAGE_START]
    row[B_STRIDE], row[C_STRIDE] = left[STEP] * widths[0], left[IMAGE_STEP] * widths[1]
    row[B_STEP], row[C_STEP] = right[STEP], right[IMAGE_STEP]


@kernel
def with_images(rows, alphas, starts, left_runs, right_runs, images, heights, offsets, n_left, n_right):
    """A matrix-vector product whose tasks, one a centre sector, fill in what is the image of what they computed."""
    nq = len(n_left)
    firsts, others = _starts_of(left_runs, nq), _starts_of(right_runs, nq)
    capacity = len(rows) + nq
    for q in range(nq):
        capacity += (firsts[q + 1] - firsts[q]) * (others[q + 1] - others[q])
    result, factors = np.zeros((capacity, COLUMNS), dtype=np.int64), np.ones(capacity, dtype=alphas.dtype)
    ends = np.zeros(nq + 1, dtype=np.int64)
    r = 0
    for q in range(nq):
        for i in range(starts[q], starts[q + 1]):
            result[r, :], factors[r] = rows[i], alphas[i]
            r += 1
        goal = images[q]
        if goal > q:
            row = result[r]
            row[KIND], row[M], row[N], row[C_BUFFER] = CLEAR, 1, n_left[goal] * n_right[goal], 1
            row[C_OFFSET], row[C_STRIDE] = offsets[goal], n_left[goal] * n_right[goal]
            r += 1
        if goal >= q:
            widths = n_right[q], n_right[goal]
            for left in left_runs[firsts[q] : firsts[q + 1]]:
                first = 0
                if goal == q:
                    beyond = heights[q] - left[IMAGE_START]
                    first = max(0, (beyond + left[IMAGE_STEP] - 1) // left[IMAGE_STEP])
                    if left[IMAGE_START] <= left[START] or first >= left[COUNT]:
                        continue
                for right in right_runs[others[q] : others[q + 1]]:
                    _copy(result[r], (1, offsets[q]), (1, offsets[goal]), left, right, first, widths)
                    factors[r] = left[SIGN] * right[SIGN]
                    r += 1
        ends[q + 1] = r
    return result[:r].copy(), factors[:r].copy(), ends


@kernel
def average(left_runs, right_runs, images, offsets, n_left, n_right):
    """Half of all blocks (buffer 0) and half of their images, added to buffer 1; one task a block. Returns rows,
    coefficients and task starts."""
    nq = len(n_left)
    firsts, others = _starts_of(left_runs, nq), _starts_of(right_runs, nq)
    capacity = nq
    for q in range(nq):
        capacity += (firsts[q + 1] - firsts[q]) * (others[q + 1] - others[q])
    rows, alphas = np.zeros((capacity, COLUMNS), dtype=np.int64), np.full(capacity, 0.5)
    starts, r = np.zeros(nq + 1, dtype=np.int64), 0
    for q in range(nq):
        row, source = rows[r], images[q]
        row[KIND], row[M], row[N], row[B_OFFSET], row[B_STEP] = ADD, 1, n_left[q] * n_right[q], offsets[q], 1
        row[C_BUFFER], row[C_OFFSET], row[C_STEP] = 1, offsets[q], 1
        r += 1
        for left in left_runs[firsts[source] : firsts[source + 1]]:
            for right in right_runs[others[source] : others[source + 1]]:
                widths = n_right[source], n_right[q]
                _copy(rows[r], (0, offsets[source]), (1, offsets[q]), left, right, 0, widths)
                alphas[r] = 0.5 * left[SIGN] * right[SIGN]
                r += 1
        starts[q + 1] = r
    return rows, alphas, starts


@kernel
def half_sizes(found, images, sizes):
    """Rows of the even and of the odd part of a sector that is its own image; of another one that stands for both,
    all and none; of an image, none."""
    result, starts = np.zeros((len(sizes), 2), dtype=np.int64), _starts_of(found, len(sizes))
    for q in range(len(sizes)):
        if images[q] > q:
            result[q, 0] = sizes[q]
        if images[q] == q:
            for run in found[starts[q] : starts[q + 1]]:
                if run[IMAGE_START] > run[START]:
                    result[q, :] += run[COUNT]
                elif run[IMAGE_START] == run[START]:
                    result[q, 0 if run[SIGN] > 0 else 1] += run[COUNT]
    return result


@inlined
def _belongs(run, odd):
    """Whether a run of a sector that is its own image stands in the even or odd part of it: of two runs that are each
    other's image the first does, in both parts; a run that is its own image does in the part of its sign."""
    if run[IMAGE_START] == run[START]:
        return (run[SIGN] > 0) == (odd == 0)
    return run[IMAGE_START] > run[START]


@inlined
def _fold_run(row, source, target, left, right, widths, turned):
    """One run by another of a folded block, or (turned) by the image of the other; source, target: offsets."""
    row[KIND], row[M], row[N], row[C_BUFFER] = ADD, left[COUNT], right[COUNT], 1
    row[B_OFFSET] = source + left[START] * widths[0] + (right[IMAGE_START] if turned else right[START])
    row[B_STRIDE], row[B_STEP] = left[STEP] * widths[0], right[IMAGE_STEP] if turned else right[STEP]
    row[C_OFFSET], row[C_STRIDE], row[C_STEP] = target, widths[1], 1


@inner
def _fold_block(rows, alphas, left_runs, right_runs, odd, source, target, widths):
    """The even or odd part of a block that is its own image; how many rows that takes."""
    count, above = 0, 0
    for left in left_runs:
        if not _belongs(left, odd):
            continue
        before = 0
        for right in right_runs:
            if not _belongs(right, odd):
                continue
            pair, twin = left[IMAGE_START] > left[START], right[IMAGE_START] > right[START]
            goal = target + above * widths[1] + before
            _fold_run(rows[count], source, goal, left, right, widths, False)
            if pair != twin:
                alphas[count] = np.sqrt(2.0)
            count += 1
            if pair and twin:
                _fold_run(rows[count], source, goal, left, right, widths, True)
                alphas[count] = right[SIGN] if odd == 0 else -right[SIGN]
                count += 1
            before += right[COUNT]
        above += left[COUNT]
    return count


@kernel
def fold(left_runs, right_runs, images, offsets, n_left, n_right, wanted):
    """Blocks (buffer 0) that are their own reflection, by their even and odd parts alone (buffer 1, cleared).

    A pair of blocks becomes the first of them; parts that are not wanted are left out. One task a part. Returns rows,
    coefficients, task starts, the parts (centre sector, odd or not, offset, rows, columns), and the size.
    """
    nq = len(n_left)
    firsts, others = _starts_of(left_runs, nq), _starts_of(right_runs, nq)
    own, other = half_sizes(left_runs, images, n_left), half_sizes(right_runs, images, n_right)
    capacity = nq
    for q in range(nq):
        capacity += 4 * (firsts[q + 1] - firsts[q]) * (others[q + 1] - others[q])
    rows, alphas = np.zeros((capacity, COLUMNS), dtype=np.int64), np.ones(capacity)
    blocks, starts = np.zeros((2 * nq, 5), dtype=np.int64), np.zeros(2 * nq + 1, dtype=np.int64)
    r, b, target = 0, 0, 0
    for q in range(nq):
        for odd in range(2 if images[q] == q else 1 if images[q] > q else 0):
            if not wanted[q, odd]:
                continue
            m, n = own[q, odd], other[q, odd]
            block = blocks[b]
            block[0], block[1], block[2], block[3], block[4] = q, odd, target, m, n
            if images[q] == q:
                lefts, rights = left_runs[firsts[q] : firsts[q + 1]], right_runs[others[q] : others[q + 1]]
                widths = n_right[q], n
                r += _fold_block(rows[r:], alphas[r:], lefts, rights, odd, offsets[q], target, widths)
            else:
                row = rows[r]
                row[KIND], row[M], row[N] = ADD, 1, m * n
                row[B_OFFSET], row[B_STEP], row[C_BUFFER], row[C_OFFSET], row[C_STEP] = offsets[q], 1, 1, target, 1
                r += 1
            target += m * n
            b += 1
            starts[b] = r
    return rows[:r].copy(), alphas[:r].copy(), starts[: b + 1].copy(), blocks[:b].copy(), target


@kernel
def unfold(found, axis, blocks, ranks, folded_squares, squares, sizes):
    """Rows of length `sizes` over a fused index from rows over its even and odd parts (buffers 1 and 0).

    blocks: as of `fold`, whose rows (axis 1) or columns (2) these are; ranks: rows of each that are wanted; squares:
    where the rows of every centre sector begin. Those of an image follow from the sector that stands for both. One
    task a part. Returns rows, coefficients and task starts.
    """
    nq, half = len(sizes), np.sqrt(0.5)
    starts = _starts_of(found, nq)
    capacity = 2 * (2 * len(found) + len(blocks))
    rows, alphas = np.zeros((capacity, COLUMNS), dtype=np.int64), np.ones(capacity)
    above, first, r = np.zeros(nq, dtype=np.int64), np.zeros(len(blocks) + 1, dtype=np.int64), 0
    for b in range(len(blocks)):
        q, odd, own, at = blocks[b, 0], blocks[b, 1], blocks[b, 2 + axis], 0
        for run in found[starts[q] : starts[q + 1]]:
            alone = run[IMAGE] == q and run[IMAGE_START] == run[START]
            if run[IMAGE] != q:
                at = run[START]
            elif not _belongs(run, odd):
                continue
            for turned in range(1 if alone else 2):
                row, goal = rows[r], run[IMAGE] if turned == 1 else q
                row[KIND], row[M], row[N] = ADD, ranks[b], run[COUNT]
                row[B_OFFSET], row[B_STRIDE] = folded_squares[b] + at, own
                row[B_STEP] = run[STEP] if run[IMAGE] != q else 1
                row[C_BUFFER], row[C_STRIDE] = 1, sizes[goal]
                row[C_OFFSET] = squares[goal] + above[q] * sizes[goal]
                row[C_OFFSET] += run[IMAGE_START] if turned == 1 else run[START]
                row[C_STEP] = run[IMAGE_STEP] if turned == 1 else run[STEP]
                if turned == 1:
                    alphas[r] = run[SIGN] if odd == 0 else -run[SIGN]
                if run[IMAGE] == q and not alone:
                    alphas[r] *= half
                r += 1
            at += run[COUNT]
        above[q] += ranks[b]
        first[b + 1] = r
    return rows[:r].copy(), alphas[:r].copy(), first
