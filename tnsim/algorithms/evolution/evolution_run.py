"""The loop that all schemes of time evolution share: steps, budgets, reports and records."""

import time as clock
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tnsim.algorithms.evolution.adaptive_steps import AdaptiveSteps
from tnsim.algorithms.evolution.error_budget import CutShares, ErrorBudget
from tnsim.algorithms.evolution.evolution_report import (
    EvolutionObserver,
    EvolutionReport,
    Evolved,
    Measurement,
    Propagator,
)
from tnsim.algorithms.solution import Status
from tnsim.backend import block_threads
from tnsim.errors import NumericalError, SettingsError

if TYPE_CHECKING:
    from tnsim.algorithms.evolution.evolution import Evolution

# a step that ends this close to the end (in units of dt) is the last one
SAME_TIME = 1e-9
# a summed discarded weight above this is an error of the state of several percent
_LARGE_WEIGHT = 1e-3


class EvolutionRun:
    """An evolution under way."""

    def __init__(
        self,
        settings: "Evolution",
        propagator: Propagator,
        end: float,
        observe: Mapping[str, Measurement],
        resume: Evolved | None,
    ) -> None:
        self.settings, self.end, self.observe = settings, end, dict(observe)
        self.history: list[EvolutionReport] = list(resume.history) if resume else []
        length = self.history[-1].dt if self.history else None
        cuts = getattr(propagator, "cuts", None)
        self._budget = checked_budget(settings, end, cuts, self.history) if settings.error_budget < np.inf else None
        self._cuts = cuts or CutShares(settings.truncation)
        self._known = len(self.history)
        self._adaptive = (
            AdaptiveSteps(propagator, self._cuts, settings.step_tol, settings.dt_min, length or settings.dt)
            if settings.step_tol
            else None
        )
        self.propagator = self._adaptive or propagator
        self.stop_reason = ""
        if resume and set(resume.records) != set(self.observe):
            raise SettingsError(
                f"an evolution that recorded {sorted(resume.records)} goes on with the same records, found "
                f"{sorted(self.observe)}."
            )
        self._records: dict[str, list[Any]] = {name: list(resume[name]) if resume else [] for name in self.observe}
        self._clock = clock.perf_counter()

    @property
    def state(self) -> Any:
        """The state as it stands."""
        return self.propagator.state

    def request_stop(self, reason: str) -> None:
        """Stop after the step under way."""
        self.stop_reason = reason

    def so_far(self) -> Evolved:
        """State, status, reports and records as they stand: what `resume` takes."""
        records = {name: np.array(values) for name, values in self._records.items()}
        return Evolved(self.state, self._status(), tuple(self.history), MappingProxyType(records))

    def steps(self, observers: Sequence[EvolutionObserver] = ()) -> Iterator[EvolutionReport]:
        """Reports to the end, to the end of a budget or to a stop request."""
        self._clock = clock.perf_counter()
        if not self.history:
            yield self._close(0, 0.0, (0.0, 0.0), observers)
        while not self._ended():
            last = self.history[-1]
            dt, steps = self._next()
            done = self._advance(last.time, dt, steps)
            if self._adaptive and self._stalled():
                gone = self._adaptive.gone
                yield self._close(last.step + int(gone / dt), last.time + gone, done, observers)
            else:
                yield self._close(last.step + steps, self._time(last, dt, steps), done, observers)

    def _advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps of the scheme; what fails on the way is a NumericalError that names the time."""
        if self._budget:
            self._cuts.allow(self._budget.allowed(self.history[-1], dt * steps))
        try:
            with block_threads():
                return self.propagator.advance(time, dt, steps)
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            raise NumericalError(
                f"the steps after time {time:.6g} failed ({error}): where numbers overflow, lower dt = {dt:.6g}."
            ) from error

    def _next(self) -> tuple[float, int]:
        """Signed length and number of the next steps: as many as go into a report, or the shorter last one."""
        left = self.end - self.history[-1].time
        dt = float(np.copysign(self.settings.dt, left))
        full = int(left / dt + SAME_TIME)
        return (dt, min(full, self.settings.every)) if full else (left, 1)

    def _time(self, last: EvolutionReport, dt: float, steps: int) -> float:
        """The time after some steps, without the rounding of a sum where all steps have one length."""
        before = last.step * dt
        offset = last.time - before if abs(last.time - before) > SAME_TIME * abs(dt) else 0.0
        return offset + (last.step + steps) * dt

    def _close(
        self, step: int, time: float, done: tuple[float, float], observers: Sequence[EvolutionObserver]
    ) -> EvolutionReport:
        """Measure, record, report."""
        energy, state = self.propagator.energy(time), self.state
        last = self.history[-1] if self.history else None
        log_norm = done[1] + (last.log_norm if last else 0.0)
        start = self.history[0].energy if last else energy
        conserved = self.propagator.conserves and energy is not None and start is not None
        for name, measure in self.observe.items():
            self._records[name].append(measure(state))
        spent = self._error_spent(last)
        now = clock.perf_counter()
        report = EvolutionReport(
            step=step, time=time, energy=energy, energy_drift=energy - start if conserved else None,  # type: ignore[operator]
            norm_drift=0.0 if self.settings.imaginary else float(np.expm1(log_norm)), log_norm=log_norm,
            trunc_err=done[0], sum_trunc_err=done[0] + (last.sum_trunc_err if last else 0.0),
            chi=max(state.bond_dimensions), entropy=self.propagator.entropy(), seconds=now - self._clock,
            sum_step_err=self._step_err(last), dt=self._length(),
            clipped=getattr(self.propagator, "clipped", None), error_spent=spent,
            error_left=None if spent is None else self.settings.error_budget - spent,
        )  # fmt: skip
        if not np.isfinite([report.sum_trunc_err, report.log_norm, energy or 0.0, spent or 0.0]).all():
            raise NumericalError(f"the evolution is no longer finite at time {time:.6g}: check H for NaN, or lower dt.")
        self._clock = now
        self.history.append(report)
        for observer in observers:
            observer.step(report, self)
        return report

    def _step_err(self, last: EvolutionReport | None) -> float | None:
        """Sum of estimated errors where steps adapt."""
        if self._adaptive is None:
            return None
        return self._adaptive.error + ((last.sum_step_err or 0.0) if last else 0.0)

    def _error_spent(self, last: EvolutionReport | None) -> float | None:
        """Sum of the errors of cuts and of steps that adapt, where there is a budget for it."""
        if not self._budget:
            return None
        steps = self._adaptive.error if self._adaptive else 0.0
        return self._cuts.error + steps + ((last.error_spent or 0.0) if last else 0.0)

    def _over_budget(self) -> Status | None:
        return self._budget.trouble(self.history, len(self.history) - self._known) if self._budget else None

    def _length(self) -> float | None:
        """Of the next step, where steps change."""
        return self._adaptive.length if self._adaptive else None

    def _ended(self) -> bool:
        return bool(self.stop_reason or self._trouble()) or self._stalled() or self._arrived() or self._overspent()

    def _trouble(self) -> Status | None:
        """Why the scheme itself cannot go on, where it knows of such reasons."""
        trouble = getattr(self.propagator, "trouble", None)
        return trouble() if trouble else None

    def _stalled(self) -> bool:
        return self._adaptive is not None and self._adaptive.stalled

    def _arrived(self) -> bool:
        return abs(self.end - self.history[-1].time) <= SAME_TIME * self.settings.dt

    def _overspent(self) -> bool:
        last, settings = self.history[-1], self.settings
        return (
            self._over_budget() is not None
            or abs(last.energy_drift or 0.0) > settings.energy_budget
            or abs(last.norm_drift) > settings.norm_budget
        )

    def _status(self) -> Status:
        settings = self.settings
        if not self.history:
            return Status("not started", False, "call steps().")
        last, cut, over_budget = self.history[-1], settings.truncation, self._over_budget()
        if over_budget:
            return over_budget
        if abs(last.energy_drift or 0.0) > settings.energy_budget:
            return Status(
                "energy budget spent",
                False,
                f"the energy drifted by {last.energy_drift:.1e}, more than energy_budget = "
                f"{settings.energy_budget:.1e}, at time {last.time:.6g}: lower dt = {settings.dt} or raise the order, "
                f"or raise chi_max (summed discarded weight {last.sum_trunc_err:.1e}).",
            )
        if abs(last.norm_drift) > settings.norm_budget:
            return Status(
                "norm budget spent",
                False,
                f"the norm drifted by {last.norm_drift:.1e}, more than norm_budget = {settings.norm_budget:.1e}, at "
                f"time {last.time:.6g}: lower dt = {settings.dt} or raise the order where steps are not unitary, raise "
                f"chi_max = {cut.chi_max} where cuts took it (summed discarded weight {last.sum_trunc_err:.1e}).",
            )
        if self._stalled():
            return Status(
                "time step too small",
                False,
                f"at time {last.time:.6g} step_tol = {settings.step_tol:.1e} needs steps below dt_min = "
                f"{settings.dt_min:.1e}: raise step_tol or the order, lower dt_min, or look at what H(t) does there.",
            )
        trouble = self._trouble()
        if trouble:
            return trouble
        if self.stop_reason:
            return Status("interrupted", False, f"{self.stop_reason}; resume it to go on at time {last.time:.6g}.")
        if not self._arrived():
            return Status("under way", False, f"time {last.time:.6g} of {self.end:.6g} is reached: resume it to go on.")
        if last.sum_trunc_err > _LARGE_WEIGHT and not settings.imaginary:
            return Status(
                "finished, heavily truncated",
                False,
                f"the summed discarded weight {last.sum_trunc_err:.1e} means an error of the state of at "
                f"least {last.sum_trunc_err**0.5:.0e}: raise chi_max = {cut.chi_max}.",
            )
        return Status("finished", True, "nothing to do; lower dt and raise chi_max to lower the errors.")


def checked_budget(
    settings: "Evolution", end: float, cuts: CutShares | None, history: Sequence[EvolutionReport]
) -> ErrorBudget:
    """The error budget of a run. Raises SettingsError where the scheme or the run before it cannot have one."""
    if cuts is None:
        raise SettingsError(
            "error_budget needs a scheme whose cuts say how far they move the state: TEBD, MPOEvolution and "
            'TDVP(scheme="two-site") of finite states; leave it out here.'
        )
    if history and history[-1].error_spent is None:
        raise SettingsError(
            "the run to be resumed had no error_budget, so what it spent is not known: leave error_budget out, or "
            "start anew from its state."
        )
    return ErrorBudget(settings, end)
