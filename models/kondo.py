"""The Kondo lattice: a localized spin at every site of a lattice of electrons."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tnsim.models.coupling import Coupling
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import alternating, check_number, electron_states, keeps_sector, two_sz_of
from tnsim.models.hopping import add_hopping, hopping_matrix
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, kondo_site


@dataclass(frozen=True, kw_only=True)
class KondoLattice(LatticeModel):
    """-t sum (Cdag_is C_js + h.c.) + J sum S_i . s_i with spins S_i localized and s_i of the electrons.

    N and Sz (of both kinds of spin together) choose the sector of the product states and of the facts.

    >>> KondoLattice(L=6, t=0.0, J=2.0).facts.energy
    -9.0
    """

    t: Coupling = setting(1.0, "hopping", over=1)
    J: Coupling = setting(1.0, "exchange with the localized spins (positive: antiferromagnetic)", over="sites")
    N: int | None = setting(None, "number of electrons (default: half filling)")
    Sz: float | None = setting(None, "total spin along z of electrons and localized spins (default: 0 or 1/2)")
    conserve: str | None = setting("N,Sz", "conserved quantities: N, Sz, parity with commas, or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("KondoLattice", self.electrons, 2 * self.L, "electrons")
        _ = self.two_sz

    @property
    def electrons(self) -> int:
        """The number of electrons."""
        return self.L if self.N is None else self.N

    @property
    def largest(self) -> int:
        """The largest 2 Sz."""
        return self.L + min(self.electrons, 2 * self.L - self.electrons)

    @property
    def two_sz(self) -> int:
        """Spins up less spins down."""
        return two_sz_of("KondoLattice", self.Sz, self.largest)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (kondo_site(0.5, self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.on_pairs("t"), ("_up", "_down"), flux=self.flux)
        for i, J in self.on_sites("J"):
            H += J, "Sz_f Sz_c", i
            H += J / 2, "S+_f S-_c", i
            H += J / 2, "S-_f S+_c", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        mobile = self.electrons % 2
        rest = self.two_sz - mobile
        if abs(rest) > self.L:  # the localized spins are used up: the electrons take what is left
            mobile += rest - self.L if rest > 0 else rest + self.L
        localized = alternating(self.two_sz - mobile, self.L)[::-1]
        electrons = electron_states(self.electrons, mobile, self.L)
        return {
            "neel": self.by_sublattice([f"{spin},{state}" for spin, state in zip(localized, electrons, strict=True)])
        }

    @property
    def facts(self) -> Facts:
        if not keeps_sector(self.conserve, self.two_sz) or not self.is_uniform("J"):
            return Facts()
        N, matrix = self.electrons, hopping_matrix(self.L, self.on_pairs("t"), flux=self.flux)
        if abs(self.two_sz) == self.L + N:
            energy = FermiSea(matrix, N).energy + self.J * N / 4
            return Facts((Fact("energy", energy, "exact", "all spins parallel: free spinless fermions"),))
        if self.t == 0 and self.J > 0 and N == self.L and self.two_sz == 0:
            return Facts((Fact("energy", -0.75 * self.J * self.L, "exact", "no hopping: a singlet on every site"),))
        if self.J == 0 and abs(self.two_sz) <= self.L - N % 2:
            energy = FermiSea(matrix, N // 2).energy + FermiSea(matrix, N - N // 2).energy
            return Facts((Fact("energy", energy, "exact", "no exchange: free fermions"),))
        return Facts()
