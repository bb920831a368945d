"""Ground states of the plane by gradient: the energy of a PEPS is minimised over all numbers in its tensors.

Source of the method: L. Vanderstraeten, J. Haegeman, P. Corboz, F. Verstraete, Phys. Rev. B 94, 155123 (2016); H.-J.
Liao, J.-G. Liu, L. Wang, T. Xiang, Phys. Rev. X 9, 031041 (2019).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tnsim.algorithms.peps.cell_problem import CellProblem
from tnsim.algorithms.peps.finite_problem import FiniteProblem
from tnsim.algorithms.peps.minimization import (
    MinimizationReport,
    MinimizationSettings,
    MinimizedState,
    Problem,
    certified,
    solution_of,
)
from tnsim.algorithms.peps.symmetric_problem import EnvironmentSettings
from tnsim.algorithms.watched_run import RUNNING, PlaneObserver, WatchedRun, check_kind
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.lbfgs import LBFGS
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms, grown

# of bonds on the way to D
_START_CHI = 16


@dataclass(frozen=True, kw_only=True)
class GrowingMinimization(ABC):
    """A minimisation that embeds what it found with small bonds in larger ones, with noise, until they are D."""

    D: int = field(metadata={"help": "bond dimension of the state"})
    environment: EnvironmentSettings = field(metadata={"help": "how the norm is contracted"})
    noise: float = field(default=0.1, metadata={"help": "of new elements, in units of their root mean square"})
    seed: int = field(default=0, metadata={"help": "of the first state and of the noise"})
    minimization: MinimizationSettings = field(
        default_factory=MinimizationSettings, metadata={"help": "when it ends at each bond dimension"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.D < 1 or not self.noise >= 0:
            raise SettingsError(f"D is at least 1 and noise not negative, found {self.D} and {self.noise}.")

    @abstractmethod
    def _problem(self, terms: PlaneTerms, psi: Any, settings: EnvironmentSettings) -> Problem:
        """The energy of states like psi."""

    def _own(self, psi: Any) -> Any:
        """The state as it is varied."""
        return psi

    def _run(
        self, terms: PlaneTerms, psi: Any, observers: Sequence[PlaneObserver], resume: MinimizedState | None
    ) -> MinimizedState:
        """From a state, or on from a result, to bonds of D."""
        run, history = WatchedRun(observers), ()
        if resume is not None:
            check_kind(resume, MinimizedState)
            psi, history = resume.state, resume.history  # type: ignore[assignment]
        if psi.bond_dimension > self.D:
            raise SettingsError(f"the start has bonds of {psi.bond_dimension}, more than D = {self.D}.")
        while True:
            problem = self._problem(terms, self._own(psi), self._settings(psi.bond_dimension))
            found = self._at(psi, problem, run, history, resume)
            resume, history = None, found.history  # type: ignore[assignment]
            if run.stop_reason:
                return replace(found, status=run.interrupted())
            if psi.bond_dimension == self.D:
                return certified(found, problem, self.minimization)
            psi = grown(self._own(found.state), psi.bond_dimension + 1, self.noise, self.seed)  # type: ignore[type-var,arg-type]

    def _settings(self, D: int) -> EnvironmentSettings:
        """Of the environment: on the way to D no larger than it has to be."""
        own = self.environment
        return own if D == self.D else replace(own, chi_max=min(own.chi_max, max(_START_CHI, 3 * D**2)))

    def _at(
        self,
        psi: Any,
        problem: Problem,
        run: WatchedRun,
        history: Sequence[MinimizationReport],
        resume: MinimizedState | None,
    ) -> MinimizedState:
        """The minimum at the bond dimension of a state, from there or from where a run was stopped."""
        if resume is not None:
            problem.last, optimizer = resume.environment, resume.optimizer
        else:
            optimizer = LBFGS.start(problem, problem.point(self._own(psi).tensors))
        reports = list(history)
        for report, optimizer in self.minimization.iterations(problem, optimizer, psi.bond_dimension):  # noqa: B020
            reports.append(report)
            if run.tell(report, solution_of(problem, optimizer, RUNNING, reports)):
                break
        return solution_of(problem, optimizer, RUNNING, reports)


@dataclass(frozen=True, kw_only=True)
class VariationalPEPS(GrowingMinimization):
    """Settings of a minimisation over all tensors of a state: real or complex, with or without charges.

    A cell that repeats, with terms of neighbours and across diagonals: an evaluation costs some tens of steps of
    O(chi^3 D^6) a tensor. Or a finite lattice with open edges and terms of neighbours, contracted by boundary MPS:
    O(chi^3 D^6 + chi^2 D^8) a site; its energies are those of the whole lattice.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> model = Heisenberg(lattice=Lattice("square", 2, 2))
    >>> start = InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    >>> VariationalPEPS(D=1, environment=EnvironmentSettings(chi_max=2)).solve(model, start).energy
    -0.5
    """

    def solve(
        self,
        model: Any,
        start: PEPS | InfinitePEPS,
        *,
        observers: Sequence[PlaneObserver] = (),
        resume: MinimizedState | None = None,
    ) -> MinimizedState:
        """The ground state of a model (or of PlaneTerms of the cell) near a start with bonds of D at most.

        Such as a product state, or one of imaginary time. resume: goes on from a result, exactly as if it had not been
        stopped. Not converging is a status. Raises SettingsError, OperatorError, ShapeError for what does not fit.
        """
        if isinstance(model, PlaneTerms):
            terms = model
        else:
            terms = PlaneTerms.of(model) if isinstance(start, PEPS) else PlaneTerms.infinite_of(model, start.pattern)
        return self._run(terms, start, observers, resume)

    def _problem(self, terms: PlaneTerms, psi: Any, settings: EnvironmentSettings) -> Problem:
        return FiniteProblem(terms, psi, settings) if isinstance(psi, PEPS) else CellProblem(terms, psi, settings)
