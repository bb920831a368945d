"""Excitations of infinite chains: single-particle states with a momentum on top of a ground state.

Source: J. Haegeman et al., Phys. Rev. B 85, 100408 (2012), V. Zauner-Stauber et al., Phys. Rev. B 97, 235155 (2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from numbers import Real
from typing import Any

import numpy as np

from tnsim.algorithms.solution import Status
from tnsim.backend import Array, normal
from tnsim.errors import OperatorError, SettingsError
from tnsim.linalg.complement import project_out
from tnsim.linalg.lanczos import Krylov, lanczos
from tnsim.networks.infinite_environments import check_ground_state_input
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.tangent import TangentHamiltonian, check_pair
from tnsim.symmetry import Charge


@dataclass(frozen=True)
class Excitations:
    """The lowest excitations at one momentum (per site): energies above the ground state, ascending.

    residuals: norms of (H - E - energy) X in the tangent space; charge: what the excitation adds.
    """

    momentum: float
    charge: Charge
    energies: np.ndarray
    residuals: np.ndarray
    status: Status

    @property
    def gap(self) -> float:
        """The lowest energy."""
        return float(self.energies[0])

    def __repr__(self) -> str:
        shown = " ".join(f"{energy:.10f}" for energy in self.energies)
        return f"Excitations at momentum {self.momentum:.6f}, charge {self.charge}: {shown} ({self.status.name})"


@dataclass(frozen=True)
class Dispersion:
    """Excitations along a line of momenta."""

    points: tuple[Excitations, ...]

    @property
    def momenta(self) -> np.ndarray:
        return np.array([point.momentum for point in self.points])

    @property
    def energies(self) -> np.ndarray:
        """One row a momentum."""
        return np.array([point.energies for point in self.points])

    @property
    def gap(self) -> float:
        """The lowest energy of all momenta."""
        return min(point.gap for point in self.points)

    def plot(self, path: Any = None) -> Any:
        """Energies against momentum; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_dispersion(self.momenta, self.energies, path=path)

    def __repr__(self) -> str:
        return f"Dispersion at {len(self.points)} momenta, gap {self.gap:.10f}"


@dataclass(frozen=True, kw_only=True)
class Quasiparticles:
    """Settings of a search for single-particle excitations.

    Below the continuum the energies are variational up to the error of the ground state, and converge exponentially
    in chi; inside it they only tell where it lies.

    >>> Quasiparticles().count
    1
    """

    count: int = field(default=1, metadata={"help": "how many levels at each momentum"})
    tolerance: float = field(default=1e-5, metadata={"help": "residual norm; energies are good to its square"})
    krylov_max: int = field(default=60, metadata={"help": "Krylov vectors before a restart"})
    restarts: int = field(default=6, metadata={"help": "restarts of the eigensolver"})
    linear_tol: float = field(default=1e-10, metadata={"help": "residual of the sums over momentum"})
    seed: int = field(default=0, metadata={"help": "of the start vectors"})

    def __post_init__(self) -> None:
        limits = {
            "count": (1, np.inf), "tolerance": (0, 1), "krylov_max": (2, np.inf), "restarts": (1, np.inf),
            "linear_tol": (0, 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} must lie between {low} and {high}, found {value!r}.")

    def solve(
        self,
        H: InfiniteMPO,
        psi: InfiniteMPS,
        momentum: float = 0.0,
        *,
        charge: Charge | int | None = None,
        right: InfiniteMPS | None = None,
    ) -> Excitations:
        """The lowest levels at a momentum (radians per site; a cell of n sites folds it to 2 pi / n).

        charge: what the excitation adds (neutral unless given); right: another ground state on the right, for domain
        walls. psi should be converged: its gradient limits the energies. Raises ChargeError where the
        charge does not fit the bonds, OperatorError, ShapeError or LegError for other input that does not fit.
        """
        for state in (psi, right or psi):
            check_ground_state_input(state, H, "a search for excitations")
        check_pair(psi, right or psi)
        if not isinstance(momentum, Real) or not np.isfinite(momentum):
            raise OperatorError(f"a momentum is a finite number, found {momentum!r}; dispersion takes several.")
        group = psi.sites[0].group
        added = group.identity if charge is None else group.charge(charge)
        heff = TangentHamiltonian(H, psi, right or psi, momentum, added, self.linear_tol)
        found: list[Array] = []
        energies, residuals = [], []
        for level in range(min(self.count, heff.size)):
            energy, residual, vector = self._lowest(heff, found, level)
            found.append(vector)
            energies.append(energy)
            residuals.append(residual)
        order = np.argsort(energies)
        return Excitations(
            momentum, added, np.array(energies)[order], np.array(residuals)[order], self._judge(max(residuals))
        )

    def dispersion(
        self,
        H: InfiniteMPO,
        psi: InfiniteMPS,
        momenta: Sequence[float],
        *,
        charge: Charge | int | None = None,
        right: InfiniteMPS | None = None,
    ) -> Dispersion:
        """`solve` at every momentum."""
        return Dispersion(tuple(self.solve(H, psi, float(p), charge=charge, right=right) for p in momenta))

    def _lowest(self, heff: TangentHamiltonian, found: Sequence[Array], level: int) -> tuple[float, float, Array]:
        """The lowest eigenvector orthogonal to those found; energy, residual, vector."""
        backend = heff.backend
        rows = backend.concatenate(list(found)).reshape(len(found), heff.size) if found else None
        vector = project_out(normal(heff.size, heff.dtype, self.seed + level, backend), rows, backend)
        krylov = Krylov(k_max=self.krylov_max, tolerance=0.3 * self.tolerance)
        for _ in range(self.restarts):
            ritz = lanczos(heff.apply, vector, backend, krylov, constraints=rows)
            vector = project_out(ritz.vector, rows, backend)
            image = project_out(heff.apply(vector), rows, backend)
            residual = float(backend.read(backend.norm(image - vector * ritz.energy)))
            if residual <= self.tolerance:
                break
        return ritz.energy, residual, vector

    def _judge(self, residual: float) -> Status:
        if residual <= self.tolerance:
            return Status("converged", True, "nothing to do; raise chi of the ground state for more digits.")
        return Status(
            "residual above tolerance", False,
            f"the residual {residual:.1e} stands above tolerance = {self.tolerance:.1e}: raise restarts or krylov_max; "
            "inside a continuum levels lie close, and few converge.",
        )  # fmt: skip
