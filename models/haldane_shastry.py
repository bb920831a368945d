"""The Haldane-Shastry chain: a ring with inverse-square exchange."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.heisenberg import add_exchange
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


@dataclass(frozen=True, kw_only=True)
class HaldaneShastry(Model):
    """J sum_{i<j} S_i . S_j / d_ij^2 with the chord distance d = (L/pi) sin(pi |i - j| / L) on a ring.

    >>> round(HaldaneShastry(L=4).facts.energy, 10)
    -2.1589759627
    """

    J: float = setting(1.0, "exchange at chord distance 1")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, 0.5, self.conserve)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for i in range(self.L):
            for j in range(i + 1, self.L):
                J = self.J * (np.pi / self.L / np.sin(np.pi * (j - i) / self.L)) ** 2
                add_exchange(H, i, j, J, J)
        return H

    @property
    def facts(self) -> Facts:
        if self.L % 2 or self.J <= 0:
            return Facts()
        energy = -self.J * np.pi**2 / 24 * (self.L + 5 / self.L)
        return Facts((Fact("energy", energy, "exact", "Haldane 1988, Shastry 1988"),))
