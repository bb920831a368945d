"""Running a job in the plane of a quantum model: a line a report, checkpoints, signals, and the summary at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.algorithms.peps.ground_state import PEPSResult
from tnsim.backend import Backend
from tnsim.errors import SettingsError
from tnsim.file_run import FileRun
from tnsim.io import load
from tnsim.io.peps import KIND, PEPSCheckpointer, load_peps_job, write_peps
from tnsim.io.peps_job import GRADIENT, VARIATIONAL, PEPSJob, peps_job
from tnsim.io.settings import parse_toml
from tnsim.monitor.peps import PEPSLines

# what changes where a minimisation ends
_OF_MINIMISATIONS = ("iterations", "stall_tol")
_RUN = FileRun(
    kind=KIND, lines=PEPSLines, checkpointer=PEPSCheckpointer, write=write_peps, flags="--chi-max"
)  # fmt: skip


def run_peps(job: PEPSJob, console: Console, before: PEPSResult | None = None) -> int:
    """Run a job from its start, or go on from `before`; returns the exit code, see `FileRun`."""
    search = job.search()

    def solve(backend: Backend, observers: list[Any]) -> PEPSResult:
        start = job.start(backend.name)
        return search.solve(job.terms, start, observers, resume=before, bound=job.bound)

    return _RUN.run(job, console, solve, about=job.terms, anew=before is None, facts=job.facts)


def resumed_peps(file: Path, changes: dict[str, Any], out: str, console: Console) -> tuple[PEPSJob, Console, Any]:
    """What `run_peps` takes to go on from a file.

    To the end of its cooling or minimisation, or to be measured at another chi_max; iterations: how many a minimisation
    may take in all; stall_tol: what it gains at least in 20 of them.
    """
    found, text = load(file), load_peps_job(file)
    if not isinstance(found, PEPSResult) or not text:
        raise SettingsError(f"{file} was not written by tnsim peps: go on in Python with resume=tnsim.load(...).")
    if other := sorted(set(changes) - {"chi_max", "memory_gib", *_OF_MINIMISATIONS}):
        raise SettingsError(
            "a PEPS goes on to the end of its cooling, or with more --iterations or a smaller --stall-tol, or is "
            f"measured with another --chi-max, not with {other}."
        )
    job = peps_job(parse_toml(text, str(file)))
    for name in _OF_MINIMISATIONS:
        if name in changes and job.settings.update not in (GRADIENT, VARIATIONAL):
            flag = "--" + name.replace("_", "-")
            raise SettingsError(f"{flag} belongs to a minimisation, {file} holds a {job.settings.update} update.")
    changed = {{"chi_max": "chi"}.get(name, name): value for name, value in changes.items()}
    console.print(f"resuming {file} after {_place(found.prepared.history[-1])}", soft_wrap=True, highlight=False)
    return PEPSJob(job.model, replace(job.settings, **changed), replace(job.run, out=out)), console, found


def _place(report: Any) -> str:
    return f"step {report.step}" if hasattr(report, "step") else f"iteration {report.iteration}"
