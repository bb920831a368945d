"""Infinite DMRG: a chain that grows in its middle until a cell no longer changes.

Source: I. P. McCulloch, arXiv:0804.2509; S. R. White, Phys. Rev. Lett. 69, 2863 (1992).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.ground_state.idmrg_run import IDMRGRun
from tnsim.algorithms.solution import Observer, Progress, Solution, Status, SweepReport
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.truncation import Truncation
from tnsim.networks.infinite_environments import infinite_environments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS, several_states


@dataclass(frozen=True, kw_only=True)
class IDMRG:
    """Settings of a two-site iDMRG ground-state search.

    A sweep adds one cell in the middle of the chain and optimises every bond inside it. Energies are per site.
    Cost of a sweep O(n chi^3 d w) for the products and O(n chi^3 d^3) for the splits. It finds its sectors from any
    start; VUMPS converges faster near the end, and takes its state as a start.

    >>> IDMRG(truncation=Truncation(chi_max=32)).max_sweeps
    1000
    """

    truncation: Truncation = field(metadata={"help": "how bonds are cut; chi_max has no default"})
    max_sweeps: int = field(default=1000, metadata={"help": "stop after this many cells"})
    min_sweeps: int = field(default=10, metadata={"help": "never call a run converged before this many cells"})
    energy_tol: float = field(default=1e-11, metadata={"help": "converged: change of the energy per site below this"})
    entropy_tol: float = field(default=1e-7, metadata={"help": "converged: entropies change by less than this"})
    krylov_min: int = field(default=2, metadata={"help": "fewest products with H in one bond update"})
    krylov_max: int = field(default=20, metadata={"help": "most products with H in one bond update"})

    def __post_init__(self) -> None:
        check_fields(self)
        limits = {
            "max_sweeps": (1, np.inf), "min_sweeps": (2, np.inf), "energy_tol": (0, np.inf),
            "entropy_tol": (0, np.inf), "krylov_min": (1, self.krylov_max), "krylov_max": (2, np.inf),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} must lie between {low} and {high}, found {value!r}.")

    def start(self, H: InfiniteMPO, psi: InfiniteMPS, progress: Progress | None = None) -> IDMRGRun:
        """A run that can be driven cell by cell."""
        return IDMRGRun(self, H, psi, progress)

    def sweeps(self, H: InfiniteMPO, psi: InfiniteMPS) -> Iterator[SweepReport]:
        """One report a sweep, until converged or max_sweeps."""
        return self.start(H, psi).sweeps()

    def solve(
        self, H: InfiniteMPO, psi: InfiniteMPS, observers: Sequence[Observer] = (), progress: Progress | None = None
    ) -> Solution:
        """The ground state near psi, grown from its environments; a progress goes on from a returned state.

        The energy is measured again, with the returned state, per site. Raises OperatorError, ShapeError,
        LegError for input that does not fit, NumericalError for NaN, StateError where the cell is a superposition.
        """
        run = self.start(H, psi, progress)
        for _ in run.sweeps(observers):
            pass
        state, done = run.state, run.progress()
        energy = infinite_environments(state, run.hamiltonian).energy / state.L
        return Solution(state, energy, self._judge(run, state), done.history, None, done)

    def _judge(self, run: IDMRGRun, state: InfiniteMPS) -> Status:
        if run.stop_reason:
            return Status("interrupted", False, f"{run.stop_reason}; resume it to go on.")
        if run.converged and several_states(state):
            return Status("several states", False, "start from a state that breaks the symmetry, or conserve it.")
        if run.converged:
            return Status("converged", True, "nothing to do; raise chi_max, or polish the state with VUMPS.")
        last = run.progress().history[-1]
        change = (
            f"the last cell changed the energy per site by {last.change} and an entropy by {last.entropy_change:.1e}"
        )
        if not np.isfinite(last.energy_change):
            change = "after so few cells no change of the energy is known"
        advice = f"{change}: raise max_sweeps, or go on with VUMPS from this state."
        return Status("max_sweeps reached", False, advice)
