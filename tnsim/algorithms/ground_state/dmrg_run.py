"""One DMRG run: where it stands, and the update of one bond."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from tnsim.algorithms.ground_state.convergence import is_converged
from tnsim.algorithms.ground_state.dmrg_update import OneSiteUpdate, TwoSiteUpdate
from tnsim.algorithms.solution import BondReport, Observer, Progress, Solution, SweepReport
from tnsim.backend import Array, block_threads, thread_count
from tnsim.errors import NumericalError, OperatorError, ShapeError, StateError
from tnsim.linalg.lanczos import Krylov
from tnsim.networks.acting import check_acts_on
from tnsim.networks.canonical import canonicalize
from tnsim.networks.diagonal_share import diagonal_share
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.environment_store import GIB, EnvironmentStore
from tnsim.networks.environments import Environments, largest_environment
from tnsim.networks.mirror_gauge import mirror_gauge, symmetrized
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.overlap_environments import OverlapEnvironments, lower_states, restrict
from tnsim.networks.reflection import ChainMirror, reflected_channels, site_reflections
from tnsim.networks.sector_bonds import sector_size
from tnsim.networks.two_site_split import TwoSiteSplit, choose_method, named, split_two_site

if TYPE_CHECKING:
    from tnsim.algorithms.ground_state.dmrg import DMRG

# a norm this many eps from 1 is 1
_ROUNDING = 64
# Davidson spares products where the diagonal has more than this share of H; with U = 4 t it costs what it spares
_STRONG_DIAGONAL = 0.7
# states are their own reflection to this, those from single precision to that
_DOUBLE, _SINGLE = 1e-6, 1e-3
# residual norms below this change the energy by less than rounding
_RESIDUAL_FLOOR = 1e-7


class DMRGRun:
    """A sweep under way: site tensors, environments, position and the sums of the sweep so far.

    `state` is valid after every bond update, so a run can be saved anywhere. Updates 0..L-2 go right, L-1..2L-3 go
    back: of the two sites around a bond, or of the one that the centre leaves over it.
    """

    def __init__(
        self,
        settings: "DMRG",
        H: MPO,
        psi: MPS,
        progress: Progress | None = None,
        orthogonal_to: Sequence[MPS] = (),
    ) -> None:
        check_input(H, psi)
        self._eigensolver = choose_eigensolver(settings.eigensolver, H)
        compile_ahead = getattr(psi.backend.kernels, "compile_ahead", None)
        if compile_ahead is not None:
            compile_ahead(np.result_type(psi.dtype, H.dtype), thread_count(), self._eigensolver)
        self.lower = lower_states(psi, orthogonal_to, settings.reflection, settings.parity)
        self.settings, self.hamiltonian = settings, H
        self.stop_reason = ""
        self.first: Solution | None = None  # of a second start: what the first one ended in
        self._progress = progress or Progress()
        self._center: int | None = 0
        self._clock = time.perf_counter()
        self.store = EnvironmentStore(psi.L)
        self._load(self._stirred(psi) if self._progress.is_new else psi)

    def _stirred(self, psi: MPS) -> MPS:
        """psi with a random part: H leads neither out of an eigenstate, nor out of a sector of a symmetry that
        it has and the tensors do not know."""
        noise = self.settings.noise_of(0)
        chi = min(4, self.settings.truncation_of(0).chi_max)
        return with_random_part(psi, noise, chi, self.settings.seed) if noise > 0 else psi

    def _load(self, psi: MPS) -> None:
        """Take a state in: bring its centre to the next bond, in the precision of this sweep."""
        single = self._progress.sweep < self.settings.float32_sweeps
        dtype = np.result_type(psi.dtype, self.hamiltonian.dtype, *(phi.dtype for phi in self.lower))
        if single:
            dtype = np.dtype("complex64" if dtype.kind == "c" else "float32")
        elif dtype.char in "fF":
            dtype = np.dtype("complex128" if dtype.kind == "c" else "float64")
        bond, rightwards = self._position(self._progress.step)
        psi = canonicalize(psi.astype(dtype), bond if rightwards else bond + 1)
        norm = psi.norm()
        if not 0 < norm < np.inf:
            raise StateError(f"DMRG needs a start state of finite norm, not zero; found norm {norm}.")
        if abs(norm - 1) > _ROUNDING * np.finfo(dtype).eps * psi.L:
            psi = psi * (1 / norm)  # not at every resume: a last bit changed is another run
        mirror = None
        if self.settings.reflection:
            psi, mirror = self._mirrored(psi)
        self._sites, self._center, self._dtype = psi.sites, psi.center, dtype
        self.tensors = list(psi.tensors)
        self.store.close()
        self.store = self._new_store(psi)
        self.environments = Environments(self.tensors, self.hamiltonian.site_operators, self.store)
        self.overlaps = [OverlapEnvironments(self.tensors, phi.astype(dtype)) for phi in self.lower]
        self._update: TwoSiteUpdate | OneSiteUpdate = TwoSiteUpdate(self.environments, mirror)
        if self.settings.sites == 1:
            operators = [tensor.astype(dtype) for tensor in self.hamiltonian.tensors]
            self._update = OneSiteUpdate(self.environments, operators, self.settings)

    def _mirrored(self, psi: MPS) -> tuple[MPS, ChainMirror]:
        """psi, of a start state the part that the settings ask for, in bases that the reflection does not mix, and what
        updates know of the reflection."""
        name, parity, progress = self.settings.reflection, self.settings.parity, self._progress
        sites = site_reflections(tuple(psi.sites), name)
        channels = reflected_channels(tuple(self.hamiltonian.site_operators), sites)
        try:
            psi, even = mirror_gauge(psi, name, parity, tolerance=_SINGLE if self.settings.float32_sweeps else _DOUBLE)
        except StateError:
            if progress.sweep + progress.step > 0:
                raise
            part, even = mirror_gauge(canonicalize(symmetrized(psi, name, parity), psi.center or 0), name, parity)
            psi = part.astype(psi.dtype)
        return psi, ChainMirror(sites, channels, even)

    def _new_store(self, psi: MPS) -> EnvironmentStore:
        """Where environments wait; a budget that cannot do is refused before the first product."""
        settings = self.settings
        store = EnvironmentStore(psi.L, settings.environment_gib * GIB or None, settings.scratch)
        if store.budget is not None:
            chi = settings.truncation.chi_max
            numbers, site = largest_environment(psi.sites, psi.charge, self.hamiltonian.site_operators, chi)
            store.check_holds(numbers * self._dtype.itemsize, f"the left one of site {site} at chi_max = {chi}")
        return store

    # -- position --------------------------------------------------------------------------------------

    @property
    def bonds(self) -> int:
        return len(self.tensors) - 1

    def _position(self, step: int) -> tuple[int, bool]:
        bonds = self.hamiltonian.L - 1
        return (step, True) if step < bonds else (2 * bonds - 1 - step, False)

    @property
    def state(self) -> MPS:
        """The state as it stands, in mixed canonical form."""
        return MPS(self.tensors.copy(), self._sites, self._center)

    def progress(self) -> Progress:
        """Where the run stands: with the state, all that resuming needs."""
        return self._progress

    def request_stop(self, reason: str) -> None:
        """Stop after the bond under way."""
        self.stop_reason = reason

    # -- sweeping --------------------------------------------------------------------------------------

    def sweeps(self, observers: Sequence[Observer] = ()) -> Iterator[SweepReport]:
        """Sweep until converged, max_sweeps or a stop request; a report after every full sweep."""
        try:
            while self._progress.sweep < self.settings.max_sweeps and not self.stop_reason:
                report = self.sweep(observers)
                if report is None:
                    return
                yield report
                if is_converged(self.settings, self._progress):
                    return
        finally:
            self.store.close()

    def sweep(self, observers: Sequence[Observer] = ()) -> SweepReport | None:
        """Finish the sweep under way; None where a stop was requested before its end."""
        if self._progress.step == 0 and self._progress.sweep == self.settings.float32_sweeps > 0:
            self._load(self.state)
        with block_threads():
            self._update_bonds(observers)
        if self._progress.step < 2 * self.bonds:
            return None
        sweep_report = self._close_sweep()
        for observer in observers:
            observer.sweep(sweep_report, self)
        return sweep_report

    def _update_bonds(self, observers: Sequence[Observer]) -> None:
        """Bond updates to the end of the sweep, or to the first stop request."""
        self._clock = time.perf_counter()
        while self._progress.step < 2 * self.bonds:
            report = self.update_bond(*self._position(self._progress.step))
            for observer in observers:
                observer.bond(report, self)
            if self.stop_reason:
                return

    def update_bond(self, bond: int, rightwards: bool) -> BondReport:
        """Optimise what stands around a bond, split it, and carry the environment on."""
        frame = self._update.frame(bond, rightwards, self._progress)
        heff = frame.heff
        rows = [heff.join(*self._update.seen(overlap, frame, bond, rightwards)) for overlap in self.overlaps]
        theta, constraints = restrict(heff, heff.join(frame.first, frame.second), rows, self.settings.seed)
        ritz = heff.lowest(theta, self._krylov(bond), constraints)
        if not isfinite(ritz.energy):
            sweep = self._progress.sweep
            raise NumericalError(f"the energy at bond {bond} of sweep {sweep} is {ritz.energy}: check the MPO for NaN.")
        gradient = 0.0
        if not rightwards:
            seen = heff.project(ritz.residual, frame.first, frame.second)
            gradient = float(heff.backend.read(heff.backend.norm(seen)))
        cut = self._split(heff, ritz.vector, bond, rightwards)
        self._update.place(frame, cut, bond, rightwards)
        self._center = bond + 1 if rightwards else bond
        return self._count(bond, rightwards, ritz.energy, ritz.matvecs, gradient, cut)

    def _split(self, heff: TwoSiteHamiltonian, theta: Array, bond: int, rightwards: bool) -> TwoSiteSplit:
        """Cut theta; at the middle bond by a full decomposition, as its Schmidt weights give the entropy."""
        settings, progress = self.settings, self._progress
        truncation, noise = settings.truncation_of(progress.sweep), settings.noise_of(progress.sweep)
        method = choose_method(settings.split, truncation, self._dtype, spectrum=bond == self.bonds // 2)
        with named(f"sites {bond} and {bond + 1} in sweep {progress.sweep}"):
            return split_two_site(heff, theta, truncation, rightwards=rightwards, noise=noise, method=method)

    def _krylov(self, bond: int) -> Krylov:
        """The residual need not fall below the truncation error's root: the split would undo it."""
        errors = self._progress.bond_trunc_errs
        trunc_err = errors[bond] if errors else 1e-6
        settings = self.settings
        return Krylov(
            k_min=settings.krylov_min,
            k_max=settings.krylov_max,
            tolerance=max(_RESIDUAL_FLOOR, trunc_err**0.5),
            gain=settings.krylov_gain,
            method=self._eigensolver,
        )

    def _count(
        self, bond: int, rightwards: bool, energy: float, matvecs: int, gradient: float, cut: TwoSiteSplit
    ) -> BondReport:
        """Move on by one step and add to the sums of the sweep."""
        progress, settings, clock = self._progress, self.settings, time.perf_counter()
        errors = list(progress.bond_trunc_errs or (0.0,) * self.bonds)
        # a bond that did not grow has nothing to cut: what its last cut discarded still holds
        plain = settings.sites == 1 and settings.expansion_of(progress) == 0
        errors[bond] = trunc_err = max(cut.trunc_err, errors[bond]) if plain else cut.trunc_err
        entropy = progress.entropy
        if bond == self.bonds // 2:
            weights = cut.weights[cut.weights > 0]
            entropy = max(0.0, float(-(weights * np.log(weights)).sum()))
        self._progress = replace(
            progress,
            step=progress.step + 1,
            energy=energy,
            max_trunc_err=max(progress.max_trunc_err, trunc_err),
            sum_trunc_err=progress.sum_trunc_err + (0.0 if rightwards else trunc_err),
            gradient=max(progress.gradient, gradient),
            entropy=entropy,
            matvecs=progress.matvecs + matvecs,
            seconds=progress.seconds + clock - self._clock,
            bond_trunc_errs=tuple(errors),
        )
        self._clock = clock
        return BondReport(
            sweep=progress.sweep, bond=bond, direction=1 if rightwards else -1, energy=energy,
            trunc_err=trunc_err, chi=cut.bond.dim, matvecs=matvecs, bonds=self.bonds,
        )  # fmt: skip

    def _close_sweep(self) -> SweepReport:
        progress, settings = self._progress, self.settings
        last = progress.history[-1] if progress.history else None
        report = SweepReport(
            sweep=progress.sweep,
            energy=progress.energy,
            energy_change=progress.energy - last.energy if last else float("inf"),
            max_trunc_err=progress.max_trunc_err,
            sum_trunc_err=progress.sum_trunc_err,
            gradient=progress.gradient,
            entropy=progress.entropy,
            entropy_change=abs(progress.entropy - last.entropy) if last else float("inf"),
            chi=max(tensor.legs[2].dim for tensor in self.tensors),
            chi_max=settings.truncation_of(progress.sweep).chi_max,
            noise=settings.noise_of(progress.sweep),
            expansion=settings.expansion_of(progress),
            matvecs=progress.matvecs,
            seconds=progress.seconds,
            split=choose_method(settings.split, settings.truncation, self._dtype),
            dtype=str(self._dtype),
        )
        self._progress = Progress(
            sweep=progress.sweep + 1,
            energy=progress.energy,
            bond_trunc_errs=progress.bond_trunc_errs,
            restarts=progress.restarts,
            stage=progress.stage,
            past=progress.past,
            history=(*progress.history, report),
        )
        return report


