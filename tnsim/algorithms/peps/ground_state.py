"""Ground states in the plane from start to measurement: cooled or minimised, contracted, measured, certified."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tnsim.algorithms.evolution.evolution_report import Evolved
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement, PlaneMeasurement, boundary_memory
from tnsim.algorithms.peps.infinite.energy_certificate import certify_energy, memory_of
from tnsim.algorithms.peps.infinite.infinite_measure import measure_infinite, sites_of
from tnsim.algorithms.peps.star_bound import star_bound
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.variational.minimization import MinimizedState
from tnsim.algorithms.peps.variational.one_place import of_one_place
from tnsim.algorithms.peps.variational.symmetric_variational import SymmetricVariationalPEPS
from tnsim.algorithms.peps.variational.tape_memory import tape_memory
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.algorithms.plane.ctmrg import CTMRG, CornerSolution
from tnsim.algorithms.solution import Status
from tnsim.algorithms.watched_run import INTERRUPTED
from tnsim.errors import SettingsError, check_fields
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms, SquareState
from tnsim.networks.peps.weighted import WeightedPEPS, without_weights

# discarded weight of a cut of boundaries from which on their energy is not that of the state
_CUT = 1e-3


@dataclass(frozen=True)
class PEPSResult:
    """A PEPS, its measured energy per site of the model (None where the run was stopped before), and how it came about.

    prepared: the cooling or minimisation that led to the state, to go on from; measurement: of all terms;
    certificate: of an infinite state, where asked for; length: its correlation length, in places.
    """

    state: PEPS | InfinitePEPS
    energy: float | None
    status: Status
    prepared: Evolved | MinimizedState = field(repr=False)
    measurement: Any = field(default=None, repr=False)
    certificate: Any = field(default=None, repr=False)
    length: float | None = None

    def plot(self, path: Any = None) -> Any:
        """The lattice with energies of bonds and moments, and the convergence; saved where a path is given."""
        return import_module("tnsim.plotting").plot_plane_state(self, path=path)

    def __repr__(self) -> str:
        energy = "not measured" if self.energy is None else f"energy per site = {self.energy:.12g}"
        lines = [f"PEPSResult({self.status.name}): {energy}", f"  state          {self.state!r}"]
        count = len(self.prepared.history)
        ending = f"{self.prepared.status.name} after {count} reports"
        if getattr(self.prepared, "began", ()):
            ending += ", from a minimum over one symmetric tensor"
        lines.append(f"  preparation    {ending}, D = {self.state.bond_dimension}")
        if self.length is not None:
            lines.append(f"  correlations   over {self.length:.4g} places")
        shown = self.certificate or self.measurement
        lines += [f"  {line}" for line in repr(shown).splitlines()] if shown is not None else []
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class PEPSGroundState:
    """Settings of a search for a ground state in the plane: how the state is made, and how it is measured.

    preparation: a Cooling by one of the updates, VariationalPEPS, or SymmetricVariationalPEPS (infinite, one tensor);
    contraction: CTMRG(symmetric=False, ...) of an infinite state, BoundaryMeasurement of a finite one.

    >>> from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg, Lattice
    >>> from tnsim.networks.peps import infinite_start
    >>> model, cell = Heisenberg(lattice=Lattice("square", 2, 2), conserve=None), [[0, 1], [1, 0]]
    >>> update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    >>> corners = CTMRG(truncation=Truncation(chi_max=12), symmetric=False, tol=1e-6)
    >>> search = PEPSGroundState(preparation=Cooling(update=update, dts=(0.1, 0.02), tol=1e-4), contraction=corners)
    >>> round(search.solve(PlaneTerms.infinite_of(model, cell), infinite_start(model, cell)).energy, 3)
    -0.659
    """

    preparation: Cooling | VariationalPEPS | SymmetricVariationalPEPS = field(
        metadata={"help": "steps in imaginary time, or a minimum"}
    )
    contraction: CTMRG | BoundaryMeasurement = field(
        metadata={"help": "CTMRG of infinite states, BoundaryMeasurement of finite ones"}
    )
    certify: bool = field(default=False, metadata={"help": "infinite: measure at 3/2 chi and in other ways too"})
    memory_gib: float = field(default=8.0, metadata={"help": "refuse contractions and gradients that take more"})

    def __post_init__(self) -> None:
        check_fields(self)
        if isinstance(self.contraction, CTMRG) and self.contraction.symmetric:
            raise SettingsError("the norm of a PEPS takes four corners: CTMRG(symmetric=False, ...).")
        if not self.memory_gib > 0:
            raise SettingsError(f"memory_gib is above 0, found {self.memory_gib}.")

    def solve(
        self,
        H: PlaneTerms,
        psi: SquareState | WeightedPEPS,
        observers: Sequence[Any] = (),
        *,
        resume: PEPSResult | None = None,
        bound: float | None = None,
    ) -> PEPSResult:
        """The state, measured. Observers are told of every report of its preparation and of the corners.

        psi: the start of a cooling; resume: goes on from a result, which is only measured again unless it was stopped,
        or ended by limits that are others now (max_iterations, tolerances). bound: no energy per site lies below it, by
        default that of `star_bound`; status and certificate say so where one does. Raises what the parts raise for
        input that does not fit.
        """
        contraction = self.contraction
        if H.infinite != isinstance(contraction, CTMRG):
            raise SettingsError(f"{H!r} takes {'CTMRG' if H.infinite else 'BoundaryMeasurement'} as its contraction.")
        self._check_memory(H, without_weights(psi))
        prepared = resume.prepared if resume else None
        if prepared is None or self._goes_on(prepared):
            prepared = self._prepared(H, psi, observers, prepared, bound)
        if prepared.status.name == INTERRUPTED:
            return unmeasured(prepared)
        state = without_weights(prepared.state)
        if isinstance(contraction, CTMRG):
            corners = contraction.solve(state.to(psi.backend), observers)
            return self._measured(H, state.to(psi.backend), prepared, (contraction, corners), bound)
        found = contraction.measure(state.to(psi.backend), H)
        status = prepared.status if found.weight_per_cut < _CUT else _rough(found, prepared.status)
        energy = float(found.energy.real) / sites_of(H)
        return PEPSResult(state, energy, _below(energy, _floor(H, bound)) or status, prepared, found)

    def _goes_on(self, before: Evolved | MinimizedState) -> bool:
        """Whether a preparation was stopped, or ended by limits or an environment that are others now."""
        if before.status.name == INTERRUPTED:
            return True
        if not isinstance(before, MinimizedState) or isinstance(self.preparation, Cooling):
            return False
        other = before.attempt.chi not in (0, self.preparation.environment.chi_max)
        return (other and not before.status.converged) or not self.preparation.minimization.is_over(before)

    def _prepared(
        self, H: PlaneTerms, psi: Any, observers: Sequence[Any], before: Any, bound: float | None
    ) -> Evolved | MinimizedState:
        if isinstance(self.preparation, SymmetricVariationalPEPS):
            return self.preparation.solve(of_one_place(H), observers=observers, resume=before, bound=bound)
        if isinstance(self.preparation, VariationalPEPS):
            return self.preparation.solve(H, psi, observers=observers, resume=before, bound=bound)
        return self.preparation.solve(H, before.state.to(psi.backend) if before else psi, observers, before)

    def _measured(
        self, H: PlaneTerms, psi: InfinitePEPS, prepared: Any, made: tuple[CTMRG, CornerSolution], bound: float | None
    ) -> PEPSResult:
        (contraction, corners), floor = made, _floor(H, bound)
        found = measure_infinite(corners.environment, H)
        certificate = certify_energy(contraction, psi, corners, H, bound=floor) if self.certify else None
        status = prepared.status if not prepared.status.converged else corners.status
        status = _below(found.energy, floor) or status
        return PEPSResult(psi, found.energy, status, prepared, found, certificate, corners.correlation_length)

    def _check_memory(self, H: PlaneTerms, psi: SquareState) -> None:
        """SettingsError before anything starts, where environments or gradients will not fit."""
        made, contraction = self.preparation, self.contraction
        D = made.update.truncation.chi_max if isinstance(made, Cooling) else made.D
        chi = contraction.truncation.chi_max
        if isinstance(psi, PEPS) and isinstance(contraction, BoundaryMeasurement):
            ways = 2 if contraction.directions == "both" else 1
            self._check_fits("boundaries take", boundary_memory(psi, chi, D, ways=ways), chi, D)
        elif isinstance(psi, InfinitePEPS):
            self._check_fits("an environment takes", memory_of(psi, chi, D), chi, D)
        else:
            return  # a state of another kind than the terms, which the preparation refuses
        if not isinstance(made, Cooling):
            own, symmetric = made.environment.chi_max, isinstance(made, SymmetricVariationalPEPS)
            self._check_fits("a gradient takes", tape_memory(psi, H, own, D, symmetric=symmetric), own, D)
        if isinstance(made, VariationalPEPS) and made.symmetric is not None:
            own, D = made.symmetric.environment.chi_max, made.symmetric.D
            self._check_fits("a symmetric gradient takes", tape_memory(psi, H, own, D, symmetric=True), own, D)

    def _check_fits(self, what: str, needed: int, chi: int, D: int) -> None:
        if needed > self.memory_gib * 2**30:
            raise SettingsError(
                f"{what} about {needed / 2**30:.3g} GiB at chi = {chi} and bonds of {D}, above memory_gib = "
                f"{self.memory_gib:g}: lower chi or D, or allow more."
            )


def _floor(H: PlaneTerms, bound: float | None) -> float:
    """What no energy per site lies below: what is known, or what stars of places say."""
    if bound is not None:
        return bound
    rows, columns = H.shape
    return star_bound(H) * (rows * columns if H.infinite else 1) / sites_of(H)


def _below(energy: float, floor: float) -> Status | None:
    """What is said of an energy per site that no state has."""
    if energy >= floor - 1e-9 * max(1.0, abs(floor)):
        return None
    advice = f"the energy lies {floor - energy:.1e} below the known bound {floor:.10g}: raise chi."
    return Status("below a bound", False, advice)


def _rough(found: PlaneMeasurement, before: Status) -> Status:
    """What is said of a rough measurement, beside what a preparation said that has not converged."""
    advice = (
        f"boundaries of {found.chi} states discard {found.weight_per_cut:.1e} a cut, and their energy is not that of "
        "the state: raise chi."
    )
    return Status("measured roughly", False, advice if before.converged else f"{advice} Before that, {before.advice}")


def unmeasured(prepared: Evolved | MinimizedState) -> PEPSResult:
    """What a stopped preparation, or one under way, has led to so far."""
    return PEPSResult(without_weights(prepared.state), None, prepared.status, prepared)
