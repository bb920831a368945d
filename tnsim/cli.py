"""The command line: `tnsim dmrg | vumps | idmrg | evolve | tensorize | run | info | plot | resume | doctor | ...`."""

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Set
from dataclasses import MISSING, Field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tnsim.algorithms import TEBD
from tnsim.algorithms.ground_state.excited import collect_levels
from tnsim.doctor import findings
from tnsim.errors import FileError, SettingsError, TnsimError
from tnsim.evolution_runner import resumed_evolution, run_evolution
from tnsim.io import SOLVERS, RunOptions, RunRecord, job_from_table, load, load_newest
from tnsim.io.atomic import check_writable, older
from tnsim.io.evolution_job import SCHEMES, EvolveOptions, evolution_job, is_evolution
from tnsim.io.hdf5 import header_of, open_file
from tnsim.io.job import table_from_toml
from tnsim.io.peps_job import SETTINGS as PEPS_SETTINGS
from tnsim.io.peps_job import PEPSOptions, is_peps, peps_job
from tnsim.io.plane_job import CLASSICAL, PlaneOptions, PlaneSettings, is_plane, plane_job
from tnsim.io.settings import describe, help_of, nested
from tnsim.lazy_commands import lazy_group
from tnsim.models import MODELS
from tnsim.monitor.progress import sweep_heading, sweep_line
from tnsim.peps_runner import resumed_peps, run_peps
from tnsim.plane_runner import resumed_plane, run_plane
from tnsim.plotting import plot_entropy
from tnsim.runner import make_console, resumed, run_job
from tnsim.tensorize_commands import app as tensorize_app

_PICTURES = (".png", ".pdf", ".svg")

app = typer.Typer(add_completion=True, no_args_is_help=True, help="Tensor networks: ground states, files, figures.")
_HELP = {
    "evolve": "Time evolution of a model by TEBD (by TDVP, MPOs or Krylov spaces: a job file).",
    "plane": "A classical model in the plane by CTMRG, boundary MPS or TRG.",
    "dmrg": "Ground state of a model by DMRG.",
    "vumps": "Ground state of an infinite chain of a model's cells by VUMPS.",
    "idmrg": "Ground state of an infinite chain of a model's cells by infinite DMRG.",
    "ipeps": "Ground state of a model on the infinite plane as a PEPS, measured by CTMRG.",
    "peps": "Ground state of a model on a finite lattice as a PEPS, measured by boundary MPS.",
}
_INFINITE = ("vumps", "idmrg")
# files that are drawn as they are; all others are runs, of which the newest version that verifies is drawn
_LOADED = ("mps", "infinite mps", "evolution", "plane", "peps")
# sites of the cell of an infinite chain where neither L nor a lattice is given
_CELL = 2


# -- flags generated from the settings -----------------------------------------------------------------


