"""Threads that work through the tasks of one kernel together.

The lead describes a job on a board (what to do, and the addresses of its arrays) and opens a round of tasks; lead and
helpers claim tasks by an atomic step, and the lead waits for the last one. As no task is assigned in advance, a helper
that the machine has no core for costs the lead nothing but its help; one that loses its core with a task in hand keeps
the lead waiting until it has it back.

Helpers stay in compiled code between jobs, looking at the board (`serve.py`): coming back to Python would cost two
changes of the interpreter's lock a job, each as long as a small job. After some milliseconds with nothing to do they
sleep on a queue. One lead at a time has the team; others work alone.

A board holds WORD = round << 32 | tasks left, DONE = tasks of this round that are finished, FAILED, LIMIT = helpers
that may claim, the job, and for every helper whether it sleeps, looks for a task or does one.

Helpers read and write arrays by their addresses, so these live until the round is over: `wait` comes before their end,
`keep` holds those that a kernel made itself, and where the lead fails `led` calls the round off before it lets go.
"""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from tnsim.kernels.cpu.compiled import inner, kernel

# places on a board, each on a cache line of its own
WORD, DONE, FAILED, LIMIT, JOB, AWAKE = 0, 8, 16, 24, 32, 96
# in a job: what to do, the dtype of its data, then its arguments
KIND, DTYPE, ARGUMENTS = JOB, JOB + 1, JOB + 2
DTYPES = "fdFD"
# kinds of jobs; rows and vectors may have half the digits of the dtype: SINGLE more than their kind
ROWS, FACTOR, ITERATE, GRAM, SVD, VECTORS, SPACE, COMBINE, COPY, SINGLE = range(10)
# looks at the board before the core is offered to another thread, and before a helper goes to sleep (milliseconds, as a
# look takes some ten nanoseconds)
_PATIENCE, _IDLE_LOOKS = 200, 50_000
# what says that a loop waits, by processor: LLVM's name, and arguments
_ISB = "llvm.aarch64.isb", [ir.Constant(ir.IntType(32), 15)]
_PAUSES = {"x86_64": ("llvm.x86.sse2.pause", []), "aarch64": _ISB, "arm64": _ISB}
# what a helper does
ASLEEP, IDLE, BUSY = range(3)


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


@intrinsic
def _relax(typing_context):
    """Tell the processor that this is a loop that waits: what shares its power or its core with others goes to them."""
    instruction = _PAUSES.get(llvm.get_process_triple().split("-")[0])

    def generate(context, builder, signature, args):
        if instruction is not None:
            name, arguments = instruction
            kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
        return context.get_dummy_value()

    return types.void(), generate


if os.name == "posix":
    _sched_yield = types.ExternalFunction("sched_yield", types.intc())

    @inner
    def _give_way(looks):
        _relax()
        if looks % _PATIENCE == _PATIENCE - 1:
            _sched_yield()

else:

    @inner
    def _give_way(looks):
        _relax()


@intrinsic
def _pointer(typing_context, address):
    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@inner
def open_round(board, count):
    """Offer `count` tasks of the job on the board; the lead's, after the last round is done."""
    _store(board, DONE, 0)
    word = _load(board, WORD)
    _store(board, WORD, ((word >> 32) + 1) << 32 | count)


@inner
def claim(board):
    """Tasks that were left before one was claimed, or 0 where there is none to do."""
    while True:
        word = _load(board, WORD)
        left = word & 0xFFFFFFFF
        if left == 0 or _exchange(board, WORD, word, word - 1):
            return left


@inner
def next_claim(claims):
    """The number of claims before this one, of threads that share a counter."""
    return _add(claims, 0, 1)


@inner
def finish(board):
    """A claimed task is done."""
    _add(board, DONE, 1)


@inner
def next_task(board, count, last):
    """Tasks left before the one that the lead does now, 0 where there is none; with an empty board it does them all.

    last: what this returned before, whose task is done now, and count + 1 at first.
    `left = next_task(board, n, n + 1)`, `while left > 0:` task number n - left, `left = next_task(board, n, left)`.
    """
    if len(board) == 0:
        return last - 1
    if last <= count:
        finish(board)
    return claim(board)


@inner
def wait(board, count):
    """Until all `count` tasks of the round are done. Raises RuntimeError where a helper failed."""
    looks = 0
    while len(board) > 0 and _load(board, DONE) < count:
        _give_way(looks)
        looks += 1
    if len(board) > 0 and _load(board, FAILED) != 0:
        raise RuntimeError("a helper thread failed: most likely the machine has no memory left.")


@inner
def keep(array):
    """Alive until here: behind `wait` for every array that was made in a kernel and that helpers use."""
    return len(array)


@inner
def describe(board, place, array):
    """Write down where an array lies and how long it is; the next free place of the job."""
    board[place], board[place + 1] = array.ctypes.data, array.size
    return place + 2


@inner
def array_at(board, place, like):
    """The flat array that `describe` wrote down, of the dtype of `like`."""
    return carray(_pointer(board[place]), board[place + 1], like.dtype)


