"""Which rows of a plan may run in one launch, and which tile of which target every thread block owns.

Rows of one task run in order on the CPU. Here a row gets a level above every row that it depends on: one
that writes what it reads, reads what it writes, or writes another piece of what it writes. Rows of one
level and one target stay in order and share their tiles. Made once per plan, on the host.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    A_TRANSPOSE,
    ADD,
    ADD_CONJUGATE,
    B_BUFFER,
    B_OFFSET,
    B_STEP,
    B_STRIDE,
    B_TRANSPOSE,
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    IDENTITY,
    KIND,
    NO_TRANSPOSE,
    PRODUCT,
    K,
    M,
    N,
)

# columns of a region: a strided matrix in a buffer (-1: no region)
BUFFER, OFFSET, ROWS, PITCH, COLS, STEP = range(6)
# products with all of m, n, k at least this large go to cuBLAS
LARGE = 512


@dataclass(frozen=True, eq=False)
class Level:
    """One launch: (first row, past the last row, top, left) of every thread block, and large rows in order."""

    items: np.ndarray
    large: np.ndarray


@dataclass(frozen=True, eq=False)
class Schedule:
    """Rows reordered so that those of one level and target are neighbours; `order` says where each was."""

    order: np.ndarray
    rows: np.ndarray
    levels: tuple[Level, ...]


def make_schedule(rows: np.ndarray, starts: np.ndarray, tile: int, large: int = LARGE) -> Schedule:
    """Levels, targets and tiles of a plan; cost O(rows of a task squared), on the host."""
    written, read_a, read_b = _regions(rows)
    task = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    level = _levels(written, read_a, read_b, np.asarray(starts, dtype=np.int64))
    keys = np.column_stack([level, task, written])
    targets, number = np.unique(keys, axis=0, return_inverse=True)
    number = number.reshape(-1)
    order = np.argsort(number, kind="stable")
    firsts = np.searchsorted(number[order], np.arange(len(targets) + 1))
    products = (rows[:, KIND] == PRODUCT) & (rows[:, [M, N, K]].min(axis=1) >= large)
    is_large = np.zeros(len(targets), dtype=bool)
    is_large[number[products]] = True
    levels = []
    for current in range(int(level.max(initial=-1)) + 1):
        mine = np.flatnonzero(targets[:, 0] == current)
        small = [_tiles(firsts[t], firsts[t + 1], targets[t, 2:], tile) for t in mine[~is_large[mine]]]
        big = [np.arange(firsts[t], firsts[t + 1]) for t in mine[is_large[mine]]]
        items = np.concatenate(small) if small else np.zeros((0, 4), dtype=np.int64)
        levels.append(Level(items, np.concatenate(big) if big else np.zeros(0, dtype=np.int64)))
    return Schedule(order, np.ascontiguousarray(rows[order]), tuple(levels))


def _tiles(first: int, last: int, region: np.ndarray, tile: int) -> np.ndarray:
    top, left = np.arange(0, region[ROWS], tile), np.arange(0, region[COLS], tile)
    items = np.empty((len(top) * len(left), 4), dtype=np.int64)
    items[:, 0], items[:, 1] = first, last
    items[:, 2], items[:, 3] = np.repeat(top, len(left)), np.tile(left, len(top))
    return items


def _regions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What every row writes, and the two pieces it reads."""
    kind, m, n, k = rows[:, KIND], rows[:, M], rows[:, N], rows[:, K]
    product, moved = kind == PRODUCT, (kind == ADD) | (kind == ADD_CONJUGATE)
    one = np.ones(len(rows), dtype=np.int64)
    written = np.column_stack([
        rows[:, C_BUFFER], rows[:, C_OFFSET], m, rows[:, C_STRIDE],
        np.where(kind == IDENTITY, 1, n), np.where(moved, rows[:, C_STEP], 1),
    ])  # fmt: skip
    plain_a, plain_b = rows[:, A_TRANSPOSE] == NO_TRANSPOSE, rows[:, B_TRANSPOSE] == NO_TRANSPOSE
    read_a = np.column_stack([
        np.where(product, rows[:, A_BUFFER], -1), rows[:, A_OFFSET], np.where(plain_a, m, k), rows[:, A_STRIDE],
        np.where(plain_a, k, m), one,
    ])  # fmt: skip
    read_b = np.column_stack([
        np.where(product | moved, rows[:, B_BUFFER], -1), rows[:, B_OFFSET],
        np.where(moved, m, np.where(plain_b, k, n)), rows[:, B_STRIDE],
        np.where(moved | plain_b, n, k), np.where(moved, rows[:, B_STEP], 1),
    ])  # fmt: skip
    return written, read_a, read_b


@njit(cache=True, nogil=True)
def _levels(written, read_a, read_b, starts):
    """The level of every row; level 0 depends on nothing."""
    levels = np.zeros(len(written), dtype=np.int64)
    for task in range(len(starts) - 1):
        for i in range(starts[task], starts[task + 1]):
            for j in range(starts[task], i):
                if levels[j] < levels[i]:
                    continue
                spoils = _overlap(written[i], read_a[j]) or _overlap(written[i], read_b[j])
                needs = _overlap(read_a[i], written[j]) or _overlap(read_b[i], written[j])
                if spoils or needs:
                    levels[i] = levels[j] + 1
                elif _overlap(written[i], written[j]):
                    levels[i] = levels[j] if np.array_equal(written[i], written[j]) else levels[j] + 1
    return levels


@njit(cache=True, nogil=True)
def _overlap(a, b):
    """May two regions share an element? Never wrongly no; exact for windows of columns of one matrix."""
    if a[BUFFER] < 0 or a[BUFFER] != b[BUFFER]:
        return False
    width_a, width_b = (a[COLS] - 1) * a[STEP], (b[COLS] - 1) * b[STEP]
    end_a, end_b = a[OFFSET] + (a[ROWS] - 1) * a[PITCH] + width_a, b[OFFSET] + (b[ROWS] - 1) * b[PITCH] + width_b
    if end_a < b[OFFSET] or end_b < a[OFFSET]:
        return False
    pitch = a[PITCH] if a[ROWS] > 1 else b[PITCH]
    if (a[ROWS] > 1 and b[ROWS] > 1 and a[PITCH] != b[PITCH]) or width_a >= pitch or width_b >= pitch:
        return True
    shift = (b[OFFSET] - a[OFFSET]) % pitch
    return not (shift > width_a and shift + width_b < pitch)
