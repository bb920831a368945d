"""One run of tnsim under `probe`, in a process of its own: what every stage spent, and the machine's DGEMM rate."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg.blas import dgemm

from benchmarks import probe as clocks
from benchmarks.job import Job
from benchmarks.jobs import JOBS
from benchmarks.peers import tnsim_peer
from benchmarks.process import peak_mb


def dgemm_rate(n: int = 1000, tries: int = 4) -> float:
    """GFLOP per CPU second of a large product, the best of a few."""
    a = np.asfortranarray(np.random.default_rng(0).normal(size=(n, n)))
    spent = []
    for _ in range(tries):
        clock = time.process_time()
        dgemm(1.0, a, a)
        spent.append(time.process_time() - clock)
    return 2e-9 * n**3 / min(spent)


def profiled(job: Job) -> dict[str, Any]:
    """A line a stage. Times are CPU seconds: those of the wall clock, scaled by the stage's share of a core."""
    probe = clocks.install()
    factor = clocks.seconds_per_cycle()
    tnsim_peer.tn.set_threads(1)
    list(tnsim_peer.stages(job.tiny()))
    lines = []
    probe.spent.clear()
    for stage, psi in tnsim_peer.stages(job):
        share, purposes = stage.cpu_seconds / stage.seconds, {}
        for name, found in probe.spent.items():
            seconds, *cycles, flops = found.tolist()
            gemm, lapack, dot = (factor * share * count for count in cycles)
            purposes[name] = {"seconds": seconds * share, "gemm": gemm, "lapack": lapack, "dot": dot, "flops": flops}
        lines.append(vars(stage) | {"purposes": purposes, "bond": max(psi.bond_dimensions), "dgemm": dgemm_rate()})
        probe.spent.clear()
    return {"L": job.L, "stages": lines, "peak_mb": peak_mb()}


if __name__ == "__main__":
    name, stages, size, answer = sys.argv[1:]
    task = JOBS[name].up_to(int(stages))
    Path(answer).write_text(json.dumps(profiled(task.shorter() if size == "shorter" else task)))