def _flag_type(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return next(choice for choice in get_args(hint) if choice is not type(None))
    return str if get_origin(hint) is tuple else hint


def _parameter(entry: Field, hint: Any, panel: str, name: str, optional: bool) -> inspect.Parameter:
    """One command-line option of a settings field; of optional settings none is given unless asked for."""
    default = inspect.Parameter.empty if entry.default is MISSING else entry.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    flag = f"--{name.replace('_', '-')}"
    switch = f"{flag}/--no-{flag[2:]}" if hint is bool else flag
    shown: Any = True
    if optional:
        shown, default = (False if default is inspect.Parameter.empty else str(default)), None
    option = typer.Option(switch, help=help_of(entry), rich_help_panel=panel, show_default=shown)
    kind = _flag_type(hint)
    annotation: Any = Annotated[kind | None if default is None else kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameters(
    cls: type,
    panel: str,
    taken: dict[str, tuple],
    where: tuple[str, ...],
    others: Set[str] = frozenset(),
    optional: bool = False,
) -> list[inspect.Parameter]:
    """Options of a settings class; nested settings are flattened, a name that is taken gets the table's in front.

    others: settings of an algorithm, whose names optional settings such as those of a lattice leave alone.
    """
    hints, result = get_type_hints(cls), []
    for entry in (entry for entry in fields(cls) if entry.init):
        inner = nested(hints[entry.name])
        if inner is not None:
            path = (*where, entry.name)
            result += _parameters(inner, entry.name.capitalize(), taken, path, others, entry.default is None)
            continue
        name = entry.metadata.get("flag") or entry.name
        if name in taken or (optional and name in others):
            name = f"{where[-1]}_{name}"
        taken[name] = (*where, entry.name)
        result.append(_parameter(entry, hints[entry.name], panel, name, optional))
    return result


def _table_of(values: dict[str, Any], places: dict[str, tuple]) -> dict[str, Any]:
    """Flag values as the table that a job file would hold; None stands for a flag that was not given."""
    table: dict[str, Any] = {"model": {}, "run": {}}
    for name, value in values.items():
        if value is None:
            continue
        *path, key = places[name]
        target = table
        for part in path:
            target = target.setdefault(part, {})
        if key == "chi_ramp":
            value = _bond_dimensions(value)
        if key == "initial" and "," in value:
            value = [state.strip() for state in value.split(",")]
        target[key] = value
    return table


def _bond_dimensions(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not part.isdigit():
            raise SettingsError(f"--chi-ramp takes whole numbers such as 20,50,100, found {part!r} in {text!r}.")
    return [int(part) for part in parts]


def _command(name: str, cls: type, algorithm: str, settings: type, options: type) -> Callable[..., None]:
    """A command for a model: its flags, those of an algorithm, and those of a run."""
    places: dict[str, tuple] = {}
    infinite = algorithm in _INFINITE
    others = {entry.name for entry in fields(settings)}
    parameters = _parameters(cls, "Model", places, ("model",), others)
    parameters = [_cell(p) if infinite and p.name == "L" else p for p in parameters]
    parameters += _parameters(settings, algorithm.upper(), places, (algorithm,))
    parameters += _parameters(options, "Run", places, ("run",))
    parameters.sort(key=lambda p: p.default is not inspect.Parameter.empty)

    def command(**values: Any) -> None:
        table = _table_of(values, places)
        table["model"]["name"] = name
        if infinite and not {"L", "lattice"} & set(table["model"]):
            table["model"]["L"] = _CELL
        if algorithm == "ipeps":
            _complete_plane(table["model"], cls)
        raise typer.Exit(_run_table(table))

    command.__doc__ = escape((inspect.getdoc(cls) or "").split(">>>")[0].strip())
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _complete_plane(model: dict[str, Any], cls: type) -> None:
    """A lattice for the infinite plane where none, or only its kind, is named: its size does not matter."""
    kinds = getattr(cls, "kinds", ()) or ("square",)
    model["lattice"] = {"kind": kinds[0], "Lx": _CELL, "Ly": _CELL} | model.get("lattice", {})


def _cell(parameter: inspect.Parameter) -> inspect.Parameter:
    """The flag for the number of sites of an infinite chain's cell."""
    option = typer.Option("--L", help="sites of the unit cell", rich_help_panel="Model", show_default=str(_CELL))
    return parameter.replace(default=None, annotation=Annotated[int | None, option])


def _run_table(table: dict[str, Any]) -> int:
    """Run the job of a table, whatever it asks for; the exit code."""
    if is_plane(table):
        return run_plane(plane_job(table), make_console())
    if is_peps(table):
        return run_peps(peps_job(table), make_console())
    if is_evolution(table):
        return run_evolution(evolution_job(table), make_console())
    return run_job(job_from_table(table), make_console())


def _add_group(name: str, models: Mapping[str, type], algorithm: str, settings: type, options: type) -> None:
    """A command for each of the models."""
    builders = {model: partial(_command, model, cls, algorithm, settings, options) for model, cls in models.items()}
    app.add_typer(typer.Typer(no_args_is_help=True, help=_HELP[name], cls=lazy_group(builders)), name=name)


_add_group("evolve", MODELS, "tebd", TEBD, EvolveOptions)
_add_group("plane", CLASSICAL, "plane", PlaneSettings, PlaneOptions)
app.add_typer(tensorize_app, name="tensorize")
for _name, _solver in SOLVERS.items():
    _add_group(_name, MODELS, _name, _solver, RunOptions)
_ON_LATTICES = {name: cls for name, cls in MODELS.items() if "lattice" in {entry.name for entry in fields(cls)}}
for _name, _peps in PEPS_SETTINGS.items():
    _add_group(_name, _ON_LATTICES, _name, _peps, PEPSOptions)


_JOB = escape(f"TOML file with [model], [run] and one of [dmrg], [{'], ['.join(SCHEMES)}], [plane], [ipeps], [peps]")


# -- commands ------------------------------------------------------------------------------------------


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help=_JOB)],
) -> None:
    """Run a job file; every key is checked before anything starts."""
    raise typer.Exit(_run_table(table_from_toml(job)))


