"""Running a job of time evolution: a line a report, checkpoints, signals, and the summary at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.algorithms.evolution.evolution import Evolved
from tnsim.backend import Backend
from tnsim.errors import SettingsError
from tnsim.file_run import FileRun
from tnsim.io import EvolutionCheckpointer, load
from tnsim.io.evolution_job import EvolutionJob, evolution_job
from tnsim.io.evolved import KIND, load_job, write_evolved
from tnsim.io.settings import parse_toml
from tnsim.monitor.evolution import EvolutionLines

_RUN = FileRun(
    kind=KIND, lines=EvolutionLines, checkpointer=EvolutionCheckpointer, write=write_evolved, flags="--time"
)  # fmt: skip


def run_evolution(job: EvolutionJob, console: Console, before: Evolved | None = None) -> int:
    """Run a job from its start, or go on from `before`; returns the exit code, see `FileRun`."""
    observe = job.observe()

    def solve(backend: Backend, observers: list[Any]) -> Evolved:
        H = job.operator()
        H = H.to(backend) if hasattr(H, "to") else H
        psi = before.state.to(backend) if before else job.model.product(job.run.initial or None, backend=backend.name)
        return job.settings.run(H, psi, time=job.run.time, observe=observe, observers=observers, resume=before)

    return _RUN.run(job, console, solve, about=job.settings, anew=before is None)


def resumed_evolution(
    file: Path, changes: dict[str, Any], out: str | None, console: Console
) -> tuple[EvolutionJob, Console, Evolved]:
    """What `run_evolution` takes to go on from a file, to another time or with another chi_max."""
    found, text = load(file), load_job(file)
    if not isinstance(found, Evolved) or not text:
        raise SettingsError(f"{file} was not written by tnsim evolve: go on in Python with resume=tnsim.load(...).")
    other = sorted(set(changes) - {"time", "chi_max"})
    if other:
        raise SettingsError(f"an evolution goes on to another --time or with another --chi-max, not with {other}.")
    try:
        job = evolution_job(parse_toml(text, str(file)))
    except SettingsError as error:
        raise SettingsError(
            f"{file} was written with settings that this version does not take: {error} Its state and reports are "
            f'read: go on in Python, `found = tnsim.load("{file}")` and `evolution.run(H, found.state, time=..., '
            "resume=found)` with settings of today; observe what was measured, under the names in found.records."
        ) from error
    run = replace(job.run, time=changes.get("time", job.run.time), out=out or str(file))
    cut = replace(job.settings.truncation, chi_max=changes.get("chi_max", job.settings.truncation.chi_max))
    console.print(f"resuming {file} at time {found.times[-1]:.6g}", soft_wrap=True, highlight=False)
    return EvolutionJob(job.model, replace(job.settings, truncation=cut), run), console, found
