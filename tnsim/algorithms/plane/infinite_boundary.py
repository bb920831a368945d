"""Infinite networks between two boundary MPS: fixed points of the transfer matrix of a row.

Sources: R. Orus, G. Vidal, Phys. Rev. B 78, 155117 (2008) (power method); M. T. Fishman, L. Vanderstraeten,
V. Zauner-Stauber, J. Haegeman, F. Verstraete, Phys. Rev. B 98, 235148 (2018) (VUMPS of transfer matrices).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.algorithms.plane.coarse_cell import log_of_positive
from tnsim.algorithms.plane.coarse_graining import network_of
from tnsim.algorithms.solution import Status
from tnsim.algorithms.watched_run import RUNNING, PlaneObserver, WatchedRun, check_kind
from tnsim.errors import LegError, SettingsError, StateError, check_fields, suggest
from tnsim.linalg.truncation import Truncation
from tnsim.networks.acting import bond_site
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.row_channel import RowChannel
from tnsim.networks.row_environments import RowEnvironments, gradient, row_environments, updated_centers
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST, InfiniteNetwork
from tnsim.networks.uniform_gauge import left_gauge, nearest_left
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, contract, eye, from_dense, fuse, transpose

_METHODS = ("vumps", "power")
# cells that are taken in before the fixed point is looked for; bonds grow by more of them once the gradient is small,
# and where they did not, once it is smaller by a factor
_PLAIN, _GROW_BELOW, _LATER = 4, 1e-3, 1e-2
# environments and centres are found this much more precisely than the gradient stands
_FINER, _COARSE = 1e-4, 1e-6
# canonical forms of the rows taken in; Schmidt values below so many roundings are noise
_GAUGE, _NOISE = 1e-10, 1e5


@dataclass(frozen=True, kw_only=True)
class InfiniteBoundaryReport:
    """One step of the boundary on one side ("below" or "above").

    log_z: per site, as seen from this side alone; change: the gradient (vumps) or the change of Schmidt values (power),
    infinite while bonds grow.
    """

    side: str
    step: int
    log_z: float
    change: float
    chi: int
    seconds: float

    def __repr__(self) -> str:
        return (
            f"InfiniteBoundaryReport({self.side} {self.step}: ln Z per site {self.log_z:.12g}, change "
            f"{self.change:.1e}, chi {self.chi})"
        )


@dataclass(frozen=True)
class InfiniteBoundarySum:
    """ln Z per site between the boundaries below and above, the status, and a report every step."""

    log_z: float
    below: InfiniteMPS = field(repr=False)
    above: InfiniteMPS | None = field(repr=False)
    status: Status = field()
    history: tuple[InfiniteBoundaryReport, ...] = ()
    network: InfiniteNetwork | None = field(default=None, repr=False)

    @cached_property
    def channel(self) -> RowChannel:
        """A row between both boundaries (all rows of a cell fused to one)."""
        if self.network is None or self.above is None:
            raise StateError("the boundary above this network is not found yet: resume the run.")
        return RowChannel(self.network.fused_row(), self.above, self.below)

    @property
    def means(self) -> dict[str, float]:
        """The mean of every impurity of the network; zero where it carries a charge."""
        impurities: Mapping[str, Tensor] = self.network.impurities if self.network else {}
        if self.above is None:
            return {}
        return {name: self.channel.mean(impurity) for name, impurity in impurities.items()}

    @property
    def correlation_length(self) -> float:
        """The longest one along a row, in sites, of operators without charge."""
        return self.channel.correlation_length()

    def plot(self, path: Any = None) -> Any:
        """Convergence and Schmidt values; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_boundary(self.history, self.below.schmidt_values()[0], path=path)

    def __repr__(self) -> str:
        lines = [f"InfiniteBoundarySum({self.status.name}): ln Z per site = {self.log_z:.14g}"]
        for side in ("below", "above"):
            mine = [report for report in self.history if report.side == side]
            if mine:
                last = mine[-1]
                lines.append(
                    f"  {side:<14} {last.step} steps in {sum(report.seconds for report in mine):.2f} s, change "
                    f"{last.change:.1e}, bond dimension {last.chi}"
                )
        lines += [f"  {name:<14} {value:.10g}" for name, value in self.means.items()]
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class InfiniteBoundary:
    """Settings of a contraction between infinite boundary MPS.

    method: "vumps" solves for the fixed point of a row, "power" takes in row after row and cuts the bonds, as iTEBD
    does. Cost O(chi^3 D) a product, some hundred products a step; of a row of D^m with m rows in a cell. The error of
    ln Z is of the order of gradient^2, beside that of the bond dimension.

    >>> from tnsim.models.classical import Ising
    >>> result = InfiniteBoundary(truncation=Truncation(chi_max=12)).solve(Ising(beta=0.5))
    >>> round(result.log_z, 10), round(result.means["spin"], 8)  # Onsager, Yang
    (1.0257928127, 0.91131938)
    """

    truncation: Truncation = field(metadata={"help": "chi_max and cutoffs of the boundary's bonds"})
    method: str = field(default="vumps", metadata={"help": "vumps or power"})
    max_steps: int = field(default=1000, metadata={"help": "stop after this many steps"})
    tol: float = field(default=1e-9, metadata={"help": "converged: gradient (or change of Schmidt values) below this"})
    start: str = field(default="", metadata={"help": "edge to start from: of the network, such as free or fixed"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.method not in _METHODS:
            raise SettingsError(f"unknown method {self.method!r} of a boundary. {suggest(self.method, _METHODS)}")
        if self.max_steps < 1 or not self.tol > 0:
            raise SettingsError("max_steps is at least 1, and tol is above 0.")

    def solve(
        self, network: Any, observers: Sequence[PlaneObserver] = (), resume: InfiniteBoundarySum | None = None
    ) -> InfiniteBoundarySum:
        """Between the boundaries below and above a network (or model); one of them where both sides look alike.

        resume: goes on from the boundaries of a result of the same network. Not converging is a status. Raises
        OperatorError for other things, SettingsError for an unknown edge.
        """
        made, run = network_of(network), WatchedRun(observers)
        if resume is not None:
            check_kind(resume, InfiniteBoundarySum)
        history: list[InfiniteBoundaryReport] = []
        sides = [("below", made)] if _alike(made) else [("below", made), ("above", made.mirrored())]
        states: dict[str, InfiniteMPS] = {}
        for side, seen in sides:
            before = None if resume is None else getattr(resume, side)
            boundary = _Boundary(self, seen, before)
            done = [] if resume is None else [report for report in resume.history if report.side == side]
            history += done
            states |= {side: boundary.state} if side == "below" else {}
            for report in self._steps(side, boundary, len(done)):
                history.append(report)
                states[side] = boundary.state
                if run.tell(report, self._between(made, states, history, RUNNING)):
                    break
            states[side] = boundary.state
            if run.stop_reason:
                break
        return self._between(made, states, history, run.interrupted() if run.stop_reason else None)

    def _between(
        self,
        network: InfiniteNetwork,
        states: Mapping[str, InfiniteMPS],
        history: Sequence[InfiniteBoundaryReport],
        status: Status | None,
    ) -> InfiniteBoundarySum:
        """The result of the boundaries found so far; the sum is found at the end only (status: None)."""
        below = states["below"]
        above = states.get("above", below if _alike(network) else None)
        log_z = history[-1].log_z if history else float("nan")
        if status is None and above is not None:
            value = RowChannel(network.fused_row(), above, below).value()
            log_z = (log_of_positive(value) + network.log_scale) / network.sites
        status = status or self._judge(log_z, history)
        return InfiniteBoundarySum(log_z, below, above, status, tuple(history), network)

    def _steps(self, side: str, boundary: "_Boundary", done: int) -> Iterator[InfiniteBoundaryReport]:
        """A report a step, until the boundary has settled."""
        floor = max(self.tol, 100 * float(np.finfo(boundary.state.dtype).eps))
        for step in range(done + 1, self.max_steps + 1):
            clock = time.perf_counter()
            boundary.step()
            yield InfiniteBoundaryReport(
                side=side, step=step, log_z=boundary.log_z, change=boundary.change,
                chi=max(boundary.state.bond_dimensions), seconds=time.perf_counter() - clock,
            )  # fmt: skip
            if boundary.settled(floor):
                return

    def _judge(self, log_z: float, history: Sequence[InfiniteBoundaryReport]) -> Status:
        if not np.isfinite(log_z):
            return Status(
                "not positive", False,
                "the sum is not positive, or rows alternate between several states: raise chi_max, or "
                "take a cell of two rows.",
            )  # fmt: skip
        last = {report.side: report for report in history}
        worst = max(last.values(), key=lambda report: report.change)
        if worst.change <= max(self.tol, 1e-12) or worst.step < self.max_steps:
            return Status("converged", True, "nothing to do; raise chi_max to lower the error.")
        return Status(
            "max_steps reached", False,
            f"the boundary {worst.side} still changes by {worst.change:.1e}, above tol: raise max_steps, or tol near a "
            "critical point.",
        )  # fmt: skip


class _Boundary:
    """The boundary below a network, which takes in rows from below."""

    def __init__(self, settings: InfiniteBoundary, network: InfiniteNetwork, before: InfiniteMPS | None) -> None:
        self._settings, self._network = settings, network
        self._rows = [[_operator(site) for site in line] for line in network.rows[::-1]]
        self._row = [_operator(site) for site in network.fused_row()]
        self.state = _start(network, settings.start)
        if before is not None and [t.legs[1] for t in before.AL] != [t.legs[1] for t in self.state.AL]:
            raise SettingsError("this result belongs to another network: resume with the one that it was made for.")
        self.change, self.log_z = float("inf"), float("nan")
        self._env: RowEnvironments | None = None
        self._plain, self._grow_below = 0, _GROW_BELOW
        if before is not None:
            self.state = before.to(network.backend)
            # bonds that are to grow take rows in first: weights of new states are too small for the gradient to see
            self._plain = 0 if self._room else _PLAIN

    def step(self) -> None:
        """Take in all rows of a cell, or once bonds are grown, go towards the fixed point."""
        if self._settings.method == "power" or self._plain < _PLAIN or self._grows():
            before = self.state
            for line in self._rows:
                self.state = _taken_in(self.state, line, self._settings.truncation)
            same = self.state.bond_dimensions == before.bond_dimensions
            self._plain += 1
            self._env = row_environments(self.state, self._row, tolerance=1e-8)
            self.change = _distance(before, self.state) if same else float("inf")
            if same and self._plain > _PLAIN:
                self._grow_below *= _LATER
        else:
            self._towards_fixed_point()
        value = self._env.value if self._env else complex("nan")
        self.log_z = (log_of_positive(value) + self._network.log_scale) / self._network.sites

    def settled(self, tol: float) -> bool:
        """Whether it changes by no more than this, and bonds are as large as they will be."""
        grown = self._settings.method == "power" or not self._room or self._grow_below <= tol
        return self._plain >= _PLAIN and self.change <= tol and grown

    @property
    def _room(self) -> bool:
        return max(self.state.bond_dimensions) < self._settings.truncation.chi_max

    def _grows(self) -> bool:
        """Whether it is time for a row that makes bonds larger."""
        return (
            self._room
            and self.change <= max(self._grow_below, self._settings.tol)
            and self._grow_below > self._settings.tol
        )

    def _towards_fixed_point(self) -> None:
        finer = min(self.change, 1.0) * _FINER
        self._env = row_environments(self.state, self._row, self._env, tolerance=max(1e-14, min(_COARSE, finer)))
        self.change = gradient(self._env, self._row, self.state)
        if self.change <= self._settings.tol:
            return
        precise = max(1e-14, _FINER * self.change)
        centers = updated_centers(self._env, self._row, self.state, precise)
        left = [nearest_left(site, bond) for site, bond in centers]
        self.state = InfiniteMPS.from_left(left, self.state.sites, centers[-1][1])


def _operator(site: Tensor) -> Tensor:
    """A tensor of the network as a site (left, out, in, right) of what acts on the boundary below it."""
    return transpose(site, (WEST, NORTH, SOUTH, EAST))


def _taken_in(state: InfiniteMPS, row: Sequence[Tensor], truncation: Truncation) -> InfiniteMPS:
    """The boundary with a row more, cut to the largest Schmidt values; cost O(chi^3 D^3) for canonical forms."""
    tensors = []
    for a, w in zip(state.AL, row, strict=True):
        joined = contract("o t s p, l s r -> o l t p r", w, a)
        tensors.append(fuse(joined, [(0, 1), (2,), (3, 4)], [1, 1, -1]))
    left, _, _ = left_gauge(tensors, None, _GAUGE)
    floor = _NOISE * float(np.finfo(state.dtype).eps)
    cut = replace(truncation, svd_min=max(truncation.svd_min, floor))
    sites = [bond_site(w.legs[1]) for w in row]
    return InfiniteMPS.from_left(left, sites, tolerance=_GAUGE).truncate(cut, tolerance=_GAUGE)


def _distance(first: InfiniteMPS, second: InfiniteMPS) -> float:
    """The largest difference of Schmidt values, largest first."""
    pairs = zip(first.schmidt_values(), second.schmidt_values(), strict=True)
    return max(float(np.abs(np.sort(a.values) - np.sort(b.values)).max()) for a, b in pairs)


def _start(network: InfiniteNetwork, name: str) -> InfiniteMPS:
    """A product of the edge that the network names, or of all states of the neutral sector alike."""
    edges = network.edges
    if name and name not in edges:
        raise SettingsError(f"this network has no edge {name!r} to start from. {suggest(name, edges)}")
    vector = next((edges[known] for known in (name, "fixed", "free") if known in edges), None)
    tensors, sites = [], []
    for site in network.rows[-1]:
        phys = site.legs[SOUTH].dual
        own = np.zeros(phys.dim, dtype=network.dtype)
        if vector is not None and len(vector) == phys.dim:
            own[:] = vector
        elif phys.index_of(site.group.identity) is not None:
            own[phys.slice_of(site.group.identity)] = 1.0
        else:
            raise LegError(f"a boundary starts in the neutral sector, which {phys!r} lacks.")
        one = trivial_leg(1, 1, site.group)
        array = (own / np.linalg.norm(own)).reshape(1, -1, 1)
        tensors.append(from_dense(array, (one, phys, one.dual), tolerance=1e-9).to(network.backend))
        sites.append(bond_site(phys))
    bonds = [eye(t.legs[2].dual, dtype=t.dtype, backend=t.backend) for t in tensors]
    return InfiniteMPS(tensors, tensors, bonds, sites)


def _alike(network: InfiniteNetwork) -> bool:
    """Whether the network looks the same from above and from below."""
    pairs = zip(network.fused_row(), network.mirrored().fused_row(), strict=True)
    return all(a.legs == b.legs and (a - b).norm() <= 1e-13 * a.norm() for a, b in pairs) and network.dtype.kind != "c"
