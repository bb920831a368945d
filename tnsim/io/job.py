"""A job: model, algorithm settings and run options in one TOML file."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tnsim.algorithms import DMRG
from tnsim.errors import SettingsError, check_fields, suggest
from tnsim.io.settings import from_table, parse_toml, to_table, to_toml
from tnsim.models import MODELS, Model, find_model


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run writes, how it starts, and on what it runs."""

    out: str = field(default="run.h5", metadata={"help": "file for the result and the checkpoints"})
    initial: str = field(
        default="", metadata={"help": "product state to start from (neel, up, down, ...); empty takes the model's own"}
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
    """Everything that a run is made from."""

    model: Model
    dmrg: DMRG
    run: RunOptions

    def to_toml(self) -> str:
        """The job as TOML text that `job_from_toml` reads back."""
        name = next(name for name, cls in MODELS.items() if type(self.model) is cls)
        table = {"model": {"name": name} | to_table(self.model), "dmrg": to_table(self.dmrg), "run": to_table(self.run)}
        return to_toml(table)


def job_from_table(table: dict[str, Any]) -> Job:
    """Check a whole job before anything runs."""
    for key in table:
        if key not in ("model", "dmrg", "run"):
            raise SettingsError(f"unknown table [{key}]. {suggest(key, ['model', 'dmrg', 'run'])}")
    return Job(
        model_from_table(table.get("model", {})),
        from_table(DMRG, table.get("dmrg", {}), "dmrg"),
        from_table(RunOptions, table.get("run", {}), "run"),
    )


def model_from_table(table: Any) -> Model:
    """The model that a table [model] with a name describes."""
    if not isinstance(table, dict):
        raise SettingsError(f'[model] must be a table with a name, such as name = "heisenberg", found {table!r}.')
    values = dict(table)
    if "name" not in values:
        raise SettingsError(f"[model] needs a name. {suggest('', MODELS)}")
    return from_table(find_model(values.pop("name")), values, "model")


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
