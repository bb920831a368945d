"""TDVP of an infinite state: all sites and bonds of the cell at once, by the midpoint rule.

Sources: J. Haegeman, C. Lubich, I. Oseledets, B. Vandereycken, F. Verstraete, Phys. Rev. B 94, 165116 (2016), section
III; V. Zauner-Stauber et al., Phys. Rev. B 97, 045145 (2018), section II.E and appendix B.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tnsim.algorithms.evolution.evolution import check_hermitian, evolving_dtype
from tnsim.errors import SettingsError
from tnsim.linalg.expm import exponentiate_tensor
from tnsim.linalg.polar import polar
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.bond_expansion import expand
from tnsim.networks.infinite_effective import UniformHamiltonian
from tnsim.networks.infinite_environments import InfiniteEnvironments, check_fits, infinite_environments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.uniform_gauge import nearest_left
from tnsim.tensor import Tensor, contract

if TYPE_CHECKING:
    from tnsim.algorithms.evolution.tdvp import TDVP


class UniformEvolution:
    """An infinite state and its environments."""

    def __init__(self, settings: "TDVP", H: InfiniteMPO, psi: InfiniteMPS) -> None:
        check_fits(psi, H)
        check_hermitian(settings, H.is_hermitian)
        if settings.scheme == "two-site" or settings.expansion:
            raise SettingsError(
                'an infinite state evolves by "one-site" (its bonds stay) or "hybrid" (they grow to chi_max), with '
                f"expansion = 0; found scheme = {settings.scheme!r} and expansion = {settings.expansion}."
            )
        self.settings = settings
        self.hermitian = not settings.non_hermitian
        self.conserves = self.hermitian and not settings.imaginary
        dtype = evolving_dtype(settings, psi.dtype, H.dtype)
        self.state, self.hamiltonian = psi.astype(dtype), H.astype(dtype)
        self._environments: InfiniteEnvironments | None = None

    def energy(self, time: float) -> float | None:
        """<H> per site."""
        energy = float(np.real(self._heff(self.state).environments.energy)) / self.state.L
        return energy if self.hermitian else None

    def entropy(self) -> float:
        """Von Neumann entropy at the middle bond of the cell."""
        spectrum = self.state.schmidt_values()[(self.state.L - 1) // 2]
        return entropy_of_weights(spectrum.values**2)

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps: half a step tells the Hamiltonians in the middle, which move the state over the whole one.

        Nothing is cut. In imaginary time the norm is that per site.
        """
        log_norm = 0.0
        for _ in range(steps):
            self._grow(dt)
            half = self._moved(self._heff(self.state), dt / 2)
            middle = self._heff(half)
            self.state = self._moved(middle, dt)
            if self.settings.imaginary or not self.hermitian:
                log_norm += float(np.real(self.settings.generator * dt * middle.environments.energy)) / self.state.L
        return 0.0, log_norm

    @property
    def order(self) -> int:
        """Of the midpoint rule."""
        return 2

    def remember(self) -> Any:
        """The state; environments only save time."""
        return self.state

    def return_to(self, memory: Any) -> None:
        """Undo what was done since."""
        self.state = memory

    def _heff(self, psi: InfiniteMPS) -> UniformHamiltonian:
        """The effective Hamiltonians of a state; environments of the last one are where theirs start."""
        self._environments = infinite_environments(
            psi, self.hamiltonian, self._environments, tolerance=max(1e-14, 0.01 * self.settings.krylov_tol)
        )
        return UniformHamiltonian(self.hamiltonian, self._environments, psi)

    def _grow(self, dt: float) -> None:
        """Take in what H leads to outside of the bonds, where a step gives it a Schmidt value worth keeping."""
        cut = self.settings.truncation
        if self.settings.scheme == "one-site" or min(self.state.bond_dimensions) >= cut.chi_max:
            return
        extra = [max(0, min(cut.chi_max - chi, max(4, chi // 2))) for chi in self.state.bond_dimensions]
        self.state, _ = expand(self._heff(self.state), extra, max(cut.svd_min / abs(dt), 1e-12))

    def _moved(self, heff: UniformHamiltonian, dt: float) -> InfiniteMPS:
        """The state after a time under fixed Hamiltonians of sites and bonds.

        AL follows from the new AC and C; the right basis is turned to where the new C leads it, so that the
        Hamiltonians of the result fit tensors of the state before it.
        """
        psi, left, bonds = self.state, [], []
        for i in range(psi.L):
            center = self._exponential(heff.site(i), psi.AC(i), dt)
            bonds.append(self._exponential(heff.bond(i), psi.C[i], dt))
            left.append(nearest_left(center, bonds[-1]))
        found = InfiniteMPS.from_left(left, psi.sites, bonds[-1])
        turns = [polar(contract("l r, l s -> r s", c.conj(), new), (0,))[0] for c, new in zip(bonds, found.C)]
        C = [contract("l s, r s -> l r", c, turn.conj()) for c, turn in zip(found.C, turns, strict=True)]
        AR = [contract("l m, m s r, n r -> l s n", turns[i - 1], found.AR[i], turns[i].conj()) for i in range(psi.L)]
        return InfiniteMPS(found.AL, AR, C, psi.sites)

    def _exponential(self, action: Callable[[Tensor], Tensor], start: Tensor, dt: float) -> Tensor:
        """exp(-i H dt) or exp(-H dt) of a local tensor."""
        settings = self.settings
        return exponentiate_tensor(
            action, start, settings.generator * dt, hermitian=self.hermitian,
            tolerance=settings.krylov_tol, krylov_max=settings.krylov_max,
        )[0]  # fmt: skip
