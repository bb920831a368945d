"""Minimising the energy of a state over the numbers in its tensors: what all kinds of states share."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from tnsim.algorithms.solution import Status
from tnsim.algorithms.watched_run import RUNNING
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.lbfgs import LBFGS, Metric
from tnsim.networks.peps import SquareState
from tnsim.tensor import Tensor

# energies that differ by less between bond dimensions of the environment are taken for one
_SAME_ENERGY = 1e-4
# an energy that lies lower by more than this than in wider environments, or ones made anew, is that of a wrong one
_EXPLOITED = 1e-5
# of energies, relative
_ROUNDING = 1e-9
# iterations between two looks at the bonds of the environment, and with a small change of the energy that end a run
_REFRESH, _QUIET = 10, 3
CONVERGED, STALLED, NOISE_FLOOR, UNFINISHED = "converged", "stalled", "noise floor", "max_iterations reached"
LIMITED = "environment limit"


@dataclass(frozen=True, kw_only=True)
class EnergyCertificate:
    """The energy at the bond dimension of the run and at 3/2 of that, environments made anew; what holds from below.

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
        problems.append(
            f"an environment still changes by {max(changes):.1e} a step: raise max_steps, or take another chi_max if "
            "this one cuts between nearly equal values"
        )
    if min(energies) < bound - _ROUNDING * max(1.0, abs(bound)):
        problems.append(f"{min(energies):.8g} lies below the exact bound {bound:.8g}: the environment is wrong")
    return EnergyCertificate(
        energy=energies[0], energy_larger=energies[1], chi=chis[0], chi_larger=chis[1], lower_bound=bound,
        problems=tuple(problems),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MinimizationReport:
    """One iteration.

    energy: in the Hamiltonian's units, per site where infinite; slope: norm of the gradient for tensors of norm 1;
    steps and change: of the environment; evaluations: of energy and gradient since the start; attempt: number of the
    start at this D; symmetric: whether one symmetric tensor is varied, not all; energy_larger: in a new
    environment of 3/2 chi, None where it was not looked at.
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
    attempt: int = 0
    symmetric: bool = False
    energy_larger: float | None = None

    @property
    def start(self) -> tuple[bool, int, int]:
        """What belongs to one start has the same: the kind of state, D, and the number of the start."""
        return self.symmetric, self.D, self.attempt

    def __repr__(self) -> str:
        again = f" (start {self.attempt + 1})" if self.attempt else ""
        again += " of one symmetric tensor" if self.symmetric else ""
        return (
            f"MinimizationReport({self.iteration}: D = {self.D}{again}, energy {self.energy:.12g}, change "
            f"{self.energy_change:+.1e}, slope {self.slope:.1e}, chi {self.chi})"
        )


class Problem(Protocol):
    """An energy as a function of numbers; `last` tells of the environment where the minimisation stands."""

    last: Any

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]: ...
    def settle(self, point: np.ndarray, environment: Any = None) -> None: ...
    def forgotten(self) -> None: ...
    def aim(self, slope: float) -> float: ...
    def point(self, tensors: tuple[Tensor, ...]) -> np.ndarray: ...
    def metric(self) -> Metric: ...
    def refreshed(self, point: np.ndarray) -> bool: ...
    def energy_larger(self, point: np.ndarray) -> float | None: ...
    def certified(self, point: np.ndarray) -> EnergyCertificate: ...
    def state(self, point: np.ndarray) -> SquareState: ...


@dataclass(frozen=True)
class Attempt:
    """One of the starts at a bond dimension. origin: found with smaller bonds; first: where the run began.

    best: of the attempts before at this bond dimension; symmetric: whether one symmetric tensor is varied, not all;
    chi: the largest bond dimension of its environment; since: how many reports there were when it began, or when chi
    was chosen; cyclic: whether starts keep a cyclic symmetry that origin and terms have; trial: the number of the start
    that the chosen one goes on from.
    """

    origin: SquareState
    D: int
    first: SquareState
    number: int = 0
    best: "MinimizedState | None" = None
    symmetric: bool = False
    chi: int = 0
    since: int = 0
    cyclic: bool = False
    trial: int = 0

    @property
    def start(self) -> tuple[bool, int, int]:
        """As of its reports."""
        return self.symmetric, self.D, self.number


@dataclass(frozen=True, eq=False)
class Place:
    """Where a minimisation stood, to go back to, and the energy there in a new environment of 3/2 chi."""

    optimizer: LBFGS
    environment: Any
    energy_larger: float


@dataclass(frozen=True)
class MinimizedState:
    """The state, its energy (at the larger bond dimension of the certificate), the status and the history.

    optimizer, environment, attempt: where the minimisation stands, which resuming goes on from; certificate: None while
    it runs; lowest: where the energy at 3/2 chi was lowest of the times that it was looked at. The history is that of
    all attempts.
    """

    state: SquareState
    energy: float
    status: Status
    history: tuple[MinimizationReport, ...]
    certificate: EnergyCertificate | None
    optimizer: LBFGS = field(repr=False)
    environment: Any = field(repr=False)
    attempt: Attempt = field(repr=False)
    lowest: Place | None = field(default=None, repr=False)

    @property
    def reports(self) -> tuple[MinimizationReport, ...]:
        """Of the attempt that led here, in its last environment."""
        own = self.attempt.start
        return tuple(report for report in self.history[self.attempt.since :] if report.start == own)

    @property
    def began(self) -> tuple[MinimizationReport, ...]:
        """The reports of a search over one symmetric tensor, at whose minimum this one of all tensors began."""
        return tuple(report for report in self.history if report.symmetric and not self.attempt.symmetric)

    def plot(self, path: Any = None) -> Any:
        """Energy and slope by iteration; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_minimization(self.history, path=path)

    def __repr__(self) -> str:
        seconds = sum(report.seconds for report in self.history)
        starts = len({report.start for report in self.history if report.start[:2] == self.attempt.start[:2]})
        several = f" from {starts} starts at D = {self.attempt.D}" if starts > 1 else ""
        lines = [
            f"MinimizedState({self.status.name}): energy = {self.energy:.12f}",
            f"  state          {self.state!r}",
            f"  iterations     {len(self.history)} in {seconds:.2f} s{several}, slope {self.optimizer.slope:.1e}",
        ]
        if self.began:
            lines.insert(2, f"  start          a minimum over one symmetric tensor, after {len(self.began)} iterations")
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
    stall_iterations: int = field(default=20, metadata={"help": "ends: in so many iterations"})
    stall_tol: float = field(default=3e-7, metadata={"help": "ends: the energy falls by less altogether"})
    stall_slope: float = field(
        default=1e-4, metadata={"help": "stalled, not converged: while the gradient mostly had a larger norm"}
    )
    check_every: int = field(
        default=20,
        metadata={"help": "iterations between looks at 3/2 chi; two at risen energies end it (0: none)"},
    )
    memory: int = field(default=60, metadata={"help": "steps that the curvature is known from (L-BFGS)"})

    def __post_init__(self) -> None:
        check_fields(self)
        counts = self.max_iterations, self.memory, self.stall_iterations
        if min(counts) < 1:
            raise SettingsError(f"max_iterations, memory and stall_iterations are at least 1, found {counts}.")
        if not (self.slope_tol > 0 and min(self.energy_tol, self.stall_tol, self.stall_slope) >= 0):
            raise SettingsError(
                "slope_tol is above 0, energy_tol, stall_tol and stall_slope are not below, found "
                f"{self.slope_tol}, {self.energy_tol}, {self.stall_tol} and {self.stall_slope}."
            )
        if self.check_every < 0:
            raise SettingsError(f"check_every is not negative, found {self.check_every}; 0: never.")

    def iterations(
        self,
        problem: Problem,
        optimizer: LBFGS,
        attempt: Attempt,
        history: Sequence[MinimizationReport] = (),
        lowest: Place | None = None,
    ) -> Iterator[tuple[MinimizationReport, LBFGS, Place | None]]:
        """A report, the state of the optimizer and the place to go back to, after every iteration.

        Until it converges, stalls or gets stuck, or the energy has risen at 3/2 chi twice. history: the reports of the
        same attempt before; lowest: its place to go back to.
        """
        reports, clock = list(history), time.perf_counter()
        if self.check_every and not reports:
            lowest = _looked(problem, optimizer, lowest)[1]
        while not self._ended(optimizer, reports, lowest):
            noise = problem.aim(optimizer.slope)
            if optimizer.iteration and optimizer.iteration % _REFRESH == 0 and problem.refreshed(optimizer.point):
                optimizer = optimizer.moved(problem)
            if optimizer.stuck:
                # perhaps on a branch of the environment that came to an end
                problem.forgotten()
                optimizer = optimizer.forgotten().moved(problem)
            before = optimizer.value
            optimizer = optimizer.advanced(problem, memory=self.memory, metric=problem.metric(), noise=noise)
            problem.settle(optimizer.point)
            found, change = problem.last, optimizer.value - before
            report = MinimizationReport(
                iteration=optimizer.iteration, D=attempt.D, energy=optimizer.value, energy_change=change,
                slope=optimizer.slope, chi=found.chi, environment_steps=found.steps, environment_change=found.change,
                evaluations=optimizer.evaluations, seconds=time.perf_counter() - clock, attempt=attempt.number,
                symmetric=attempt.symmetric,
            )  # fmt: skip
            reports.append(report)
            if self._is_time_to_look(optimizer, reports, lowest):
                wide, lowest = _looked(problem, optimizer, lowest)
                reports[-1] = replace(report, energy_larger=wide, seconds=time.perf_counter() - clock)
            yield reports[-1], optimizer, lowest
            clock = time.perf_counter()

    def _ended(self, optimizer: LBFGS, reports: Sequence[MinimizationReport], lowest: Place | None) -> bool:
        went_back = bool(reports) and optimizer.iteration < reports[-1].iteration
        if optimizer.iteration >= self.max_iterations or optimizer.slope <= self.slope_tol:
            return True
        if self.rose(reports, lowest, looks=1 if went_back else 2):
            return True
        return self._rests(optimizer, reports) or self._crawls(reports)

    def _is_time_to_look(self, optimizer: LBFGS, reports: Sequence[MinimizationReport], lowest: Place | None) -> bool:
        """At the energy at 3/2 chi: now and then, and at the end."""
        if not self.check_every or optimizer.iteration % self.check_every == 0:
            return self.check_every > 0
        return self._ended(optimizer, reports, lowest)

    def rose(self, reports: Sequence[MinimizationReport], lowest: Place | None, looks: int = 1) -> bool:
        """Whether the energy at 3/2 chi, at the last looks, lies above the lowest one that was seen.

        Steps make use then of what chi cuts, or of an environment that is no longer the leading one. A search may pass
        such a state, and go on to lower ones.
        """
        seen = [report.energy_larger for report in reports if report.energy_larger is not None]
        if not self.check_every or lowest is None or len(seen) < looks:
            return False
        least = lowest.energy_larger
        return min(seen[-looks:]) > least + _EXPLOITED * max(1.0, abs(least))

    def _rests(self, optimizer: LBFGS, reports: Sequence[MinimizationReport]) -> bool:
        """No step lowered the energy, in a new environment either, or the last ones hardly did."""
        last = reports[-_QUIET:]
        if optimizer.stuck and len(last) > 1 and last[-2].energy_change == 0:
            return True
        return len(last) == _QUIET and all(abs(r.energy_change) <= self.energy_tol for r in last)

    def _crawls(self, reports: Sequence[MinimizationReport]) -> bool:
        """The energy hardly falls, and has not risen by more in another environment."""
        if len(reports) <= self.stall_iterations:
            return False
        return abs(reports[-1 - self.stall_iterations].energy - reports[-1].energy) < self.stall_tol

    def is_over(self, found: MinimizedState) -> bool:
        """Whether a minimisation is at its end, by these limits."""
        return self._ended(found.optimizer, found.reports, found.lowest)

    def stalled(self, found: MinimizedState) -> bool:
        """Whether a minimisation ended where the gradient is still large: of one that crawls, most of the time."""
        optimizer, reports = found.optimizer, found.reports
        if self.rose(reports, found.lowest):
            return False
        large = max(self.stall_slope, self.slope_tol)
        if self._rests(optimizer, reports):
            return optimizer.slope > large
        return self._crawls(reports) and float(np.median([r.slope for r in reports[-self.stall_iterations :]])) > large

    def judge(self, found: MinimizedState, made: EnergyCertificate) -> Status:
        """How a minimisation ended."""
        advice = list(made.problems)
        if self.rose(found.reports, found.lowest):
            advice.append(
                f"after iteration {found.optimizer.iteration} the energy rose in new environments of chi = "
                f"{made.chi_larger} while the one that was minimised fell: steps made use of an error of their "
                "environment. This is the lowest energy that holds; a larger chi_max may lead further: resume it"
            )
        if advice:
            return Status("not certified" if made.problems else LIMITED, False, "; ".join(advice) + ".")
        slope = found.optimizer.slope
        if self.stalled(found):
            fell = "no step lowers the energy"
            if not self._rests(found.optimizer, found.reports):
                fell = f"the energy fell by less than {self.stall_tol:.1e} in {self.stall_iterations} iterations"
            return Status(
                STALLED, False,
                f"{fell}, but the gradient has the norm {slope:.1e}: make the environment more precise (tol, chi_max), "
                "or start elsewhere (attempts, restarts, noise, seed, cooling).",
            )  # fmt: skip
        if slope > self.slope_tol and self._crawls(found.reports):
            return Status(
                CONVERGED, True,
                f"the energy fell by less than {self.stall_tol:.1e} in {self.stall_iterations} iterations (stall_tol); "
                "a larger D lowers it.",
            )  # fmt: skip
        if found.optimizer.iteration >= self.max_iterations and slope > self.slope_tol:
            return Status(
                UNFINISHED, False,
                f"the gradient still has the norm {slope:.1e}: resume it with a larger max_iterations (--iterations).",
            )  # fmt: skip
        if found.optimizer.stuck:
            return Status(
                NOISE_FLOOR, True,
                f"energies differ by no more than their noise, the gradient has the norm {slope:.1e}: lower tol and "
                "gradient_tol of the environment to go on.",
            )  # fmt: skip
        return Status(CONVERGED, True, "nothing to do; a larger D lowers the energy.")


def _looked(problem: Problem, optimizer: LBFGS, lowest: Place | None) -> tuple[float | None, Place | None]:
    """The energy at 3/2 chi, None where it is no number, and the place to go back to now."""
    wide = problem.energy_larger(optimizer.point)
    if wide is None or not np.isfinite(wide):
        return None, lowest
    if lowest is None or wide <= lowest.energy_larger:
        lowest = Place(optimizer, problem.last, wide)
    return wide, lowest


def solution_of(
    problem: Problem,
    optimizer: LBFGS,
    attempt: Attempt,
    history: Sequence[MinimizationReport],
    lowest: Place | None = None,
) -> MinimizedState:
    """A minimisation under way, or where it was interrupted."""
    return MinimizedState(
        problem.state(optimizer.point), optimizer.value, RUNNING, tuple(history), None, optimizer, problem.last,
        attempt, lowest,
    )  # fmt: skip


def certified(
    found: MinimizedState, problem: Problem, settings: MinimizationSettings, known: float | None = None
) -> MinimizedState:
    """The same with energies from new environments, and what they say; known: what no energy lies below."""
    made = problem.certified(found.optimizer.point)
    value, lowest = found.optimizer.value, min(made.energy, made.energy_larger)
    wrong = list(made.problems)
    if value < lowest - _EXPLOITED * max(1.0, abs(lowest)):
        wrong.append(
            f"the energy that was minimised, {value:.8g}, lies {lowest - value:.1e} below those of environments made "
            "anew: the state makes use of an error of its environment, raise chi_max"
        )
    if known is not None and lowest < known - _ROUNDING * abs(known):
        wrong.append(
            f"{lowest:.8g} lies {known - lowest:.1e} below the known bound {known:.8g}: the environment is wrong"
        )
    made = replace(made, problems=tuple(wrong))
    return replace(found, energy=made.energy_larger, certificate=made, status=settings.judge(found, made))
