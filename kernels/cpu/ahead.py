"""First use: a second process compiles the numerical kernels of DMRG while the first one compiles what makes its plans.

Both write into the same cache, and Numba replaces its files whole. What the second process does not manage is compiled
by the first as if there were no second.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tnsim.kernels.cpu import davidson, lanczos, leading, sectors, serve, split
from tnsim.kernels.cpu.team import DTYPES, TEAM, new_board, samples
from tnsim.kernels.table import A_STRIDE, B_STRIDE, C_BUFFER, C_STRIDE, COLUMNS, K, M, N

_SOLVERS = {"lanczos": lanczos.lowest, "davidson": davidson.lowest}
# the second process, and whether eigensolver and splits are compiled, which it says in one letter
_running: list[subprocess.Popen] = []
_READY = b"."
# runs beside each other wait for the one process together
_waiting = threading.Lock()
# seconds after which a compiler is stuck
_PATIENCE = 300.0


def compiled_before(eigensolver: str = "") -> bool:
    """Whether the kernels of the main job, with this eigensolver or any, are in the cache of this machine."""
    return any(_in_cache(kernel) for name, kernel in _SOLVERS.items() if eigensolver in (name, ""))


def _in_cache(kernel: Any) -> bool:
    name = kernel.py_func.__name__
    return any(Path(kernel.stats.cache_path).glob(f"{kernel.py_func.__module__.rsplit('.', 1)[-1]}.{name}-*.nbi"))


def start(dtype: np.dtype, threads: int, eigensolver: str = "lanczos") -> None:
    """Compile for a dtype and an eigensolver what no cache has, in a second process where there is a second core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    before = compiled_before(eigensolver)
    if _running or cores < 2 or not sys.executable or (before and (threads < 2 or _in_cache(serve.serve))):
        return
    code = f"import tnsim.kernels.cpu.ahead as ahead; ahead.compile_kernels({dtype.char!r}, {threads}, {eigensolver!r})"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    answer = subprocess.DEVNULL if before else subprocess.PIPE
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.DEVNULL
        )
    except OSError:
        return
    _running.append(process)
    TEAM.held = True  # helpers would compile beside the second process what it compiles last
    threading.Thread(target=_release, args=(process,), daemon=True, name="tnsim-compiler").start()


def _release(process: subprocess.Popen) -> None:
    """Let helpers work again once the second process has ended, whatever runs then."""
    process.wait()
    TEAM.held = False


def wait(to_the_end: bool = False) -> None:
    """Until the second process, if there is one, has compiled what the lead needs; helpers may wait for its end."""
    if not _running:
        return
    with _waiting:
        _await(to_the_end)


def _await(to_the_end: bool) -> None:
    for process in _running[:]:
        stuck = threading.Timer(_PATIENCE, process.kill)
        stuck.start()
        compile_plans()
        if process.stdout is not None and not process.stdout.closed:
            process.stdout.read(len(_READY))  # nothing where it failed
            process.stdout.close()
        if to_the_end:
            process.wait()
        stuck.cancel()
        if process.poll() is not None:
            _running.remove(process)
            TEAM.held = False


def compile_plans() -> None:
    """Call what else the first bond update needs after Lanczos, on one sector without blocks."""
    one, none = np.ones(1, dtype=np.int64), np.empty((0, COLUMNS), dtype=np.int64)
    table, blocks = np.zeros((1, 1), dtype=np.int64), (none[:, :3].copy(), one)
    panels = table, table, one
    split.choose(np.ones(1), one, 0.0, 1, 1, 0.0, 0.0, 0.0)
    sectors.split_rows(one - 1, panels, panels, one, one, one, one, blocks, blocks, one, True)
    sectors.project_rows(none, one, one - 1, one, one)


def compile_kernels(dtype: str, threads: int, eigensolver: str = "lanczos") -> None:
    """Call every numerical kernel of two-site DMRG once, on one matrix of one number; last what later sweeps and
    helpers need."""
    blocks, theta = np.array([[0, 1, 1]]), np.ones(1, dtype=dtype)
    rows = np.zeros((1, COLUMNS), dtype=np.int64)
    rows[:, [M, N, K, A_STRIDE, B_STRIDE, C_STRIDE, C_BUFFER]] = 1
    order = np.zeros(1, dtype=np.int64)
    plan = SimpleNamespace(rows=rows, alphas=theta, starts=np.arange(2), order=order, work=1, flops=0.0)

    def solve() -> None:
        if eigensolver == "davidson":
            davidson.solve(plan, theta.reshape(1, 1), theta, (theta,) * 4, (1, 1, 1.0, 0.0), 1)
        else:
            lanczos.solve(plan, theta, (theta,) * 4, (1, 1, 1.0, 0.0), 1)

    solve()
    double = np.result_type(dtype, np.float64)
    wide = theta.astype(double)
    leading.leading(wide, blocks, True, wide[:0], 0.0, 1, 1)
    split.bases(theta, blocks, True, False, theta[:0], theta.dtype.type(0), theta.real.dtype, 1)
    with suppress(OSError):  # the first process may have ended
        sys.stdout.buffer.write(_READY)
        sys.stdout.flush()
    plan.flops = np.inf  # only large products are worth single precision, so this is needed later
    solve()
    if threads > 1:
        number = DTYPES.index(dtype)
        serve.serve(new_board(1), 0, number, *samples(number))
