"""Running a job of time evolution: a line a report, checkpoints, signals, and the summary at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tnsim.algorithms.evolution.evolution import EvolutionObserver, Evolved
from tnsim.backend import new_data_on, set_threads
from tnsim.errors import SettingsError
from tnsim.io import EXIT_SAVED, EXIT_UNSAVED, EvolutionCheckpointer, StopOnSignals, load
from tnsim.io.atomic import check_writable
from tnsim.io.evolution_job import EvolutionJob, evolution_job
from tnsim.io.evolved import KIND, load_job, write_evolved
from tnsim.io.hdf5 import check_replaceable
from tnsim.io.settings import parse_toml
from tnsim.monitor.evolution import EvolutionLines


def run_evolution(job: EvolutionJob, console: Console, before: Evolved | None = None) -> int:
    """Run a job from its start, or go on from `before`; returns the exit code.

    0: the evolution ended (the status says how); 75: it was stopped by a signal and saved; 74: its result could not be
    written to its file.
    """
    out = Path(job.run.out)
    check_writable(out)
    if before is None and out.exists():
        check_replaceable(out, KIND)
    set_threads(job.run.threads or None)
    observe, text = job.observe(), job.to_toml()
    console.print(f"{job.model}", style="bold", soft_wrap=True, highlight=False)
    console.print(f"{job.settings}", style="dim", soft_wrap=True, highlight=False)
    with new_data_on(job.run.backend) as backend, StopOnSignals() as signals:
        H = job.operator()
        H = H.to(backend) if hasattr(H, "to") else H
        psi = before.state.to(backend) if before else job.model.product(job.run.initial or None, backend=backend.name)
        observers: list[EvolutionObserver] = [EvolutionLines(console), signals]
        if job.run.checkpoint_seconds:
            seconds, keep = job.run.checkpoint_seconds, job.run.keep
            observers.append(EvolutionCheckpointer(out, seconds=seconds, keep=keep, job=text))
        evolved = job.settings.run(H, psi, time=job.run.time, observe=observe, observers=observers, resume=before)
    console.print(repr(evolved), soft_wrap=True, highlight=False)
    try:
        write_evolved(out, evolved, keep=job.run.keep, job=text)
    except OSError as error:
        console.print(f"the result is not written to {out}: {error}", style="red", soft_wrap=True)
        return EXIT_UNSAVED
    console.print(f"file {out}   (tnsim info | plot | resume --time)", soft_wrap=True, highlight=False)
    return EXIT_SAVED if evolved.status.name == "interrupted" else 0


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
    job = evolution_job(parse_toml(text, str(file)))
    run = replace(job.run, time=changes.get("time", job.run.time), out=out or str(file))
    cut = replace(job.settings.truncation, chi_max=changes.get("chi_max", job.settings.truncation.chi_max))
    console.print(f"resuming {file} at time {found.times[-1]:.6g}", soft_wrap=True, highlight=False)
    return EvolutionJob(job.model, replace(job.settings, truncation=cut), run), console, found
