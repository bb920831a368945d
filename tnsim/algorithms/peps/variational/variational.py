"""Ground states of the plane by gradient: the energy of a PEPS is minimised over all numbers in its tensors.

Source of the method: L. Vanderstraeten, J. Haegeman, P. Corboz, F. Verstraete, Phys. Rev. B 94, 155123 (2016); H.-J.
Liao, J.-G. Liu, L. Wang, T. Xiang, Phys. Rev. X 9, 031041 (2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tnsim.algorithms.peps.variational.cell_problem import CellProblem
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.finite_problem import FiniteProblem
from tnsim.algorithms.peps.variational.growing import GrowingMinimization, lowest_known
from tnsim.algorithms.peps.variational.minimization import MinimizedState, Problem
from tnsim.algorithms.watched_run import PlaneObserver
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms


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
        bound: float | None = None,
    ) -> MinimizedState:
        """The ground state of a model (or of PlaneTerms of the cell) near a start with bonds of D at most.

        Such as a product state, or one of imaginary time. resume: goes on from a result, exactly as if it had not been
        stopped. bound: no energy per site of the infinite lattice lies below it, by default what the model knows. Not
        converging is a status, and so is an energy below the bound. Raises SettingsError, OperatorError, ShapeError for
        what does not fit.
        """
        if isinstance(model, PlaneTerms):
            terms = model
        else:
            terms = PlaneTerms.of(model) if isinstance(start, PEPS) else PlaneTerms.infinite_of(model, start.pattern)
        known = lowest_known(model, terms, bound) if isinstance(start, InfinitePEPS) else None
        return self._run(terms, start, observers, resume, known)

    def _problem(self, terms: PlaneTerms, psi: Any, settings: EnvironmentSettings) -> Problem:
        return FiniteProblem(terms, psi, settings) if isinstance(psi, PEPS) else CellProblem(terms, psi, settings)
