"""The team of threads: every task once, whoever comes late, sleeps, fails or forks."""

import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python, rtsys

from tnsim.kernels import table as t
from tnsim.kernels.cpu import leading, products, split, team
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


@pytest.mark.parametrize("dtype", ["f", "F"])
def test_helpers_work_on_single_precision_alone(dtype):
    """The lead opens a round and does none of its tasks."""
    rows, alphas, starts, _ = plan_of_sums(40, dtype)
    order = np.arange(40)
    b, c = np.full(40, 2, dtype=dtype), np.zeros(40, dtype=dtype)

    def lead(board):
        place = team.ARGUMENTS
        for array in (rows.ravel(), alphas, starts, order, b, c, *[b] * 6):
            board[place], board[place + 1] = array.ctypes.data, array.size
            place += 2
        board[team.KIND] = team.SINGLE_ROWS
        open_round(board, 40)
        deadline = time.monotonic() + 120  # its first task may be compiled
        while board[team.DONE] < 40 and not board[team.FAILED] and time.monotonic() < deadline:
            time.sleep(0.001)
        assert board[team.DONE] == 40 and not board[team.FAILED]

    TEAM._reset()  # one that is awake for other numbers would go to sleep
    led(2, np.dtype(dtype), lead)
    assert np.array_equal(c, 2 * alphas)


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
