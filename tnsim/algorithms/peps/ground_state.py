"""Ground states in the plane from start to measurement: cooled by an update, contracted, measured, certified."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tnsim.algorithms.evolution.evolution_report import Evolved
from tnsim.algorithms.peps.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.cooling import Cooling
from tnsim.algorithms.peps.energy_certificate import certify_energy, memory_of
from tnsim.algorithms.peps.infinite_measure import measure_infinite, sites_of
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.solution import Status
from tnsim.errors import SettingsError, check_fields
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms, SquareState
from tnsim.networks.peps.weighted import WeightedPEPS

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class PEPSResult:
    """A PEPS, its measured energy per site of the model (None where the run was stopped before), and how it came about.

    prepared: the cooling that led to the state, to go on from; measurement: of all terms; certificate: of an infinite
    state, where asked for; length: its correlation length, in places.
    """

    state: PEPS | InfinitePEPS
    energy: float | None
    status: Status
    prepared: Evolved = field(repr=False)
    measurement: Any = field(default=None, repr=False)
    certificate: Any = field(default=None, repr=False)
    length: float | None = None

    def plot(self, path: Any = None) -> Any:
        """The lattice with energies of bonds and moments, and the convergence; saved where a path is given."""
        return import_module("tnsim.plotting").plot_plane_state(self, path=path)

    def __repr__(self) -> str:
        energy = "not measured" if self.energy is None else f"energy per site = {self.energy:.12g}"
        lines = [f"PEPSResult({self.status.name}): {energy}", f"  state          {self.state!r}"]
        last = self.prepared.history[-1]
        lines.append(f"  cooling        {self.prepared.status.name} after {last.step} steps, D = {last.chi}")
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

    contraction: CTMRG(symmetric=False, ...) of an infinite state, BoundaryMeasurement of a finite one.

    >>> from tnsim.algorithms.peps.simple_update import SimpleUpdate
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.models import Heisenberg, Lattice
    >>> from tnsim.networks.peps import infinite_start
    >>> model, cell = Heisenberg(lattice=Lattice("square", 2, 2), conserve=None), [[0, 1], [1, 0]]
    >>> update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    >>> corners = CTMRG(truncation=Truncation(chi_max=12), symmetric=False, tol=1e-6)
    >>> search = PEPSGroundState(cooling=Cooling(update=update, dts=(0.1, 0.02), tol=1e-4), contraction=corners)
    >>> round(search.solve(PlaneTerms.infinite_of(model, cell), infinite_start(model, cell)).energy, 3)
    -0.659
    """

    cooling: Cooling = field(metadata={"help": "steps in imaginary time by one of the updates"})
    contraction: CTMRG | BoundaryMeasurement = field(
        metadata={"help": "CTMRG of infinite states, BoundaryMeasurement of finite ones"}
    )
    certify: bool = field(default=False, metadata={"help": "infinite: measure at 3/2 chi and in other ways too"})
    memory_gib: float = field(default=8.0, metadata={"help": "infinite: refuse environments that take more"})

    def __post_init__(self) -> None:
        check_fields(self)
        if isinstance(self.contraction, CTMRG) and self.contraction.symmetric:
            raise SettingsError("the norm of a PEPS takes four corners: CTMRG(symmetric=False, ...).")

    def solve(
        self,
        H: PlaneTerms,
        psi: SquareState | WeightedPEPS,
        observers: Sequence[Any] = (),
        *,
        resume: PEPSResult | None = None,
        bound: float | None = None,
    ) -> PEPSResult:
        """The state after cooling, measured. Observers are told of every report of the cooling and of the corners.

        resume: goes on from a result; a cooling that was not stopped is only measured again. bound: no energy per site
        lies below it; a certificate says so where one does. Raises what the parts raise for input that does not fit.
        """
        if H.infinite != isinstance(self.contraction, CTMRG):
            raise SettingsError(f"{H!r} takes {'CTMRG' if H.infinite else 'BoundaryMeasurement'} as its contraction.")
        self._check_memory(_plain(psi))
        if resume is None or resume.prepared.status.name == INTERRUPTED:
            before = resume.prepared if resume else None
            start = before.state.to(psi.backend) if before else psi
            prepared = self.cooling.solve(H, start, observers, before)
        else:
            prepared = resume.prepared
        if prepared.status.name == INTERRUPTED:
            return unmeasured(prepared)
        state = _plain(prepared.state)
        if isinstance(state, InfinitePEPS):
            return self._measured(H, state.to(psi.backend), prepared, observers, bound)
        found = self.contraction.measure(state.to(psi.backend), H)
        return PEPSResult(state, float(found.energy.real) / sites_of(H), prepared.status, prepared, found)

    def _measured(
        self, H: PlaneTerms, psi: InfinitePEPS, prepared: Evolved, observers: Sequence[Any], bound: float | None
    ) -> PEPSResult:
        corners = self.contraction.solve(psi, observers)
        found = measure_infinite(corners.environment, H)
        certificate = certify_energy(self.contraction, psi, corners, H, bound=bound) if self.certify else None
        status = prepared.status if not prepared.status.converged else corners.status
        if bound is not None and found.energy < bound - 1e-9 * abs(bound):
            advice = f"the energy lies {bound - found.energy:.1e} below the exact one, {bound:.10g}: raise chi."
            status = Status("below a bound", False, advice)
        return PEPSResult(psi, found.energy, status, prepared, found, certificate, corners.correlation_length)

    def _check_memory(self, psi: SquareState) -> None:
        """SettingsError before anything starts, where the environment will not fit."""
        if not isinstance(psi, InfinitePEPS):
            return
        chi, D = self.contraction.truncation.chi_max, self.cooling.update.truncation.chi_max
        needed = memory_of(psi, chi, D) / 2**30
        if needed > self.memory_gib:
            raise SettingsError(
                f"an environment of chi = {chi} for bonds of {D} takes about {needed:.1f} GiB, above memory_gib = "
                f"{self.memory_gib}: lower chi or D, or allow more."
            )


def unmeasured(prepared: Evolved) -> PEPSResult:
    """What a stopped cooling, or one under way, has led to so far."""
    return PEPSResult(_plain(prepared.state), None, prepared.status, prepared)


def _plain(psi: Any) -> Any:
    return psi.psi if isinstance(psi, WeightedPEPS) else psi
