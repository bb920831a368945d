"""What an evolution reports and returns, and what the loop needs of a scheme."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from tnsim.algorithms.solution import Status
from tnsim.errors import StateError

Measurement = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class EvolutionReport:
    """One report of an evolution, after `step` steps; that at step 0 is the start.

    time: real or imaginary, in 1 / the Hamiltonian's units; energy: None where it was not measured (H not Hermitian);
    energy_drift: since the start, None where it is not conserved; norm_drift: norm over that of the start, less 1 (0
    in imaginary time, where the state keeps its norm); log_norm: logarithm of what the evolution did to the norm;
    trunc_err, sum_trunc_err: discarded weight of all cuts since the last report, and since the start; entropy: at the
    middle bond, natural logarithm; seconds: since the last report, measurements included. Where steps adapt,
    sum_step_err: estimated error of the state by all steps, a bound as errors may cancel; dt: length of the next step.
    clipped: the largest negative share of an environment that was made positive, where a full update did so. Where
    there is an error budget, error_spent: how far the state may be from the exact one, by cuts and by steps that adapt
    (norm of the difference; its square bounds the infidelity); error_left: of the budget.
    """

    step: int
    time: float
    energy: float | None
    energy_drift: float | None
    norm_drift: float
    log_norm: float
    trunc_err: float
    sum_trunc_err: float
    chi: int
    entropy: float
    seconds: float
    sum_step_err: float | None = None
    dt: float | None = None
    clipped: float | None = None
    error_spent: float | None = None
    error_left: float | None = None

    def after_cuts(self, weight: float, layers: int) -> "EvolutionReport":
        """The report after some more layers of cuts that discarded a weight in all."""
        spent, left, error = self.error_spent, self.error_left, (layers * weight) ** 0.5
        return replace(
            self, trunc_err=self.trunc_err + weight, sum_trunc_err=self.sum_trunc_err + weight,
            error_spent=None if spent is None else spent + error,
            error_left=None if left is None else left - error,
        )  # fmt: skip

    def __repr__(self) -> str:
        energy = "" if self.energy is None else f"energy {self.energy:.10g}, "
        return (
            f"EvolutionReport({self.step}: time {self.time:.6g}, {energy}discarded {self.sum_trunc_err:.1e} in all, "
            f"chi {self.chi}, entropy {self.entropy:.4f})"
        )


@dataclass(frozen=True)
class Evolved:
    """The state at the end, the status, a report for every `every` steps, and what was asked to be recorded.

    records: arrays whose first axis is that of `times`; `evolved["name"]` is short for one of them.
    """

    state: Any
    status: Status
    history: tuple[EvolutionReport, ...] = ()
    records: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def times(self) -> np.ndarray:
        """Times of the reports and records, the start included."""
        return np.array([report.time for report in self.history])

    @property
    def energy(self) -> float | None:
        """Energy of the last report."""
        return self.history[-1].energy

    @property
    def sum_trunc_err(self) -> float:
        """Discarded weight of all cuts."""
        return self.history[-1].sum_trunc_err

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.records:
            raise StateError(f"nothing was recorded as {name!r}; there is {sorted(self.records)}: see `observe`.")
        return self.records[name]

    def plot(self, path: Any = None) -> Any:
        """Errors, entropy and records of few numbers against time; saved where a path is given. Returns the figure."""
        return import_module("tnsim.plotting").plot_evolution(self, path=path)

    def __repr__(self) -> str:
        if not self.history:
            return f"Evolved({self.status.name}): {self.status.advice}"
        last = self.history[-1]
        seconds = sum(report.seconds for report in self.history)
        lines = [f"Evolved({self.status.name}): time = {last.time:.6g} after {last.step} steps in {seconds:.2f} s"]
        if last.energy is not None:
            drift = "" if last.energy_drift is None else f", drift {last.energy_drift:.2e}"
            lines.append(f"  energy         {last.energy:.12g}{drift}")
        lines.append(f"  discarded      {last.sum_trunc_err:.2e} in all, norm drift {last.norm_drift:.2e}")
        if last.error_spent is not None:
            lines.append(f"  error          {last.error_spent:.2e} at most, {last.error_left:.2e} of the budget left")
        if last.sum_step_err is not None:
            lines.append(f"  steps          error of about {last.sum_step_err:.2e}, the next one of {last.dt:.3g}")
        lines.append(f"  bond dimension {last.chi}, entropy {last.entropy:.6g} in the middle")
        if self.records:
            lines.append(f"  records        {', '.join(self.records)}")
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


class EvolutionObserver(Protocol):
    """Anything that wants to see every report; the run has `state`, `so_far()` and `request_stop(reason)`."""

    def step(self, report: EvolutionReport, run: Any) -> None: ...


class Propagator(Protocol):
    """One scheme at work on one state: what the shared loop needs of it.

    conserves: whether the energy has to stay what it is (real time, H Hermitian and constant); order: the error of a
    time is O(dt^order).
    """

    conserves: bool

    @property
    def order(self) -> int:
        """Of the splitting."""

    @property
    def state(self) -> Any:
        """The state as it stands."""

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps from a time on; dt is negative backwards. Summed discarded weight, and logarithm of the factor
        on the norm: in imaginary time the state is brought back to norm 1, in real time it keeps what truncation
        left of it."""

    def energy(self, time: float) -> float | None:
        """<H> at a time (per site on an infinite chain), None where H is not Hermitian."""

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond."""

    def remember(self) -> Any:
        """What `return_to` takes to come back to the state as it stands."""

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
