"""Running a job in the plane of a quantum model: a line a report, checkpoints, signals, and the summary at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.algorithms.peps.ground_state import INTERRUPTED, PEPSResult
from tnsim.backend import new_data_on, set_threads
from tnsim.errors import SettingsError
from tnsim.io import EXIT_SAVED, EXIT_UNSAVED, StopOnSignals, load
from tnsim.io.atomic import check_writable
from tnsim.io.hdf5 import check_replaceable
from tnsim.io.peps import KIND, PEPSCheckpointer, load_peps_job, write_peps
from tnsim.io.peps_job import PEPSJob, peps_job
from tnsim.io.settings import parse_toml
from tnsim.monitor.peps import PEPSLines


def run_peps(job: PEPSJob, console: Console, before: PEPSResult | None = None) -> int:
    """Run a job from its start, or go on from `before`; returns the exit code.

    0: the run ended (the status says how); 75: it was stopped by a signal and saved; 74: its result could not be
    written to its file.
    """
    out = Path(job.run.out)
    check_writable(out)
    if before is None and out.exists():
        check_replaceable(out, KIND)
    set_threads(job.run.threads or None)
    text, search = job.to_toml(), job.search()
    console.print(f"{job.model}", style="bold", soft_wrap=True, highlight=False)
    console.print(f"{job.terms}", style="dim", soft_wrap=True, highlight=False)
    with new_data_on(job.run.backend) as backend, StopOnSignals() as signals:
        observers: list[Any] = [PEPSLines(console), signals]
        if job.run.checkpoint_seconds:
            seconds, keep = job.run.checkpoint_seconds, job.run.keep
            observers.append(PEPSCheckpointer(out, seconds=seconds, keep=keep, job=text))
        start = job.start(backend.name)
        result = search.solve(job.terms, start, observers, resume=before, bound=job.bound)
    console.print(repr(result), soft_wrap=True, highlight=False)
    console.print(job.facts, highlight=False)
    try:
        write_peps(out, result, keep=job.run.keep, job=text)
    except OSError as error:
        console.print(f"the result is not written to {out}: {error}", style="red", soft_wrap=True)
        return EXIT_UNSAVED
    console.print(f"file {out}   (tnsim info | plot | resume --chi-max)", soft_wrap=True, highlight=False)
    return EXIT_SAVED if result.status.name == INTERRUPTED else 0


def resumed_peps(file: Path, changes: dict[str, Any], out: str, console: Console) -> tuple[PEPSJob, Console, Any]:
    """What `run_peps` takes to go on from a file: to the end of its cooling, or to be measured at another chi_max."""
    found, text = load(file), load_peps_job(file)
    if not isinstance(found, PEPSResult) or not text:
        raise SettingsError(f"{file} was not written by tnsim peps: go on in Python with resume=tnsim.load(...).")
    if other := sorted(set(changes) - {"chi_max"}):
        raise SettingsError(
            f"a PEPS goes on to the end of its cooling, or is measured with another --chi-max, not with {other}."
        )
    job = peps_job(parse_toml(text, str(file)))
    chi = changes.get("chi_max", job.settings.chi)
    console.print(f"resuming {file} after {_place(found.prepared.history[-1])}", soft_wrap=True, highlight=False)
    return PEPSJob(job.model, replace(job.settings, chi=chi), replace(job.run, out=out)), console, found


def _place(report: Any) -> str:
    return f"step {report.step}" if hasattr(report, "step") else f"iteration {report.iteration}"
