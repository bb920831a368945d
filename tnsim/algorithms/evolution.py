"""Time evolution: what every scheme reports and returns, and the settings and the loop that all of them share."""

import time as clock
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from numbers import Real
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from tnsim.algorithms.solution import Status
from tnsim.backend import block_threads
from tnsim.errors import NumericalError, OperatorError, SettingsError, StateError, check_fields
from tnsim.linalg import Truncation, svd
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS

Measurement = Callable[[Any], Any]
# a step that ends this close to the end (in units of dt) is the last one
_SAME_TIME = 1e-9
# a summed discarded weight above this is an error of the state of several percent
_LARGE_WEIGHT = 1e-3


@dataclass(frozen=True, kw_only=True)
class EvolutionReport:
    """One report of an evolution, after `step` steps; that at step 0 is the start.

    time: real or imaginary, in 1 / the Hamiltonian's units; energy: None where it was not measured (H not Hermitian);
    energy_drift: since the start, None where it is not conserved; norm_drift: norm over that of the start, less 1 (0
    in imaginary time, where the state keeps its norm); log_norm: logarithm of what the evolution did to the norm;
    trunc_err, sum_trunc_err: discarded weight of all cuts since the last report, and since the start; entropy: at the
    middle bond, natural logarithm; seconds: since the last report, measurements included.
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
        lines.append(f"  bond dimension {last.chi}, entropy {last.entropy:.6g} in the middle")
        if self.records:
            lines.append(f"  records        {', '.join(self.records)}")
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


class EvolutionObserver(Protocol):
    """Anything that wants to see every report; the run has `state`, `so_far()` and `request_stop(reason)`."""

    def step(self, report: EvolutionReport, run: "EvolutionRun") -> None: ...


class Propagator(Protocol):
    """One scheme at work on one state: what the shared loop needs of it.

    conserves: whether the energy has to stay what it is (real time, H Hermitian and constant).
    """

    conserves: bool

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


@dataclass(frozen=True, kw_only=True)
class Evolution(ABC):
    """Settings that all schemes of time evolution share, and the calls that run them.

    Real time applies exp(-i H t), imaginary time exp(-H t) with the norm restored after every step.
    """

    dt: float = field(metadata={"help": "time step, positive (in 1 / energy)"})
    truncation: Truncation = field(metadata={"help": "how bonds are cut; chi_max has no default"})
    imaginary: bool = field(default=False, metadata={"help": "imaginary time: exp(-H t), which leads to ground states"})
    every: int = field(
        default=1, metadata={"help": "steps between reports; in between nothing is measured, and half steps join"}
    )
    trunc_budget: float = field(
        default=np.inf, metadata={"help": "stop where the summed discarded weight exceeds this"}
    )
    energy_budget: float = field(
        default=np.inf, metadata={"help": "stop where a conserved energy drifted by more than this (energy units)"}
    )
    non_hermitian: bool = field(
        default=False, metadata={"help": "allow an H that is not its own adjoint; its energy is not reported"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.dt < np.inf:
            raise SettingsError(f"dt must be positive and finite, found {self.dt!r}; a negative `time` goes backwards.")
        if self.every < 1:
            raise SettingsError(f"every must be at least 1 step, found {self.every}.")
        for name in ("trunc_budget", "energy_budget"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be positive (inf sets none), found {getattr(self, name)!r}.")

    @abstractmethod
    def propagator(self, H: Any, psi: Any) -> Propagator:
        """The scheme at work on psi; input that does not fit is refused here."""

    @property
    def generator(self) -> complex:
        """What stands before H t in the exponent: -i, or -1 in imaginary time."""
        return -1.0 if self.imaginary else -1.0j

    def start(
        self,
        H: Any,
        psi: Any,
        *,
        time: float,
        observe: Mapping[str, Measurement] | None = None,
        resume: Evolved | None = None,
    ) -> "EvolutionRun":
        """A run that can be driven report by report, stopped and resumed; arguments as in `run`."""
        if not isinstance(time, Real) or not np.isfinite(float(time)) or (self.imaginary and time < 0):
            wanted = "finite and not negative in imaginary time" if self.imaginary else "finite"
            raise SettingsError(f"time must be {wanted}, found {time!r}.")
        reached = resume.history[-1].time if resume and resume.history else 0.0
        if self.imaginary and time < reached - _SAME_TIME * self.dt:
            raise SettingsError(f"imaginary time goes forwards: {reached:g} is reached, found time = {time!r}.")
        for name, measure in dict(observe or {}).items():
            if not callable(measure):
                raise SettingsError(f"what is observed as {name!r} must be a function of the state, found {measure!r}.")
        return EvolutionRun(self, self.propagator(H, psi), float(time), observe or {}, resume)

    def steps(self, H: Any, psi: Any, *, time: float) -> Iterator[EvolutionReport]:
        """One report every `every` steps, the start included, to the given time or the end of a budget."""
        return self.start(H, psi, time=time).steps()

    def run(
        self,
        H: Any,
        psi: Any,
        *,
        time: float,
        observe: Mapping[str, Measurement] | None = None,
        observers: Sequence[EvolutionObserver] = (),
        resume: Evolved | None = None,
    ) -> Evolved:
        """Evolve psi from time 0 (or from where `resume` ended, whose state psi is then) to `time`.

        observe: functions of the state, recorded at the start and with every report; observers see every report. The
        last step is shorter where dt does not divide the time; time < 0 goes backwards. A budget that is spent ends
        the run with a status that says what to change. Raises SettingsError, StateError, OperatorError, ShapeError
        for input that does not fit, NumericalError for NaN.
        """
        run = self.start(H, psi, time=time, observe=observe, resume=resume)
        for _ in run.steps(observers):
            pass
        return run.so_far()


class EvolutionRun:
    """An evolution under way."""

    def __init__(
        self,
        settings: Evolution,
        propagator: Propagator,
        end: float,
        observe: Mapping[str, Measurement],
        resume: Evolved | None,
    ) -> None:
        self.settings, self.propagator, self.end, self.observe = settings, propagator, end, dict(observe)
        self.stop_reason = ""
        self.history: list[EvolutionReport] = list(resume.history) if resume else []
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
            yield self._close(last.step + steps, self._time(last, dt, steps), done, observers)

    def _advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps of the scheme; what overflows on the way is a NumericalError."""
        try:
            with block_threads():
                return self.propagator.advance(time, dt, steps)
        except NumericalError:
            raise
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            raise NumericalError(
                f"the evolution overflows in the steps after time {time:.6g} ({error}): lower dt = {dt:.6g}."
            ) from error

    def _next(self) -> tuple[float, int]:
        """Signed length and number of the next steps: as many as go into a report, or the shorter last one."""
        left = self.end - self.history[-1].time
        dt = float(np.copysign(self.settings.dt, left))
        full = int(left / dt + _SAME_TIME)
        return (dt, min(full, self.settings.every)) if full else (left, 1)

    def _time(self, last: EvolutionReport, dt: float, steps: int) -> float:
        """The time after some steps, without the rounding of a sum where all steps have one length."""
        before = last.step * dt
        offset = last.time - before if abs(last.time - before) > _SAME_TIME * abs(dt) else 0.0
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
        now = clock.perf_counter()
        report = EvolutionReport(
            step=step, time=time, energy=energy, energy_drift=energy - start if conserved else None,  # type: ignore[operator]
            norm_drift=0.0 if self.settings.imaginary else float(np.expm1(log_norm)), log_norm=log_norm,
            trunc_err=done[0], sum_trunc_err=done[0] + (last.sum_trunc_err if last else 0.0),
            chi=max(state.bond_dimensions), entropy=self.propagator.entropy(), seconds=now - self._clock,
        )  # fmt: skip
        if not np.isfinite([report.sum_trunc_err, report.log_norm, 0.0 if energy is None else energy]).all():
            raise NumericalError(f"the evolution is no longer finite at time {time:.6g}: check H for NaN, or lower dt.")
        self._clock = now
        self.history.append(report)
        for observer in observers:
            observer.step(report, self)
        return report

    def _ended(self) -> bool:
        return bool(self.stop_reason) or self._arrived() or self._overspent()

    def _arrived(self) -> bool:
        return abs(self.end - self.history[-1].time) <= _SAME_TIME * self.settings.dt

    def _overspent(self) -> bool:
        last, settings = self.history[-1], self.settings
        return last.sum_trunc_err > settings.trunc_budget or abs(last.energy_drift or 0.0) > settings.energy_budget

    def _status(self) -> Status:
        settings = self.settings
        if not self.history:
            return Status("not started", False, "call steps().")
        last, cut = self.history[-1], settings.truncation
        if last.sum_trunc_err > settings.trunc_budget:
            return Status(
                "truncation budget spent",
                False,
                f"the summed discarded weight {last.sum_trunc_err:.1e} exceeds trunc_budget = "
                f"{settings.trunc_budget:.1e} at time {last.time:.6g}: raise chi_max = {cut.chi_max} or lower svd_min "
                "and trunc_err, and resume from an earlier state, or stop there.",
            )
        if abs(last.energy_drift or 0.0) > settings.energy_budget:
            return Status(
                "energy budget spent",
                False,
                f"the energy drifted by {last.energy_drift:.1e}, more than energy_budget = "
                f"{settings.energy_budget:.1e}, at time {last.time:.6g}: lower dt = {settings.dt} or raise the order, "
                f"or raise chi_max (summed discarded weight {last.sum_trunc_err:.1e}).",
            )
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


