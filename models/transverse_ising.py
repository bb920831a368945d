"""The Ising model in a transverse field."""

from dataclasses import dataclass
from typing import ClassVar

from tnsim.models.coupling import Coupling
from tnsim.models.exact.free_fermions import infinite_ising_energy, open_ising, ring_ising_energy
from tnsim.models.model import Fact, Facts
from tnsim.models.published import ising_facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class TransverseIsing(SpinModel):
    """-J sum X_i X_j over nearest neighbours - h sum_i Z_i with Pauli matrices; the chain is critical at h = J.

    >>> round(TransverseIsing(L=100).facts.energy, 10)
    -126.9618767397
    """

    start: ClassVar[str] = "up"  # parity +1, as the ground state; a Neel state has (-1)^(L/2)
    S: float = setting(0.5, "spin length", init=False)
    flux: float = setting(0.0, "none: there is no charge that a flux could twist", init=False)
    J: Coupling = setting(1.0, "coupling of the X components (Pauli units)", over=1)
    h: Coupling = setting(1.0, "field along z (Pauli units); the chain is critical at h = J", over="sites")
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for pair, J in self.on_pairs("J"):
            H += -J, "X", pair.i, "X", pair.j
        self.add_field(H, "h", "Z")
        return H

    @property
    def facts(self) -> Facts:
        if not self.is_uniform("J", "h"):
            return Facts()
        if self.is_open_chain:
            return Facts((*self._open_facts(), self._bulk()))
        if self.is_ring and self.L % 2 == 0:
            energy = ring_ising_energy(self.L, self.J, self.h)
            return Facts((Fact("energy", energy, "exact", "free fermions (Pfeuty 1970)"), self._bulk()))
        return Facts(tuple(ising_facts(self.geometry, self.J)))

    def _bulk(self) -> Fact:
        return Fact("bulk energy per site", infinite_ising_energy(self.J, self.h), "exact", "Pfeuty 1970")

    def _open_facts(self) -> list[Fact]:
        ground = open_ising(self.L, self.J, self.h)
        items = [Fact("energy", ground.energy, "exact", "free fermions (Pfeuty 1970)")]
        if self.h and abs(self.h) >= abs(self.J):
            items.append(Fact("middle entropy", ground.entropy(self.L // 2), "exact", "free fermions"))
        return items
