"""Minimisations that begin with small bonds, and with several starts at each size of them: all that starts share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tnsim.algorithms.peps.infinite.infinite_measure import sites_of
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.minimization import (
    Attempt,
    MinimizationReport,
    MinimizationSettings,
    MinimizedState,
    Problem,
    certified,
    solution_of,
)
from tnsim.algorithms.watched_run import PlaneObserver, WatchedRun, check_kind
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.lbfgs import LBFGS
from tnsim.networks.peps import PlaneTerms, grown
from tnsim.networks.peps.weighted import without_weights

# of environments on the way: at least, and in units of D^2
_LEAST_CHI, _CHI_SHARE = 16, 2
# noise of starts after the first: those near what was found with smaller bonds lead to the same minimum
_ELSEWHERE = 0.4
# iterations of a start that no other is compared with, before its environment gets wide or its bonds larger
_ALONE = 40


@dataclass(frozen=True, kw_only=True)
class GrowingMinimization(ABC):
    """A minimisation that embeds what it found with small bonds in larger ones, with noise, until they are D.

    At each bond dimension `attempts` starts, the first near what was found with smaller bonds, the others near where
    the run began, with more noise (or as the kind of state has them), go on for `compare_after` iterations, the lowest
    one to its end; where that stalls, up to `restarts` more begin at it, with noise, each given up unless it lies lower
    after `compare_after` iterations (40 where none are told), and the lowest end counts. Below D no start takes more
    iterations than that. Until the end is followed, environments have a bond dimension of 2 D^2 (at least 16) at most.
    The usual numbers, where none are told, are 1 and 40 unless the kind of state has others; a start that has all its
    bonds (a given state, or one of imaginary time) is followed alone.

    What is followed to its end has its energy looked at in new environments of 3/2 chi every
    `minimization.check_every` iterations: where it has risen twice, or at the end, the search goes back to the lowest
    one (status "environment limit"). Steps had begun to make use of what chi cuts, or of an environment that they
    follow though another one has the larger norm. A look costs three to six evaluations.
    """

    D: int = field(metadata={"help": "bond dimension of the state"})
    environment: EnvironmentSettings = field(metadata={"help": "how the norm is contracted"})
    noise: float = field(default=0.1, metadata={"help": "of new elements, in units of their root mean square"})
    seed: int = field(default=0, metadata={"help": "of the first state and of the noise"})
    attempts: int = field(
        default=0, metadata={"help": "starts at each bond dimension, of which the lowest is kept; 0: the usual number"}
    )
    compare_after: int = field(
        default=0, metadata={"help": "iterations below D, or after which starts are compared; 0: the usual number"}
    )
    restarts: int = field(default=2, metadata={"help": "more starts, with noise, where the minimisation stalls"})
    cooling: Cooling | None = field(
        default=None, metadata={"help": "imaginary time that the start goes through before, such as simple update"}
    )
    minimization: MinimizationSettings = field(
        default_factory=MinimizationSettings, metadata={"help": "when it ends at each bond dimension"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.D < 1 or not self.noise >= 0:
            raise SettingsError(f"D is at least 1 and noise not negative, found {self.D} and {self.noise}.")
        if min(self.attempts, self.compare_after, self.restarts) < 0:
            raise SettingsError(
                f"attempts, compare_after and restarts are not negative, found {self.attempts}, {self.compare_after} "
                f"and {self.restarts}."
            )

    @abstractmethod
    def _problem(self, terms: PlaneTerms, psi: Any, attempt: Attempt) -> Problem:
        """The energy of states like psi, as an attempt varies them."""

    def _usual(self, attempt: Attempt) -> tuple[int, int]:
        """How many starts are compared where their number is not told, and after how many iterations."""
        return 1, _ALONE

    def _own(self, psi: Any) -> Any:
        """The state as it is varied."""
        return psi

    @property
    def _is_symmetric(self) -> bool:
        """Whether one symmetric tensor is varied, not all of a state."""
        return False

    def _cooled(self, cooling: Cooling, terms: PlaneTerms, psi: Any) -> Any:
        """The start after imaginary time."""
        found = cooling.solve(terms, psi).state
        return without_weights(found)

    def _run(
        self,
        terms: PlaneTerms,
        psi: Any,
        observers: Sequence[PlaneObserver],
        resume: MinimizedState | None,
        known: float | None,
        history: tuple[MinimizationReport, ...] = (),
    ) -> MinimizedState:
        """From a state, or on from a result, to bonds of D.

        known: the energy that nothing lies below; history: of what led to the state.
        """
        run, found = WatchedRun(observers), resume
        if found is not None:
            check_kind(found, MinimizedState)
            found = self._lowest_at_other_chi(found)
            attempt, history = found.attempt, found.history
        else:
            psi = self._own(psi if self.cooling is None else self._cooled(self.cooling, terms, psi))
            attempt = Attempt(psi, psi.bond_dimension, psi, symmetric=self._is_symmetric)
        if attempt.D > self.D:
            raise SettingsError(f"the start has bonds of {attempt.D}, more than D = {self.D}.")
        while True:
            problem, last = self._followed(terms, attempt, run, found, history)
            if run.stop_reason:
                return replace(last, status=run.interrupted())
            best, history = self._best(attempt, last), last.history
            following = self._following(terms, last.attempt, best)
            if following is None:
                return certified(best, problem, self.minimization, known)
            attempt, found = following, None

    def _followed(
        self,
        terms: PlaneTerms,
        attempt: Attempt,
        run: WatchedRun,
        before: MinimizedState | None,
        history: Sequence[MinimizationReport],
    ) -> tuple[Problem, MinimizedState]:
        """An attempt to its end, from the start or from where it was stopped; before: None at an attempt's begin."""
        problem, optimizer, now = self._begun(terms, attempt, before, len(history))
        lowest = before.lowest if before is not None and now.since == attempt.since else None
        reports, limits = list(history), self._limits(now)
        found = solution_of(problem, optimizer, now, reports, lowest)
        steps = limits.iterations(problem, optimizer, now, found.reports, lowest)
        while not self._is_given_up(now, optimizer) and (step := next(steps, None)) is not None:
            report, optimizer, lowest = step
            reports.append(report)
            found = solution_of(problem, optimizer, now, reports, lowest)
            if run.tell(report, found):
                return problem, found
        if lowest is not None and limits.rose(found.reports, lowest):
            problem.settle(lowest.optimizer.point, lowest.environment)
            found = solution_of(problem, lowest.optimizer, now, reports, lowest)
        return problem, found

    def _begun(
        self, terms: PlaneTerms, attempt: Attempt, before: MinimizedState | None, reports: int
    ) -> tuple[Problem, LBFGS, Attempt]:
        """Where an attempt begins, or where it was stopped after so many reports."""
        goes_on = before is None and attempt.number == self._chosen(attempt)
        before = attempt.best if goes_on else before
        psi = self._own(before.state) if before is not None else self._start(attempt)
        chi, attempt = attempt.chi, replace(attempt, chi=self._settings(attempt).chi_max)
        problem = self._problem(terms, psi, attempt)
        if before is None:
            problem.aim(self._expected_slope(attempt))
            return problem, LBFGS.start(problem, problem.point(psi.tensors)), attempt
        optimizer = before.optimizer
        if goes_on and self._is_narrowed(attempt):
            problem.aim(optimizer.slope)
            return problem, optimizer.forgotten().moved(problem), attempt
        problem.settle(optimizer.point, before.environment)
        if not chi and before.certificate is not None:
            chi = before.certificate.chi  # of a file that does not say it
        if chi not in (0, attempt.chi):
            # in another environment its energy and slope were others
            problem.forgotten()
            return problem, optimizer.forgotten().moved(problem), replace(attempt, since=reports)
        return problem, optimizer, attempt

    def _limits(self, attempt: Attempt) -> MinimizationSettings:
        """When an attempt ends: those before the end are short, in environments too narrow to look beyond."""
        limits = self.minimization
        if self._is_followed(attempt):
            return limits
        most = min(self._compare_after(attempt), limits.max_iterations)
        return replace(limits, max_iterations=most, check_every=0)

    def _is_followed(self, attempt: Attempt) -> bool:
        """Whether it goes to its end: all bonds are there, and all that starts are compared by lies behind it."""
        return attempt.D == self.D and attempt.number >= self._chosen(attempt)

    def _is_given_up(self, attempt: Attempt, optimizer: LBFGS) -> bool:
        """Whether a restart has not come below what stalled in time."""
        if attempt.best is None or attempt.number <= max(self._chosen(attempt), 0):
            return False
        in_time = optimizer.iteration < (self.compare_after or _ALONE)
        return not (in_time or optimizer.value < attempt.best.optimizer.value)

    def _expected_slope(self, attempt: Attempt) -> float:
        """How large the gradient is where an attempt begins: nothing is known of it at most starts."""
        return float("inf")

    def _is_narrowed(self, attempt: Attempt) -> bool:
        """Whether attempts at D begin in an environment that is narrower than the one asked for."""
        return attempt.D == self.D and self.environment.chi_max > _way_chi(attempt.D)

    def _attempts(self, attempt: Attempt) -> int:
        """How many starts are compared."""
        return self.attempts or (1 if self._is_given(attempt) else self._usual(attempt)[0])

    def _compare_after(self, attempt: Attempt) -> int:
        """The iterations of a start until it is compared, or alone."""
        if self.compare_after:
            return self.compare_after
        return self._usual(attempt)[1] if self._attempts(attempt) > 1 else _ALONE

    def _is_given(self, attempt: Attempt) -> bool:
        """Whether the first start has all its bonds, and no noise."""
        return attempt.origin.bond_dimension == attempt.D

    def _chosen(self, attempt: Attempt) -> int:
        """The number of the attempt that goes on with the lowest before; -1 where the first one goes to its end."""
        several = self._attempts(attempt)
        return several if several > 1 or self._is_narrowed(attempt) else -1

    def _start(self, attempt: Attempt) -> Any:
        """Where an attempt begins: near the origin, near the first state, or near the lowest where that stalls.

        Kinds of states may have others in place of those near the first state.
        """
        rng = self._rng(attempt)
        if attempt.number == 0:
            return attempt.origin if self._is_given(attempt) else grown(attempt.origin, attempt.D, self.noise, rng)
        if attempt.number < self._attempts(attempt):
            return grown(attempt.first, attempt.D, max(self.noise, _ELSEWHERE), rng)
        assert attempt.best is not None
        return grown(self._own(attempt.best.state), attempt.D, self.noise, rng)

    def _rng(self, attempt: Attempt) -> np.random.Generator:
        """Of an attempt's noise."""
        return np.random.default_rng([self.seed, attempt.D, attempt.number])

    def _best(self, attempt: Attempt, end: MinimizedState) -> MinimizedState:
        """The lowest of an attempt's end and those before, with all of the history."""
        if attempt.number == self._chosen(attempt):
            return end  # what was found in a narrower environment has another energy
        if attempt.best is not None and self._is_given_up(attempt, end.optimizer):
            return _alone(attempt.best, end.history)
        return _lower(attempt.best, end)

    def _following(self, terms: PlaneTerms, attempt: Attempt, best: MinimizedState) -> Attempt | None:
        """The attempt after one, at the same bond dimension or at the next; None at the end."""
        number, last, since = attempt.number + 1, max(self._chosen(attempt), 0), len(best.history)
        if number <= last or (number <= last + self.restarts and self.minimization.stalled(best)):
            trial = best.attempt.number if number == self._chosen(attempt) else attempt.trial
            return replace(attempt, number=number, best=best, since=since, trial=trial)
        if attempt.D == self.D:
            return None
        origin, D = self._own(best.state), attempt.D + 1
        cyclic = self._is_cyclic(terms, origin, D)
        return replace(attempt, origin=origin, D=D, number=0, best=None, since=since, cyclic=cyclic, trial=0)

    def _is_cyclic(self, terms: PlaneTerms, origin: Any, D: int) -> bool:
        """Whether starts at D keep a cyclic symmetry that a state with smaller bonds and the terms have."""
        return False

    def _lowest_at_other_chi(self, found: MinimizedState) -> MinimizedState:
        """Of a search that goes on in another environment from within a restart, what that began at."""
        attempt, best, several = found.attempt, found.attempt.best, self._attempts(found.attempt)
        if best is None or attempt.chi in (0, self._settings(attempt).chi_max):
            return found
        # what is no restart was compared with others in this environment, or begins in a wider one
        again = best.attempt.chi == attempt.chi and attempt.number > (several if several > 1 else 0)
        return _alone(best, found.history) if again else found

    def _settings(self, attempt: Attempt) -> EnvironmentSettings:
        """Of the environment: no wider than it has to be before the end."""
        own = self.environment
        if self._is_followed(attempt):
            return own
        return replace(own, chi_max=min(own.chi_max, _way_chi(attempt.D)))


