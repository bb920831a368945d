"""The Heisenberg chain of any spin."""

from dataclasses import dataclass
from functools import cached_property

from tnsim.models.exact.bethe import BULK_HEISENBERG, open_heisenberg_energy
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


def add_exchange(H: OperatorSum, i: int, j: int, transverse: float, longitudinal: float) -> None:
    """Add transverse (Sx Sx + Sy Sy) + longitudinal Sz Sz between sites i and j."""
    if transverse:
        H += transverse / 2, "S+", i, "S-", j
        H += transverse / 2, "S-", i, "S+", j
    if longitudinal:
        H += longitudinal, "Sz", i, "Sz", j


@dataclass(frozen=True, kw_only=True)
class Heisenberg(Model):
    """J sum_i S_i . S_{i+1} - field sum_i Sz_i on an open chain.

    >>> round(Heisenberg(L=100).facts.energy, 10)
    -44.1277398933
    """

    S: float = setting(0.5, "spin length")
    J: float = setting(1.0, "exchange (positive: antiferromagnet)")
    field: float = setting(0.0, "magnetic field along z")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, self.S, self.conserve)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for i in range(self.L - 1):
            add_exchange(H, i, i + 1, self.J, self.J)
        if self.field:
            for i in range(self.L):
                H += -self.field, "Sz", i
        return H

    @property
    def facts(self) -> Facts:
        if self.field:
            return Facts()
        items = []
        if self.S == 0.5 and self.J > 0:
            if self.L % 2 == 0:
                energy = self.J * open_heisenberg_energy(self.L)
                items.append(Fact("energy", energy, "exact", "open-boundary Bethe equations"))
            items.append(Fact("bulk energy per site", self.J * BULK_HEISENBERG, "exact", "Hulthen 1938: 1/4 - ln 2"))
        if self.S == 1 and self.J > 0:
            items.append(Fact("bulk energy per site", self.J * -1.401484038971, "published", "White, Huse 1993"))
            items.append(Fact("Haldane gap", self.J * 0.41047925, "published", "Golinelli, Jolicoeur, Lacaze 1994"))
            if self.L == 100:
                items.append(Fact("energy (chi = 200 SU(2) DMRG)", self.J * -138.94008616656, "published", "block2"))
        if self.J < 0:
            energy = self.J * self.S**2 * (self.L - 1)
            items.append(Fact("energy", energy, "exact", "ferromagnet: all spins parallel"))
        return Facts(tuple(items))
