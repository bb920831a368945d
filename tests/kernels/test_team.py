"""The team of threads: every task once, whoever comes late, fails or forks."""

import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tnsim.kernels.cpu.team import TEAM, await_task, claim, close, finish, new_board, open_round, share, tasks, wait


def count_tasks(counts, board):
    """What every member does: claim a task, do it, say so."""
    for i in tasks(board, np.arange(len(counts))):
        counts[i] += 1


def count_rounds(counts, board):
    """A helper's part in several rounds."""
    while True:
        number, left = await_task(board)
        if left == 0:
            return
        counts[number - 1, counts.shape[1] - left] += 1
        finish(board)


@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once(threads, count):
    counts = np.zeros(count, dtype=np.int64)
    share(threads, count, count_tasks, counts)
    np.testing.assert_array_equal(counts, 1)


def test_a_helper_stays_for_all_rounds():
    counts, board = np.zeros((50, 7), dtype=np.int64), new_board()
    TEAM.call(2, count_rounds, (counts,), board)
    for done in range(50):
        open_round(board, 7)
        count_tasks(counts[done], board)
        assert wait(board, 7 * (done + 1))
    close(board)
    np.testing.assert_array_equal(counts, 1)


def test_a_helper_that_comes_late_finds_nothing():
    board = new_board(1)
    assert claim(board) == (1, 1)
    finish(board)
    assert claim(board) == (1, 0)
    close(board)
    assert await_task(board)[1] == 0


def test_a_failed_helper_is_reported():
    lead = threading.get_ident()
    failed = threading.Event()

    def work(board):
        if threading.get_ident() != lead:
            claim(board)
            failed.set()
            raise MemoryError
        assert failed.wait(10)
        count_tasks(np.zeros(4), board)

    with pytest.raises(RuntimeError, match="helper thread failed"):
        share(2, 4, work)
    counts = np.zeros(9)
    share(2, 9, count_tasks, counts)
    np.testing.assert_array_equal(counts, 1)


def test_leads_beside_each_other():
    counts = np.zeros((40, 30), dtype=np.int64)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda row: share(3, 30, count_tasks, row), counts))
    np.testing.assert_array_equal(counts, 1)


def _in_child(results):
    counts = np.zeros(20, dtype=np.int64)
    share(2, 20, count_tasks, counts)
    results.put(counts.tolist())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_has_a_team_of_its_own():
    share(2, 20, count_tasks, np.zeros(20))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(results,))
    child.start()
    assert results.get() == [1] * 20
    child.join(10)
    assert child.exitcode == 0