# older versions of an evolution that are looked for
_VERSIONS = 10
# what a run may go on with: flag, type, meaning
_CHANGES = {
    "chi_max": (int, "go on with another largest bond dimension"),
    "max_sweeps": (int, "go on up to this many sweeps in all"),
    "energy_tol": (float, "go on with another energy tolerance"),
    "levels": (int, "find this many of the lowest states in all"),
    "environment_gib": (float, "go on with other memory for environments"),
    "scratch": (str, "go on with another folder for environments"),
    "time": (float, "of an evolution: go on to this time"),
    "max_steps": (int, "in the plane: go on up to this many steps in all"),
    "tol": (float, "in the plane: go on to another tolerance"),
    "memory_gib": (float, "of a PEPS: refuse contractions and gradients that take more"),
    "iterations": (int, "of a PEPS by gradient: go on up to this many iterations in all"),
    "stall_tol": (float, "of a PEPS by gradient: go on until 20 iterations gain less"),
    "out": (str, "write to another file"),
}


def _resume_command() -> Callable[..., None]:
    """`tnsim resume`, with a flag for each of the changes."""

    def resume(file: Path, **given: Any) -> None:
        """Go on with a run, an evolution or a contraction in the plane, or extend a finished one.

        From the newest version that verifies.
        """
        console, out = make_console(), given.pop("out")
        changes = {name: value for name, value in given.items() if value is not None}
        if (version := _newest_result(file, console)) is not None:
            target = out or str(file)
            kind = _kind_and_header(version)[0]
            if kind == "plane":
                raise typer.Exit(run_plane(*resumed_plane(version, changes, target, console)))
            if kind == "peps":
                raise typer.Exit(run_peps(*resumed_peps(version, changes, target, console)))
            raise typer.Exit(run_evolution(*resumed_evolution(version, changes, target, console)))
        others = {
            "time": "evolutions", "max_steps": "the plane", "tol": "the plane", "memory_gib": "PEPS",
            "iterations": "PEPS", "stall_tol": "PEPS",
        }  # fmt: skip
        for name, what in others.items():
            if name in changes:
                flag = name.replace("_", "-")
                raise SettingsError(f"--{flag} is for {what}, {file} holds none of it: see --max-sweeps.")
        record, used = _newest(file, console)
        job, progress = resumed(record, changes, out or str(file))
        console.print(f"resuming {used} at sweep {progress.sweep + 1}, step {progress.step}", soft_wrap=True)
        raise typer.Exit(run_job(job, console, record))

    word, flag = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    about = Annotated[Path, typer.Argument(help="file of a run or an evolution")]
    parameters = [inspect.Parameter("file", word, annotation=about)]
    for name, (kind, text) in _CHANGES.items():
        option: Any = Annotated[kind | None, typer.Option(f"--{name.replace('_', '-')}", help=text)]  # type: ignore[valid-type]
        parameters.append(inspect.Parameter(name, flag, default=None, annotation=option))
    resume.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    resume.__annotations__ = {p.name: p.annotation for p in parameters}
    return resume


app.command("resume")(_resume_command())


@app.command()
def info(file: Annotated[Path, typer.Argument(help="run file, or any tnsim file")]) -> None:
    """Describe a file: what it holds, how the run went, what wrote it."""
    console = make_console()
    version = _newest_result(file, console) or file
    kind, header = _kind_and_header(version)
    if kind == "run":
        record, used = _newest(file, console)
        header = record.header or {}
        console.print(f"run in {used}: {record.status}", style="bold", soft_wrap=True)
        if record.advice and record.status != "converged":
            console.print(record.advice, soft_wrap=True)
        console.print(f"{record.job.model}\n{record.state!r}", soft_wrap=True, highlight=False)
        if record.energy is not None:
            variance = "" if record.variance is None else f", variance {record.variance:.2e}"
            label = "energy per site" if record.job.is_infinite else "energy"
            console.print(f"{label} {record.energy:.13f}{variance}", highlight=False)
        if record.first is not None:
            first = f"in a second start; the first one ended at {record.first.energy:.13f}: {record.first.status.name}"
            console.print(first, soft_wrap=True, highlight=False)
        if record.levels:
            console.print(repr(collect_levels(record.levels)), soft_wrap=True, highlight=False)
        if record.progress.reports:
            lines = (sweep_heading(), *map(sweep_line, record.progress.reports))
            console.print("\n".join(lines), soft_wrap=True, highlight=False)
        console.print(record.job.facts)
    else:
        console.print(f"{kind} in {version}", style="bold", soft_wrap=True)
        console.print(repr(load(version)), soft_wrap=True, highlight=False)
    console.print(", ".join(f"{key} {value}" for key, value in header.items()), style="dim", soft_wrap=True)


