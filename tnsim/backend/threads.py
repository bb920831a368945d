"""How many threads the kernels use.

Blocks run side by side on the kernels' threads, each with single-threaded BLAS; a lone large block gets BLAS's
own threads. The two are never on at once.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache

from tnsim.errors import SettingsError

_VARIABLES = ("TNSIM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
_chosen: int | None = None
# what the environment grants, asked once a sweep and not ten times a bond update
_granted: ContextVar[int | None] = ContextVar("granted", default=None)
# one of several callers that share the threads
_alone: ContextVar[bool] = ContextVar("alone", default=False)
# entered ten times a bond update: made once
_AS_IT_IS = nullcontext()


def available_threads() -> int:
    """What the environment grants: TNSIM_THREADS, OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, else this process's cores.

    Raises SettingsError where TNSIM_THREADS is no whole number; the others are not tnsim's own, and what they hold
    may be meant for another program.
    """
    for variable in _VARIABLES:
        value = os.environ.get(variable, "").split(",")[0].strip()
        if value.isdecimal() and int(value) > 0:
            return int(value)
        if value and variable == _VARIABLES[0]:
            raise SettingsError(
                f"{variable} must be a whole number of at least 1, found {value!r}: correct or unset it."
            )
    return core_count()


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Threads in use."""
    return 1 if _alone.get() else _chosen or _granted.get() or available_threads()


def set_threads(count: int | None) -> None:
    """Fix the number of threads; None goes back to what the environment grants.

    >>> set_threads(1); thread_count()
    1
    >>> set_threads(None)
    """
    global _chosen
    if count is not None and (not isinstance(count, int) or count < 1):
        raise SettingsError(f"threads must be a whole number of at least 1, found {count!r}.")
    _chosen = count


@contextmanager
def block_threads() -> Iterator[None]:
    """Inside, kernels run blocks side by side on `thread_count` threads and BLAS has one thread a block."""
    before = [library.get_num_threads() for library in _blas_libraries()]
    blas_threads(1)
    token = _granted.set(available_threads())
    try:
        yield
    finally:
        _granted.reset(token)
        for library, count in zip(_blas_libraries(), before, strict=True):
            library.set_num_threads(count)


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, kernels use the calling thread alone: for callers that work side by side, within `block_threads`.

    >>> with one_thread():
    ...     thread_count()
    1
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def blas_for(lone_block: bool) -> AbstractContextManager[None]:
    """Inside, a lone large block has BLAS's own threads; the setting before is put back."""
    return _blas_alone() if lone_block else _AS_IT_IS


@contextmanager
def _blas_alone() -> Iterator[None]:
    blas_threads(thread_count())
    try:
        yield
    finally:
        blas_threads(1)


@lru_cache(maxsize=1)
def _blas_libraries() -> tuple:
    import numba  # noqa: F401  (SciPy's BLAS must be loaded before the libraries are listed)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)


def blas_threads(count: int) -> None:
    """Give every loaded BLAS this many threads (NumPy and SciPy bring one each)."""
    for library in _blas_libraries():
        library.set_num_threads(count)
