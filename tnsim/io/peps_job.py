"""Jobs that look for a ground state in the plane as a PEPS: model, how it is found and measured, and where it goes."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.ground_state import PEPSGroundState
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.full_update import FullUpdate
from tnsim.algorithms.peps.updates.neighbourhood_update import NeighbourhoodUpdate
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.minimization import MinimizationSettings
from tnsim.algorithms.peps.variational.one_place import sublattices
from tnsim.algorithms.peps.variational.symmetric_variational import SymmetricVariationalPEPS
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.errors import SettingsError, StateError, TnsimError, check_fields, suggest
from tnsim.io.job import model_from_table
from tnsim.io.output_options import OutputOptions
from tnsim.io.settings import from_table, to_table, to_toml
from tnsim.linalg import Truncation
from tnsim.models import MODELS
from tnsim.models.model import Facts, Model
from tnsim.networks.peps import PlaneTerms, SquareState, finite_start, infinite_start

UPDATES = ("simple", "neighbourhood", "full")
# minimisations: over all tensors of a cell or of a finite lattice, or over one symmetric tensor
GRADIENT, VARIATIONAL = "gradient", "variational"
# small singular values of the cuts around a cell grow in its gradient
_CELL_SVD_MIN = 1e-5
CELLS = {"checkerboard": ((0, 1), (1, 0))}
# one of which the usual start of most models repeats with
_USUAL_CELLS = ("checkerboard", "2x2", "3x3")
# of new elements; one symmetric tensor has few of them
_NOISE, _SYMMETRIC_NOISE = 0.3, 0.1
# bonds of the environment for bonds D of the state, where none are asked for
_CHI_SHARE, _CHI_LEAST = 4, 16


@dataclass(frozen=True, kw_only=True)
class PEPSSettings:
    """How a PEPS is brought to its ground state and measured: by CTMRG if infinite, by boundary MPS if finite."""

    D: int = field(metadata={"help": "largest bond dimension of the state"})
    chi: int = field(default=0, metadata={"help": "bond dimension of the environment; 0: 4 D^2, at least 16"})
    update: str = field(
        default="simple", metadata={"help": f"one of {', '.join((*UPDATES, GRADIENT))}, or (ipeps) {VARIATIONAL}"}
    )
    dts: str = field(default="0.1,0.03,0.01", metadata={"help": "steps in imaginary time, one after the other"})
    tol: float = field(default=1e-5, metadata={"help": "next step: bonds change by less per unit of time"})
    max_steps: int = field(default=3000, metadata={"help": "of every length of steps at most"})
    every: int = field(default=50, metadata={"help": "steps between two reports"})
    fused: bool = field(default=False, metadata={"help": "all sites of a lattice cell in one place"})
    seed: int = field(default=0, metadata={"help": "by gradient: of the first tensor and of the noise"})
    attempts: int = field(
        default=0, metadata={"help": "by gradient: starts at each D, of which the lowest goes on; 0: the usual number"}
    )
    cooled: bool = field(default=False, metadata={"help": "by gradient: begin with a simple update by dts"})
    iterations: int = field(default=300, metadata={"help": "by gradient: at each D at most"})
    stall_tol: float = field(
        default=MinimizationSettings.stall_tol, metadata={"help": "by gradient: ends where 20 iterations gain less"}
    )
    memory_gib: float = field(default=8.0, metadata={"help": "refuse contractions and gradients that take more"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.D < 1 or self.chi < 0:
            raise SettingsError(f"D is at least 1 and chi at least 0, found {self.D} and {self.chi}.")
        if self.update not in self.updates:
            raise SettingsError(f"unknown update {self.update!r}. {suggest(self.update, self.updates)}")
        if not self.memory_gib > 0:
            raise SettingsError(f"memory_gib is above 0, found {self.memory_gib}.")
        self.preparation()

    @property
    def updates(self) -> tuple[str, ...]:
        """The ways to the ground state."""
        return (*UPDATES, GRADIENT)

    @property
    def environment(self) -> Truncation:
        """Of the corners or boundaries."""
        return Truncation(chi_max=self.chi or max(_CHI_LEAST, _CHI_SHARE * self.D**2))

    def preparation(self) -> Any:
        """The settings of the way to the ground state."""
        return self.cooling() if self.update != GRADIENT else VariationalPEPS(**self.minimization())

    def minimization(self) -> dict[str, Any]:
        """What all minimisations are made from."""
        return {
            "D": self.D, "environment": EnvironmentSettings(chi_max=self.environment.chi_max), "seed": self.seed,
            "attempts": self.attempts, "cooling": self.cooling() if self.cooled else None, "noise": _NOISE,
            "minimization": MinimizationSettings(max_iterations=self.iterations, stall_tol=self.stall_tol),
        }  # fmt: skip

    def cooling(self) -> Cooling:
        """Those of an update in imaginary time."""
        try:
            dts = tuple(float(part) for part in self.dts.split(","))
        except ValueError as error:
            raise SettingsError(
                f"dts are numbers with commas between, such as 0.1,0.01, found {self.dts!r}."
            ) from error
        if not dts or not all(dt > 0 for dt in dts):
            raise SettingsError(f"dts are above 0, found {self.dts!r}.")
        shared: dict[str, Any] = {"dt": dts[0], "truncation": Truncation(chi_max=self.D), "imaginary": True}
        kinds: dict[str, Any] = {
            "simple": SimpleUpdate, "neighbourhood": NeighbourhoodUpdate, "full": FullUpdate
        }  # fmt: skip
        if self.update == "full":
            shared["environment"] = self.environment
        update: Evolution = kinds.get(self.update, SimpleUpdate)(**shared)
        return Cooling(update=update, dts=dts, tol=self.tol, max_steps=self.max_steps, every=self.every)


@dataclass(frozen=True, kw_only=True)
class InfinitePEPSSettings(PEPSSettings):
    """The same on the infinite lattice, with a cell that repeats."""

    cell: str = field(default="checkerboard", metadata={"help": "of different sites: checkerboard, or such as 2x2"})
    corner_tol: float = field(default=1e-8, metadata={"help": "of CTMRG"})
    corner_steps: int = field(default=500, metadata={"help": "steps of CTMRG at most"})
    certify: bool = field(default=False, metadata={"help": "measure at 3/2 chi and in other ways too"})
    symmetric: bool = field(
        default=False, metadata={"help": "by gradient: begin with all tensors at the minimum over one symmetric tensor"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symmetric and self.update != GRADIENT:
            raise SettingsError(f"a symmetric start is one of update = {GRADIENT}, found {self.update}.")
        if self.update == VARIATIONAL and self.cell not in ("checkerboard", "1x1"):
            raise SettingsError(
                f"a variational state has one tensor: the cell is 1x1, or a checkerboard whose second sublattice is "
                f"turned, found {self.cell!r}."
            )
        _ = self.pattern

    @property
    def updates(self) -> tuple[str, ...]:
        return (*UPDATES, GRADIENT, VARIATIONAL)

    def preparation(self) -> Any:
        if self.update == VARIATIONAL:
            return self._symmetric_search()
        if not self.symmetric:
            return super().preparation()
        if self._is_turned:
            sublattices(self.pattern)
        own = self.minimization() | {"cooling": None, "attempts": 0}
        return VariationalPEPS(**own, symmetric=self._symmetric_search())

    def minimization(self) -> dict[str, Any]:
        made = super().minimization()
        return made | {"environment": replace(made["environment"], svd_min=_CELL_SVD_MIN, tol=1e-8)}

    def _symmetric_search(self) -> SymmetricVariationalPEPS:
        """Over one symmetric tensor."""
        own = super().minimization() | {"noise": _SYMMETRIC_NOISE}
        return SymmetricVariationalPEPS(**own, antiferromagnetic=self._is_turned)

    @property
    def _is_turned(self) -> bool:
        """Whether one tensor stands for two sublattices."""
        return self.cell != "1x1"

    @property
    def pattern(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the tensors in the cell."""
        if self.cell in CELLS:
            return CELLS[self.cell]
        rows, _, columns = self.cell.partition("x")
        if not (rows.isdigit() and columns.isdigit() and int(rows) > 0 and int(columns) > 0):
            raise SettingsError(f"a cell is {', '.join(CELLS)} or rows x columns such as 2x3, found {self.cell!r}.")
        m, n = int(rows), int(columns)
        return tuple(tuple(range(i * n, (i + 1) * n)) for i in range(m))


