"""What a contraction of a finite network by boundary MPS has found, and how far it has come."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tnsim.algorithms.solution import Status
from tnsim.backend import Backend
from tnsim.networks.mps import MPS


@dataclass(frozen=True, eq=False)
class Boundary:
    """exp(log_norm) times a normalised state; weight: squared distances of the rows so far, summed; rows: how many."""

    state: MPS
    log_norm: float
    weight: float
    rows: int = 0

    def to(self, backend: str | Backend) -> "Boundary":
        """The same on another library's device."""
        return Boundary(self.state.to(backend), self.log_norm, self.weight, self.rows)


@dataclass(frozen=True, kw_only=True)
class BoundaryReport:
    """One row. side: where the boundary came from; step: rows in all so far; log_z: ln of its norm; change: squared
    distance of this row over the squared norm; trunc_err: of the rows from this side so far, summed."""

    side: str
    step: int
    log_z: float
    change: float
    trunc_err: float
    chi: int
    seconds: float


@dataclass(frozen=True)
class BoundarySum:
    """The value phase * exp(log_z) of a finite network; NaN where a run was stopped before its end.

    values: ln|value| by rows and by columns, each with boundaries that meet in the middle and with one boundary that
    takes in everything (the first alone without `estimate`); trunc_err: squared distances of the boundaries from what
    they stand for, over their squared norm, summed over the rows; error: an estimate, the spread of the values plus
    trunc_err; boundaries: from every side, those that the sum needs and the last one; mark: of the network; cut: of the
    settings that rows are taken in by.
    """

    log_z: float
    phase: complex
    values: tuple[float, ...]
    error: float
    trunc_err: float
    status: Status
    history: tuple[BoundaryReport, ...] = field(default=(), repr=False)
    boundaries: tuple[tuple[Boundary, ...], ...] = field(default=(), repr=False)
    mark: str = field(default="", repr=False)
    cut: str = field(default="", repr=False)

    def plot(self, path: Any = None) -> Any:
        """What was discarded, row by row, and the bonds; saved where a path is given. Returns the figure."""
        return import_module("tnsim.plotting").plot_rows(self.history, path=path)

    def __repr__(self) -> str:
        sign = "" if self.phase == 1 else f", phase {self.phase:.6g}"
        lines = [f"BoundarySum({self.status.name}): ln Z = {self.log_z:.14g}{sign}"]
        if self.values:
            ways = f"{len(self.values)} way{'s' * (len(self.values) != 1)} to sum"
            lines.append(f"  error          {self.error:.1e} from {ways}, discarded {self.trunc_err:.1e}")
        if self.history:
            seconds = sum(report.seconds for report in self.history)
            chi = max(report.chi for report in self.history)
            lines.append(f"  rows           {self.history[-1].step} in {seconds:.2f} s, bond dimension {chi}")
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)
