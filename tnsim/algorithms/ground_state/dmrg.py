"""DMRG with two sites or one: the settings, and the call that runs them to an end.

Source: S. R. White, Phys. Rev. Lett. 69, 2863 (1992); U. Schollwoeck, Ann. Phys. 326, 96 (2011), section 6. One site:
S. R. White, Phys. Rev. B 72, 180403 (2005); C. Hubig et al., Phys. Rev. B 91, 155115 (2015); A. Gleis, J.-W. Li,
J. von Delft, Phys. Rev. Lett. 130, 246402 (2023).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tnsim.algorithms.ground_state.annealing import annealed
from tnsim.algorithms.ground_state.convergence import ended_in_product, has_settled, judge, needs_second_start
from tnsim.algorithms.ground_state.dmrg_run import DMRGRun
from tnsim.algorithms.ground_state.excited import ExcitedStates, average_levels, find_levels
from tnsim.algorithms.solution import Observer, Progress, Solution, SweepReport
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.truncation import Truncation
from tnsim.measure.variance import energy_and_variance
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS, overlap

EIGENSOLVERS = ("auto", "lanczos", "davidson")
SPLITS = ("auto", "leading", "gram", "svd")
_EXPANSION = 0.1


@dataclass(frozen=True, kw_only=True)
class DMRG:
    """Settings of a DMRG ground-state search.

    A sweep goes right and back. Energies are in the Hamiltonian's units. Cost of a sweep
    O(L chi^3 d^2 w) for the products and O(L chi^3 d^3) for the splits, with sites = 1 O(L chi^3 d w) and
    O(L chi^3 d); the energy error of a converged run is of the order of the summed discarded weight.

    Large products after the first of an update are done in single precision on the CPU where what rounding hides is
    less than a tenth of the residual that is left: energies keep their digits.

    Environments take most of the memory, O(L chi^2 w). Beyond environment_gib of them, some are made again when they
    are needed, and then they wait on disk, in a folder inside `scratch` that the run removes.

    With sites = 1 every bond grows before its update by the `expansion` share of states (twice as many while it is
    below chi_max), taken from the part of H psi that one site does not reach, and is cut to chi_max after it. Once
    that has settled the bonds stay as they are, and the last sweeps find the best state of that bond dimension;
    discarded weights are then those of the last cuts. They count what the expansion found, a tenth to a half of what
    two sites discard: an extrapolation takes one kind. Noise mixes into the cut of one site as into that of two.

    >>> DMRG(truncation=Truncation(chi_max=50)).max_sweeps
    20
    """

    truncation: Truncation = field(metadata={"help": "how bonds are cut; chi_max has no default"})
    sites: int = field(default=2, metadata={"help": "sites of one update: 2, or 1 (cheaper for large local spaces)"})
    expansion: float = field(
        default=_EXPANSION,
        metadata={
            "help": "sites = 1: share of states that a bond gains before an update; 0 keeps bonds, without noise"
        },
    )
    max_sweeps: int = field(default=20, metadata={"help": "stop after this many full sweeps"})
    min_sweeps: int = field(default=2, metadata={"help": "never call a run converged before this many full sweeps"})
    energy_tol: float = field(default=1e-9, metadata={"help": "converged: energy change of a sweep below this"})
    entropy_tol: float = field(default=1e-4, metadata={"help": "converged: middle entropy changes by less than this"})
    gradient_tol: float = field(
        default=1e-5, metadata={"help": "converged: projected gradient below 10 times this or the truncation error"}
    )
    chi_ramp: tuple[int, ...] = field(
        default=(), metadata={"help": "bond dimensions of the first sweeps, then chi_max"}
    )
    noise: float = field(
        default=1e-3, metadata={"help": "density-matrix perturbation of the first sweep (relative weight)"}
    )
    noise_decay: float = field(default=0.1, metadata={"help": "factor on the noise from sweep to sweep"})
    noise_sweeps: int = field(default=2, metadata={"help": "sweeps with noise; 0 switches it off"})
    krylov_min: int = field(default=2, metadata={"help": "fewest products with H in one bond update"})
    krylov_max: int = field(default=20, metadata={"help": "most products with H in one bond update"})
    krylov_gain: float = field(
        default=0.3, metadata={"help": "a bond update stops once it reduced the residual by this factor"}
    )
    eigensolver: str = field(
        default="auto",
        metadata={
            "help": "lanczos or davidson; auto is davidson where the diagonal of H varies much (strong repulsion)",
            "choices": EIGENSOLVERS,
        },
    )
    split: str = field(
        default="auto",
        metadata={
            "help": "leading, gram or svd; auto is leading where svd_min and the rules for ties allow it",
            "choices": SPLITS,
        },
    )
    float32_sweeps: int = field(default=0, metadata={"help": "first sweeps in single precision"})
    variance_tol: float = field(
        default=1e-4, metadata={"help": "a variance above this (and above the truncation error) starts a second time"}
    )
    second_start: bool = field(default=True, metadata={"help": "start a second time where the variance is too large"})
    seed: int = field(default=0, metadata={"help": "of every random choice"})
    reflection: str = field(
        default="",
        metadata={
            "help": 'operator of every site, such as "Flip" (spin flip), that H and the state keep: half of the work'
        },
    )
    parity: int = field(
        default=0, metadata={"help": "with a reflection: 1 for states that are even under it, -1 for odd ones"}
    )
    environment_gib: float = field(
        default=0.0, metadata={"help": "memory for environments that wait for their turn (GiB); 0 sets no limit"}
    )
    scratch: str = field(
        default="", metadata={"help": "folder on a disk for environments beyond that; empty takes the temporary one"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        limits = {
            "sites": (1, 2), "expansion": (0, 1), "max_sweeps": (1, np.inf), "min_sweeps": (1, np.inf),
            "energy_tol": (0, np.inf), "entropy_tol": (0, np.inf),
            "gradient_tol": (0, np.inf), "noise": (0, 1), "noise_decay": (0, 1), "noise_sweeps": (0, np.inf),
            "krylov_min": (1, np.inf), "krylov_max": (2, np.inf), "krylov_gain": (0, 1), "float32_sweeps": (0, np.inf),
            "variance_tol": (0, np.inf), "seed": (0, np.inf),
            "environment_gib": (0, np.inf),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} must lie between {low} and {high}, found {value!r}.")
        if self.sites == 2 and self.expansion != _EXPANSION:
            raise SettingsError(
                f"expansion = {self.expansion} is for sites = 1: two-site updates find new states by themselves; set "
                "sites = 1, or leave it out."
            )
        if self.reflection and self.parity not in (1, -1):
            raise SettingsError(
                f"reflection = {self.reflection!r} needs parity = 1 (even) or -1 (odd), found {self.parity}: a singlet "
                "of N electrons or spins 1/2 has (-1)^(N/2), one of N spins S has (-1)^(N S)."
            )
        if self.parity and not self.reflection:
            raise SettingsError(f"parity = {self.parity} is that of a reflection: name one, or leave it out.")
        if self.reflection and self.sites == 1:
            raise SettingsError("a reflection needs updates of two sites: set sites = 2, or leave it out.")
        if self.krylov_min > self.krylov_max:
            raise SettingsError(f"krylov_min = {self.krylov_min} exceeds krylov_max = {self.krylov_max}.")
        if any(chi < 1 for chi in self.chi_ramp):
            raise SettingsError(f"chi_ramp needs bond dimensions of at least 1, found {self.chi_ramp}.")
        for name, choices in (("split", SPLITS), ("eigensolver", EIGENSOLVERS)):
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} must be one of {choices}, found {getattr(self, name)!r}.")

    def truncation_of(self, sweep: int) -> Truncation:
        """The cut in a given sweep: the chi ramp, then chi_max."""
        if sweep < len(self.chi_ramp):
            chi = min(self.chi_ramp[sweep], self.truncation.chi_max)
            return replace(self.truncation, chi_max=chi, chi_min=min(chi, self.truncation.chi_min))
        return self.truncation

    def noise_of(self, sweep: int) -> float:
        """The perturbation in a given sweep; none where bonds keep their states."""
        if self.sites == 1 and self.expansion == 0:
            return 0.0
        return self.noise * self.noise_decay**sweep if sweep < self.noise_sweeps else 0.0

    def expansion_of(self, progress: Progress) -> float:
        """The share by which bonds grow in the sweep under way: none once all has settled at this bond dimension."""
        if self.sites == 2 or not progress.history:
            return self.expansion if self.sites == 1 else 0.0
        last = progress.history[-1]
        grown = last.chi_max == self.truncation_of(progress.sweep).chi_max
        if grown and (last.expansion == 0 or has_settled(self, progress)):
            return 0.0
        return self.expansion

    def start(self, H: MPO, psi: MPS, progress: Progress | None = None, orthogonal_to: Sequence[MPS] = ()) -> DMRGRun:
        """A run that can be driven sweep by sweep, stopped at any bond and resumed from its progress."""
        return DMRGRun(self, H, psi, progress, orthogonal_to)

    def sweeps(self, H: MPO, psi: MPS) -> Iterator[SweepReport]:
        """One report a sweep, until converged or max_sweeps."""
        return self.start(H, psi).sweeps()

    def solve(
        self,
        H: MPO,
        psi: MPS,
        observers: Sequence[Observer] = (),
        progress: Progress | None = None,
        *,
        orthogonal_to: Sequence[MPS] = (),
        first: Solution | None = None,
    ) -> Solution:
        """The ground state near psi, in psi's charge sector; with `orthogonal_to`, the lowest orthogonal to states.

        These are projected out of every Krylov vector, so that no penalty has to be guessed. Returns a Solution whose
        energy was measured again with the MPO; its status says whether every criterion holds, and what to do where
        one does not. A run that was interrupted goes on from its state and progress, and from its `first` where that
        was a second start. Raises SettingsError, StateError, LegError for input that does not fit, NumericalError for
        NaN.
        """
        if first is None:
            run = self.start(H, psi, progress, orthogonal_to)
            for _ in run.sweeps(observers):
                pass
            solution = self._conclude(H, run)
            if run.stop_reason or not (self.second_start and needs_second_start(self, solution)):
                return solution
            first, psi = solution, self._random_state(psi)
            if ended_in_product(self, first):
                psi = annealed(self, H, psi, orthogonal_to)
            progress = Progress(restarts=1, stage=run.progress().stage, past=run.progress().past)
        return self._second_start(H, psi, first, observers, progress, orthogonal_to)

    def excited(
        self,
        H: MPO,
        psi: MPS | Sequence[MPS],
        n: int = 2,
        observers: Sequence[Observer] = (),
        *,
        averaged: bool = False,
        found: ExcitedStates | None = None,
    ) -> ExcitedStates:
        """The n lowest levels in psi's charge sector, the ground state included: a run each, orthogonal to the last.

        psi: one start state, or one a sector (n levels each, sorted together). found: levels known already, from this
        call with a smaller n or interrupted; they are kept, and a run that was stopped goes on. Degenerate levels
        come one by one, as any orthogonal states of their space. Where a search ends in a higher eigenstate the one
        below follows next, and all are sorted: only the highest may be missing (in strong disorder in one of fifteen
        runs; elsewhere not seen), so ask for one more than needed there.

        averaged: one run for all levels of a sector, in a basis that suits their mean density matrix, by Davidson
        whatever the `eigensolver`. It needs a larger chi_max for the same accuracy, and spends fewer sweeps; an
        interrupted one starts again. Raises StateError where a sector holds fewer states, a basis is too small for n,
        or the levels found have other energies under H, and what `solve` raises.

        >>> from tnsim.models import Heisenberg
        >>> model = Heisenberg(L=4)
        >>> DMRG(truncation=Truncation(chi_max=8)).excited(model.mpo(), model.product(), n=3).energies.round(6)
        array([-1.616025, -0.957107, -0.25    ])
        """
        starts = [psi] if isinstance(psi, MPS) else list(psi)
        if not averaged:
            return find_levels(self, H, starts, n, observers, found)
        if found is not None or self.float32_sweeps or self.reflection:
            raise SettingsError(
                "an averaged run takes neither `found` nor float32_sweeps nor a reflection: leave averaged out."
            )
        return average_levels(self, H, starts, n, observers)

    def _conclude(self, H: MPO, run: DMRGRun) -> Solution:
        state, progress = run.state, run.progress()
        if run.stop_reason:
            status = judge(self, progress, None, run.stop_reason)
            return Solution(state, progress.energy, status, progress.history, None, progress)
        energy, spread = energy_and_variance(H, state)
        overlaps = tuple(abs(overlap(phi, state)) for phi in run.lower)
        status = judge(self, progress, spread, "", overlaps)
        return Solution(state, energy, status, progress.history, spread, progress, overlaps)

    def _random_state(self, psi: MPS) -> MPS:
        """Another start in psi's sector."""
        chi = min(16, self.truncation.chi_max)
        return MPS.random(psi.sites, chi=chi, like=psi, seed=self.seed + 1, dtype=psi.dtype).to(psi.backend)

    def _second_start(
        self, H: MPO, psi: MPS, first: Solution, observers: Sequence[Observer], progress: Progress | None,
        orthogonal_to: Sequence[MPS],
    ) -> Solution:  # fmt: skip
        """A run with more noise, from another state; the lower energy of the two wins."""
        noise = min(1.0, max(self.noise, 1e-4) * 100)
        again = replace(self, noise=noise, noise_sweeps=max(4, self.noise_sweeps), second_start=False)
        run = again.start(H, psi, progress, orthogonal_to)
        run.first = first
        for _ in run.sweeps(observers):
            pass
        second = again._conclude(H, run)
        if run.stop_reason:
            return replace(second, first=first)
        better = second if second.energy < first.energy else first
        progress = replace(better.progress, restarts=1)
        status = judge(self, progress, better.variance, "", better.overlaps)
        return replace(better, status=status, progress=progress)
