"""Minimising the energy of a state over the numbers in its tensors: what all kinds of states share."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from tnsim.algorithms.solution import Status
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.lbfgs import LBFGS, Metric
from tnsim.networks.peps import SquareState
from tnsim.tensor import Tensor

# energies that differ by less between bond dimensions of the environment are taken for one
_SAME_ENERGY = 1e-4
# iterations between two looks at the bonds of the environment, and with a small change of the energy that end a run
_REFRESH, _QUIET = 10, 3


@dataclass(frozen=True, kw_only=True)
class EnergyCertificate:
    """The energy at the bond dimension of the run and at twice that, environments made anew; what holds from below.

    lower_bound: no state whatsoever has less (nan where none is known); problems: what is wrong, empty where nothing.
    """

    energy: float
    energy_larger: float
    chi: int
    chi_larger: int
    lower_bound: float = float("nan")
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        change = self.energy_larger - self.energy
        return f"EnergyCertificate({self.energy:.12g} at chi {self.chi}, {change:+.1e} at {self.chi_larger})"


def certificate(
    energies: tuple[float, float], chis: tuple[int, int], changes: Sequence[float], tol: float, bound: float
) -> EnergyCertificate:
    """What two environments say about an energy; changes: how much their last steps changed them."""
    problems = []
    if abs(energies[0] - energies[1]) > _SAME_ENERGY * max(1.0, abs(energies[1])):
        problems.append(
            f"the energy changes by {energies[1] - energies[0]:+.1e} from chi {chis[0]} to {chis[1]}: raise chi_max"
        )
    if not max(changes) <= 1e3 * tol:
        problems.append(f"an environment still changes by {max(changes):.1e} a step: raise max_steps or chi_max")
    if min(energies) < bound:
        problems.append(f"{min(energies):.8g} lies below the exact bound {bound:.8g}: the environment is wrong")
    return EnergyCertificate(
        energy=energies[0], energy_larger=energies[1], chi=chis[0], chi_larger=chis[1], lower_bound=bound,
        problems=tuple(problems),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MinimizationReport:
    """One iteration. energy: in the Hamiltonian's units, per site where infinite; slope: norm of the gradient for

    tensors of norm 1; steps and change: of the environment; evaluations: of energy and gradient since the start.
    """

    iteration: int
    D: int
    energy: float
    energy_change: float
    slope: float
    chi: int
    environment_steps: int
    environment_change: float
    evaluations: int
    seconds: float

    def __repr__(self) -> str:
        return (
            f"MinimizationReport({self.iteration}: D = {self.D}, energy {self.energy:.12g}, change "
            f"{self.energy_change:+.1e}, slope {self.slope:.1e}, chi {self.chi})"
        )


class Problem(Protocol):
    """An energy as a function of numbers; `last` tells of the environment of the last evaluation."""

    last: Any

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]: ...
    def point(self, tensors: tuple[Tensor, ...]) -> np.ndarray: ...
    def metric(self) -> Metric: ...
    def refreshed(self, point: np.ndarray) -> bool: ...
    def certified(self, point: np.ndarray) -> EnergyCertificate: ...
    def state(self, point: np.ndarray) -> SquareState: ...


@dataclass(frozen=True)
class MinimizedState:
    """The state, its energy (at the larger bond dimension of the certificate), the status and the history.

    optimizer, environment: where the minimisation stands, which resuming goes on from; certificate: None while it runs.
    """

    state: SquareState
    energy: float
    status: Status
    history: tuple[MinimizationReport, ...]
    certificate: EnergyCertificate | None
    optimizer: LBFGS = field(repr=False)
    environment: Any = field(repr=False)

    def plot(self, path: Any = None) -> Any:
        """Energy and slope by iteration; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_minimization(self.history, path=path)

    def __repr__(self) -> str:
        last = self.history[-1]
        seconds = sum(report.seconds for report in self.history)
        lines = [
            f"MinimizedState({self.status.name}): energy = {self.energy:.12f}",
            f"  state          {self.state!r}",
            f"  iterations     {len(self.history)} in {seconds:.2f} s, slope {last.slope:.1e}",
        ]
        if self.certificate is not None:
            lines.append(f"  certificate    {self.certificate!r}")
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class MinimizationSettings:
    """When a minimisation ends. Energies are per site where the lattice is infinite."""

    max_iterations: int = field(default=300, metadata={"help": "stop after so many iterations at one bond dimension"})
    slope_tol: float = field(default=1e-6, metadata={"help": "converged: the gradient has a smaller norm"})
    energy_tol: float = field(
        default=1e-10, metadata={"help": "converged: the energy falls by less in three iterations in a row"}
    )
    memory: int = field(default=20, metadata={"help": "steps that the curvature is known from (L-BFGS)"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_iterations < 1 or self.memory < 1 or not (self.slope_tol > 0 and self.energy_tol >= 0):
            raise SettingsError("max_iterations and memory are at least 1, slope_tol is above 0, energy_tol not below.")

    def iterations(
        self, problem: Problem, optimizer: LBFGS, D: int, history: Sequence[MinimizationReport] = ()
    ) -> Iterator[tuple[MinimizationReport, LBFGS]]:
        """A report and the state of the optimizer after every iteration, until it converges or gets stuck."""
        quiet, clock = 0, time.perf_counter()
        while optimizer.iteration < self.max_iterations and optimizer.slope > self.slope_tol:
            if optimizer.iteration and optimizer.iteration % _REFRESH == 0 and problem.refreshed(optimizer.point):
                optimizer = optimizer.moved(problem)
            before, steps = optimizer.value, optimizer.evaluations
            optimizer = optimizer.advanced(problem, memory=self.memory, metric=problem.metric())
            found, change = problem.last, optimizer.value - before
            yield MinimizationReport(
                iteration=optimizer.iteration, D=D, energy=optimizer.value, energy_change=change, slope=optimizer.slope,
                chi=found.chi, environment_steps=found.steps, environment_change=found.change,
                evaluations=optimizer.evaluations, seconds=time.perf_counter() - clock,
            ), optimizer  # fmt: skip
            clock = time.perf_counter()
            quiet = quiet + 1 if abs(change) <= self.energy_tol and optimizer.evaluations > steps else 0
            if optimizer.stuck or quiet >= _QUIET:
                return

    def judge(self, optimizer: LBFGS, found: EnergyCertificate) -> Status:
        """How a minimisation ended."""
        if found.problems:
            return Status("not certified", False, "; ".join(found.problems) + ".")
        if optimizer.iteration >= self.max_iterations and optimizer.slope > self.slope_tol:
            return Status(
                "max_iterations reached", False,
                f"the gradient still has the norm {optimizer.slope:.1e}: raise max_iterations, or resume it.",
            )  # fmt: skip
        if optimizer.stuck and optimizer.slope > 1e2 * self.slope_tol:
            return Status(
                "stalled", False,
                f"no step lowers the energy, but the gradient has the norm {optimizer.slope:.1e}: make the environment "
                "more precise (tol, chi_max), or start elsewhere (seed, noise).",
            )  # fmt: skip
        return Status("converged", True, "nothing to do; a larger D lowers the energy.")


def solution_of(
    problem: Problem, optimizer: LBFGS, status: Status, history: Sequence[MinimizationReport]
) -> MinimizedState:
    """A minimisation under way, or where it was interrupted."""
    state = problem.state(optimizer.point)
    return MinimizedState(state, optimizer.value, status, tuple(history), None, optimizer, problem.last)


def certified(found: MinimizedState, problem: Problem, settings: MinimizationSettings) -> MinimizedState:
    """The same with energies from new environments, and what they say."""
    made = problem.certified(found.optimizer.point)
    status = settings.judge(found.optimizer, made)
    return replace(found, energy=made.energy_larger, certificate=made, status=status)
