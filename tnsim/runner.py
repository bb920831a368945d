"""Running a job: progress, checkpoints and signals around a solver, and the summary at the end."""

import sys
from dataclasses import fields, replace
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tnsim.algorithms import ExcitedStates, Progress, Solution, Status, run_stages
from tnsim.algorithms.ground_state.excited import check_levels, collect_levels
from tnsim.backend import Backend, core_count, new_data_on, set_threads, thread_count
from tnsim.errors import SettingsError
from tnsim.io import EXIT_SAVED, EXIT_UNSAVED, Checkpointer, Job, RunRecord, StopOnSignals, save_run
from tnsim.io.atomic import check_writable
from tnsim.io.hdf5 import check_replaceable
from tnsim.measure import entropy
from tnsim.monitor import show_progress
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.sector_bonds import sector_bonds
from tnsim.symmetry import layout

# settings that change no number, so that every run may go on with others
_MEMORY = ("environment_gib", "scratch")


def run_job(job: Job, console: Console, before: RunRecord | None = None) -> int:
    """Run a job from its start, or go on from a run file; returns the exit code.

    0: the run ended (the status says how); 75: it was stopped by a signal and saved; 74: its result could not be
    written to its file.
    """
    out = Path(job.run.out)
    check_writable(out)
    if before is None and out.exists():
        check_replaceable(out, "run")
    set_threads(job.run.threads or None)
    if thread_count() > core_count():
        warning = f"{thread_count()} threads on {core_count()} cores: they will wait for each other; ask for fewer."
        console.print(warning, style="yellow", soft_wrap=True)
    with new_data_on(job.run.backend) as backend:
        model, initial = job.model, job.run.initial or None
        H: Any
        psi: Any
        if job.is_infinite:
            H, psi = model.infinite_mpo().to(backend), model.infinite_product(initial, backend=backend.name)
        else:
            H, psi = model.mpo().to(backend), model.product(initial, backend=backend.name)
        return _run(job, H, psi, before, console)


def _run(job: Job, H: Any, psi: Any, before: RunRecord | None, console: Console) -> int:
    """The same from the operator and the product state on."""
    out = Path(job.run.out)
    if not job.is_infinite:
        _check_room(psi, job, console)
    console.print(f"{job.model}", style="bold", soft_wrap=True, highlight=False)
    console.print(f"{H!r}; {job.solver.truncation}", style="dim", soft_wrap=True, highlight=False)
    with StopOnSignals() as signals:
        solve = _solve if job.run.levels == 1 else _solve_levels
        solution, levels = solve(job, H, psi, before, console, signals)
    status = levels.status if levels and _is_finished(solution) else solution.status
    found = tuple(_on_host(level) for level in levels or () if _is_finished(level))
    record = RunRecord(
        job, solution.state.to("numpy"), solution.progress, status.name, status.advice, float(solution.energy),
        solution.variance, found, solution.first and _on_host(solution.first),
    )  # fmt: skip
    saved = _save(record, out, console)
    console.print(summary(job, solution, saved, status))
    if levels:
        console.print(repr(levels), soft_wrap=True, highlight=False)
    if saved != out:
        return EXIT_UNSAVED
    return 0 if _is_finished(solution) else EXIT_SAVED


def _solve(
    job: Job, H: Any, psi: Any, before: RunRecord | None, console: Console, signals: StopOnSignals
) -> tuple[Solution, None]:
    """The ground state."""
    progress, first = (before.progress, before.first) if before else (None, None)
    start: Any = before.state.to(psi.backend) if before else psi
    with show_progress(console) as display:
        observers = (display, Checkpointer(job), signals)
        if job.is_infinite:
            return job.solver.solve(H, start, observers, progress), None
        return run_stages((*job.stages, job.solver), H, start, observers, progress, first=first), None


def _solve_levels(
    job: Job, H: MPO, psi: MPS, before: RunRecord | None, console: Console, signals: StopOnSignals
) -> tuple[Solution, ExcitedStates]:
    """The lowest levels, each with a display of its own; the one to go on with (else the lowest), and all."""
    check_levels(job.solver, [psi], job.run.levels)
    saver, levels = Checkpointer(job), _known(before, psi.backend)
    while len(done := [level for level in levels if _is_finished(level)]) < max(len(levels), job.run.levels):
        saver.levels = tuple(map(_on_host, done))
        console.print(f"level {len(done)}", style="bold", highlight=False)
        found = collect_levels(levels) if levels else None
        with show_progress(console) as display:
            levels = job.solver.excited(H, psi, len(done) + 1, (display, saver, signals), found=found).levels
        if not all(map(_is_finished, levels)):  # a signal between two levels stops the next at its first bond
            break
    all_levels = collect_levels(levels)
    return next((level for level in all_levels if not _is_finished(level)), all_levels[0]), all_levels


def _known(record: RunRecord | None, backend: Backend) -> tuple[Solution, ...]:
    """The levels that a file holds, on a backend; the one that was under way is marked as interrupted."""
    if record is None:
        return ()
    levels = record.levels
    if record.status in ("running", "interrupted"):
        levels += (_level(record, Status("interrupted", False, "resume it to go on.")),)
    elif not levels:
        levels = (_level(record, Status(record.status, record.status.startswith("converged"), record.advice)),)
    return tuple(replace(level, state=level.state.to(backend)) for level in levels)


def _level(record: RunRecord, status: Status) -> Solution:
    """The state of a run file as a level."""
    progress, energy = record.progress, record.energy
    energy = progress.energy if energy is None else energy
    return Solution(record.state, energy, status, progress.history, record.variance, progress, first=record.first)