def lowest_known(model: Any, terms: PlaneTerms, bound: float | None = None) -> float | None:
    """What no energy per place of the infinite lattice lies below: several sites may be one.

    From a bound of the energy per site, or else from what a model knows.
    """
    floor = known_floor(model, bound)
    return None if floor is None else floor * sites_of(terms) / (terms.shape[0] * terms.shape[1])


def known_floor(model: Any, bound: float | None) -> float | None:
    """A bound of the energy per site, or else what a model knows of it."""
    return model.facts.floor if bound is None and hasattr(model, "facts") else bound


def _way_chi(D: int) -> int:
    return max(_LEAST_CHI, _CHI_SHARE * D**2)


def _lower(one: MinimizedState | None, other: MinimizedState) -> MinimizedState:
    """The lower of two ends, with the history of both.

    By energies in new environments of 3/2 chi where both were looked at.
    """
    found = other
    if one is not None:
        looked = [end.lowest.energy_larger for end in (one, other) if end.lowest is not None]
        first, second = looked if len(looked) == 2 else (one.energy, other.energy)
        found = one if first <= second else other
    return _alone(found, other.history)


def _alone(end: MinimizedState, history: tuple[MinimizationReport, ...]) -> MinimizedState:
    """An end with a history; what came before its attempt is no longer needed."""
    return replace(end, history=history, attempt=replace(end.attempt, best=None))
