"""The Fermi-Hubbard model, extended."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.coupling import Coupling
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.exact.lieb_wu import bulk_charge_gap, bulk_hubbard_energy, open_hubbard_energy
from tnsim.models.filling import check_number, electron_states, keeps_sector, two_sz_of
from tnsim.models.free_particles import free_facts
from tnsim.models.hopping import add_hopping, hopping_matrix
from tnsim.models.lattice import Pair
from tnsim.models.lattice_model import LatticeModel
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, electron_site


@dataclass(frozen=True, kw_only=True)
class Hubbard(LatticeModel):
    """-t sum (Cdag_is C_js + h.c.) + U sum N_up N_down + V sum N_i N_j - mu N, and t2 between second neighbours.

    N and Sz choose the sector of the product states and of the facts.

    >>> round(Hubbard(L=16, U=4.0).facts.energy, 10)
    -8.8187674548
    """

    t: Coupling = setting(1.0, "hopping between nearest neighbours", over=1)
    U: Coupling = setting(4.0, "repulsion on a site", over="sites")
    V: Coupling = setting(0.0, "repulsion of nearest neighbours", over=1)
    t2: Coupling = setting(0.0, "hopping between second neighbours", over=2)
    mu: Coupling = setting(0.0, "chemical potential", over="sites")
    N: int | None = setting(None, "number of electrons (default: half filling)")
    Sz: float | None = setting(None, "total spin along z (default: 0, or 1/2 for odd N)")
    conserve: str | None = setting("N,Sz", "conserved quantities: N, Sz, parity with commas, or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Hubbard", self.electrons, 2 * self.L, "electrons")
        _ = self.two_sz

    @property
    def electrons(self) -> int:
        """The number of electrons."""
        return self.L if self.N is None else self.N

    @property
    def two_sz(self) -> int:
        """Electrons of spin up less those of spin down."""
        return two_sz_of("Hubbard", self.Sz, min(self.electrons, 2 * self.L - self.electrons))

    @property
    def steps(self) -> list[tuple[Pair, float]]:
        """Pairs and amplitudes of all hopping terms."""
        return [*self.on_pairs("t"), *self.on_pairs("t2")]

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (electron_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.steps, ("_up", "_down"), flux=self.flux)
        for pair, V in self.on_pairs("V"):
            H += V, "N", pair.i, "N", pair.j
        for i, U in self.on_sites("U"):
            H += U, "N_up N_down", i
        for i, mu in self.on_sites("mu"):
            H += -mu, "N", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": self.by_sublattice(electron_states(self.electrons, self.two_sz, self.L))}

    @property
    def facts(self) -> Facts:
        items = []
        plain = self.is_open_chain and self.is_uniform("t", "U", "mu") and self.t and self.V == self.t2 == 0
        if plain and self.electrons == self.L and self.U > 0:
            if self.two_sz == 0 and keeps_sector(self.conserve, 0):
                bulk = bulk_hubbard_energy(self.U / abs(self.t)) * abs(self.t) - self.mu
                items.append(Fact("bulk energy per site", bulk, "exact", "Lieb, Wu 1968"))
            gap = bulk_charge_gap(self.U / abs(self.t)) * abs(self.t)
            items.append(Fact("bulk charge gap", gap, "exact", "Ovchinnikov 1970"))
        if not keeps_sector(self.conserve, self.two_sz):
            return Facts(tuple(items))
        if self.U == self.V == 0:
            matrix = hopping_matrix(self.L, self.steps, flux=self.flux) - np.diag(self.at_sites("mu"))
            items += free_facts([FermiSea(matrix, (self.electrons + sign * self.two_sz) // 2) for sign in (1, -1)])
        elif plain and self._solvable():
            items.insert(0, Fact("energy", self._bethe(), "exact", "open-boundary Bethe equations (Schulz 1985)"))
        return Facts(tuple(items))

    def _solvable(self) -> bool:
        """Spin 0, and repulsion up to half filling or attraction at it."""
        N, ratio = self.electrons, self.U / abs(self.t)
        return self.two_sz == 0 and ((ratio >= 0.05 and N <= self.L) or (ratio <= -0.05 and N == self.L))

    def _bethe(self) -> float:
        """Attraction at half filling becomes repulsion when holes are taken for the electrons of spin down."""
        shift = min(self.U, 0.0) * self.electrons / 2 - self.mu * self.electrons
        return abs(self.t) * open_hubbard_energy(self.L, abs(self.U / self.t), self.electrons) + shift
