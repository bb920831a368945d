"""The Bose-Hubbard chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tnsim.models.chain import Pair, add_hopping, chain_pairs
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import check_number, conserves, spread
from tnsim.models.free_particles import hopping_matrix
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, boson_site


@dataclass(frozen=True, kw_only=True)
class BoseHubbard(Model):
    """-t sum (Bdag_i B_i+1 + h.c.) + U/2 sum N_i (N_i - 1) + V sum N_i N_i+1 - mu N, up to n_max bosons a site.

    N chooses the sector of the product states and of the facts.

    >>> round(BoseHubbard(L=10, n_max=1, N=5).facts.energy, 10)
    -6.0266741833
    """

    t: float = setting(1.0, "hopping")
    U: float = setting(4.0, "repulsion on a site")
    V: float = setting(0.0, "repulsion of neighbours")
    mu: float = setting(0.0, "chemical potential")
    n_max: int = setting(4, "most bosons on a site (1: hard-core)")
    N: int | None = setting(None, "number of bosons (default: one a site)")
    periodic: bool = setting(False, "a ring")
    conserve: str | None = setting("N", "conserved quantity: N, parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("BoseHubbard", self.bosons, self.L * (self.sites[0].dim - 1), "bosons")
        _ = self.pairs

    @property
    def bosons(self) -> int:
        """The number of bosons."""
        return self.L if self.N is None else self.N

    @property
    def pairs(self) -> list[Pair]:
        """Neighbours."""
        return chain_pairs(self.L, periodic=self.periodic)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (boson_site(self.n_max, self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.pairs, self.t, name="B")
        for first, second, _ in self.pairs if self.V else ():
            H += self.V, "N", first, "N", second
        for i in range(self.L):
            H += self.U / 2, "N N", i
            H += -self.U / 2 - self.mu, "N", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": [str(n) for n in spread(self.bosons, self.L)]}

    @property
    def facts(self) -> Facts:
        N, shift = self.bosons, -self.mu * self.bosons
        if self.V or self.periodic or not conserves(self.conserve, "N"):
            return Facts()
        matrix = hopping_matrix(self.L, self.pairs, self.t)
        if self.n_max == 1:
            energy = FermiSea(matrix, N).energy + shift
            return Facts((Fact("energy", energy, "exact", "hard-core bosons: free fermions (Girardeau 1960)"),))
        if self.U == 0 and self.n_max >= N:
            energy = N * FermiSea(matrix, 1).energy + shift
            return Facts((Fact("energy", energy, "exact", "free bosons in the lowest level"),))
        if self.t == 0 and self.U >= 0:
            energy = self.U / 2 * sum(n * (n - 1) for n in spread(N, self.L)) + shift
            return Facts((Fact("energy", energy, "exact", "no hopping: as even as can be"),))
        return Facts()
