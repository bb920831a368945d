"""The t-J model: electrons that never share a site."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tnsim.models.coupling import Coupling
from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import check_number, electron_states, keeps_sector, two_sz_of
from tnsim.models.hopping import add_hopping, hopping_matrix
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import add_exchange, exchange_matrix
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, tj_site


@dataclass(frozen=True, kw_only=True)
class TJ(LatticeModel):
    """-t sum P (Cdag_is C_js + h.c.) P + J sum (S_i . S_j - N_i N_j / 4), P without double occupancy.

    N and Sz choose the sector of the product states and of the facts.

    >>> round(TJ(L=10, N=10, J=1.0).facts.energy, 10), round(TJ(L=10, N=4, J=0.0).facts.energy, 10)
    (-6.5080352073, -5.7420445068)
    """

    t: Coupling = setting(1.0, "hopping", over=1)
    J: Coupling = setting(0.4, "exchange", over=1)
    N: int | None = setting(None, "number of electrons (default: two holes)")
    Sz: float | None = setting(None, "total spin along z (default: 0, or 1/2 for odd N)")
    conserve: str | None = setting("N,Sz", "conserved quantities: N, Sz, parity with commas, or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("TJ", self.electrons, self.L, "electrons")
        _ = self.two_sz

    @property
    def electrons(self) -> int:
        """The number of electrons."""
        return self.L - 2 if self.N is None else self.N

    @property
    def two_sz(self) -> int:
        """Electrons of spin up less those of spin down."""
        return two_sz_of("TJ", self.Sz, self.electrons)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (tj_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.on_pairs("t"), ("_up", "_down"), flux=self.flux)
        for pair, J in self.on_pairs("J"):
            add_exchange(H, pair, exchange_matrix(J, J, J))
            H += -J / 4, "N", pair.i, "N", pair.j
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": self.by_sublattice(electron_states(self.electrons, self.two_sz, self.L))}

    @property
    def facts(self) -> Facts:
        if not self.is_open_chain or not keeps_sector(self.conserve, self.two_sz):
            return Facts()
        if self.J == 0:
            energy = FermiSea(hopping_matrix(self.L, self.on_pairs("t")), self.electrons).energy
            return Facts((Fact("energy", energy, "exact", "spinless fermions: the spins keep their order"),))
        if self.is_uniform("J") and self.J > 0 and self.electrons == self.L and self.L % 2 == 0 and self.two_sz == 0:
            energy = self.J * (open_heisenberg_energy(self.L) - (self.L - 1) / 4)
            return Facts((Fact("energy", energy, "exact", "Heisenberg chain: open-boundary Bethe equations"),))
        return Facts()
