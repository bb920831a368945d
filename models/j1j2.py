"""The frustrated spin chain with nearest and next-nearest neighbours."""

from dataclasses import dataclass
from functools import cached_property

from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.heisenberg import add_exchange
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


@dataclass(frozen=True, kw_only=True)
class J1J2(Model):
    """J1 sum S_i . S_{i+1} + J2 sum S_i . S_{i+2} on an open chain.

    >>> J1J2(L=10, J2=0.5).facts.energy
    -3.75
    """

    S: float = setting(0.5, "spin length")
    J1: float = setting(1.0, "nearest-neighbour exchange")
    J2: float = setting(0.25, "next-nearest-neighbour exchange")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, self.S, self.conserve)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for distance, J in ((1, self.J1), (2, self.J2)):
            for i in range(self.L - distance):
                add_exchange(H, i, i + distance, J, J)
        return H

    @property
    def facts(self) -> Facts:
        if self.S != 0.5 or self.J1 <= 0 or self.L % 2:
            return Facts()
        if self.J2 == self.J1 / 2:
            energy = -0.375 * self.J1 * self.L
            return Facts((Fact("energy", energy, "exact", "Majumdar, Ghosh 1969: singlets on every other bond"),))
        if self.J2 == 0:
            energy = self.J1 * open_heisenberg_energy(self.L)
            return Facts((Fact("energy", energy, "exact", "open-boundary Bethe equations"),))
        return Facts()


@dataclass(frozen=True, kw_only=True)
class MajumdarGhosh(J1J2):
    """J1-J2 at J2 = J1 / 2: the ground state is a product of singlets."""

    J2: float = setting(0.5, "next-nearest-neighbour exchange: half of J1")