def choose_eigensolver(requested: str, H: MPO) -> str:
    """What "auto" means for a Hamiltonian."""
    if requested != "auto":
        return requested
    return "davidson" if diagonal_share(H.site_operators) > _STRONG_DIAGONAL else "lanczos"


def with_random_part(psi: MPS, weight: float, chi: int, seed: int) -> MPS:
    """psi and a random state of its sector, of that squared norm relative to psi's."""
    part = MPS.random(psi.sites, chi=chi, like=psi, seed=seed, dtype=psi.dtype).to(psi.backend)
    return psi + part * (weight**0.5 * psi.norm() / part.norm())


def check_input(H: MPO, psi: MPS) -> None:
    """What DMRG needs of its input, said before the first product."""
    check_acts_on(H, psi)
    if psi.L < 2:
        raise ShapeError(f"DMRG needs at least 2 sites, found {psi.L}.")
    if max(psi.bond_dimensions) == 1 and sector_size(psi.sites, psi.charge) == 1:
        raise StateError(
            f"the start state is the only state of charge {psi.charge} ({psi.sites[0].group!r}), so there is nothing "
            "to optimise: start from another product state, or conserve less."
        )
    if H.is_hermitian is False:
        raise OperatorError(
            "DMRG needs a Hermitian operator, but this sum is not equal to its adjoint: "
            "add the missing Hermitian conjugate terms."
        )
