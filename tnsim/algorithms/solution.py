"""What an iterative algorithm reports and returns: frozen reports, a status with advice, a solution."""

import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

# of a variance, in units of eps times the squared energy (measured: 1 to 5)
_ROUNDING = 10.0


@dataclass(frozen=True)
class Status:
    """How a run ended. `converged` is true only where every criterion holds; `advice` says what to do next."""

    name: str
    converged: bool
    advice: str

    def __str__(self) -> str:
        return self.name if self.converged else f"{self.name}: {self.advice}"


@dataclass(frozen=True, kw_only=True)
class BondReport:
    """One bond update. `energy` in the Hamiltonian's units, `trunc_err` the discarded weight of this split."""

    sweep: int
    bond: int
    direction: int
    energy: float
    trunc_err: float
    chi: int
    matvecs: int
    bonds: int


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """One full sweep (right and left); on an infinite chain one update of the cell, and energies are per site.

    energy: of the last bond; max_trunc_err, sum_trunc_err: largest and summed discarded weight of the sweep;
    gradient: largest norm of the energy gradient before an update, projected out of the kept space (in iDMRG the
    residual of the predicted cell);
    entropy: at the middle bond (natural logarithm); noise: strength of the density-matrix perturbation; expansion: the
    share of states that bonds grew by before each update of one site.
    """

    sweep: int
    energy: float
    energy_change: float
    max_trunc_err: float
    sum_trunc_err: float
    gradient: float
    entropy: float
    entropy_change: float
    chi: int
    chi_max: int
    noise: float
    matvecs: int
    seconds: float
    split: str = "gram"
    dtype: str = "float64"
    expansion: float = 0.0

    @property
    def change(self) -> str:
        """The energy change as text, "-" where there is no sweep to compare with."""
        return "-" if math.isinf(self.energy_change) else f"{self.energy_change:+.1e}"

    def __repr__(self) -> str:
        return (
            f"SweepReport({self.sweep + 1}: energy {self.energy:.10g}, change {self.change}, "
            f"discarded {self.max_trunc_err:.1e}, chi {self.chi})"
        )


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands, enough to go on at the next bond update.

    sweep: number of the sweep under way (from 0); step: bond updates done in it; rightwards first, then
    leftwards. bond_trunc_errs: discarded weight of the last split of every bond; the rest are the sums of the sweep
    so far. restarts: 1 in a second start. stage: which one of a staged run this is, from 0; past: the reports of those
    before it.
    """

    sweep: int = 0
    step: int = 0
    energy: float = float("nan")
    max_trunc_err: float = 0.0
    sum_trunc_err: float = 0.0
    gradient: float = 0.0
    entropy: float = float("nan")
    matvecs: int = 0
    seconds: float = 0.0
    bond_trunc_errs: tuple[float, ...] = ()
    restarts: int = 0
    stage: int = 0
    past: tuple[SweepReport, ...] = ()
    history: tuple[SweepReport, ...] = ()

    @property
    def reports(self) -> tuple[SweepReport, ...]:
        """Of all sweeps, those of the stages before included."""
        return (*self.past, *self.history)

    @property
    def is_new(self) -> bool:
        """Whether no bond was updated yet, in what is no second start."""
        return self.sweep == self.step == self.restarts == 0

    def __repr__(self) -> str:
        where = f"sweep {self.sweep + 1}, step {self.step}"
        return f"Progress({where}: energy {self.energy:.10g}, {len(self.history)} sweeps done)"


class Observer(Protocol):
    """Anything that wants to know: progress bars, logs, checkpoints, metrics.

    `bond` is called after every bond update, `sweep` after every full sweep, with the run itself as the
    source of more: `run.state`, `run.progress()`, `run.request_stop(reason)`.
    """

    def bond(self, report: BondReport, run: Any) -> None: ...
    def sweep(self, report: SweepReport, run: Any) -> None: ...


@dataclass(frozen=True)
class Solution:
    """The state, its energy (measured again with the MPO at the end), the status and the history.

    Of an infinite chain, the energy is per site. variance: <H^2> - <H>^2, None where it was not asked for
    or takes too much memory (see `variance_fits`). overlaps:
    magnitudes of the overlaps with the (normalised) states of its sector that it was to be orthogonal to. first: where
    a second start was interrupted, what the first one ended in.
    """

    state: Any
    energy: float
    status: Status
    history: tuple[SweepReport, ...] = field(default=())
    variance: float | None = None
    progress: Progress = field(default_factory=Progress)
    overlaps: tuple[float, ...] = ()
    first: "Solution | None" = None

    @property
    def error_bound(self) -> float | None:
        """An exact energy of the sector lies within so much of `energy`; None where the variance is not known.

        It is sqrt(variance) (D. H. Weinstein, Proc. Natl. Acad. Sci. 20, 529 (1934)) with what rounding leaves in it,
        in the precision of the last sweep: after single-precision sweeps it says whether the others made up for them.
        Rounding is taken relative to the energy: where a constant brings that near zero, more of it is left.
        A bound for the ground state where the state is nearer to it than to the next level; then the error itself is
        smaller, variance / gap at most.
        """
        if self.variance is None:
            return None
        eps = float(np.finfo(self.state.dtype).eps)
        return math.sqrt(self.variance + _ROUNDING * eps * self.energy**2)

    def plot(self, path: Any = None) -> Any:
        """Convergence and entanglement profile; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_run(self.history, self.state, path=path)

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else None
        lines = [f"Solution({self.status.name}): energy = {self.energy:.12f}"]
        if self.variance is not None:
            lines.append(f"  variance       {self.variance:.3e}: an exact level lies within {self.error_bound:.1e}")
        if self.overlaps:
            lines.append(f"  overlap        {max(self.overlaps):.2e} at most with {len(self.overlaps)} lower states")
        if last is not None:
            seconds = sum(report.seconds for report in self.history)
            change = f"last change {last.change}"
            lines.append(f"  sweeps         {len(self.history)} in {seconds:.2f} s, {change}")
            lines.append(f"  bond dimension {last.chi} of {last.chi_max}")
            lines.append(f"  discarded      {last.max_trunc_err:.2e} at most, {last.sum_trunc_err:.2e} in all")
        if self.first is not None:
            lines.append(f"  first start    {self.first.energy:.12f}, {self.first.status.name}")
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)
