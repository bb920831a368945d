"""The XXZ chain, and its free-fermion point."""

from dataclasses import dataclass
from functools import cached_property

from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.exact.free_fermions import open_xx
from tnsim.models.heisenberg import add_exchange
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


@dataclass(frozen=True, kw_only=True)
class XXZ(Model):
    """J sum_i (Sx Sx + Sy Sy + delta Sz Sz) - field sum_i Sz_i on an open chain.

    >>> round(XXZ(L=20, delta=0.0).facts.energy, 10)
    -6.1907449998
    """

    S: float = setting(0.5, "spin length")
    J: float = setting(1.0, "exchange")
    delta: float = setting(1.0, "anisotropy")
    field: float = setting(0.0, "magnetic field along z")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, self.S, self.conserve)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for i in range(self.L - 1):
            add_exchange(H, i, i + 1, self.J, self.J * self.delta)
        if self.field:
            for i in range(self.L):
                H += -self.field, "Sz", i
        return H

    @property
    def facts(self) -> Facts:
        if self.S != 0.5 or self.field or self.J <= 0 or self.L % 2:
            return Facts()
        if self.delta == 0:
            sea = open_xx(self.L)
            ground = Fact("energy", self.J * sea.energy, "exact", "free fermions")
            return Facts((ground, Fact("middle entropy", sea.entropy(self.L // 2), "exact", "free fermions")))
        if self.delta == 1:
            energy = self.J * open_heisenberg_energy(self.L)
            return Facts((Fact("energy", energy, "exact", "open-boundary Bethe equations"),))
        return Facts()


@dataclass(frozen=True, kw_only=True)
class XX(XXZ):
    """J sum_i (Sx Sx + Sy Sy): free fermions."""

    delta: float = setting(0.0, "anisotropy: 0 is the free-fermion point")
