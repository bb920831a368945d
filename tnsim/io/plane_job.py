"""Jobs that contract a classical model in the plane: model, method, and where the result goes."""

from dataclasses import dataclass, field
from typing import Any

from tnsim.algorithms.plane.atrg import ATRG
from tnsim.algorithms.plane.atrg_3d import ATRG3D
from tnsim.algorithms.plane.coarse_graining import CoarseGraining
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.plane.hosrg import HOSRG
from tnsim.algorithms.plane.hotrg import HOTRG
from tnsim.algorithms.plane.hotrg_3d import HOTRG3D
from tnsim.algorithms.plane.infinite_boundary import InfiniteBoundary
from tnsim.algorithms.plane.loop_tnr import LoopTNR
from tnsim.algorithms.plane.trg import BTRG, TRG
from tnsim.backend import Backend
from tnsim.errors import SettingsError, check_fields, suggest
from tnsim.io.output_options import OutputOptions
from tnsim.io.settings import from_table, to_table, to_toml
from tnsim.linalg import Truncation
from tnsim.models.classical import (
    XY,
    Clock,
    CubicIsing,
    Dimers,
    EightVertex,
    HardSquares,
    HoneycombIsing,
    Ising,
    Potts,
    SixVertex,
    TriangularIsing,
)
from tnsim.models.classical.classical_model import ClassicalModel
from tnsim.networks.cubic_network import CubicNetwork
from tnsim.networks.square_network import InfiniteNetwork

CLASSICAL: dict[str, type[ClassicalModel | CubicIsing]] = {
    "ising": Ising, "triangular-ising": TriangularIsing, "honeycomb-ising": HoneycombIsing, "potts": Potts,
    "clock": Clock, "xy": XY, "hard-squares": HardSquares, "six-vertex": SixVertex, "eight-vertex": EightVertex,
    "dimers": Dimers, "cubic-ising": CubicIsing,
}  # fmt: skip
CUBIC_STEPS: dict[str, Any] = {"hotrg-3d": HOTRG3D, "atrg-3d": ATRG3D}
STEPS: dict[str, Any] = {
    "trg": TRG, "btrg": BTRG, "hotrg": HOTRG, "hosrg": HOSRG, "atrg": ATRG, "loop-tnr": LoopTNR, **CUBIC_STEPS
}  # fmt: skip
METHODS = ("ctmrg", "boundary", *STEPS)
# of coarse-graining, those that measure impurities
_MEASURING = ("hotrg", "hosrg", "hotrg-3d")


@dataclass(frozen=True, kw_only=True)
class PlaneSettings:
    """Which method contracts the plane, and how far. Settings that a method has no use for are refused."""

    method: str = field(default="ctmrg", metadata={"help": f"one of {', '.join(METHODS)}"})
    chi_max: int = field(default=32, metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-8, metadata={"help": "of ctmrg and boundary: drop singular values below this"})
    tol: float | None = field(default=None, metadata={"help": "converged below this; none: that of the method"})
    max_steps: int | None = field(default=None, metadata={"help": "most steps; none: those of the method"})
    start: str = field(default="", metadata={"help": "of ctmrg and boundary: edge to start from, as free or fixed"})
    symmetric: bool = field(default=True, metadata={"help": "of ctmrg: use the symmetries of the square"})
    plaquettes: bool = field(default=False, metadata={"help": "contract the model's plaquettes in place of its sites"})
    measure: str = field(default="", metadata={"help": f"of {', '.join(_MEASURING)}: impurities, such as spin,energy"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.method not in METHODS:
            raise SettingsError(f"unknown method {self.method!r} in the plane. {suggest(self.method, METHODS)}")
        only = {"start": ("ctmrg", "boundary"), "symmetric": ("ctmrg",), "measure": _MEASURING}
        for name, methods in only.items():
            if self.method not in methods and getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise SettingsError(f"{name} is a setting of {' and '.join(methods)}, the method is {self.method}.")
        self.algorithm()

    def algorithm(self) -> CTMRG | InfiniteBoundary | CoarseGraining:
        """The settings of the method itself."""
        given: dict[str, Any] = {n: getattr(self, n) for n in ("tol", "max_steps") if getattr(self, n) is not None}
        if self.method in STEPS:
            names = tuple(name.strip() for name in self.measure.split(",") if name.strip())
            return CoarseGraining(step=STEPS[self.method](chi_max=self.chi_max), measure=names, **given)
        truncation = Truncation(chi_max=self.chi_max, svd_min=self.svd_min)
        if self.method == "boundary":
            return InfiniteBoundary(truncation=truncation, start=self.start, **given)
        return CTMRG(truncation=truncation, start=self.start, symmetric=self.symmetric, **given)


@dataclass(frozen=True, kw_only=True)
class PlaneOptions(OutputOptions):
    """Where a contraction in the plane runs and writes."""

    out: str = field(default="plane.h5", metadata={"help": "file for the result and the checkpoints"})


@dataclass(frozen=True)
class PlaneJob:
    """Everything that a contraction in the plane is made from."""

    model: ClassicalModel | CubicIsing
    settings: PlaneSettings
    run: PlaneOptions

    def __post_init__(self) -> None:
        cubic = isinstance(self.model, CubicIsing)
        if cubic != (self.settings.method in CUBIC_STEPS):
            fitting = ", ".join(name for name in METHODS if cubic == (name in CUBIC_STEPS))
            raise SettingsError(
                f"{type(self.model).__name__} lives in {'three' if cubic else 'two'} dimensions, which "
                f"{self.settings.method} does not contract: take one of {fitting}."
            )

    def network(self, backend: str | Backend | None = None) -> InfiniteNetwork | CubicNetwork:
        """The infinite lattice. Raises SettingsError for plaquettes of a model without them."""
        if not self.settings.plaquettes:
            return self.model.network(backend=backend)
        made = getattr(self.model, "plaquettes", None)
        if made is None:
            raise SettingsError(f"{type(self.model).__name__} has no plaquettes: its variables do not lie on sites.")
        return made(backend=backend)

    def to_toml(self) -> str:
        """The job as TOML text that `plane_job` reads back."""
        name = next(name for name, cls in CLASSICAL.items() if type(self.model) is cls)
        table = {"name": name} | to_table(self.model)
        return to_toml({"model": table, "plane": to_table(self.settings), "run": to_table(self.run)})


def is_plane(table: dict[str, Any]) -> bool:
    """Whether the table of a job asks for a contraction in the plane."""
    return "plane" in table


def plane_job(table: dict[str, Any]) -> PlaneJob:
    """Check a whole job before anything runs."""
    for key in table:
        if key not in ("model", "plane", "run"):
            raise SettingsError(f"unknown table [{key}] beside [plane]: such a job has [model] and [run].")
    model = dict(table.get("model", {}))
    name = model.pop("name", "")
    if name not in CLASSICAL:
        raise SettingsError(f"unknown classical model {name!r}. {suggest(name, CLASSICAL)}")
    return PlaneJob(
        from_table(CLASSICAL[name], model, "model"),
        from_table(PlaneSettings, table.get("plane", {}), "plane"),
        from_table(PlaneOptions, table.get("run", {}), "run"),
    )