@inner
def integers_at(board, place):
    """The flat array of integers that `describe` wrote down."""
    return carray(_pointer(board[place]), board[place + 1], np.int64)


@inner
def numbers_at(board, place):
    """The flat array in double precision that `describe` wrote down."""
    return carray(_pointer(board[place]), board[place + 1], np.float64)


@inner
def table_at(board, place, columns):
    """The table of integers that `describe` wrote down."""
    return carray(_pointer(board[place]), (board[place + 1] // columns, columns), np.int64)


@inner
def await_claim(board, index, dtype):
    """A helper's claim: tasks left before it, or 0 after a long time without a task of this dtype."""
    looks, place = 0, AWAKE + 8 * index
    _store(board, place, IDLE)
    while looks < _IDLE_LOOKS:
        word = _load(board, WORD)
        left = word & 0xFFFFFFFF
        if left > 0 and index < board[LIMIT]:
            if board[DTYPE] != dtype:
                break
            _store(board, place, BUSY)
            if _exchange(board, WORD, word, word - 1):
                return left
            _store(board, place, IDLE)
            continue
        _give_way(looks)
        looks += 1
    _store(board, place, ASLEEP)
    return 0


@kernel
def call_off(board):
    """End a round: no task is claimed any more, and the helpers have left those that were."""
    while claim(board) > 0:
        pass
    looks = 0
    for place in range(AWAKE, len(board), 8):
        while _load(board, place) == BUSY:
            _give_way(looks)
            looks += 1


@kernel
def _fail(board, index):
    """A helper ends with an exception: its task, if it has one, counts as done, so that the lead sees it."""
    _store(board, FAILED, 1)
    if _load(board, AWAKE + 8 * index) == BUSY:
        _add(board, DONE, 1)
    _store(board, AWAKE + 8 * index, ASLEEP)


def samples(dtype: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty arrays of a dtype (by its number) and of that with half the digits."""
    return np.empty(0, dtype=DTYPES[dtype]), np.empty(0, dtype="fF"[dtype // 2])


def new_board(helpers: int) -> np.ndarray:
    """A board for so many helpers, with nothing to do."""
    return np.zeros(AWAKE + 8 * helpers, dtype=np.int64)


class _Crew:
    """A board, what every helper sleeps on, and the lock of who leads; helpers stay with their board."""

    def __init__(self) -> None:
        self.board = new_board(os.cpu_count() or 1)
        self.beds: list[SimpleQueue[None]] = []
        self.lock = threading.Lock()


class Team:
    """Helper threads, started on demand. `serve` is what they do (see `serve.py`)."""

    def __init__(self) -> None:
        self.serve: Callable = _fail
        self.held = False  # no helpers for now
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """A new board with new helpers: some may still be at work on the last one, which is not used again."""
        self._crew = _Crew()

    def take(self, threads: int, dtype: np.dtype) -> tuple[np.ndarray, threading.Lock] | None:
        """A board with `threads` - 1 helpers for jobs on data of this dtype, and the lock to release after them.

        None where no helpers are to be had.
        """
        crew = self._crew  # read once: another thread may reset
        helpers = min(threads - 1, (len(crew.board) - AWAKE) // 8)
        if helpers < 1 or self.held or not crew.lock.acquire(blocking=False):
            return None
        try:
            crew.board[LIMIT], crew.board[DTYPE] = helpers, DTYPES.index(dtype.char)
            self._rouse(crew, helpers)
        except BaseException:
            self._reset()
            crew.lock.release()
            raise
        return crew.board, crew.lock

    def _rouse(self, crew: _Crew, helpers: int) -> None:
        while len(crew.beds) < helpers:
            bed: SimpleQueue[None] = SimpleQueue()
            arguments = crew.board, len(crew.beds), bed
            threading.Thread(target=self._live, args=arguments, daemon=True, name="tnsim-helper").start()
            crew.beds.append(bed)
        for index, bed in enumerate(crew.beds[:helpers]):
            place = AWAKE + 8 * index
            if crew.board[place] == ASLEEP:
                crew.board[place] = IDLE
                bed.put(None)

    def _live(self, board: np.ndarray, index: int, bed: SimpleQueue) -> None:
        while True:
            bed.get()
            dtype = int(board[DTYPE])
            try:
                self.serve(board, index, dtype, *samples(dtype))
            except BaseException:  # noqa: BLE001  (the lead raises; a dead helper would leave it waiting)
                _fail(board, index)
                return


TEAM = Team()
_ALONE = np.empty(0, dtype=np.int64)


def led(threads: int, dtype: np.dtype, function: Callable, *arguments: Any) -> Any:
    """function(*arguments, board), alone or with a team of so many threads for jobs on data of this dtype."""
    taken = TEAM.take(threads, dtype) if threads > 1 else None
    if taken is None:
        return function(*arguments, _ALONE)
    board, lock = taken
    try:
        return function(*arguments, board)
    except BaseException:
        call_off(board)  # the arguments are the caller's; what a kernel made before it raised is never freed
        TEAM._reset()
        raise
    finally:
        lock.release()
