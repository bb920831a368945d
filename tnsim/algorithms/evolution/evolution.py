"""Time evolution: the settings that every scheme shares, and the calls that run them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.error_budget import check_budget
from tnsim.algorithms.evolution.evolution_report import (
    EvolutionObserver,
    EvolutionReport,
    Evolved,
    Measurement,
    Propagator,
)
from tnsim.algorithms.evolution.evolution_run import SAME_TIME, EvolutionRun
from tnsim.errors import OperatorError, SettingsError, StateError, check_fields
from tnsim.linalg import Truncation, svd
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.canonical import canonicalize
from tnsim.networks.mps import MPS


@dataclass(frozen=True, kw_only=True)
class Evolution(ABC):
    """Settings that all schemes of time evolution share, and the calls that run them.

    Real time applies exp(-i H t), imaginary time exp(-H t) with the norm restored after every step. `error_budget` lets
    chi follow, up to chi_max, so that the state at the end is within so much of the exact one; `step_tol` lets the step
    follow, and its errors count. Without it those of the steps of dt do not, nor does what TDVP projects out of terms
    beyond neighbours. The other budgets stop the run where they are exceeded.
    """

    dt: float = field(metadata={"help": "time step, positive (in 1 / energy)"})
    truncation: Truncation = field(metadata={"help": "how bonds are cut; chi_max has no default"})
    imaginary: bool = field(default=False, metadata={"help": "imaginary time: exp(-H t), which leads to ground states"})
    every: int = field(
        default=1, metadata={"help": "steps between reports; in between nothing is measured, and half steps join"}
    )
    error_budget: float = field(
        default=np.inf,
        metadata={"help": "let chi follow, up to chi_max: error of the state at the end (norm of the difference)"},
    )
    energy_budget: float = field(
        default=np.inf, metadata={"help": "stop where a conserved energy drifted by more than this (energy units)"}
    )
    norm_budget: float = field(
        default=np.inf, metadata={"help": "stop where the norm drifted by more than this in real time (relative)"}
    )
    step_tol: float = field(
        default=0.0,
        metadata={"help": "let steps adapt, up to dt: error of the state per unit of time; 0 keeps steps of dt"},
    )
    dt_min: float = field(default=1e-6, metadata={"help": "stop where steps that adapt would be shorter"})
    non_hermitian: bool = field(
        default=False, metadata={"help": "allow an H that is not its own adjoint; its energy is not reported"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.dt < np.inf:
            raise SettingsError(f"dt must be positive and finite, found {self.dt!r}; a negative `time` goes backwards.")
        if self.every < 1:
            raise SettingsError(f"every must be at least 1 step, found {self.every}.")
        check_budget(self.error_budget, self.truncation)
        for name in ("energy_budget", "norm_budget"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be positive (inf sets none), found {getattr(self, name)!r}.")
        if not 0 <= self.step_tol < 1:
            raise SettingsError(f"step_tol lies between 0 (steps of dt) and 1, found {self.step_tol!r}.")
        if self.step_tol and not 0 < self.dt_min <= self.dt:
            raise SettingsError(f"dt_min lies between 0 and dt = {self.dt!r}, found {self.dt_min!r}.")

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
        if not isinstance(resume, Evolved | None):
            raise SettingsError(f"resume takes what `run` returned or `tnsim.load` read, found {resume!r}.")
        reached = resume.history[-1].time if resume and resume.history else 0.0
        if self.imaginary and time < reached - SAME_TIME * self.dt:
            raise SettingsError(f"imaginary time goes forwards: {reached:g} is reached, found time = {time!r}.")
        return EvolutionRun(self, self.propagator(H, psi), float(time), checked_observe(observe), resume)

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


def checked_observe(observe: Any) -> dict[str, Measurement]:
    """What to observe as a dictionary; SettingsError for what are no functions by name."""
    if not isinstance(observe, Mapping | None):
        raise SettingsError(f'observe takes functions of the state by name, {{"Sz": function}}, found {observe!r}.')
    for name, measure in (observe or {}).items():
        if not callable(measure):
            raise SettingsError(f"what is observed as {name!r} must be a function of the state, found {measure!r}.")
    return dict(observe or {})


def check_start(psi: MPS) -> None:
    """StateError for what is no finite chain, and for a start state that is zero or not finite."""
    if not isinstance(psi, MPS):
        raise StateError(f"an evolution starts from an MPS, found {type(psi).__name__}.")
    norm = psi.norm()
    if not 0 < norm < np.inf:
        raise StateError(f"an evolution needs a start state of finite norm, not zero; found norm {norm}.")


def check_krylov(tolerance: float, most: int) -> None:
    """SettingsError for a tolerance and a size of Krylov spaces that lead nowhere."""
    if not 0 < tolerance < 1 or most < 2:
        raise SettingsError(
            f"krylov_tol lies between 0 and 1 and krylov_max is at least 2, found {tolerance!r} and {most!r}."
        )


def check_hermitian(settings: Evolution, hermitian: bool | None) -> None:
    """OperatorError for an H that is not its own adjoint, or not known to be (None), unless the settings say so."""
    if hermitian is None and not settings.non_hermitian:
        raise OperatorError(
            "whether this H is equal to its adjoint is not known: build it from an OperatorSum or with "
            "is_hermitian=True, or say non_hermitian=True."
        )
    if not hermitian and not settings.non_hermitian:
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
