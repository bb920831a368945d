"""First use: a second process compiles the numerical kernels of DMRG while the first one compiles its plans.

Both write into the same cache, and Numba replaces its files whole. What the second process does not manage is compiled
by the first as if there were no second.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tnsim.kernels.cpu import lanczos, leading, split
from tnsim.kernels.table import A_STRIDE, B_STRIDE, C_BUFFER, C_STRIDE, COLUMNS, K, M, N

# a process that takes longer than any compiler is stuck
_PATIENCE = 300
_running: list[subprocess.Popen] = []


def compiled_before() -> bool:
    """Whether the kernels of the main job are in the cache of this machine."""
    return any(Path(lanczos.lowest.stats.cache_path).glob("lanczos.lowest-*.nbi"))


def start(dtype: np.dtype, threads: int) -> None:
    """Compile the kernels for a dtype in a second process, where nothing is compiled yet and there is a second core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if _running or cores < 2 or not sys.executable or compiled_before():
        return
    code = f"import tnsim.kernels.cpu.ahead as ahead; ahead.compile_kernels({dtype.char!r}, {threads})"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        _running.append(subprocess.Popen([sys.executable, "-c", code], env=env, **quiet))
    except OSError:
        return


def wait() -> None:
    """Until the second process has ended, if there is one."""
    while _running:
        process = _running.pop()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def compile_kernels(dtype: str, threads: int) -> None:
    """Call every numerical kernel of two-site DMRG once, on one matrix of one number for every thread."""
    blocks = np.column_stack([np.arange(threads), np.ones((threads, 2), dtype=np.int64)])
    theta, alphas = np.ones(threads, dtype=dtype), np.ones(threads, dtype=dtype)
    rows = np.zeros((threads, COLUMNS), dtype=np.int64)
    rows[:, [M, N, K, A_STRIDE, B_STRIDE, C_STRIDE]] = 1
    rows[:, C_BUFFER] = 1
    plan = SimpleNamespace(rows=rows, alphas=alphas, starts=np.arange(threads + 1), weights=np.ones(threads), work=1)
    lanczos.solve(plan, theta, (theta,) * 4, (1, 1, 1.0, 0.0), threads)
    double = np.result_type(dtype, np.float64)
    wide, scale = theta.astype(double), double.type(0)
    for rightwards in (True, False):
        leading.leading(wide, blocks, rightwards, wide[:0], scale, 1, threads)
    split.bases(theta, blocks, True, False, theta[:0], theta.dtype.type(0), theta.real.dtype, threads)
    split.choose(np.ones(1), np.ones(1, dtype=np.int64), 0.0, 1, 1, 0.0, 0.0, 0.0)
