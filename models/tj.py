"""The t-J chain: electrons that never share a site."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tnsim.models.chain import Pair, add_hopping, chain_pairs
from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import check_number, electron_states, keeps_sector, two_sz_of
from tnsim.models.free_particles import hopping_matrix
from tnsim.models.heisenberg import add_exchange
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, tj_site


@dataclass(frozen=True, kw_only=True)
class TJ(Model):
    """-t sum P (Cdag_is C_i+1,s + h.c.) P + J sum (S_i . S_i+1 - N_i N_i+1 / 4), P without double occupancy.

    N and Sz choose the sector of the product states and of the facts.

    >>> round(TJ(L=10, N=10, J=1.0).facts.energy, 10), round(TJ(L=10, N=4, J=0.0).facts.energy, 10)
    (-6.5080352073, -5.7420445068)
    """

    t: float = setting(1.0, "hopping")
    J: float = setting(0.4, "exchange")
    N: int | None = setting(None, "number of electrons (default: two holes)")
    Sz: float | None = setting(None, "total spin along z (default: 0, or 1/2 for odd N)")
    periodic: bool = setting(False, "a ring")
    conserve: str | None = setting("N,Sz", "conserved quantities: N, Sz, parity with commas, or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("TJ", self.electrons, self.L, "electrons")
        _ = self.two_sz, self.pairs

    @property
    def electrons(self) -> int:
        """The number of electrons."""
        return self.L - 2 if self.N is None else self.N

    @property
    def two_sz(self) -> int:
        """Electrons of spin up less those of spin down."""
        return two_sz_of("TJ", self.Sz, self.electrons)

    @property
    def pairs(self) -> list[Pair]:
        """Neighbours."""
        return chain_pairs(self.L, periodic=self.periodic)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (tj_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.pairs, self.t, ("_up", "_down"))
        for first, second, _ in self.pairs if self.J else ():
            add_exchange(H, first, second, self.J, self.J)
            H += -self.J / 4, "N", first, "N", second
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": electron_states(self.electrons, self.two_sz, self.L)}

    @property
    def facts(self) -> Facts:
        if self.periodic or not keeps_sector(self.conserve, self.two_sz):
            return Facts()
        if self.J == 0:
            energy = FermiSea(hopping_matrix(self.L, self.pairs, self.t), self.electrons).energy
            return Facts((Fact("energy", energy, "exact", "spinless fermions: the spins keep their order"),))
        if self.J > 0 and self.electrons == self.L and self.L % 2 == 0 and self.two_sz == 0:
            energy = self.J * (open_heisenberg_energy(self.L) - (self.L - 1) / 4)
            return Facts((Fact("energy", energy, "exact", "Heisenberg chain: open-boundary Bethe equations"),))
        return Facts()
