"""The Heisenberg model of any spin on any lattice."""

from dataclasses import dataclass

from tnsim.models.coupling import Coupling
from tnsim.models.exact.bethe import BULK_HEISENBERG, heisenberg_energy
from tnsim.models.model import Fact, Facts
from tnsim.models.published import heisenberg_facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class Heisenberg(SpinModel):
    """J sum S_i . S_j over nearest neighbours - field sum_i Sz_i; on an open chain unless a lattice is given.

    >>> round(Heisenberg(L=100).facts.energy, 10)
    -44.1277398933
    """

    J: Coupling = setting(1.0, "exchange (positive: antiferromagnet)", over=1)
    field: Coupling = setting(0.0, "magnetic field along z", over="sites")

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        self.add_isotropic(H, "J")
        self.add_field(H, "field", "Sz")
        return H

    @property
    def facts(self) -> Facts:
        if not self.is_uniform("J") or self.field != 0 or self.flux:
            return Facts()
        if self.J < 0:
            energy = self.J * self.S**2 * len(self.geometry.pairs(1))
            return Facts((Fact("energy", energy, "exact", "ferromagnet: all spins parallel"),))
        return Facts((*self._chain_facts(), *heisenberg_facts(self.geometry, self.S, self.J)) if self.J else ())

    def _chain_facts(self) -> list[Fact]:
        if self.S != 0.5 or not (self.is_open_chain or self.is_ring):
            return []
        bulk = Fact("bulk energy per site", self.J * BULK_HEISENBERG, "exact", "Hulthen 1938: 1/4 - ln 2")
        if self.L % 2:
            return [bulk]
        return [Fact("energy", self.J * heisenberg_energy(self.L, ring=self.is_ring), "exact", "Bethe equations"), bulk]
