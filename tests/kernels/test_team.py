"""The team of threads: every task once, whoever comes late, sleeps, fails or forks."""

import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python, rtsys

from tnsim.kernels import table as t
from tnsim.kernels.cpu import davidson, lanczos, leading, products, shares, space, split, team
from tnsim.kernels.cpu.layout import longest_first
from tnsim.kernels.cpu.team import AWAKE, BUSY, TEAM, led, new_board

claim, finish, open_round, next_task, wait = (
    njit(nogil=True)(f.py_func) for f in (team.claim, team.finish, team.open_round, team.next_task, team.wait)
)


def plan_of_sums(count: int, dtype: str) -> tuple[np.ndarray, ...]:
    """Rows, coefficients, task starts and weights: every task adds (i + 1) b[i] to c[i]."""
    rows = np.zeros((count, t.COLUMNS), dtype=np.int64)
    rows[:, t.KIND] = t.ADD
    rows[:, [t.M, t.N, t.B_STRIDE, t.B_STEP, t.C_STRIDE]] = 1
    rows[:, t.C_BUFFER] = 1
    rows[:, t.C_STEP] = 1
    rows[:, t.B_OFFSET] = rows[:, t.C_OFFSET] = np.arange(count)
    return rows, np.arange(1, count + 1).astype(dtype), np.arange(count + 1), np.ones(count)


def add_up(count: int, threads: int, dtype: str = "d") -> bool:
    """Whether every task of such a plan was done exactly once."""
    rows, alphas, starts, weights = plan_of_sums(count, dtype)
    b, c = np.full(count, 2, dtype=dtype), np.zeros(count, dtype=dtype)
    products.run_products(rows, alphas, starts, weights, (b, c), threads)
    return np.array_equal(c, 2 * alphas)


@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once(threads, count):
    assert all(add_up(count, threads) for _ in range(20))


def test_helpers_change_from_dtype_to_dtype():
    assert all(add_up(30, 2, dtype) for _ in range(5) for dtype in "dD")


