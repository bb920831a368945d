"""Running a job in the plane: a line a report, checkpoints, signals, and the summary at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.backend import Backend
from tnsim.errors import SettingsError
from tnsim.file_run import FileRun
from tnsim.io import load
from tnsim.io.plane import KIND, PLANE_RESULTS, PlaneCheckpointer, PlaneResult, load_plane_job, write_plane
from tnsim.io.plane_job import PlaneJob, plane_job
from tnsim.io.settings import parse_toml
from tnsim.models.model import Facts
from tnsim.monitor.plane import PlaneLines

_RUN = FileRun(
    kind=KIND, lines=PlaneLines, checkpointer=PlaneCheckpointer, write=write_plane, flags="--max-steps"
)  # fmt: skip


def run_plane(job: PlaneJob, console: Console, before: PlaneResult | None = None) -> int:
    """Run a job from its start, or go on from `before`; returns the exit code, see `FileRun`."""
    algorithm = job.settings.algorithm()

    def solve(backend: Backend, observers: list[Any]) -> PlaneResult:
        return algorithm.solve(job.network(backend), observers, before)  # type: ignore[arg-type]

    return _RUN.run(job, console, solve, about=algorithm, anew=before is None, facts=Facts(tuple(job.model.facts)))


def resumed_plane(file: Path, changes: dict[str, Any], out: str, console: Console) -> tuple[PlaneJob, Console, Any]:
    """What `run_plane` takes to go on from a file, to more steps, another chi_max or tol."""
    found, text = load(file), load_plane_job(file)
    if not isinstance(found, PLANE_RESULTS) or not text:
        raise SettingsError(f"{file} was not written by tnsim plane: go on in Python with resume=tnsim.load(...).")
    known = {"chi_max", "max_steps", "tol"}
    if other := sorted(set(changes) - known):
        raise SettingsError(f"a run in the plane goes on with another {', '.join(sorted(known))}, not with {other}.")
    job = plane_job(parse_toml(text, str(file)))
    if "chi_max" in changes and job.settings.method not in ("ctmrg", "boundary"):
        raise SettingsError(f"{job.settings.method} cannot go on with another chi_max: start anew.")
    console.print(f"resuming {file} after step {found.history[-1].step}", soft_wrap=True, highlight=False)
    return PlaneJob(job.model, replace(job.settings, **changes), replace(job.run, out=out)), console, found
