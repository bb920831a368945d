"""Integer kernels of the block bookkeeping: charges as packed 64-bit keys, tables of allowed blocks."""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel

# a run of as many elements is written in one go
RUN = 16


@inner
def copy_vector(target, source):
    """target[:] = source, whose check of shapes would compile for two seconds (it writes a text)."""
    for i in range(len(source)):
        target[i] = source[i]


@inner
def adjoint(flat, stride, target):
    """target = adjoint of a flat row-major matrix (`.T.conj()` would compile for a second)."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = np.conj(flat[j * stride + i])


@kernel
def stable_order(keys):
    """Argsort of integers, equal ones in their old order (merge sort from below; NumPy's compiles for seconds)."""
    count = len(keys)
    order, other = np.arange(count), np.empty(count, dtype=np.int64)
    width = 1
    while width < count:
        for start in range(0, count, 2 * width):
            middle, end = min(start + width, count), min(start + 2 * width, count)
            i, j = start, middle
            for place in range(start, end):
                if i < middle and (j >= end or keys[order[i]] <= keys[order[j]]):
                    other[place] = order[i]
                    i += 1
                else:
                    other[place] = order[j]
                    j += 1
        order, other = other, order
        width *= 2
    return order


def longest_first(weights):
    """The order in which tasks of these weights are claimed: a long one left to the end has nobody beside it."""
    return stable_order(-weights)


@inner
def first_places(sorted_keys, count):
    """Where 0, 1, ..., count - 1 begin in sorted keys, and the end."""
    first = np.zeros(count + 1, dtype=np.int64)
    for key in sorted_keys:
        first[key + 1] += 1
    for n in range(count):
        first[n + 1] += first[n]
    return first


@inner
def find(sorted_keys, key):
    """Place of a key in sorted distinct keys, or -1."""
    low, high = 0, len(sorted_keys)
    while low < high:
        middle = (low + high) // 2
        if sorted_keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < len(sorted_keys) and sorted_keys[low] == key else -1


@inner
def fuse_key(a, b, sign, moduli):
    """Key of charge a + sign * b. A key holds one signed digit per component, base 2**(62 // components)."""
    finite = False
    for modulus in moduli:
        finite = finite or modulus > 0
    if not finite:
        return a + sign * b
    base = np.int64(1) << (62 // len(moduli))
    key, place = np.int64(0), np.int64(1)
    for j in range(len(moduli) - 1, -1, -1):
        half = base // 2
        digit_a, digit_b = (a + half) % base - half, (b + half) % base - half
        a, b = (a - digit_a) // base, (b - digit_b) // base
        digit = digit_a + sign * digit_b
        if moduli[j] > 0:
            digit %= moduli[j]
        key += digit * place
        place *= base
    return key


@kernel
def enumerate_blocks(keys, dims, starts, flows, moduli, total):
    """All sector tuples of `len(flows)` legs whose charges, with flow, add up to `total`.

    The legs' keys and dims lie one after the other, leg n from starts[n] to starts[n + 1], sorted by key.
    Returns (sector indices, one row a block in lexicographic order; offsets, one more than blocks).
    """
    rank = len(flows)
    if rank == 0:
        return np.zeros((1, 0), dtype=np.int64), np.arange(2)
    count, capacity = 0, 16
    indices = np.empty((capacity, rank), dtype=np.int64)
    offsets = np.zeros(capacity + 1, dtype=np.int64)
    current = np.zeros(rank, dtype=np.int64)
    for n in range(rank):
        if starts[n + 1] == starts[n]:
            return indices[:0].copy(), offsets[:1].copy()
    last_keys = keys[starts[rank - 1] : starts[rank]]
    while True:
        partial, volume = np.int64(0), np.int64(1)
        for n in range(rank - 1):
            place = starts[n] + current[n]
            partial = fuse_key(partial, keys[place], flows[n], moduli)
            volume *= dims[place]
        # flow * last = total - partial
        wanted = fuse_key(total, partial, -1, moduli)
        if flows[rank - 1] < 0:
            wanted = fuse_key(np.int64(0), wanted, -1, moduli)
        found = find(last_keys, wanted)
        if found >= 0:
            if count == capacity:
                capacity *= 2
                more_indices = np.empty((capacity, rank), dtype=np.int64)
                more_offsets = np.zeros(capacity + 1, dtype=np.int64)
                for k in range(count):
                    copy_vector(more_indices[k], indices[k])
                    more_offsets[k + 1] = offsets[k + 1]
                indices, offsets = more_indices, more_offsets
            copy_vector(indices[count], current)
            indices[count, rank - 1] = found
            offsets[count + 1] = offsets[count] + volume * dims[starts[rank - 1] + found]
            count += 1
        n = rank - 2
        while n >= 0:
            current[n] += 1
            if current[n] < starts[n + 1] - starts[n]:
                break
            current[n] = 0
            n -= 1
        if n < 0:
            return indices[:count].copy(), offsets[: count + 1].copy()


@kernel
def copy_blocks(source, target, table, conjugate):
    """Copy blocks with permuted axes; the target is written in C order.

    A row of `table`: (source offset, target offset, rank, shape..., source strides...).
    """
    for row in table:
        rank = row[2]
        shape, strides = row[3 : 3 + rank], row[3 + rank : 3 + 2 * rank]
        _copy_block(source[row[0] :], target[row[1] :], shape, strides, conjugate)


@inner
def _copy_block(source, target, shape, strides, conjugate):
    """Runs of the last axes, side by side along the axis closest in the source, so that both stay in cache."""
    shape, strides, rank = _merged(shape, strides)
    first, places = _run(shape, strides, rank)
    run, across, outer = len(places), np.int64(1), np.int64(1)
    steps, beside, step = np.empty(first, dtype=np.int64), np.int64(-1), np.int64(run)
    for n in range(first - 1, -1, -1):
        steps[n] = step
        step *= shape[n]
        outer *= shape[n]
        if shape[n] > 1 and (beside < 0 or strides[n] < strides[beside]):
            beside = n
    if beside >= 0:
        across = shape[beside]
        outer //= across
    straight = first == rank - 1 and strides[first] == 1
    current = np.zeros(first, dtype=np.int64)
    start, goal = np.int64(0), np.int64(0)
    for _ in range(outer):
        for i in range(across):
            x = start + (i * strides[beside] if beside >= 0 else 0)
            y = goal + (i * steps[beside] if beside >= 0 else 0)
            if conjugate:
                for j in range(run):
                    target[y + j] = np.conj(source[x + places[j]])
            elif straight:
                for j in range(run):
                    target[y + j] = source[x + j]
            else:
                for j in range(run):
                    target[y + j] = source[x + places[j]]
        n = first - 1
        while n >= 0:
            if n != beside:
                current[n] += 1
                start += strides[n]
                goal += steps[n]
                if current[n] < shape[n]:
                    break
                start -= strides[n] * shape[n]
                goal -= steps[n] * shape[n]
                current[n] = 0
            n -= 1


@inner
def _run(shape, strides, rank):
    """The first of the last axes that are written in one go, and where their elements stand in the source."""
    first, run = rank, np.int64(1)
    while first > 0 and run < RUN:
        first -= 1
        run *= shape[first]
    places = np.zeros(run, dtype=np.int64)
    filled = np.int64(1)
    for n in range(rank - 1, first - 1, -1):
        for k in range(1, shape[n]):
            for j in range(filled):
                places[k * filled + j] = places[j] + k * strides[n]
        filled *= shape[n]
    return first, places


@inner
def _merged(shape, strides):
    """Shape, strides and their number, at least 2: axes that are neighbours in the source too are one."""
    size = len(shape) + 2
    new_shape, new_strides = np.ones(size, dtype=np.int64), np.ones(size, dtype=np.int64)
    rank = 1
    for n in range(len(shape)):
        if shape[n] == 1:
            continue
        if rank > 1 and new_strides[rank - 1] == strides[n] * shape[n]:
            new_shape[rank - 1] *= shape[n]
            new_strides[rank - 1] = strides[n]
        else:
            new_shape[rank], new_strides[rank] = shape[n], strides[n]
            rank += 1
    return new_shape, new_strides, max(rank, 2)
