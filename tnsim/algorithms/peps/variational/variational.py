"""Ground states of the plane by gradient: the energy of a PEPS is minimised over all numbers in its tensors.

Source of the method: L. Vanderstraeten, J. Haegeman, P. Corboz, F. Verstraete, Phys. Rev. B 94, 155123 (2016); H.-J.
Liao, J.-G. Liu, L. Wang, T. Xiang, Phys. Rev. X 9, 031041 (2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tnsim.algorithms.peps.variational.cell_problem import CellProblem
from tnsim.algorithms.peps.variational.finite_problem import FiniteProblem
from tnsim.algorithms.peps.variational.growing import GrowingMinimization, known_floor, lowest_known
from tnsim.algorithms.peps.variational.minimization import Attempt, MinimizedState, Problem
from tnsim.algorithms.peps.variational.one_place import check_square, of_one_place, on_cell, sublattices
from tnsim.algorithms.peps.variational.symmetric_variational import SymmetricVariationalPEPS
from tnsim.algorithms.watched_run import INTERRUPTED, PlaneObserver, check_kind
from tnsim.errors import SettingsError
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms

# the norm of the gradient that is expected at a minimum over some of the numbers
_MINIMUM = 1e-4


@dataclass(frozen=True, kw_only=True)
class VariationalPEPS(GrowingMinimization):
    """Settings of a minimisation over all tensors of a state: real or complex, with or without charges.

    A cell that repeats, with terms of neighbours and across diagonals: an evaluation costs some tens of steps of
    O(chi^3 D^6) a tensor. Or a finite lattice with open edges and terms of neighbours, contracted by boundary MPS along
    rows and along columns: O(chi^3 D^6 + chi^2 D^6 d^2) a site; its energies are those of the whole lattice. Such a
    state is best begun by imaginary time (`NeighbourhoodUpdate`), and chi is no less than 5/4 D^2: through narrower
    boundaries the minimum makes use of what they get wrong. The certificate tells how much that is; a
    `BoundaryMeasurement` at 2 D^2 and more is nearer to the state.

    symmetric: the cell begins at the minimum over one symmetric tensor (with the spins of every second site turned
    where that is antiferromagnetic), the same state with the tensors of the cell, of which all numbers are varied then.
    Its D may be smaller. For cells with even numbers of rows and columns where spins are turned, models that the
    symmetries of the square keep, and sites that conserve nothing.

    >>> from tnsim import EnvironmentSettings
    >>> from tnsim.models import Heisenberg, Lattice
    >>> model = Heisenberg(lattice=Lattice("square", 2, 2))
    >>> start = InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    >>> VariationalPEPS(D=1, environment=EnvironmentSettings(chi_max=2)).solve(model, start).energy
    -0.5
    """

    symmetric: SymmetricVariationalPEPS | None = field(
        default=None, metadata={"help": "search over one symmetric tensor, whose minimum all tensors are varied from"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symmetric is None:
            return
        if self.symmetric.D > self.D:
            raise SettingsError(f"the symmetric tensor has bonds of {self.symmetric.D}, more than D = {self.D}.")
        if self.cooling is not None:
            raise SettingsError("a symmetric start has its own imaginary time: SymmetricVariationalPEPS(cooling=...).")

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

        Such as a product state, or one of imaginary time; with `symmetric` its pattern alone counts. resume: goes on
        from a result, exactly as if it had not been stopped. bound: no energy per site of the infinite lattice lies
        below it, by default what the model knows. Not converging is a status, and so is an energy below the bound.
        Raises SettingsError, OperatorError, ShapeError for what does not fit.
        """
        if isinstance(model, PlaneTerms):
            terms = model
        else:
            terms = PlaneTerms.of(model) if isinstance(start, PEPS) else PlaneTerms.infinite_of(model, start.pattern)
        known = lowest_known(model, terms, bound) if isinstance(start, InfinitePEPS) else None
        if resume is not None:
            check_kind(resume, MinimizedState)
        if resume is not None and resume.attempt.symmetric and self.symmetric is None:
            raise SettingsError(
                "this result is one of a single symmetric tensor: go on with symmetric = its settings, or pass its "
                "state as the start."
            )
        if self.symmetric is None or (resume is not None and not resume.attempt.symmetric):
            return self._run(terms, start, observers, resume, known)
        one, first = _one_place(terms, start, self.symmetric)
        floor = known_floor(model, bound)
        found = self.symmetric.solve(one, first, observers=observers, resume=resume, bound=floor)
        if found.status.name == INTERRUPTED:
            return found
        return self._run(terms, on_cell(found.state, start), observers, None, known, found.history)

    def _at_minimum(self, attempt: Attempt) -> bool:
        """Whether an attempt begins at the minimum over one symmetric tensor as it is."""
        return self.symmetric is not None and self._is_given(attempt) and self._attempts(attempt) == 1

    def _expected_slope(self, attempt: Attempt) -> float:
        near = self._at_minimum(attempt) and attempt.number == 0
        return _MINIMUM if near else super()._expected_slope(attempt)

    def _is_narrowed(self, attempt: Attempt) -> bool:
        # a narrower environment has its minimum elsewhere
        return super()._is_narrowed(attempt) and not self._at_minimum(attempt)

    def _problem(self, terms: PlaneTerms, psi: Any, attempt: Attempt) -> Problem:
        settings = self._settings(attempt)
        return FiniteProblem(terms, psi, settings) if isinstance(psi, PEPS) else CellProblem(terms, psi, settings)


def _one_place(
    terms: PlaneTerms, start: PEPS | InfinitePEPS, search: SymmetricVariationalPEPS
) -> tuple[PlaneTerms, InfinitePEPS]:
    """Terms and start of the search over one symmetric tensor; refuses a cell that its state does not repeat with."""
    if not isinstance(start, InfinitePEPS):
        raise SettingsError(f"one symmetric tensor is the start of infinite states, found {start!r}: leave it out.")
    if group := start.kinds[0].group.names:
        raise SettingsError(
            f"a symmetric tensor conserves nothing, but the cell conserves {', '.join(group)}: take conserve = None, "
            "or begin elsewhere (symmetric = None)."
        )
    if search.antiferromagnetic:
        sublattices(start.pattern)
    one = of_one_place(terms)
    check_square(one)
    return one, InfinitePEPS.random([one.site(0, 0)], 1, [[0]], seed=search.seed, backend=start.backend)
