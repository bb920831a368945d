"""Spinless fermions with nearest-neighbour interaction: the t-V chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tnsim.models.chain import Pair, add_hopping, chain_pairs
from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import check_number, conserves, occupations, spread
from tnsim.models.free_particles import free_facts, hopping_matrix
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, fermion_site


@dataclass(frozen=True, kw_only=True)
class SpinlessFermions(Model):
    """-t sum (Cdag_i C_i+1 + h.c.) + V sum (N_i - 1/2)(N_i+1 - 1/2) - mu N.

    An open chain is the XXZ chain with J = 2 t and delta = V / 2t. N chooses the sector of the product states
    and of the facts. On a ring, a step across the end gets the phase exp(i flux).

    >>> round(SpinlessFermions(L=20, V=0.0, t=0.5).facts.energy, 10)
    -6.1907449998
    """

    t: float = setting(1.0, "hopping")
    V: float = setting(1.0, "repulsion of neighbours")
    mu: float = setting(0.0, "chemical potential")
    N: int | None = setting(None, "number of fermions (default: half filling)")
    periodic: bool = setting(False, "a ring")
    flux: float = setting(0.0, "phase of a step around the ring")
    conserve: str | None = setting("N", "conserved quantity: N, parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("SpinlessFermions", self.particles, self.L, "fermions")
        _ = self.pairs

    @property
    def particles(self) -> int:
        """The number of fermions."""
        return self.L // 2 if self.N is None else self.N

    @property
    def pairs(self) -> list[Pair]:
        """Neighbours."""
        return chain_pairs(self.L, periodic=self.periodic)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (fermion_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.pairs, self.t, flux=self.flux)
        for first, second, _ in self.pairs if self.V else ():
            H += self.V, "N", first, "N", second
            H += -self.V / 2, "N", first
            H += -self.V / 2, "N", second
            H += self.V / 4, "Id", first
        for i in range(self.L if self.mu else 0):
            H += -self.mu, "N", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": occupations(spread(self.particles, self.L))}

    @property
    def facts(self) -> Facts:
        shift = -self.mu * self.particles
        if not conserves(self.conserve, "N"):
            return Facts()
        if self.V == 0:
            matrix = hopping_matrix(self.L, self.pairs, self.t, flux=self.flux)
            return Facts(tuple(free_facts([FermiSea(matrix, self.particles)], shift)))
        heisenberg = abs(self.V - 2 * abs(self.t)) < 1e-14 * self.V
        if heisenberg and not self.periodic and 2 * self.particles == self.L:
            energy = self.V * open_heisenberg_energy(self.L) + shift
            return Facts((Fact("energy", energy, "exact", "Heisenberg chain: open-boundary Bethe equations"),))
        return Facts()
