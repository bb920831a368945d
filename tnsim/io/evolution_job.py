"""Jobs of time evolution: model, scheme, and how long, from which state and what is recorded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tnsim.algorithms import TEBD
from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.krylov_evolution import KrylovEvolution
from tnsim.algorithms.evolution.mpo_evolution import MPOEvolution
from tnsim.algorithms.evolution.tdvp import TDVP
from tnsim.errors import SettingsError
from tnsim.io.job import model_from_table
from tnsim.io.output_options import OutputOptions
from tnsim.io.settings import from_table, to_table, to_toml
from tnsim.measure import expect
from tnsim.models import MODELS, Model
from tnsim.networks.mps import MPS

# table of a job file: scheme, and whether it takes the MPO (else the sum of operators)
SCHEMES: dict[str, tuple[type[Evolution], bool]] = {
    "tebd": (TEBD, False), "tdvp": (TDVP, True), "mpo": (MPOEvolution, True),
    "krylov": (KrylovEvolution, True),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EvolveOptions(OutputOptions):
    """How long an evolution goes, from which state, what it records and where it writes."""

    time: float = field(metadata={"help": "time at the end, from 0 on (in 1 / energy)"})
    initial: str | tuple[str, ...] = field(
        default="",
        metadata={"help": "start: a pattern (neel, up, down, ...), or the state of every site; empty: the model's own"},
    )
    measure: str = field(
        default="", metadata={"help": "local operators recorded on every site with every report, such as Sz or N,Sz"}
    )
    out: str = field(default="evolved.h5", metadata={"help": "file for the result and the checkpoints"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.isfinite(self.time):
            raise SettingsError(f"time must be finite, found {self.time!r}.")

    @property
    def operators(self) -> list[str]:
        """Names of the operators that are recorded."""
        return [name.strip() for name in self.measure.split(",") if name.strip()]


@dataclass(frozen=True)
class EvolutionJob:
    """Everything that an evolution is made from."""

    model: Model
    settings: Evolution
    run: EvolveOptions

    @property
    def scheme(self) -> str:
        """The name of the scheme's table."""
        return next(name for name, (cls, _) in SCHEMES.items() if type(self.settings) is cls)

    def operator(self) -> Any:
        """What the scheme takes as H."""
        return self.model.mpo() if SCHEMES[self.scheme][1] else self.model.operator_sum()

    def observe(self) -> dict[str, Callable[[MPS], Any]]:
        """The records that were asked for. Raises OperatorError for a name that a site does not know."""
        for name in self.run.operators:
            for site in self.model.sites:
                site.op(name)
        return {name: partial(_expected, name) for name in self.run.operators}

    def to_toml(self) -> str:
        """The job as TOML text that `evolution_job` reads back."""
        name = next(name for name, cls in MODELS.items() if type(self.model) is cls)
        model = {"name": name} | to_table(self.model)
        return to_toml({"model": model, self.scheme: to_table(self.settings), "run": to_table(self.run)})


def _expected(name: str, state: MPS) -> Any:
    return expect(state, name)


def is_evolution(table: dict[str, Any]) -> bool:
    """Whether the table of a job asks for time evolution."""
    return any(name in table for name in SCHEMES)


def evolution_job(table: dict[str, Any]) -> EvolutionJob:
    """Check a whole job before anything runs."""
    found = [name for name in SCHEMES if name in table]
    if len(found) != 1:
        raise SettingsError(f"an evolution has one table of {', '.join(SCHEMES)}, found {found}.")
    for key in table:
        if key not in ("model", "run", *found):
            raise SettingsError(f"unknown table [{key}] beside [{found[0]}]: an evolution has [model] and [run].")
    (name,) = found
    return EvolutionJob(
        model_from_table(table.get("model", {})),
        from_table(SCHEMES[name][0], table[name], name),
        from_table(EvolveOptions, table.get("run", {}), "run"),
    )
