"""One measurement in a process of its own: threads fixed before any import, peak memory from the system."""

import importlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.jobs import JOBS

ROOT = Path(__file__).resolve().parent.parent
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS")


def measure(engine: str, job: str, threads: int) -> dict:
    """Run one engine on one job in a fresh process; a missing engine gives {"missing": reason}."""
    env = os.environ | {name: str(threads) for name in _VARIABLES} | {"TENPY_OPTIMIZE": "3"}
    if engine != "block2":
        env["OPENBLAS_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-m", "benchmarks.process", engine, job, str(threads)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        key = "missing" if "ModuleNotFoundError" in last[0] or "ImportError" in last[0] else "failed"
        return {key: last[0]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    engine, job, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    result = importlib.import_module(f"benchmarks.peers.{engine}_peer").run(JOBS[job], threads)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
