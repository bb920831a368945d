"""A job: model, algorithm settings and run options in one TOML file."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tnsim.algorithms import DMRG, IDMRG, VUMPS
from tnsim.errors import SettingsError, check_fields, suggest
from tnsim.io.settings import check_keys, from_table, merged, parse_toml, to_table, to_toml
from tnsim.models import MODELS, Fact, Facts, Model, find_model

SOLVERS: dict[str, type] = {"dmrg": DMRG, "vumps": VUMPS, "idmrg": IDMRG}
_TABLES = ("model", *SOLVERS, "run", "stages")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run writes, how it starts, and on what it runs."""

    out: str = field(default="run.h5", metadata={"help": "file for the result and the checkpoints"})
    initial: str | tuple[str, ...] = field(
        default="",
        metadata={"help": "start: a pattern (neel, up, down, ...), or the state of every site; empty: the model's own"},
    )
    levels: int = field(
        default=1, metadata={"help": "how many of the lowest states are found: 1 is the ground state alone"}
    )
    backend: str = field(default="", metadata={"help": "array library: numpy or cupy; empty takes TNSIM_BACKEND"})
    threads: int = field(default=0, metadata={"help": "threads; 0 takes what the environment grants"})
    checkpoint_every: str = field(default="300s", metadata={"help": "such as 60s or 2sweeps; 0 switches it off"})
    keep: int = field(default=3, metadata={"help": "how many checkpoints are kept"})

    def __post_init__(self) -> None:
        check_fields(self)
        self.checkpoint_interval()
        if self.threads < 0 or self.keep < 1:
            raise SettingsError(f"threads must be >= 0 and keep >= 1, found {self.threads} and {self.keep}.")
        if self.levels < 1:
            raise SettingsError(f"levels counts the ground state, so it is at least 1, found {self.levels}.")

    def checkpoint_interval(self) -> tuple[float, int]:
        """(seconds, sweeps) between checkpoints; 0 for the one that is off."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|sweeps?)?", self.checkpoint_every)
        if match is None:
            raise SettingsError(f"checkpoint_every reads like 60s or 2sweeps, found {self.checkpoint_every!r}.")
        number, unit = float(match[1]), match[2] or "s"
        return (number, 0) if unit == "s" else (0.0, int(number))


@dataclass(frozen=True)
class Job:
    """Everything that a run is made from; `stages` run before `solver`, which goes on from their state.

    In TOML, the table of the solver is [dmrg], or [vumps] or [idmrg] for an infinite chain, whose unit cell the model
    is. [[stages]] are all stages, and [dmrg] holds what they share.
    """

    model: Model
    solver: Any  # of one of SOLVERS
    run: RunOptions
    stages: tuple[DMRG, ...] = ()

    def __post_init__(self) -> None:
        if self.stages and self.run.levels > 1:
            raise SettingsError(
                f"[[stages]] lead to one state, and levels = {self.run.levels} were asked for: take chi_ramp and noise "
                "in [dmrg] instead, or one level."
            )
        if self.is_infinite and (self.stages or self.run.levels > 1):
            raise SettingsError(
                f"[[stages]] and levels = {self.run.levels} are for [dmrg]: [{self.algorithm}] finds one ground state "
                "of an infinite chain."
            )

    @property
    def algorithm(self) -> str:
        """The name of the solver's table."""
        return next(name for name, cls in SOLVERS.items() if type(self.solver) is cls)

    @property
    def is_infinite(self) -> bool:
        """Whether the model is the unit cell of an infinite chain."""
        return not isinstance(self.solver, DMRG)

    @property
    def exact(self) -> Fact | None:
        """The exact energy where one is known: of an infinite chain that per site (of a strip none: no bulk)."""
        geometry = getattr(self.model, "geometry", None)
        if self.is_infinite and geometry is not None and not geometry.cell.is_line:
            return None
        name = "bulk energy per site" if self.is_infinite else "energy"
        return next((fact for fact in self.model.facts if fact.name == name and fact.kind == "exact"), None)

    @property
    def facts(self) -> Facts:
        """What is known: of an infinite chain all but the energy of one cell."""
        facts = self.model.facts
        return Facts(tuple(fact for fact in facts if fact.name != "energy")) if self.is_infinite else facts

    def to_toml(self) -> str:
        """The job as TOML text that `job_from_toml` reads back."""
        name = next(name for name, cls in MODELS.items() if type(self.model) is cls)
        stages = (*self.stages, self.solver) if self.stages else ()
        table = {
            "model": {"name": name} | to_table(self.model),
            self.algorithm: to_table(self.solver),
            "run": to_table(self.run),
            "stages": [to_table(stage) for stage in stages],
        }
        return to_toml(table)


def job_from_table(table: dict[str, Any]) -> Job:
    """Check a whole job before anything runs."""
    for key in table:
        if key not in _TABLES:
            raise SettingsError(f"unknown table [{key}]. {suggest(key, _TABLES)}")
    *stages, solver = _stages(table)
    return Job(
        model_from_table(table.get("model", {})),
        solver,
        from_table(RunOptions, table.get("run", {}), "run"),
        tuple(stages),
    )


def model_from_table(table: Any) -> Model:
    """The model that a table [model] with a name describes."""
    if not isinstance(table, dict):
        raise SettingsError(f'[model] must be a table with a name, such as name = "heisenberg", found {table!r}.')
    values = dict(table)
    if "name" not in values:
        raise SettingsError(f"[model] needs a name. {suggest('', MODELS)}")
    return from_table(find_model(values.pop("name")), values, "model")


def _stages(table: dict[str, Any]) -> list:
    """Settings of every stage: those of the solver's table, but for what it names; without stages that table alone."""
    given = [name for name in SOLVERS if name in table] or ["dmrg"]
    if len(given) > 1:
        raise SettingsError(f"a job has one of [{'], ['.join(SOLVERS)}], found [{'] and ['.join(given)}].")
    name, cls, shared, stages = given[0], SOLVERS[given[0]], table.get(given[0], {}), table.get("stages", [])
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise SettingsError(f"stages are tables, [[stages]] each, found {stages!r}.")
    if not stages:
        return [from_table(cls, shared, name)]
    check_keys(cls, shared, name)
    places = [f"stages[{number}]" for number in range(len(stages))]
    return [from_table(cls, merged(shared, stage, place), place) for place, stage in zip(places, stages, strict=True)]


def job_from_toml(path: str | Path) -> Job:
    """Read a job file; SettingsError names what is wrong and the nearest valid key."""
    return job_from_table(table_from_toml(path))


def table_from_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a job file."""
    path = Path(path)
    if not path.is_file():
        raise SettingsError(f"there is no job file {path}.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is no text file, so no job: a job is TOML; tnsim resume goes on with a run file."
        ) from error
    return parse_toml(text, str(path))
