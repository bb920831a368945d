"""The Bose-Hubbard model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.coupling import Coupling
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import check_number, conserves, spread
from tnsim.models.hopping import add_hopping, hopping_matrix
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, boson_site


@dataclass(frozen=True, kw_only=True)
class BoseHubbard(LatticeModel):
    """-t sum (Bdag_i B_j + h.c.) + U/2 sum N_i (N_i - 1) + V sum N_i N_j - mu N, up to n_max bosons a site.

    N chooses the sector of the product states and of the facts.

    >>> round(BoseHubbard(L=10, n_max=1, N=5).facts.energy, 10)
    -6.0266741833
    """

    t: Coupling = setting(1.0, "hopping", over=1)
    U: Coupling = setting(4.0, "repulsion on a site", over="sites")
    V: Coupling = setting(0.0, "repulsion of neighbours", over=1)
    mu: Coupling = setting(0.0, "chemical potential", over="sites")
    n_max: int = setting(4, "most bosons on a site (1: hard-core)")
    N: int | None = setting(None, "number of bosons (default: one a site)")
    conserve: str | None = setting("N", "conserved quantity: N, parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("BoseHubbard", self.bosons, self.L * (self.sites[0].dim - 1), "bosons")

    @property
    def bosons(self) -> int:
        """The number of bosons."""
        return self.L if self.N is None else self.N

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (boson_site(self.n_max, self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.on_pairs("t"), name="B", flux=self.flux)
        for pair, V in self.on_pairs("V"):
            H += V, "N", pair.i, "N", pair.j
        for i, U, mu in zip(range(self.L), self.at_sites("U"), self.at_sites("mu"), strict=True):
            H += U / 2, "N N", i
            H += -U / 2 - mu, "N", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": self.by_sublattice([str(n) for n in spread(self.bosons, self.L)])}

    @property
    def facts(self) -> Facts:
        N = self.bosons
        if self.V != 0 or not conserves(self.conserve, "N"):
            return Facts()
        matrix = hopping_matrix(self.L, self.on_pairs("t"), flux=self.flux) - np.diag(self.at_sites("mu"))
        if self.n_max == 1 and self.is_open_chain:
            energy = FermiSea(matrix, N).energy
            return Facts((Fact("energy", energy, "exact", "hard-core bosons: free fermions (Girardeau 1960)"),))
        if self.U == 0 and self.n_max >= N:
            energy = N * FermiSea(matrix, 1).energy
            return Facts((Fact("energy", energy, "exact", "free bosons in the lowest level"),))
        if self.t == 0 and self.is_uniform("U", "mu") and self.U >= 0:
            energy = self.U / 2 * sum(n * (n - 1) for n in spread(N, self.L)) - self.mu * N
            return Facts((Fact("energy", energy, "exact", "no hopping: as even as can be"),))
        return Facts()
