"""The Ising chain in a transverse field."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tnsim.models.exact.free_fermions import infinite_ising_energy, open_ising
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


@dataclass(frozen=True, kw_only=True)
class TransverseIsing(Model):
    """-J sum_i X_i X_{i+1} - h sum_i Z_i with Pauli matrices on an open chain; critical at h = J.

    >>> round(TransverseIsing(L=100).facts.energy, 10)
    -126.9618767397
    """

    start: ClassVar[str] = "up"  # parity +1, as the ground state; a Neel state has (-1)^(L/2)
    J: float = setting(1.0, "coupling of the X components (Pauli units)")
    h: float = setting(1.0, "field along z (Pauli units); critical at h = J")
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, 0.5, self.conserve)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for i in range(self.L - 1):
            H += -self.J, "X", i, "X", i + 1
        for i in range(self.L):
            H += -self.h, "Z", i
        return H

    @property
    def facts(self) -> Facts:
        ground = open_ising(self.L, self.J, self.h)
        items = [Fact("energy", ground.energy, "exact", "free fermions (Pfeuty 1970)")]
        if self.h and abs(self.h) >= abs(self.J):
            items.append(Fact("middle entropy", ground.entropy(self.L // 2), "exact", "free fermions"))
        bulk = infinite_ising_energy(self.J, self.h)
        items.append(Fact("bulk energy per site", bulk, "exact", "Pfeuty 1970"))
        return Facts(tuple(items))
