"""One run of one engine in a process of its own: threads fixed before any import, peak memory of this run alone."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.job import Job
from benchmarks.jobs import JOBS
from benchmarks.measurement import Measurement, Stage, Unsupported
from benchmarks.peers import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "TNSIM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: an engine with its variant, on so many threads."""

    engine: str
    threads: int

    @property
    def peer(self) -> str:
        return self.engine.partition(":")[0]

    @property
    def variant(self) -> str:
        return self.engine.partition(":")[2]


def measure(row: Row, job: Job, cache: str) -> Measurement | str:
    """Run in a fresh process, with compiled code kept in the folder `cache`; in words, why there is no result."""
    if importlib.util.find_spec(PACKAGES[row.peer]) is None:
        return "not installed"
    arguments = [row.engine, job.name, str(len(job.chis)), str(row.threads)]
    content = answer_of("benchmarks.process", arguments, row.threads, {"NUMBA_CACHE_DIR": cache} if cache else {})
    if isinstance(content, str):
        return content
    if "skipped" in content:
        return "skipped: " + content["skipped"]
    return Measurement(**content | {"stages": tuple(Stage(**stage) for stage in content["stages"])})


def answer_of(module: str, arguments: list[str], threads: int, extra: dict[str, str]) -> dict | str:
    """What a module writes as JSON, run in a fresh process on so many threads; in words, why it failed."""
    env = os.environ | {name: str(threads) for name in _VARIABLES} | {"TENPY_OPTIMIZE": "3"} | extra
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:
        command = [sys.executable, "-m", module, *arguments, answer.name]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            return "failed: " + (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return json.load(answer)


def peak_mb() -> float:
    """Largest resident memory of this process image, on Linux; ru_maxrss would count the parent before exec."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _run(row: Row, job: Job) -> Measurement:
    began = time.perf_counter()
    peer = importlib.import_module(f"benchmarks.peers.{row.peer}_peer")
    if row.variant not in peer.VARIANTS:
        raise Unsupported(f"{row.peer} has no variant {row.variant!r}, only {', '.join(filter(None, peer.VARIANTS))}")
    peer.run(job.tiny(), row.threads, row.variant)
    start_seconds = time.perf_counter() - began
    with _numba_compile_seconds() as compile_seconds:
        result = peer.run(job, row.threads, row.variant)
    return replace(result, start_seconds=start_seconds, compile_seconds=sum(compile_seconds), peak_mb=peak_mb())


@contextmanager
def _numba_compile_seconds() -> Iterator[list[float]]:
    """Seconds that Numba spends compiling inside, where the engine uses it at all; filled on leaving."""
    spent: list[float] = []
    if "numba" not in sys.modules:
        yield spent
        return
    event = importlib.import_module("numba.core.event")
    with event.install_timer("numba:compile", spent.append):
        yield spent


def main() -> None:
    engine, job, stages, threads, answer = sys.argv[1:6]
    try:
        content = asdict(_run(Row(engine=engine, threads=int(threads)), JOBS[job].up_to(int(stages))))
    except Unsupported as reason:
        content = {"skipped": str(reason)}
    Path(answer).write_text(json.dumps(content))


if __name__ == "__main__":
    main()
