"""Running a job in the plane: a line a report, checkpoints, signals, and the summary at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.algorithms.watched_run import PlaneObserver
from tnsim.backend import new_data_on, set_threads
from tnsim.errors import SettingsError
from tnsim.io import EXIT_SAVED, EXIT_UNSAVED, StopOnSignals, load
from tnsim.io.atomic import check_writable
from tnsim.io.hdf5 import check_replaceable
from tnsim.io.plane import KIND, PLANE_RESULTS, PlaneCheckpointer, PlaneResult, load_plane_job, write_plane
from tnsim.io.plane_job import PlaneJob, plane_job
from tnsim.io.settings import parse_toml
from tnsim.models.model import Facts
from tnsim.monitor.plane import PlaneLines


def run_plane(job: PlaneJob, console: Console, before: PlaneResult | None = None) -> int:
    """Run a job from its start, or go on from `before`; returns the exit code.

    0: the run ended (the status says how); 75: it was stopped by a signal and saved; 74: its result could not be
    written to its file.
    """
    out = Path(job.run.out)
    check_writable(out)
    if before is None and out.exists():
        check_replaceable(out, KIND)
    set_threads(job.run.threads or None)
    text = job.to_toml()
    console.print(f"{job.model}", style="bold", soft_wrap=True, highlight=False)
    console.print(f"{job.settings.algorithm()}", style="dim", soft_wrap=True, highlight=False)
    with new_data_on(job.run.backend) as backend, StopOnSignals() as signals:
        observers: list[PlaneObserver] = [PlaneLines(console), signals]
        if job.run.checkpoint_seconds:
            seconds, keep = job.run.checkpoint_seconds, job.run.keep
            observers.append(PlaneCheckpointer(out, seconds=seconds, keep=keep, job=text))
        result = job.settings.algorithm().solve(job.network(backend), observers, before)  # type: ignore[arg-type]
    console.print(repr(result), soft_wrap=True, highlight=False)
    console.print(Facts(tuple(job.model.facts)), highlight=False)
    try:
        write_plane(out, result, keep=job.run.keep, job=text)
    except OSError as error:
        console.print(f"the result is not written to {out}: {error}", style="red", soft_wrap=True)
        return EXIT_UNSAVED
    console.print(f"file {out}   (tnsim info | plot | resume --max-steps)", soft_wrap=True, highlight=False)
    return EXIT_SAVED if result.status.name == "interrupted" else 0


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
