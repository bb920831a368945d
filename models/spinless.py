"""Spinless fermions with nearest-neighbour interaction: the t-V model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.coupling import Coupling
from tnsim.models.exact.bethe import bulk_xxz_energy, open_heisenberg_energy
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.filling import check_number, conserves, occupations, spread
from tnsim.models.free_particles import free_facts
from tnsim.models.hopping import add_hopping, hopping_matrix
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, fermion_site


@dataclass(frozen=True, kw_only=True)
class SpinlessFermions(LatticeModel):
    """-t sum (Cdag_i C_j + h.c.) + V sum (N_i - 1/2)(N_j - 1/2) over nearest neighbours - mu N.

    An open chain is the XXZ chain with J = 2 t and delta = V / 2t. N chooses the sector of the product states
    and of the facts.

    >>> round(SpinlessFermions(L=20, V=0.0, t=0.5).facts.energy, 10)
    -6.1907449998
    """

    t: Coupling = setting(1.0, "hopping", over=1)
    V: Coupling = setting(1.0, "repulsion of neighbours", over=1)
    mu: Coupling = setting(0.0, "chemical potential", over="sites")
    N: int | None = setting(None, "number of fermions (default: half filling)")
    conserve: str | None = setting("N", "conserved quantity: N, parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("SpinlessFermions", self.particles, self.L, "fermions")

    @property
    def particles(self) -> int:
        """The number of fermions."""
        return self.L // 2 if self.N is None else self.N

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (fermion_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.on_pairs("t"), flux=self.flux)
        for pair, V in self.on_pairs("V"):
            H += V, "N", pair.i, "N", pair.j
            H += -V / 2, "N", pair.i
            H += -V / 2, "N", pair.j
            H += V / 4, "Id", pair.i
        for i, mu in self.on_sites("mu"):
            H += -mu, "N", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": self.by_sublattice(occupations(spread(self.particles, self.L)))}

    @property
    def facts(self) -> Facts:
        if not conserves(self.conserve, "N"):
            return Facts()
        if self.V == 0:
            matrix = hopping_matrix(self.L, self.on_pairs("t"), flux=self.flux) - np.diag(self.at_sites("mu"))
            return Facts((*free_facts([FermiSea(matrix, self.particles)]), *self._bulk()))
        plain = self.is_open_chain and self.is_uniform("t", "V", "mu")
        if plain and abs(self.V - 2 * abs(self.t)) < 1e-14 * self.V and 2 * self.particles == self.L:
            energy = self.V * open_heisenberg_energy(self.L) - self.mu * self.particles
            known = Fact("energy", energy, "exact", "Heisenberg chain: open-boundary Bethe equations")
            return Facts((known, *self._bulk()))
        return Facts(tuple(self._bulk()))

    def _bulk(self) -> list[Fact]:
        """The infinite chain at this density, where it is solved: free, or half filled as an XXZ chain."""
        if not (self.is_open_chain and self.is_uniform("t", "V", "mu") and self.t):
            return []
        density, width = self.particles / self.L, 2 * abs(self.t)
        if self.V == 0:
            energy, source = -width * np.sin(np.pi * density) / np.pi, "free fermions"
        elif density == 0.5 and -width < self.V:
            energy, source = width * bulk_xxz_energy(self.V / width), "Yang, Yang 1966: the XXZ chain"
        else:
            return []
        return [Fact("bulk energy per site", float(energy - self.mu * density), "exact", source)]