def two_sites(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """A random two-site tensor of five blocks and their table."""
    rng, sizes = np.random.default_rng(5), [(3, 2), (20, 30), (41, 25), (30, 30), (1, 4)]
    offsets = np.cumsum([0] + [m * n for m, n in sizes])[:-1]
    theta = rng.normal(size=sum(m * n for m, n in sizes))
    return theta.astype(dtype), np.array([(o, m, n) for o, (m, n) in zip(offsets, sizes, strict=True)])


def same_rows(one: tuple, other: tuple, blocks: np.ndarray, rightwards: bool) -> bool:
    """Whether two results of a split agree bit for bit; between the bases there are gaps."""
    (basis, weights, ranks, *_), own = one, blocks[:, 1 if rightwards else 2]
    starts = np.cumsum(own**2) - own**2
    held = np.concatenate([np.arange(s, s + r * n) for s, r, n in zip(starts, ranks, own, strict=True)])
    return np.array_equal(basis[held], other[0][held]) and np.array_equal(weights, other[1])


@pytest.mark.parametrize("rightwards", [True, False])
def test_splits_are_the_same_bit_for_bit_on_any_number_of_threads(rightwards):
    theta, blocks = two_sites("d")
    none = theta[:0]

    def cut(threads: int, kind: str) -> tuple:
        if kind == "leading":
            return leading.leading(theta, blocks, rightwards, none, 0.0, 40, threads)
        return split.bases(theta, blocks, rightwards, kind == "svd", none, 0.0, np.dtype("d"), threads)

    for kind in ("leading", "gram", "svd"):
        alone = cut(1, kind)
        assert all(same_rows(alone, cut(3, kind), blocks, rightwards) for _ in range(8))


def left_to_helpers(
    dtype: str, kind: int, numbers: tuple[int, ...], arrays: tuple[np.ndarray, ...], count: int
) -> None:
    """A round of which the lead does none of the tasks; numbers and arrays: what is written on the board."""

    def lead(board):
        place = team.ARGUMENTS + len(numbers)
        board[team.ARGUMENTS : place] = numbers
        for array in arrays:
            board[place], board[place + 1] = array.ctypes.data, array.size
            place += 2
        board[team.KIND] = kind
        open_round(board, count)
        deadline = time.monotonic() + 300  # its first task may be compiled
        while board[team.DONE] < count and not board[team.FAILED] and time.monotonic() < deadline:
            time.sleep(0.001)
        assert board[team.DONE] == count and not board[team.FAILED]

    TEAM._reset()  # one that is awake for other numbers would go to sleep
    led(2, np.dtype(dtype), lead)


@pytest.mark.parametrize("dtype", ["f", "F"])
def test_helpers_work_on_single_precision_alone(dtype):
    rows, alphas, starts, _ = plan_of_sums(40, dtype)
    b, c = np.full(40, 2, dtype=dtype), np.zeros(40, dtype=dtype)
    arrays = rows.ravel(), alphas, starts, np.arange(40), b, c, *[b] * 6
    left_to_helpers(dtype, team.SINGLE + team.ROWS, (), arrays, 40)
    assert np.array_equal(c, 2 * alphas)


# numbers of long vectors in two shares, the last one longer
LONG, SHARES = 2 * shares.SHARE + shares.PIECE + 7, 2


def kind_of(job: int, dtype: str) -> int:
    """Of a job on vectors of this dtype."""
    return job if dtype == "d" else team.SINGLE + job


@pytest.mark.parametrize("dtype", "df")
@pytest.mark.parametrize("what", ["MEASURE", "SHIFT", "RESIDUAL", "PRECONDITION", "REMOVE", "PLACE"])
def test_helpers_work_on_the_space_of_davidson(what, dtype):
    """Every round against the sum that it stands for; dtype: of the space, in a run in double precision."""
    rng, count = np.random.default_rng(7), 2
    V = rng.normal(size=(3, 2, LONG)).astype(dtype)
    x, diagonal = rng.normal(size=(2, LONG)).astype(dtype)
    before, factors = x.astype("d"), np.array([0.5, 0.25, -1.5], dtype=dtype)
    sums = np.empty(SHARES * 7)
    a, b, e = factors.tolist()
    changed = {
        "MEASURE": before,
        "SHIFT": before - a * V[1, 0],
        "RESIDUAL": a * (V[0, 1] - e * V[0, 0]) + b * (V[1, 1] - e * V[1, 0]),
        "PRECONDITION": before / (abs(diagonal - a) + b),
        "REMOVE": before - a * V[0, 0] - b * V[1, 0],
        "PLACE": before,
    }[what]
    numbers, arrays = (SHARES, getattr(space, what), count), (V, x, diagonal, factors, sums)
    left_to_helpers("d", kind_of(team.SPACE, dtype), numbers, arrays, SHARES)
    near = {"rtol": 1e-12, "atol": 1e-12} if dtype == "d" else {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(x, changed, **near)
    square, *overlaps = sums.reshape(2, 7).sum(axis=0)
    if what == "PLACE":
        np.testing.assert_allclose(V[2, 0], a * before, **near)
        return
    np.testing.assert_allclose(square, changed @ changed, rtol=near["rtol"])
    if what != "RESIDUAL":
        left, right = (V[1, 0], V[:2, 1]) if what == "SHIFT" else (changed, V[:2, 0])
        scale = LONG**0.5
        np.testing.assert_allclose(np.array(overlaps[:4:2]) / scale, right.astype("d") @ left / scale, **near)


@pytest.mark.parametrize("dtype", "df")
def test_helpers_combine_vectors(dtype):
    rng = np.random.default_rng(8)
    start, rows = rng.normal(size=LONG), rng.normal(size=(3, LONG)).astype(dtype)
    factors, out, sums = np.array([0.5, 2.0, -1.0]), np.empty(LONG), np.empty(2 * SHARES)
    arrays = start, rows, factors, out, sums
    left_to_helpers("d", kind_of(team.COMBINE, dtype), (SHARES, LONG, 0), arrays, SHARES)
    np.testing.assert_allclose(out, 0.5 * start + 2.0 * rows[1] - rows[2], rtol=1e-12, atol=1e-12)
    assert sums[0] + sums[2] == pytest.approx(out @ out)


@pytest.mark.parametrize("dtype", "df")
def test_helpers_copy_into_arrays_of_either_precision(dtype):
    source, target = np.random.default_rng(8).normal(size=LONG), np.zeros(LONG, dtype=dtype)
    arrays = source, target, source, source, np.empty(0)
    left_to_helpers("d", kind_of(team.COPY, dtype), (SHARES, 0, 0), arrays, SHARES)
    assert np.array_equal(target, source.astype(dtype))


def blocks_of_products(count: int, size: int) -> tuple[SimpleNamespace, np.ndarray, np.ndarray]:
    """A plan for H that multiplies every square block of a vector from the left by a symmetric matrix of its own, these
    matrices, and the diagonal of H."""
    rng = np.random.default_rng(6)
    matrices = rng.normal(size=(count, size, size))
    matrices = matrices + matrices.transpose(0, 2, 1) + np.linspace(0, 40, size) * np.eye(size)
    rows, block = np.zeros((2 * count, t.COLUMNS), dtype=np.int64), np.arange(count) * size**2
    rows[::2, t.KIND], rows[::2, t.M] = t.CLEAR, 1
    rows[::2, [t.N, t.C_STRIDE]] = size**2
    rows[1::2, [t.M, t.N, t.K, t.A_STRIDE, t.B_STRIDE, t.C_STRIDE]] = size
    rows[1::2, t.A_BUFFER] = 3
    rows[:, t.C_BUFFER] = 1
    rows[1::2, t.A_OFFSET] = rows[1::2, t.B_OFFSET] = rows[::2, t.C_OFFSET] = rows[1::2, t.C_OFFSET] = block
    alphas, order = np.ones(2 * count), np.arange(count)
    plan = SimpleNamespace(rows=rows, alphas=alphas, starts=np.arange(0, 2 * count + 1, 2), order=order, work=1)
    return plan, matrices, np.repeat(matrices.diagonal(axis1=1, axis2=2).ravel(), size)


@pytest.mark.parametrize("flops", [0.0, np.inf])
@pytest.mark.parametrize("method", ["lanczos", "davidson"])
def test_eigensolvers_are_the_same_bit_for_bit_on_any_number_of_threads(method, flops):
    """flops: none, so that all is done in double precision, or so many that directions are found in single."""
    plan, matrices, diagonal = blocks_of_products(30, 36)
    plan.flops, halves = flops, (matrices.ravel(), *[np.zeros(1)] * 3)
    values, bases = np.linalg.eigh(matrices)
    low = int(np.argmin(values[:, 0]))
    start = 0.02 * np.random.default_rng(9).normal(size=matrices.shape)
    start[low, :, 0] += bases[low, :, 0]
    assert shares.shares_of(start.size) > 2

    def found(threads: int) -> tuple:
        limits = 2, 80, 1e-7, 0.0 if flops == 0 else 0.02
        if method == "davidson":
            return davidson.solve(plan, start.reshape(1, -1), diagonal, halves, limits, threads)
        return lanczos.solve(plan, start.ravel(), halves, limits, threads)

    alone = found(1)
    assert np.linalg.norm(alone[0]) == pytest.approx(1, abs=1e-14)
    assert alone[1] == pytest.approx(values[low, 0], abs=1e-10 if flops == 0 else 0.05)
    for _ in range(5):
        for one, other in zip(alone, found(3), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["f", "F"])
def test_splits_in_single_precision_are_the_same_on_any_number_of_threads(dtype):
    theta, blocks = two_sites(dtype)
    for use_svd in (False, True):
        alone, shared = (
            split.bases(theta, blocks, True, use_svd, theta[:0], theta.dtype.type(0), theta.real.dtype, threads)
            for threads in (1, 3)
        )
        assert same_rows(alone, shared, blocks, True)


def test_a_round_has_as_many_tasks_as_were_offered():
    board = new_board(1)
    open_round(board, 2)
    assert [claim(board), claim(board), claim(board)] == [2, 1, 0]
    finish(board)
    finish(board)
    wait(board, 2)
    open_round(board, 1)
    assert claim(board) == 1


def test_helpers_go_to_sleep_and_wake_up_again():
    assert add_up(50, 2)
    deadline = time.monotonic() + 20
    while TEAM._crew.board[AWAKE] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not TEAM._crew.board[AWAKE]
    assert add_up(50, 2)


@pytest.mark.parametrize("with_a_task", [True, False])
def test_a_failed_helper_is_reported_and_replaced(monkeypatch, with_a_task):
    serve, failed = TEAM.serve, threading.Event()

    def fail(board, index, dtype, like, single):
        if with_a_task:
            board[AWAKE + 8 * index] = BUSY
            while claim(board) == 0:
                pass
        failed.set()
        raise MemoryError

    def lead(board):
        open_round(board, 3)
        assert failed.wait(20)
        left = next_task(board, 3, 4)
        while left > 0:
            left = next_task(board, 3, left)
        deadline = time.monotonic() + 20
        while not board[team.FAILED] and time.monotonic() < deadline:
            time.sleep(0.001)
        wait(board, 3)

    TEAM._reset()
    monkeypatch.setattr(TEAM, "serve", fail)
    with pytest.raises(RuntimeError, match="helper thread failed"):
        led(2, np.dtype("d"), lead)
    monkeypatch.setattr(TEAM, "serve", serve)
    assert add_up(50, 2)


def test_a_lead_that_fails_waits_until_helpers_left_its_arrays(monkeypatch):
    serve, begun, done = TEAM.serve, threading.Event(), threading.Event()

    def slow(board, index, dtype, like, single):
        board[AWAKE + 8 * index] = BUSY
        while claim(board) == 0:
            pass
        begun.set()
        time.sleep(0.2)
        done.set()
        board[AWAKE + 8 * index] = 0

    def lead(board):
        open_round(board, 3)
        assert begun.wait(20)
        raise MemoryError

    TEAM._reset()
    monkeypatch.setattr(TEAM, "serve", slow)
    with pytest.raises(MemoryError):
        led(2, np.dtype("d"), lead)
    assert done.is_set()
    monkeypatch.setattr(TEAM, "serve", serve)
    assert add_up(50, 2)


@pytest.fixture
def allocated():
    """What Numba counts of its memory."""
    _nrt_python.memsys_enable_stats()
    yield rtsys.get_allocation_stats
    _nrt_python.memsys_disable_stats()


@pytest.mark.parametrize("threads", [1, 3])
def test_rounds_leave_no_memory_behind(allocated, threads):
    (theta, blocks), held = two_sites("d"), []
    for _ in range(30):
        leading.leading(theta, blocks, True, theta[:0], 0.0, 40, threads)
        split.bases(theta, blocks, True, False, theta[:0], 0.0, np.dtype("d"), threads)
        assert add_up(30, threads)
        held.append(allocated().alloc - allocated().free)
    assert max(held) < 30  # what helpers hold while they are awake


def test_leads_beside_each_other():
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: add_up(30, 3), range(60)))


def _in_child(results):
    results.put(add_up(20, 2))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_has_a_team_of_its_own():
    assert add_up(20, 2)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(results,))
    child.start()
    assert results.get()
    child.join(10)
    assert child.exitcode == 0


def test_long_tasks_are_claimed_first():
    assert longest_first(np.array([1.0, 5.0, 3.0])).tolist() == [1, 2, 0]