def _is_finished(level: Solution) -> bool:
    return level.status.name != "interrupted"


def _on_host(level: Solution) -> Solution:
    return replace(level, state=level.state.to("numpy"))


def _save(record: RunRecord, out: Path, console: Console) -> Path | None:
    """Write the result where it was asked for, else wherever there is room; the path, or None."""
    for path in (out, Path.cwd() / out.name, Path(gettempdir()) / out.name):
        try:
            return save_run(path, record, keep=record.job.run.keep)
        except OSError as error:
            console.print(f"the result is not written to {path}: {error}", style="red", soft_wrap=True)
    return None


def _check_room(psi: MPS, job: Job, console: Console) -> None:
    """Say before the run where the disk may be too small for its result."""
    bonds = sector_bonds(psi.sites, psi.charge, job.solver.truncation.chi_max)
    numbers = sum(
        layout((left, site.leg, right.dual), psi.sites[0].group.identity).size
        for left, site, right in zip(bonds, psi.sites, bonds[1:], strict=False)
    )
    needed, free = numbers * psi.dtype.itemsize, disk_usage(Path(job.run.out).resolve().parent).free
    if needed > free:
        warning = f"the result may take {needed >> 20} MiB and the disk of {job.run.out} has {free >> 20} MiB left."
        console.print(warning, style="yellow", soft_wrap=True)


def resumed(record: RunRecord, changes: dict, out: str | None) -> tuple[Job, Progress]:
    """The job and progress of a resumed run; changes of chi_max, max_sweeps and others extend a finished one.

    Levels were found with the settings of the job, so that only their number may grow.
    """
    known = max(record.job.run.levels, len(record.levels))
    levels = changes.get("levels", known)
    if levels < known:
        raise SettingsError(f"this run is one for {known} levels: their number may only grow, found {levels}.")
    other = sorted(set(changes) - {"levels", *_MEMORY})
    if levels > 1 and other:
        raise SettingsError(
            f"a run for {levels} levels goes on with the settings that it began with: start a new one with other "
            f"{', '.join(other)}."
        )
    solver, progress = record.job.solver, record.progress
    truncation = replace(
        solver.truncation, **{k: v for k, v in changes.items() if k in ("chi_max", "svd_min", "trunc_err")}
    )
    own = {entry.name for entry in fields(solver)}
    rest = {k: v for k, v in changes.items() if k in ("max_sweeps", "energy_tol", *_MEMORY)}
    if unknown := sorted(set(rest) - own):
        raise SettingsError(f"[{record.job.algorithm}] has no setting {unknown[0]}: resume it without.")
    run = replace(record.job.run, levels=levels) if out is None else replace(record.job.run, out=out, levels=levels)
    solver = replace(solver, truncation=truncation, **rest)
    memory = {k: v for k, v in rest.items() if k in _MEMORY}
    stages = tuple(replace(stage, **memory) for stage in record.job.stages)
    if truncation != record.job.solver.truncation:
        # sweeps at the old bond dimension do not count towards convergence at the new one
        done = progress.sweep if progress.stage == len(stages) else 0
        if "min_sweeps" in own:
            solver = replace(solver, min_sweeps=done + record.job.solver.min_sweeps)
        if "max_sweeps" not in changes:
            solver = replace(solver, max_sweeps=max(solver.max_sweeps, done + record.job.solver.max_sweeps))
    return Job(record.job.model, solver, run, stages), progress


def summary(job: Job, solution: Solution, saved: Path | None, status: Status | None = None) -> Table:
    """What a run ends with: energy, its error where the exact one is known, variance, entanglement, file."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("energy per site" if job.is_infinite else "energy", f"{solution.energy:.13f}")
    if job.exact is not None:
        table.add_row("energy error", _error(job, solution))
    if solution.variance is not None:
        table.add_row("variance", f"{solution.variance:.2e}")
    entropies = entropy(solution.state)
    middle = len(entropies) // 2
    place = int(np.argmax(entropies))
    inside = "at the end of the cell" if job.is_infinite else "in the middle"
    chosen = entropies[-1 if job.is_infinite else middle]
    table.add_row("entanglement", f"{chosen:.6f} {inside}, at most {entropies[place]:.6f} (bond {place + 1})")
    if solution.history:
        last = solution.history[-1]
        table.add_row(
            "bond dimension", f"{last.chi} of {last.chi_max}, discarded weight {last.max_trunc_err:.1e} at most"
        )
        table.add_row("sweeps", f"{len(solution.history)} in {sum(r.seconds for r in solution.history):.2f} s")
    table.add_row("status", str(status or solution.status))
    table.add_row("file", f"{saved}   (tnsim info | plot | resume)" if saved else "none: no folder took the result")
    return table


def _error(job: Job, solution: Solution) -> str:
    """How far the energy is from the exact one, where that is the one of this state's sector."""
    exact, sector = job.exact.value, None  # type: ignore[union-attr]
    source = job.exact.source  # type: ignore[union-attr]
    if not job.is_infinite and solution.state.charge != (sector := job.model.product().charge):
        own = solution.state.charge
        return f"not known: {exact:.13f} ({source}) is that of charge {sector}, this state has {own}"
    parity = getattr(job.solver, "parity", 0)
    kept = f"; that is the ground state's, this run took parity {parity} alone" if parity else ""
    return f"{solution.energy - exact:+.2e}  against {exact:.13f} ({source}{kept})"


def make_console() -> Console:
    """Standard output; wide where it is no terminal, so that lines in a log are not folded."""
    return Console(width=None if sys.stdout.isatty() else 160)
