"""VUMPS: the ground state of an infinite chain, by fixed points of its tangent-space equations.

Source: V. Zauner-Stauber, L. Vanderstraeten, M. T. Fishman, F. Verstraete, J. Haegeman,
Phys. Rev. B 97, 045145 (2018); bonds grow along the two-site gradient (appendix B there).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.ground_state.vumps_run import VUMPSRun
from tnsim.algorithms.solution import Observer, Progress, Solution, Status, SweepReport
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.truncation import Truncation
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS, several_states


@dataclass(frozen=True, kw_only=True)
class VUMPS:
    """Settings of a VUMPS ground-state search on the infinite chain.

    A sweep updates every site of the cell once. Energies are per site. Cost of a sweep O(n chi^3 d w) times the
    products of its eigensolvers; the energy error at a given chi is of the order of gradient^2.

    >>> VUMPS(truncation=Truncation(chi_max=32)).gradient_tol
    1e-08
    """

    truncation: Truncation = field(metadata={"help": "chi_max: bond dimension to grow to; svd_min: weakest direction"})
    max_sweeps: int = field(default=200, metadata={"help": "stop after this many sweeps"})
    gradient_tol: float = field(default=1e-8, metadata={"help": "converged: norm of the energy gradient below this"})
    growth: float = field(default=2.0, metadata={"help": "bonds grow by at most this factor at once"})
    grow_below: float = field(default=1e-2, metadata={"help": "bonds grow once the gradient is below this"})
    exchanges: int = field(
        default=3, metadata={"help": "times that full bonds grow by a quarter and are cut again, to balance sectors"}
    )
    krylov_max: int = field(default=200, metadata={"help": "most products with H in one update"})

    def __post_init__(self) -> None:
        check_fields(self)
        limits = {
            "max_sweeps": (1, np.inf), "gradient_tol": (0, np.inf), "growth": (1.001, np.inf),
            "grow_below": (0, np.inf), "exchanges": (0, np.inf), "krylov_max": (2, np.inf),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} must lie between {low} and {high}, found {value!r}.")

    def start(self, H: InfiniteMPO, psi: InfiniteMPS, progress: Progress | None = None) -> VUMPSRun:
        """A run that can be driven sweep by sweep, and resumed from its state and progress."""
        return VUMPSRun(self, H, psi, progress)

    def sweeps(self, H: InfiniteMPO, psi: InfiniteMPS) -> Iterator[SweepReport]:
        """One report a sweep, until converged or max_sweeps."""
        return self.start(H, psi).sweeps()

    def solve(
        self, H: InfiniteMPO, psi: InfiniteMPS, observers: Sequence[Observer] = (), progress: Progress | None = None
    ) -> Solution:
        """The ground state near psi; bonds grow from those of psi to chi_max.

        Returns a Solution whose energy is that of the returned state, per site; its status says whether the gradient
        vanishes. Raises OperatorError, ShapeError, LegError for input that does not fit, NumericalError for NaN.
        """
        run = self.start(H, psi, progress)
        for _ in run.sweeps(observers):
            pass
        done = run.progress()
        return Solution(run.state, done.energy, self._judge(run), done.history, None, done)

    def _judge(self, run: VUMPSRun) -> Status:
        if run.stop_reason:
            return Status("interrupted", False, f"{run.stop_reason}; resume it to go on.")
        if run.failure:
            return Status("canonical form lost", False, f"{run.failure} The state returned is the one before.")
        if run.converged and several_states(run.state):
            return Status(
                "several states", False,
                "the transfer matrix has a second eigenvalue 1: the state superposes symmetry-broken ones; start from "
                "one that breaks the symmetry, or conserve it.",
            )  # fmt: skip
        if run.converged:
            return Status("converged", True, "nothing to do; raise chi_max to lower the energy.")
        last = run.progress().history[-1]
        return Status(
            "max_sweeps reached", False,
            f"the gradient {last.gradient:.1e} stands above gradient_tol = {self.gradient_tol:.1e}: raise max_sweeps; "
            "where it does not fall, start from another state or a larger cell (the order may not fit this one).",
        )  # fmt: skip
