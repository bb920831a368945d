"""Which pairs of blocks meet in a contraction: the rows of a product plan, found by sorting."""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.layout import find, first_places, stable_order
from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    A_TRANSPOSE,
    B_BUFFER,
    B_OFFSET,
    B_STRIDE,
    B_TRANSPOSE,
    C_BUFFER,
    C_OFFSET,
    C_STRIDE,
    COLUMNS,
    KIND,
    PRODUCT,
    TASK,
    K,
    M,
    N,
)


@inner
def _codes(indices, axes, radix):
    """The sector numbers on some axes as one integer, in lexicographic order."""
    codes = np.zeros(len(indices), dtype=np.int64)
    for i in range(len(indices)):
        for n in range(len(axes)):
            codes[i] = codes[i] * radix[n] + indices[i, axes[n]]
    return codes


@inner
def _volumes(shapes, axes):
    volumes = np.ones(len(shapes), dtype=np.int64)
    for i in range(len(shapes)):
        for axis in axes:
            volumes[i] *= shapes[i, axis]
    return volumes


@inner
def _ranges(sorted_keys, keys):
    """First and one past the last place of every key in sorted keys."""
    first, last = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    for n in range(len(keys)):
        low, high = 0, len(sorted_keys)
        while low < high:
            middle = (low + high) // 2
            if sorted_keys[middle] < keys[n]:
                low = middle + 1
            else:
                high = middle
        first[n] = low
        while low < len(sorted_keys) and sorted_keys[low] == keys[n]:
            low += 1
        last[n] = low
    return first, last


@kernel
def pair_blocks(a, b, c, free_a, bound_a, bound_b, free_b, radix_a, radix_k, radix_b, transposes):
    """Rows C[free_a free_b] += A[free_a bound] B[bound free_b] for all pairs of blocks that share `bound`.

    a, b, c are (indices, offsets, shapes); `transposes` says how A and B are stored: 0 as written here,
    1 with their two groups of axes the other way round. Rows are grouped in tasks by target block.
    Returns rows, task starts, flops of the tasks.
    """
    keys_a, keys_b = _codes(a[0], bound_a, radix_k), _codes(b[0], bound_b, radix_k)
    left, right = _codes(a[0], free_a, radix_a), _codes(b[0], free_b, radix_b)
    m_of, k_of, n_of = _volumes(a[2], free_a), _volumes(a[2], bound_a), _volumes(b[2], free_b)
    span = np.int64(1)
    for r in radix_b:
        span *= r
    all_c = np.arange(c[0].shape[1])
    targets = _codes(c[0], all_c, np.concatenate((radix_a, radix_b)))
    order = stable_order(keys_b)
    first, last = _ranges(keys_b[order], keys_a)
    count = np.int64(0)
    for i in range(len(keys_a)):
        count += last[i] - first[i]
    rows = np.zeros((count, COLUMNS), dtype=np.int64)
    r = 0
    for i in range(len(keys_a)):
        for place in range(first[i], last[i]):
            j = order[place]
            m, k, n = m_of[i], k_of[i], n_of[j]
            task = find(targets, left[i] * span + right[j])
            row = rows[r]
            row[KIND], row[TASK], row[M], row[N], row[K] = PRODUCT, task, m, n, k
            row[A_BUFFER], row[A_OFFSET], row[A_TRANSPOSE] = 0, a[1][i], transposes[0]
            row[A_STRIDE] = m if transposes[0] else k
            row[B_BUFFER], row[B_OFFSET], row[B_TRANSPOSE] = 1, b[1][j], transposes[1]
            row[B_STRIDE] = k if transposes[1] else n
            row[C_BUFFER], row[C_OFFSET], row[C_STRIDE] = 2, c[1][task], n
            r += 1
    tasks = len(targets)
    numbers = np.ascontiguousarray(rows[:, TASK])
    rows = rows[stable_order(numbers)]
    starts = first_places(numbers, tasks)
    weights = np.zeros(tasks)
    for row in rows:
        weights[row[TASK]] += 2.0 * row[M] * row[N] * row[K]
    return rows, starts, weights