def check_start(psi: MPS) -> None:
    """StateError for a start state that is zero or not finite."""
    norm = psi.norm()
    if not 0 < norm < np.inf:
        raise StateError(f"an evolution needs a start state of finite norm, not zero; found norm {norm}.")


def check_hermitian(settings: Evolution, hermitian: bool | None) -> None:
    """OperatorError for an H that is not its own adjoint, unless the settings say so (None: not known)."""
    if hermitian is False and not settings.non_hermitian:
        raise OperatorError(
            "this H is not equal to its adjoint, so it does not conserve the norm: add the missing Hermitian conjugate "
            "terms, or say non_hermitian=True."
        )


def evolving_dtype(settings: Evolution, *dtypes: Any) -> np.dtype:
    """The dtype of an evolved state: the state's precision, complex in real time or where H is. The first is psi's."""
    is_complex = not settings.imaginary or any(np.dtype(dtype).kind == "c" for dtype in dtypes)
    return np.result_type(dtypes[0], np.complex64) if is_complex else np.dtype(dtypes[0])


def middle_entropy(psi: MPS) -> float:
    """Von Neumann entropy at the middle bond; cost O(d chi^3) a site that the centre passes."""
    bond = (psi.L - 1) // 2
    spectrum = svd(canonicalize(psi, bond).tensors[bond], (0, 1))[1]
    return entropy_of_weights(spectrum.values**2)
