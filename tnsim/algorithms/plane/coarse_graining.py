"""Coarse-graining of infinite networks: a loop over steps of any kind, its reports, and what it found."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, cast

import numpy as np

from tnsim.algorithms.plane.coarse_cell import CoarseCell, Step, levels_of, log_of_positive
from tnsim.algorithms.solution import Status
from tnsim.algorithms.watched_run import RUNNING, PlaneObserver, WatchedRun, check_kind
from tnsim.errors import OperatorError, SettingsError, check_fields
from tnsim.networks.cubic_network import CubicNetwork
from tnsim.networks.square_network import InfiniteNetwork


@dataclass(frozen=True, kw_only=True)
class CoarseReport:
    """One step. The tensor now stands for a torus of `sites` degrees of freedom, `ratio` of height to width.

    log_z: ln Z of that torus, per site; trunc_err: largest discarded weight of the step; dimensions: scaling
    dimensions from the transfer spectrum, the first 0; central_charge: from transfer matrices of two widths, or (width
    1) from this torus and the one before, NaN where their shapes are too similar to tell; means: of the impurities;
    derivatives: of ln Z per site by beta; phases: 1 in a disordered phase, q in one with q states of order.
    """

    step: int
    sites: float
    log_z: float
    log_z_change: float
    trunc_err: float
    chi: int
    ratio: float
    dimensions: tuple[float, ...]
    central_charge: float
    means: dict[str, float]
    derivatives: tuple[float, ...]
    phases: float
    seconds: float

    def __repr__(self) -> str:
        return (
            f"CoarseReport({self.step}: {self.sites:.4g} sites, ln Z per site {self.log_z:.12g}, discarded "
            f"{self.trunc_err:.1e}, chi {self.chi})"
        )


@dataclass(frozen=True)
class CoarseGrained:
    """ln Z per site of the last torus, the means of impurities, the status, and a report for every step."""

    log_z: float
    status: Status
    history: tuple[CoarseReport, ...] = ()
    cell: CoarseCell | None = field(default=None, repr=False)

    @property
    def means(self) -> dict[str, float]:
        """Means of the impurities on the last torus."""
        return self.history[-1].means

    @property
    def derivatives(self) -> tuple[float, ...]:
        """Of ln Z per site by beta: minus the energy, and the specific heat over beta^2."""
        return self.history[-1].derivatives

    def at(self, step: int) -> CoarseReport:
        """The report after so many steps."""
        for report in self.history:
            if report.step == step:
                return report
        raise SettingsError(f"there is no report of step {step}: this run made {self.history[-1].step} steps.")

    def plot(self, path: Any = None) -> Any:
        """Convergence and scaling dimensions, step by step; saved where a path is given. Returns the figure."""
        return import_module("tnsim.plotting").plot_coarse_graining(self.history, path=path)

    def __repr__(self) -> str:
        last = self.history[-1]
        seconds = sum(report.seconds for report in self.history)
        worst = max(report.trunc_err for report in self.history)
        lines = [
            f"CoarseGrained({self.status.name}): ln Z per site = {self.log_z:.14g}",
            f"  steps          {last.step} in {seconds:.2f} s, {last.sites:.4g} sites, last change "
            f"{last.log_z_change:.1e}",
            f"  bond dimension {last.chi}, discarded {worst:.1e} at most",
        ]
        lines += [f"  {name:<14} {value:.10g}" for name, value in last.means.items()]
        lines += [f"  {'d' * n} ln Z / {'d beta ' * n} {value:.10g}" for n, value in enumerate(self.derivatives, 1)]
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class CoarseGraining:
    """Settings of a coarse-graining run; every step doubles the sites that a tensor stands for.

    step: TRG, BTRG, HOTRG or ATRG, or anything with their two methods. ln Z per site of the torus of 2^n cells is exact
    where nothing is discarded.

    >>> from tnsim.algorithms.plane.trg import BTRG
    >>> from tnsim.models.classical import Ising
    >>> result = CoarseGraining(step=BTRG(chi_max=8)).solve(Ising(beta=0.4))
    >>> abs(result.log_z - 0.879363820775) < 2e-6, result.status.name
    (True, 'converged')
    """

    step: Step = field(metadata={"help": "TRG, BTRG, HOTRG or ATRG with a bond dimension"})
    max_steps: int = field(default=60, metadata={"help": "stop after this many steps: 2^max_steps cells"})
    tol: float = field(default=1e-13, metadata={"help": "converged: ln Z per site changes by less, twice in a row"})
    levels: int = field(default=8, metadata={"help": "scaling dimensions in every report"})
    width: int = field(default=1, metadata={"help": "tensors side by side for these: 1, or 2 (precise, O(chi^6))"})
    measure: tuple[str, ...] = field(default=(), metadata={"help": "impurities of the network to measure (HOTRG)"})

    def __post_init__(self) -> None:
        if isinstance(self.step, type) or not callable(getattr(self.step, "advance", None)):
            raise SettingsError(f"step is a kind of coarse-graining such as BTRG(chi_max=16), found {self.step!r}.")
        check_fields(self)
        if self.width not in (1, 2):
            raise SettingsError(f"width is 1 or 2 tensors side by side, found {self.width!r}.")
        for name, least in (("max_steps", 1), ("levels", 1), ("tol", 0.0)):
            if not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, found {getattr(self, name)!r}.")

    def steps(self, network: Any) -> Iterator[CoarseReport]:
        """One report a step, until max_steps."""
        for report, _ in self._run(_flat_or_cubic(network)):
            yield report

    def solve(
        self, network: Any, observers: Sequence[PlaneObserver] = (), resume: CoarseGrained | None = None
    ) -> CoarseGrained:
        """Coarse-grain an InfiniteNetwork, or a model that has one, until ln Z per site has settled.

        resume: goes on from a result of the same network and kind of step, on the host. Not settling is a status.
        Raises OperatorError for anything else, SettingsError for impurities that the step cannot measure and results
        of other steps or networks, KeyError for unknown impurities.
        """
        made, cell, run = _flat_or_cubic(network), None, WatchedRun(observers)
        history: list[CoarseReport] = []
        eps = float(np.finfo(made.dtype).eps)
        tol = max(self.tol, eps / 4)
        if resume is not None:
            check_kind(resume, CoarseGrained)
            history, cell = list(resume.history), resume.cell
            start = self.step.start(cast(Any, made), self.measure)
            if cell is None or type(cell).__module__ != type(start).__module__:
                raise SettingsError(f"this result was not made by steps like {self.step!r}: resume it with the same.")
            one, before = self._report(0, start, None)[0].log_z, history[0].log_z
            if np.isfinite([one, before]).all() and abs(one - before) > 1e3 * eps * max(1.0, abs(one)):
                raise SettingsError("this result belongs to another network: resume with the one that it was made for.")
        for report, cell in self._run(made, cell, history[-1] if history else None):  # noqa: B020
            history.append(report)
            found = CoarseGrained(report.log_z, RUNNING, tuple(history), cell)
            if run.tell(report, found) or _settled(history, tol):
                break
        status = run.interrupted() if run.stop_reason else _judge(history, tol)
        return CoarseGrained(history[-1].log_z, status, tuple(history), cell)

    def _run(
        self, network: InfiniteNetwork | CubicNetwork, cell: CoarseCell | None = None, last: CoarseReport | None = None
    ) -> Iterator[tuple[CoarseReport, CoarseCell]]:
        """Reports from the network itself on, or from the step after `last`, which made the cell."""
        clock, before, first = time.perf_counter(), None, 0
        if cell is None or last is None:
            cell = self.step.start(cast(Any, network), self.measure)
        else:
            first, before = last.step + 1, self._report(last.step, cell, None)
            cell = self.step.advance(cell) if first <= self.max_steps else cell
        for step in range(first, self.max_steps + 1):
            report, value = self._report(step, cell, before)
            now = time.perf_counter()
            yield replace(report, seconds=now - clock), cell
            before, clock = (report, value), time.perf_counter()
            if step < self.max_steps:
                cell = self.step.advance(cell)

    def _report(
        self, step: int, cell: CoarseCell, before: tuple[CoarseReport, float] | None
    ) -> tuple[CoarseReport, float]:
        """The report of a cell, and the logarithm of its largest transfer eigenvalue."""
        patch, found = cell.patch, levels_of(cell, self.measure, self.width, self.levels)
        log_z = patch.log_scale + log_of_positive(found.trace) / patch.sites
        charge = found.central_charge if self.width == 2 else _central_charge(cell, found.log_first, before)
        report = CoarseReport(
            step=step, sites=patch.sites, log_z=log_z, log_z_change=log_z - before[0].log_z if before else float("inf"),
            trunc_err=patch.trunc_err, chi=patch.chi, ratio=patch.ratio, dimensions=found.dimensions,
            central_charge=charge, means=dict(found.means), derivatives=cell.derivatives, phases=found.phases,
            seconds=0.0,
        )  # fmt: skip
        return report, found.log_first


def _settled(history: list[CoarseReport], tol: float) -> bool:
    return len(history) > 3 and all(abs(report.log_z_change) <= tol for report in history[-2:])


def _judge(history: list[CoarseReport], tol: float) -> Status:
    last = history[-1]
    if not np.isfinite(last.log_z):
        return Status(
            "not positive", False,
            f"the partition function of {last.sites:.4g} sites is not positive: raise chi_max; of weights of both "
            "signs there may be no ln Z.",
        )  # fmt: skip
    if _settled(history, tol):
        return Status("converged", True, "nothing to do; raise chi_max to lower the discarded weight.")
    return Status(
        "max_steps reached", False,
        f"the last step changed ln Z per site by {last.log_z_change:.1e}: this is a finite torus of "
        f"{last.sites:.4g} sites; raise max_steps for the infinite lattice.",
    )  # fmt: skip


def network_of(network: Any) -> InfiniteNetwork:
    """An InfiniteNetwork, or that of a model; OperatorError for anything else."""
    made = network.network() if callable(getattr(network, "network", None)) else network
    if not isinstance(made, InfiniteNetwork):
        raise OperatorError(f"an InfiniteNetwork is needed, or a model that has one, found {type(network).__name__}.")
    return made


def _flat_or_cubic(network: Any) -> InfiniteNetwork | CubicNetwork:
    """The same in two or three dimensions."""
    made = network.network() if callable(getattr(network, "network", None)) else network
    return made if isinstance(made, CubicNetwork) else network_of(made)


def _central_charge(cell: CoarseCell, first: float, before: tuple[CoarseReport, float] | None) -> float:
    """From ln of the largest eigenvalues, sites f + pi c ratio / 6, of two tori of which one is twice the other.

    Source: Z.-C. Gu, X.-G. Wen, Phys. Rev. B 80, 155131 (2009), equation (6).
    """
    if before is None or not cell.planar:
        return float("nan")
    shape = 2 * before[0].ratio - cell.patch.ratio
    if abs(shape) < 0.1:
        return float("nan")
    return float(6 / np.pi * (2 * before[1] - first - cell.patch.log_factor) / shape)