def _newest(file: Path, console: Console) -> tuple[RunRecord, Path]:
    """The newest version of a run that verifies, and its path; what was skipped is said."""
    record, used, skipped = load_newest(file)
    for reason in skipped:
        console.print(f"skipped: {reason}", style="yellow", soft_wrap=True)
    return record, used


def _newest_result(file: Path, console: Console) -> Path | None:
    """The newest version that verifies, where it holds an evolution or a contraction in the plane; what was skipped is
    said. Other files, and none that verifies, are left to who reads runs."""
    skipped: list[str] = []
    for number in range(_VERSIONS):
        version = older(file, number)
        try:
            with open_file(version) as raw:
                if str(raw.attrs["kind"]) not in ("evolution", "plane", "peps"):
                    return None
        except FileError as error:
            skipped.append(str(error))
            continue
        for reason in skipped:
            console.print(f"skipped: {reason}", style="yellow", soft_wrap=True)
        return version
    return None


def _kind_and_header(file: Path) -> tuple[str, dict[str, str]]:
    """What a file holds and what wrote it; a damaged file with older versions is a run."""
    try:
        with open_file(file) as raw:
            return str(raw.attrs["kind"]), header_of(raw)
    except FileError:
        if not older(file, 1).exists():
            raise
        return "run", {}


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(help="run file, or a state")],
    out: Annotated[Path | None, typer.Option(help="PNG, PDF or SVG; default: beside the run file")] = None,
) -> None:
    """Draw convergence and entanglement profile, of an evolution its records against time, or a state's profile."""
    console = make_console()
    version = _newest_result(file, console) or file
    kind, _ = _kind_and_header(version)
    found: Any = load(version) if kind in _LOADED else _newest(file, console)[0]
    target = out or file.with_suffix(".png")
    check_writable(target)
    if target.suffix.lower() not in _PICTURES:
        raise SettingsError(f"a figure is written as {', '.join(_PICTURES)}, found {target.name!r}.")
    if kind in ("mps", "infinite mps"):
        plot_entropy(found, path=target)
    else:
        found.plot(target)
    console.print(f"written to {target}", soft_wrap=True)


@app.command()
def doctor() -> None:
    """Versions, BLAS, threads, GPU, caches, and what is wrong."""
    table = _table("name", "state", "finding", headed=False)
    problems = 0
    for name, value, problem in findings():
        problems += bool(problem)
        value = escape(value) + (f": [red]{escape(problem)}" if problem else "")
        table.add_row(f"[bold]{name}", "[red]problem" if problem else "[green]ok", value)
    make_console().print(table)
    raise typer.Exit(1 if problems else 0)


@app.command()
def schema() -> None:
    """Every setting that a job file may hold, with types and defaults."""
    console = make_console()
    sections = [
        ("dmrg] and of every [[stages]", SOLVERS["dmrg"]),
        *((name, cls) for name, cls in SOLVERS.items() if name != "dmrg"),
        ("run", RunOptions),
        *((name, settings) for name, (settings, _) in SCHEMES.items()),
        ("run] of an evolution [" + ", ".join(SCHEMES), EvolveOptions),
        ("plane", PlaneSettings),
        ("run] of [plane", PlaneOptions),
        *PEPS_SETTINGS.items(),
        ("run] of [ipeps] and [peps", PEPSOptions),
        *((f"model (name = {name!r})", cls) for name, cls in MODELS.items()),
        *((f"model (name = {name!r}) of [plane", cls) for name, cls in CLASSICAL.items()),
    ]
    for title, cls in sections:
        table = _table("setting", "type", "default", "meaning")
        table.title, table.title_justify = escape(f"[{title}]"), "left"
        for row in describe(cls):
            table.add_row(*map(escape, row))
        console.print(table)


def _table(*columns: str, headed: bool = True) -> Table:
    """A table whose last column alone is folded where the terminal is narrow."""
    table = Table(show_header=headed, box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1])
    return table


def main() -> None:
    """Entry point: errors of tnsim and of the system are one clean message and exit code 2."""
    try:
        app()
    except (TnsimError, OSError, MemoryError) as error:
        print(f"tnsim: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
