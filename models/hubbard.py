"""The Fermi-Hubbard chain, extended."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.chain import Pair, add_hopping, chain_pairs
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.exact.lieb_wu import bulk_charge_gap, bulk_hubbard_energy, open_hubbard_energy
from tnsim.models.filling import check_number, electron_states, keeps_sector, two_sz_of
from tnsim.models.free_particles import free_facts, hopping_matrix
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, electron_site


@dataclass(frozen=True, kw_only=True)
class Hubbard(Model):
    """-t sum (Cdag_is C_i+1,s + h.c.) - t2 sum (Cdag_is C_i+2,s + h.c.) + U sum N_up N_down + V sum N_i N_i+1 - mu N.

    N and Sz choose the sector of the product states and of the facts. On a ring, a step across the end gets the
    phase exp(i flux).

    >>> round(Hubbard(L=16, U=4.0).facts.energy, 10)
    -8.8187674548
    """

    t: float = setting(1.0, "hopping to the next site")
    U: float = setting(4.0, "repulsion on a site")
    V: float = setting(0.0, "repulsion of neighbours")
    t2: float = setting(0.0, "hopping to the second next site")
    mu: float = setting(0.0, "chemical potential")
    N: int | None = setting(None, "number of electrons (default: half filling)")
    Sz: float | None = setting(None, "total spin along z (default: 0, or 1/2 for odd N)")
    periodic: bool = setting(False, "a ring")
    flux: float = setting(0.0, "phase of a step around the ring")
    conserve: str | None = setting("N,Sz", "conserved quantities: N, Sz, parity with commas, or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Hubbard", self.electrons, 2 * self.L, "electrons")
        _ = self.two_sz, self.steps

    @property
    def electrons(self) -> int:
        """The number of electrons."""
        return self.L if self.N is None else self.N

    @property
    def two_sz(self) -> int:
        """Electrons of spin up less those of spin down."""
        return two_sz_of("Hubbard", self.Sz, min(self.electrons, 2 * self.L - self.electrons))

    @property
    def steps(self) -> list[tuple[list[Pair], float]]:
        """Pairs and amplitudes of all hopping terms."""
        amplitudes = [(1, self.t)] + [(2, self.t2)] * bool(self.t2)
        return [(chain_pairs(self.L, distance, periodic=self.periodic), t) for distance, t in amplitudes]

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (electron_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for pairs, t in self.steps:
            add_hopping(H, pairs, t, ("_up", "_down"), flux=self.flux)
        for first, second, _ in self.steps[0][0] if self.V else ():
            H += self.V, "N", first, "N", second
        for i in range(self.L):
            H += self.U, "N_up N_down", i
            if self.mu:
                H += -self.mu, "N", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": electron_states(self.electrons, self.two_sz, self.L)}

    @property
    def facts(self) -> Facts:
        items = []
        plain = self.t and not (self.V or self.t2 or self.periodic)
        if plain and self.electrons == self.L and self.U > 0:
            bulk = bulk_hubbard_energy(self.U / abs(self.t)) * abs(self.t) - self.mu
            items.append(Fact("bulk energy per site", bulk, "exact", "Lieb, Wu 1968"))
            gap = bulk_charge_gap(self.U / abs(self.t)) * abs(self.t)
            items.append(Fact("bulk charge gap", gap, "exact", "Ovchinnikov 1970"))
        if not keeps_sector(self.conserve, self.two_sz):
            return Facts(tuple(items))
        if not (self.U or self.V):
            matrix = np.sum([hopping_matrix(self.L, pairs, t, flux=self.flux) for pairs, t in self.steps], axis=0)
            seas = [FermiSea(matrix, (self.electrons + sign * self.two_sz) // 2) for sign in (1, -1)]
            items += free_facts(seas, -self.mu * self.electrons)
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
