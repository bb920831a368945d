"""Ground states by imaginary time in steps that become shorter: each length until the bonds stand still."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.evolution_report import EvolutionObserver, EvolutionReport, Evolved
from tnsim.algorithms.evolution.evolution_run import EvolutionRun
from tnsim.algorithms.solution import Status
from tnsim.errors import SettingsError, check_fields
from tnsim.networks.peps import PlaneTerms


@dataclass(frozen=True, kw_only=True)
class Cooling:
    """Imaginary time with a schedule of steps: `Cooling(update=SimpleUpdate(...)).solve(H, psi)`.

    A length of the schedule is done when the singular values of all bonds change by less than `tol` per unit of time.
    The splitting leaves O(dt^2) of the last length at order 2; cuts between gates that are not in the Vidal gauge leave
    O(dt): at D = 2 on the Heisenberg lattice 3e-5 of the energy for 0.01.

    >>> from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg, Lattice
    >>> from tnsim.networks.peps import InfinitePEPS
    >>> H = PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 2)), [[0, 1], [1, 0]])
    >>> psi = InfinitePEPS.product([H.sites[0][0]] * 2, ["up", "down"], [[0, 1], [1, 0]])
    >>> update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    >>> found = Cooling(update=update, dts=(0.2, 0.05), tol=1e-3).solve(H, psi)
    >>> found.status.name, round(found.energy, 3)
    ('converged', -0.65)
    """

    update: Evolution = field(metadata={"help": "SimpleUpdate, NeighbourhoodUpdate or FullUpdate in imaginary time"})
    dts: tuple[float, ...] = field(
        default=(0.1, 0.03, 0.01), metadata={"help": "lengths of steps, one after the other"}
    )
    tol: float = field(default=1e-5, metadata={"help": "a length is done: bonds change by less per unit of time"})
    max_steps: int = field(default=5000, metadata={"help": "steps of each length at most"})
    every: int = field(default=10, metadata={"help": "steps between two reports"})

    def __post_init__(self) -> None:
        check_fields(self)
        if not isinstance(self.update, Evolution) or not self.update.imaginary:
            raise SettingsError(f"cooling takes an update in imaginary time, found {self.update!r}.")
        if not self.dts or not all(0 < dt < np.inf for dt in self.dts):
            raise SettingsError(f"dts are positive lengths of steps, found {self.dts!r}.")
        if not self.tol > 0 or self.max_steps < 1 or self.every < 1:
            raise SettingsError("tol is above 0, max_steps and every are at least 1.")

    def start(self, H: PlaneTerms, psi: Any, resume: Evolved | None = None) -> "CoolingRun":
        """A run that can be driven report by report."""
        settings = replace(self.update, dt=self.dts[0], every=self.every)
        return CoolingRun(self, settings, settings.propagator(H, psi), resume)

    def solve(
        self, H: PlaneTerms, psi: Any, observers: Sequence[EvolutionObserver] = (), resume: Evolved | None = None
    ) -> Evolved:
        """The state at the end of the schedule; `resume`: goes on from a result, whose state psi then is.

        Not converging is a status. Raises what the update raises for input that does not fit.
        """
        run = self.start(H, psi, resume)
        for _ in run.steps(observers):
            pass
        return run.so_far()


class CoolingRun(EvolutionRun):
    """A cooling under way: reports hold the length of the next steps in `dt`."""

    propagator: Any

    def __init__(self, cooling: Cooling, settings: Evolution, propagator: Any, resume: Evolved | None) -> None:
        super().__init__(settings, propagator, np.inf, {}, resume)
        self.cooling = cooling
        self._stage = self._done = begun = 0
        self._converged = True
        for report in self.history:
            stage = cooling.dts.index(report.dt) if report.dt in cooling.dts else None
            if stage != self._stage:
                begun = report.step
            self._stage = self._stage if stage is None else stage
            self._done = report.step - begun
        self._marks = propagator.marks()

    def _next(self) -> tuple[float, int]:
        return self.cooling.dts[self._stage], max(1, min(self.cooling.every, self.cooling.max_steps - self._done))

    def _close(
        self, step: int, time: float, done: tuple[float, float], observers: Sequence[EvolutionObserver]
    ) -> EvolutionReport:
        """Judge the stage before the report is handed on, so that it names the steps that follow."""
        self.propagator.settle()
        if step:
            self._judge()
        return super()._close(step, time, done, observers)

    def _judge(self) -> None:
        dt, every = self._next()
        self._done += every
        before, self._marks = self._marks, self.propagator.marks()
        change = marks_apart(before, self._marks) / (dt * every)
        if change <= self.cooling.tol or self._done >= self.cooling.max_steps:
            self._converged = change <= self.cooling.tol
            self._stage, self._done = self._stage + 1, 0

    def _length(self) -> float | None:
        return self.cooling.dts[self._stage] if self._stage < len(self.cooling.dts) else None

    def _arrived(self) -> bool:
        return self._stage == len(self.cooling.dts)

    def _status(self) -> Status:
        if not self.history or self._trouble() or not self._arrived() or self._overspent():
            return super()._status()
        if self._converged:
            return Status("converged", True, "nothing to do; measure the energy, and lower the last dt or raise D.")
        return Status(
            "max_steps reached", False,
            f"bonds still change by more than tol = {self.cooling.tol:.1e} per unit of time after "
            f"{self.cooling.max_steps} steps of the last length: raise max_steps, or tol.",
        )  # fmt: skip


def marks_apart(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float:
    """The largest difference of singular values in a row; missing ones are zero."""
    worst = 0.0
    for a, b in zip(before, after, strict=True):
        size = max(len(a), len(b))
        worst = max(worst, float(np.abs(np.pad(a, (0, size - len(a))) - np.pad(b, (0, size - len(b)))).max()))
    return worst
