"""Spin models with power-law couplings: every pair exactly, or an exponential sum to a stated error."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.exact.free_fermions import open_ising
from tnsim.models.exponential_fit import ExponentialSum, fit_exponentials
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel, exchange_matrix, exchange_terms
from tnsim.networks.operator_sum import OperatorSum

# short chains take part of a longer fit, which has enough values to go by
_FITTED = 64


@dataclass(frozen=True, kw_only=True)
class PowerLawModel(SpinModel):
    """Couplings J / d^alpha of every two spins, with d their distance (the shortest way on a closed lattice).

    With tolerance 0 every pair is exact, and the MPO's bond dimension is the numerical rank of the couplings
    (about 20 at L = 100, exact to 1e-13). A positive tolerance, on open chains, fits a sum of exponentials:
    no coupling (up to distance 63 at least, which counts on infinite chains) is off by more than tolerance * J, and
    the bond dimension is lower.
    """

    J: float = setting(1.0, "coupling at distance 1")
    alpha: float = setting(2.0, "power of the decay")
    flux: float = setting(0.0, "none", init=False)
    tolerance: float = setting(0.0, "largest error of a coupling, in units of J; 0: every pair exactly")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "tolerance"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{type(self).__name__}: {name} must not be negative, found {getattr(self, name)}.")
        if self.tolerance and not self.is_open_chain:
            raise SettingsError(
                f"{type(self).__name__}: a sum of exponentials fits an open chain, found {self.geometry!r}: set the "
                "tolerance to 0 to take every pair exactly."
            )

    @property
    def distances(self) -> np.ndarray:
        """Distance of every two sites."""
        return self.geometry.distances

    @cached_property
    def fit(self) -> ExponentialSum | None:
        """The exponentials in place of 1 / d^alpha, with their error; None where every pair is exact."""
        if not self.tolerance:
            return None
        return fit_exponentials([r**-self.alpha for r in range(1, max(self.L, _FITTED))], self.tolerance)

    def add_power_law(self, H: OperatorSum, terms: Sequence[tuple[complex, str, str]]) -> None:
        """Add J sum_{i<j} (coefficient first_i second_j) / d^alpha for every (coefficient, first, second)."""
        for coefficient, first, second in terms if self.J else ():
            if self.fit is not None:
                for weight, decay in zip(self.fit.coefficients, self.fit.decays, strict=True):
                    H.add_exponential(self.J * coefficient * weight, first, second, decay)
                continue
            strengths = self.J * coefficient / self.distances[np.triu_indices(self.L, 1)] ** self.alpha
            for i, j, strength in zip(*np.triu_indices(self.L, 1), strengths.tolist(), strict=True):
                H += strength, first, i, second, j


@dataclass(frozen=True, kw_only=True)
class LongRangeIsing(PowerLawModel):
    """-J sum_{i<j} X_i X_j / d_ij^alpha - h sum_i Z_i with Pauli matrices.

    >>> LongRangeIsing(L=40).mpo().bond_dimensions[20] > LongRangeIsing(L=40, tolerance=1e-4).mpo().bond_dimensions[20]
    True
    """

    start: ClassVar[str] = "up"  # parity +1, as the ground state; a Neel state has (-1)^(L/2)
    S: float = setting(0.5, "spin length", init=False)
    h: float = setting(1.0, "field along z (Pauli units)")
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        self.add_power_law(H, [(-1.0, "X", "X")])
        for i in range(self.L):
            H += -self.h, "Z", i
        return H

    @property
    def facts(self) -> Facts:
        if self.L == 2 and self.is_open_chain:
            return Facts((Fact("energy", open_ising(2, self.J, self.h).energy, "exact", "two sites"),))
        return Facts()


@dataclass(frozen=True, kw_only=True)
class PowerLawHeisenberg(PowerLawModel):
    """J sum_{i<j} S_i . S_j / d_ij^alpha; alpha = 2 on a long chain is the Haldane-Shastry model in its bulk.

    >>> PowerLawHeisenberg(L=60, tolerance=1e-6).fit.error < 1e-6
    True
    """

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        self.add_power_law(H, exchange_terms(exchange_matrix(1.0, 1.0, 1.0)))
        return H

    @property
    def facts(self) -> Facts:
        if self.alpha == 2 and self.S == 0.5 and self.J > 0 and (self.is_open_chain or self.is_ring):
            energy = -self.J * np.pi**2 / 24
            return Facts((Fact("bulk energy per site", energy, "exact", "Haldane 1988, Shastry 1988"),))
        return Facts()
