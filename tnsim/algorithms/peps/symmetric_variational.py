"""Ground states of the plane by gradient: the energy of a PEPS is minimised over all numbers in its tensors.

Source of the method: L. Vanderstraeten, J. Haegeman, P. Corboz, F. Verstraete, Phys. Rev. B 94, 155123 (2016); H.-J.
Liao, J.-G. Liu, L. Wang, T. Xiang, Phys. Rev. X 9, 031041 (2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.linalg import expm

from tnsim.algorithms.peps.minimization import (
    MinimizationReport,
    MinimizationSettings,
    MinimizedState,
    certified,
    solution_of,
)
from tnsim.algorithms.peps.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.symmetric_problem import EnvironmentSettings, SymmetricProblem
from tnsim.algorithms.watched_run import RUNNING, PlaneObserver, WatchedRun, check_kind
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.lbfgs import LBFGS
from tnsim.networks.peps import InfinitePEPS, PlaneTerms, grown
from tnsim.networks.sites import Site

# of bonds on the way to D
_START_CHI = 16


def half_turn(site: Site) -> np.ndarray:
    """exp(i pi Sy): turns a spin upside down, with real numbers.

    >>> from tnsim.networks.sites import spin_site
    >>> half_turn(spin_site(conserve=None)).round(12) + 0.0
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    raising = site.op("S+")
    return expm(np.pi / 2 * (raising - raising.T))


@dataclass(frozen=True, kw_only=True)
class SymmetricVariationalPEPS:
    """Settings of a minimisation over one real tensor that all symmetries of the square leave alone.

    For ground states of infinite lattices that break no symmetry of the lattice but, with antiferromagnetic = True, the
    one between the two sublattices: the spins of every second site are turned. It begins with bonds of 1, and embeds
    what it found in larger ones with noise until they are D. Cost of an evaluation: some tens of steps of
    O(chi^3 D^4 + chi^2 D^6).

    >>> from tnsim.models import Heisenberg, Lattice
    >>> model = Heisenberg(lattice=Lattice("square", 2, 2), conserve=None)
    >>> result = SymmetricVariationalPEPS(D=2, environment=EnvironmentSettings(chi_max=16)).solve(model)
    >>> round(result.energy, 8)  # published: -0.6602310934
    -0.66023109
    """

    D: int = field(metadata={"help": "bond dimension of the state"})
    environment: EnvironmentSettings = field(metadata={"help": "how the norm is contracted"})
    antiferromagnetic: bool = field(default=True, metadata={"help": "turn the spins of every second site"})
    noise: float = field(default=0.1, metadata={"help": "of new elements, in units of their root mean square"})
    seed: int = field(default=0, metadata={"help": "of the first state and of the noise"})
    minimization: MinimizationSettings = field(
        default_factory=MinimizationSettings, metadata={"help": "when it ends at each bond dimension"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.D < 1 or not self.noise >= 0:
            raise SettingsError(f"D is at least 1 and noise not negative, found {self.D} and {self.noise}.")

    def solve(
        self,
        model: Any,
        start: InfinitePEPS | None = None,
        *,
        observers: Sequence[PlaneObserver] = (),
        resume: MinimizedState | None = None,
    ) -> MinimizedState:
        """The ground state of a model (or of PlaneTerms whose cell is one site).

        start: a state of one tensor with bonds of D at most; resume: goes on from a result, exactly as if it had not
        been stopped. Not converging is a status. Raises SettingsError, OperatorError, ShapeError for what does not fit.
        """
        terms = model if isinstance(model, PlaneTerms) else PlaneTerms.infinite_of(model, [[0]])
        site = terms.site(0, 0)
        made = SymmetricTerms.of(terms, half_turn(site) if self.antiferromagnetic else None)
        run = WatchedRun(observers)
        if resume is not None:
            check_kind(resume, MinimizedState)
            psi, history = resume.state, resume.history
        else:
            psi, history = start or InfinitePEPS.random([site], 1, [[0]], seed=self.seed), ()
        if psi.bond_dimension > self.D:
            raise SettingsError(f"the start has bonds of {psi.bond_dimension}, more than D = {self.D}.")
        while True:
            found, problem = self._at(psi, made, run, history, resume)
            resume, history = None, found.history
            if run.stop_reason:
                return replace(found, status=run.interrupted())
            if found.state.bond_dimension == self.D:
                return certified(found, problem, self.minimization)
            psi = grown(_one_tensor(found.state), found.state.bond_dimension + 1, self.noise, self.seed)

    def _at(
        self,
        psi: Any,
        terms: SymmetricTerms,
        run: WatchedRun,
        history: Sequence[MinimizationReport],
        resume: MinimizedState | None,
    ) -> tuple[MinimizedState, SymmetricProblem]:
        """The minimum at the bond dimension of a state, from there or from where a run was stopped."""
        D, settings = psi.bond_dimension, self.environment
        if D < self.D:
            settings = replace(settings, chi_max=min(settings.chi_max, max(_START_CHI, 3 * D**2)))
        problem = SymmetricProblem(terms, _one_tensor(psi).tensors[0], psi.kinds[0], settings)
        if resume is not None:
            problem.last, optimizer = resume.environment, resume.optimizer
        else:
            optimizer = LBFGS.start(problem, problem.point(_one_tensor(psi).tensors))
        reports = list(history)
        for report, optimizer in self.minimization.iterations(problem, optimizer, D):  # noqa: B020
            reports.append(report)
            if run.tell(report, solution_of(problem, optimizer, RUNNING, reports)):
                break
        return solution_of(problem, optimizer, RUNNING, reports), problem


def _one_tensor(psi: Any) -> InfinitePEPS:
    """The state whose second sublattice is not turned yet."""
    return InfinitePEPS(psi.tensors[:1], [[0]], psi.kinds[:1])
