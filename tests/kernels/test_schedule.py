"""The schedule of the CUDA kernels, checked element by element against what rows really touch."""

from itertools import combinations

import numpy as np
import pytest

from tests.suites.plans import random_plan
from tnsim.kernels import table as t
from tnsim.kernels.cuda.schedule import Schedule, make_schedule


def places(buffer: int, offset: int, height: int, stride: int, width: int, step: int = 1) -> set[tuple[int, int]]:
    return {(buffer, offset + i * stride + j * step) for i in range(height) for j in range(width)}


def touched(row: np.ndarray) -> tuple[set, set]:
    """Elements that a row writes (reading them too), and those that it only reads."""
    kind, m, n, k = row[[t.KIND, t.M, t.N, t.K]].tolist()
    stepped = kind in (t.ADD, t.ADD_CONJUGATE)
    step = int(row[t.C_STEP]) if stepped else 1
    width = 1 if kind == t.IDENTITY else n
    written = places(*row[[t.C_BUFFER, t.C_OFFSET]].tolist(), m, int(row[t.C_STRIDE]), width, step)
    if stepped:
        return written, places(
            int(row[t.B_BUFFER]), int(row[t.B_OFFSET]), m, int(row[t.B_STRIDE]), n, int(row[t.B_STEP])
        )
    if kind != t.PRODUCT:
        return written, set()
    a, b = (m, k) if row[t.A_TRANSPOSE] == 0 else (k, m), (k, n) if row[t.B_TRANSPOSE] == 0 else (n, k)
    left = places(int(row[t.A_BUFFER]), int(row[t.A_OFFSET]), a[0], int(row[t.A_STRIDE]), a[1])
    return written, left | places(int(row[t.B_BUFFER]), int(row[t.B_OFFSET]), b[0], int(row[t.B_STRIDE]), b[1])


def launch_of(schedule: Schedule, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(level, target) of every original row."""
    level, target, number = np.full(count, -1), np.full(count, -1), 0
    for depth, launch in enumerate(schedule.levels):
        ranges = sorted({(int(first), int(last)) for first, last, _, _ in launch.items})
        for first, last in ranges:
            mine = schedule.order[first:last]
            assert (level[mine] == -1).all(), "a row stands in two targets"
            assert (np.diff(mine) > 0).all(), "rows of a target left their order"
            level[mine], target[mine] = depth, number
            number += 1
    assert (level >= 0).all(), "a row is never run"
    return level, target


@pytest.mark.parametrize("seed", range(40))
def test_what_depends_stays_in_order(seed):
    plan = random_plan(seed, np.dtype("d"), tasks=3, rows_per_task=14)
    schedule = make_schedule(plan.rows, plan.starts, tile=4)
    np.testing.assert_array_equal(schedule.rows, plan.rows[schedule.order])
    level, target = launch_of(schedule, len(plan.rows))
    touches = [touched(row) for row in plan.rows]
    for i, j in combinations(range(len(plan.rows)), 2):
        (write_i, read_i), (write_j, read_j) = touches[i], touches[j]
        if write_i & read_j or read_i & write_j:
            assert level[i] < level[j]
        elif write_i & write_j:
            assert level[i] < level[j] or (level[i] == level[j] and target[i] == target[j])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("tile", [1, 4, 32])
def test_tiles_cover_every_target_once(seed, tile):
    plan = random_plan(seed, np.dtype("d"))
    schedule = make_schedule(plan.rows, plan.starts, tile)
    for level in schedule.levels:
        covered: dict[int, set] = {}
        for first, _, top, left in level.items.tolist():
            row = schedule.rows[first]
            m, n = int(row[t.M]), 1 if row[t.KIND] == t.IDENTITY else int(row[t.N])
            mine = {(i, j) for i in range(top, min(top + tile, m)) for j in range(left, min(left + tile, n))}
            assert mine and not mine & covered.setdefault(first, set())
            covered[first] |= mine
        for first, cells in covered.items():
            row = schedule.rows[first]
            assert len(cells) == row[t.M] * (1 if row[t.KIND] == t.IDENTITY else row[t.N])


def _rows(targets: list[tuple[int, int, int, int]]) -> np.ndarray:
    """Products of inputs into (offset, m, n, stride)."""
    rows = np.zeros((len(targets), t.COLUMNS), dtype=np.int64)
    for row, (offset, m, n, stride) in zip(rows, targets, strict=True):
        row[[t.M, t.N, t.K, t.A_STRIDE, t.B_BUFFER, t.B_STRIDE]] = m, n, 2, 2, 1, n
        row[[t.C_BUFFER, t.C_OFFSET, t.C_STRIDE]] = 2, offset, stride
    return rows


@pytest.mark.parametrize(
    ("targets", "levels"),
    [
        ([(0, 4, 3, 10), (3, 4, 3, 10), (6, 4, 4, 10)], 1),  # windows of columns side by side
        ([(0, 3, 5, 10), (5, 3, 5, 10)], 1),  # rows interleaved
        ([(0, 4, 4, 4), (16, 4, 4, 4)], 1),  # one after the other
        ([(0, 4, 4, 4), (0, 4, 4, 4), (0, 4, 4, 4)], 1),  # one target
        ([(0, 4, 4, 10), (3, 4, 4, 10)], 2),  # windows that overlap
        ([(0, 1, 16, 16), (0, 4, 4, 4)], 2),  # the same memory in another shape
    ],
)
def test_number_of_launches(targets, levels):
    schedule = make_schedule(_rows(targets), np.array([0, len(targets)]), 4)
    assert len(schedule.levels) == levels


def test_a_contraction_is_one_launch():
    from tests.suites.structures import STRUCTURES
    from tnsim.tensor.plan import pair_plan

    a, b, c, _ = STRUCTURES[1].legs
    plan = pair_plan(((a, b, c), (0,)), ((c.dual, b.dual, a), (0,)), ((1, 1), (2, 0)), (0, 1)).product
    assert len(make_schedule(plan.rows, plan.starts, 32).levels) == 1