SETTINGS: dict[str, type[PEPSSettings]] = {"ipeps": InfinitePEPSSettings, "peps": PEPSSettings}


@dataclass(frozen=True, kw_only=True)
class PEPSOptions(OutputOptions):
    """Where a search in the plane starts, runs and writes."""

    out: str = field(default="peps.h5", metadata={"help": "file for the result and the checkpoints"})
    initial: str | tuple[str, ...] = field(
        default="",
        metadata={"help": "start: a pattern (neel, up, ...; ipeps: random), or the state of every tensor"},
    )


@dataclass(frozen=True)
class PEPSJob:
    """Everything that a search in the plane is made from."""

    model: Model
    settings: PEPSSettings
    run: PEPSOptions

    def __post_init__(self) -> None:
        if self._has_one_tensor and any(site.is_fermionic for site in self.model.sites):
            raise SettingsError(
                "one tensor for all places, minimised by gradient, is one of spins and bosons: of fermions take update "
                f"= {GRADIENT}, which minimises a cell of two tensors, or one of {', '.join(UPDATES)}."
            )
        if self._has_one_tensor and self.model.sites[0].group.names:
            raise SettingsError("a variational state, or a symmetric start, conserves nothing: take conserve = none.")
        _ = self.terms

    @property
    def _has_one_tensor(self) -> bool:
        """Whether there is a search over one symmetric tensor."""
        settings = self.settings
        return settings.update == VARIATIONAL or isinstance(settings, InfinitePEPSSettings) and settings.symmetric

    @property
    def is_infinite(self) -> bool:
        return isinstance(self.settings, InfinitePEPSSettings)

    @property
    def _fused(self) -> bool | None:
        return True if self.settings.fused else None

    @cached_property
    def terms(self) -> PlaneTerms:
        """The Hamiltonian by places."""
        if isinstance(self.settings, InfinitePEPSSettings):
            return PlaneTerms.infinite_of(self.model, self.settings.pattern, fused=self._fused)
        return PlaneTerms.of(self.model, fused=self._fused)

    def start(self, backend: str | None = None) -> SquareState:
        """The product state."""
        name = self.run.initial or None
        if isinstance(self.settings, InfinitePEPSSettings):
            name = "random" if self._has_one_tensor else name
            try:
                return infinite_start(self.model, self.settings.pattern, name, fused=self._fused, backend=backend)
            except StateError as error:
                if self.run.initial:
                    raise
                raise StateError(f"{error} {self._advised_start}") from error
        return finite_start(self.model, name, fused=self._fused, backend=backend)

    @property
    def _advised_start(self) -> str:
        """What to pass where the usual start of the model does not fit the cell."""
        if {"empty", "up", "down"} <= set(self.model.sites[0].states):
            return "Pass, for one hole in four places: --cell 2x2 --initial empty,up,down,up."
        own = "pass the states of all tensors of the cell by --initial"
        fitting = next((cell for cell in _USUAL_CELLS if self._starts_in(cell)), None)
        return f"Take --cell {fitting}, or {own}." if fitting else f"{own.capitalize()}."

    def _starts_in(self, cell: str) -> bool:
        try:
            pattern = InfinitePEPSSettings(D=1, cell=cell).pattern
            infinite_start(self.model, pattern, fused=self._fused)
        except TnsimError:
            return False
        return True

    def search(self) -> PEPSGroundState:
        """The settings of the search itself."""
        settings = self.settings
        if not isinstance(settings, InfinitePEPSSettings):
            measured = BoundaryMeasurement(truncation=settings.environment)
            return PEPSGroundState(
                preparation=settings.preparation(), contraction=measured, memory_gib=settings.memory_gib
            )
        corners = CTMRG(
            truncation=settings.environment, symmetric=False, tol=settings.corner_tol, max_steps=settings.corner_steps,
            check_every=4,
        )  # fmt: skip
        return PEPSGroundState(
            preparation=settings.preparation(),
            contraction=corners,
            certify=settings.certify,
            memory_gib=settings.memory_gib,
        )

    @property
    def facts(self) -> Facts:
        """What is known: of an infinite lattice all but the energy of a piece."""
        facts = self.model.facts
        return Facts(tuple(fact for fact in facts if fact.name != "energy")) if self.is_infinite else facts

    @property
    def bound(self) -> float | None:
        """What no energy per site of the infinite lattice lies below, where it is known."""
        return self.facts.floor if self.is_infinite else None

    def to_toml(self) -> str:
        """The job as TOML text that `peps_job` reads back."""
        name = next(name for name, cls in MODELS.items() if type(self.model) is cls)
        kind = "ipeps" if self.is_infinite else "peps"
        model = {"name": name} | to_table(self.model)
        return to_toml({"model": model, kind: to_table(self.settings), "run": to_table(self.run)})


def is_peps(table: dict[str, Any]) -> bool:
    """Whether the table of a job asks for a PEPS."""
    return bool(set(SETTINGS) & set(table))


def peps_job(table: dict[str, Any]) -> PEPSJob:
    """Check a whole job before anything runs."""
    kind = next(name for name in SETTINGS if name in table)
    for key in table:
        if key not in ("model", kind, "run"):
            raise SettingsError(f"unknown table [{key}] beside [{kind}]: such a job has [model] and [run].")
    return PEPSJob(
        model_from_table(table.get("model", {})),
        from_table(SETTINGS[kind], table[kind], kind),
        from_table(PEPSOptions, table.get("run", {}), "run"),
    )
