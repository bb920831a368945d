"""How many threads the kernels use.

Blocks run side by side on Numba's threads, each with single-threaded BLAS; a lone large block gets BLAS's
own threads. The two are never on at once.
"""

import os
from functools import lru_cache

from tnsim.errors import SettingsError

_VARIABLES = ("TNSIM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
_chosen: int | None = None


def available_threads() -> int:
    """What the environment grants: TNSIM_THREADS, OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, else this process's cores."""
    for variable in _VARIABLES:
        value = os.environ.get(variable, "").split(",")[0].strip()
        if value.isdigit() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count() -> int:
    """Threads in use."""
    return _chosen if _chosen is not None else available_threads()


def set_threads(count: int | None) -> None:
    """Fix the number of threads; None goes back to what the environment grants.

    >>> set_threads(1); thread_count()
    1
    >>> set_threads(None)
    """
    global _chosen
    if count is not None and count < 1:
        raise SettingsError(f"threads must be at least 1, found {count}.")
    _chosen = count
    _apply(thread_count())


def _apply(count: int) -> None:
    import numba

    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    blas_threads(1)


@lru_cache(maxsize=1)
def _blas_libraries() -> tuple:
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)


def blas_threads(count: int) -> None:
    """Give every loaded BLAS this many threads (NumPy and SciPy bring one each)."""
    for library in _blas_libraries():
        library.set_num_threads(count)
