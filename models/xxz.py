"""The XXZ model with Dzyaloshinskii-Moriya exchange along z, and the free-fermion point of its chain."""

from dataclasses import dataclass

from tnsim.models.coupling import Coupling
from tnsim.models.exact.bethe import bulk_xxz_energy, heisenberg_energy
from tnsim.models.exact.free_fermions import open_xx, ring_xx_energy
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel, add_exchange, exchange_matrix
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class XXZ(SpinModel):
    """sum J (Sx Sx + Sy Sy + delta Sz Sz) + D (S_i x S_j)_z over nearest neighbours - field sum_i Sz_i.

    A pair goes from i to j in the direction of x > 0 (or x = 0, y > 0), which the sign of D refers to.

    >>> round(XXZ(L=20, delta=0.0).facts.energy, 10)
    -6.1907449998
    """

    J: Coupling = setting(1.0, "exchange", over=1)
    delta: Coupling = setting(1.0, "anisotropy", over=1)
    D: Coupling = setting(0.0, "Dzyaloshinskii-Moriya exchange along z", over=1)
    field: Coupling = setting(0.0, "magnetic field along z", over="sites")

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for pair, J, delta, D in self.on_pairs("J", "delta", "D"):
            add_exchange(H, pair, exchange_matrix(J, J, J * delta, (0.0, 0.0, D)), self.flux)
        self.add_field(H, "field", "Sz")
        return H

    @property
    def facts(self) -> Facts:
        plain = self.S == 0.5 and self.is_uniform("J", "delta") and self.D == 0 and self.field == 0
        if not (plain and self.J > 0 and self.L % 2 == 0 and (self.is_open_chain or self.is_ring)):
            return Facts()
        bulk = []
        if self.delta > -1:
            source = "Yang, Yang 1966" if self.delta <= 1 else "des Cloizeaux, Gaudin 1966"
            bulk = [Fact("bulk energy per site", self.J * bulk_xxz_energy(self.delta), "exact", source)]
        if self.delta == 1:
            bethe = Fact("energy", self.J * heisenberg_energy(self.L, ring=self.is_ring), "exact", "Bethe equations")
            return Facts((bethe, *bulk))
        if self.delta != 0:
            return Facts(tuple(bulk))
        if self.is_ring:
            return Facts((Fact("energy", self.J * ring_xx_energy(self.L), "exact", "free fermions"), *bulk))
        sea = open_xx(self.L)
        energy = Fact("energy", self.J * sea.energy, "exact", "free fermions")
        return Facts((energy, Fact("middle entropy", sea.entropy(self.L // 2), "exact", "free fermions"), *bulk))


@dataclass(frozen=True, kw_only=True)
class XX(XXZ):
    """sum J (Sx Sx + Sy Sy): free fermions on a chain."""

    delta: float = setting(0.0, "anisotropy", over=1, init=False)
