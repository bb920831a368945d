"""Frustrated spin models with exchange between second and third neighbours."""

from dataclasses import dataclass

from tnsim.models.coupling import Coupling, is_uniform
from tnsim.models.exact.bethe import heisenberg_energy
from tnsim.models.model import Fact, Facts
from tnsim.models.published import j1j2_facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class J1J2(SpinModel):
    """J1 sum S_i . S_j over nearest and J2 over second neighbours; on an open chain unless a lattice is given.

    >>> J1J2(L=10, J2=0.5).facts.energy
    -3.75
    """

    J1: Coupling = setting(1.0, "nearest-neighbour exchange", over=1)
    J2: Coupling = setting(0.25, "second-neighbour exchange", over=2)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        self.add_isotropic(H, "J1")
        self.add_isotropic(H, "J2")
        return H

    @property
    def facts(self) -> Facts:
        if self.S != 0.5 or not self.is_uniform("J1", "J2") or self.J1 <= 0 or self.flux:
            return Facts()
        if not (self.is_open_chain or self.is_ring):
            return Facts(tuple(j1j2_facts(self.geometry, self.J1, self.J2)))
        if self.L % 2:
            return Facts()
        if self.J2 == self.J1 / 2:
            bulk, source = -0.375 * self.J1, "Majumdar, Ghosh 1969: singlets on every other bond"
            return Facts(
                (Fact("energy", bulk * self.L, "exact", source), Fact("bulk energy per site", bulk, "exact", source))
            )
        if self.J2 == 0:
            energy = self.J1 * heisenberg_energy(self.L, ring=self.is_ring)
            return Facts((Fact("energy", energy, "exact", "Bethe equations"),))
        return Facts()


@dataclass(frozen=True, kw_only=True)
class J1J2J3(J1J2):
    """J1-J2 with J3 between third neighbours (all pairs of the third distance, on kagome of both kinds).

    >>> J1J2J3(L=10, J2=0.5, J3=0.1).mpo().bond_dimensions[5]
    11
    """

    J3: Coupling = setting(0.0, "third-neighbour exchange", over=3)

    def operator_sum(self) -> OperatorSum:
        H = super().operator_sum()
        self.add_isotropic(H, "J3")
        return H

    @property
    def facts(self) -> Facts:
        return super().facts if self.J3 == 0 else Facts()


@dataclass(frozen=True, kw_only=True)
class MajumdarGhosh(J1J2):
    """J1-J2 at J2 = J1 / 2: on a chain the ground state is a product of singlets."""

    J1: float = setting(1.0, "nearest-neighbour exchange", over=1)
    J2: float = setting(0.5, "second-neighbour exchange: half of J1", over=2, init=False)

    def __post_init__(self) -> None:
        if is_uniform(self.J1):
            object.__setattr__(self, "J2", self.J1 / 2)
        super().__post_init__()
