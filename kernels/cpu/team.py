"""Threads that work through the tasks of one kernel call together.

Every member calls the same compiled function with the same arguments and one `board`, on which tasks are claimed by
an atomic step. The lead, who made the board, opens rounds of tasks, works like the others and waits at the end of a
round; helpers join when they get to it. As no task is assigned in advance, a helper that the machine has no
core for costs the lead nothing but its help.

A board holds: WORD = round << 32 | tasks left (-1: closed), DONE = tasks finished in all, FAILED. One a call, so
a helper that comes late finds no task left. Each number has a cache line of its own.
"""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

WORD, DONE, FAILED, BOARD = 0, 8, 16, 24
# looks at the board before the core is offered to another thread
_PATIENCE = 2000


def _slot(context, builder, signature, args):
    array = context.make_array(signature.args[0])(context, builder, args[0])
    index = context.cast(builder, args[1], signature.args[1], types.intp)
    return cgutils.get_item_pointer(context, builder, signature.args[0], array, [index])


@intrinsic
def _load(typing_context, board, index):
    def generate(context, builder, signature, args):
        return builder.load_atomic(_slot(context, builder, signature, args), "acquire", 8)

    return types.int64(board, index), generate


@intrinsic
def _store(typing_context, board, index, value):
    def generate(context, builder, signature, args):
        builder.store_atomic(args[2], _slot(context, builder, signature, args), "release", 8)
        return context.get_dummy_value()

    return types.void(board, index, types.int64), generate


@intrinsic
def _add(typing_context, board, index, value):
    def generate(context, builder, signature, args):
        return builder.atomic_rmw("add", _slot(context, builder, signature, args), args[2], "acq_rel")

    return types.int64(board, index, types.int64), generate


@intrinsic
def _exchange(typing_context, board, index, expected, value):
    """Whether the slot held `expected`; it then holds `value`."""

    def generate(context, builder, signature, args):
        slot = _slot(context, builder, signature, args)
        pair = builder.cmpxchg(slot, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(board, index, types.int64, types.int64), generate


if os.name == "posix":
    _sched_yield = types.ExternalFunction("sched_yield", types.intc())

    @njit(cache=True, nogil=True)
    def _give_way(looks):
        if looks % _PATIENCE == _PATIENCE - 1:
            _sched_yield()

else:

    @njit(cache=True, nogil=True)
    def _give_way(looks):
        pass


@njit(cache=True, nogil=True)
def open_round(board, count):
    """Offer `count` tasks; the lead's, after the last round is done."""
    word = _load(board, WORD)
    _store(board, WORD, ((word >> 32) + 1) << 32 | count)


@njit(cache=True, nogil=True)
def claim(board):
    """(round from 1, or -1 where closed; tasks that were left, or 0 where there is none to do)."""
    while True:
        word = _load(board, WORD)
        left = word & 0xFFFFFFFF
        if word < 0 or left == 0:
            return word >> 32, 0
        if _exchange(board, WORD, word, word - 1):
            return word >> 32, left


@njit(cache=True, nogil=True)
def finish(board):
    """A claimed task is done."""
    _add(board, DONE, 1)


# no cache: Numba cannot compile a caller of a generator that it loaded; the callers are cached with it
@njit(nogil=True)
def tasks(board, order):
    """The tasks of the round that is open, as many as this thread can claim: `for i in tasks(board, order)`."""
    while True:
        left = claim(board)[1]
        if left == 0:
            return
        yield order[len(order) - left]
        finish(board)


@njit(cache=True, nogil=True)
def wait(board, count):
    """Until `count` tasks are done since the board was made; false where a helper failed."""
    looks = 0
    while _load(board, DONE) < count:
        if _load(board, FAILED) != 0:
            return False
        _give_way(looks)
        looks += 1
    return True


@njit(cache=True, nogil=True)
def await_task(board):
    """Like `claim`, but waits for the next round; left = 0 where the board was closed."""
    looks = 0
    while True:
        number, left = claim(board)
        if left > 0 or number < 0:
            return number, left
        _give_way(looks)
        looks += 1


@njit(cache=True, nogil=True)
def close(board):
    """No more rounds: helpers return."""
    _store(board, WORD, -1)


@njit(cache=True, nogil=True)
def _fail(board):
    _store(board, FAILED, 1)


class Team:
    """Helper threads, started on demand; they sleep on a queue between calls."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._jobs: SimpleQueue[tuple[Callable, tuple, np.ndarray]] = SimpleQueue()
        self._helpers = 0
        self._lock = threading.Lock()

    def call(self, helpers: int, function: Callable, arguments: tuple, board: np.ndarray) -> None:
        """Have `helpers` threads call function(*arguments, board) as soon as they are free."""
        with self._lock:
            while self._helpers < helpers:
                threading.Thread(target=self._serve, args=(self._jobs,), daemon=True, name="tnsim-helper").start()
                self._helpers += 1
        for _ in range(helpers):
            self._jobs.put((function, arguments, board))

    @staticmethod
    def _serve(jobs: SimpleQueue) -> None:
        while True:
            function, arguments, board = jobs.get()
            try:
                function(*arguments, board)
            except BaseException:  # noqa: BLE001  (the lead raises; a dead helper would leave it waiting)
                _fail(board)
            del function, arguments, board


TEAM = Team()
_ALONE = np.empty(0, dtype=np.int64)


def new_board(count: int = 0) -> np.ndarray:
    """A board, with a first round of `count` tasks open where there are any."""
    board = np.zeros(BOARD, dtype=np.int64)
    if count:
        open_round(board, count)
    return board


def share(threads: int, count: int, function: Callable, *arguments: Any) -> None:
    """Run function(*arguments, board) on up to `threads` threads until all its `count` tasks are done."""
    board, helpers = new_board(count), min(threads, count) - 1
    if helpers > 0:
        TEAM.call(helpers, function, arguments, board)
    function(*arguments, board)
    if helpers > 0 and not wait(board, count):
        raise RuntimeError("a helper thread failed: most likely the machine has no memory left.")


def lead(threads: int, function: Callable, helper: Callable, *arguments: Any) -> Any:
    """function(*arguments, board), which opens rounds, and helper(*arguments, board) on the other threads."""
    if threads <= 1:
        return function(*arguments, _ALONE)
    board = new_board()
    TEAM.call(threads - 1, helper, arguments, board)
    try:
        return function(*arguments, board)
    finally:
        close(board)
