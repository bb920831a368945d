"""Kitaev's chain: spinless fermions with pairing, and Majorana levels at the ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.exact.free_fermions import PairedGround
from tnsim.models.exact.integral import integral
from tnsim.models.filling import conserves, occupations
from tnsim.models.free_particles import RESOLVED
from tnsim.models.hopping import add_hopping
from tnsim.models.lattice import Lattice
from tnsim.models.model import Fact, Facts, Model
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import Site, fermion_site


@dataclass(frozen=True, kw_only=True)
class KitaevChain(Model):
    """-t sum (Cdag_i C_i+1 + h.c.) + delta sum (C_i C_i+1 + h.c.) - mu sum (N_i - 1/2) on an open chain.

    For |mu| < 2 |t| the lowest states of even and odd parity differ by the energy of the edge mode, which falls
    exponentially with L and vanishes at mu = 0, delta = t. parity chooses the sector of the product states and
    of the energy; where it is not conserved, the lower one counts.

    >>> facts = KitaevChain(L=20, mu=0.0).facts
    >>> round(facts.energy, 10), round(abs(facts["edge mode"].value), 10)
    (-19.0, 0.0)
    """

    t: float = setting(1.0, "hopping")
    delta: float = setting(1.0, "pairing")
    mu: float = setting(0.5, "chemical potential")
    parity: int = setting(0, "0 for an even number of fermions, 1 for an odd one")
    conserve: str | None = setting("parity", "conserved quantity: parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parity not in (0, 1):
            raise SettingsError(f"KitaevChain: the parity is 0 (even) or 1 (odd), found {self.parity}.")
        if conserves(self.conserve, "N"):
            raise SettingsError("KitaevChain: pairing breaks the number of fermions: conserve 'parity' or none.")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (fermion_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H, pairs = OperatorSum(), Lattice("chain", self.L).pairs()
        add_hopping(H, [(pair, self.t) for pair in pairs])
        for pair in pairs if self.delta else ():
            H += plus_hc(self.delta, "C", pair.i, "C", pair.j)
        for i in range(self.L if self.mu else 0):
            H += -self.mu, "N", i
            H += self.mu / 2, "Id", i
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        half = [i % 2 for i in range(self.L)]
        half[0] = (sum(half) + self.parity) % 2
        return {"neel": occupations(half), "empty": occupations([self.parity] + [0] * (self.L - 1))}

    @property
    def facts(self) -> Facts:
        ones = np.eye(self.L, k=1)
        # A + B with A from hopping and mu, B[i, i + 1] = -delta
        matrix = -self.t * (ones + ones.T) - self.delta * (ones - ones.T) - self.mu * np.eye(self.L)
        sector = self.parity if conserves(self.conserve, "parity") else None
        ground = PairedGround(matrix, sector)
        edge = float(ground.levels[0])
        items = [
            Fact("energy", ground.energy, "exact", "free fermions (Kitaev 2001)"),
            Fact("edge mode", edge, "exact", "lowest quasiparticle: the difference of the two parities"),
            Fact("bulk energy per site", self._bulk(), "exact", "free fermions (Kitaev 2001)"),
        ]
        if sector is not None or edge > RESOLVED:
            items.append(Fact("middle entropy", ground.entropy(self.L // 2), "exact", "free fermions"))
        return Facts(tuple(items))

    def _bulk(self) -> float:
        """Half of the quasiparticle energy, averaged over momenta; below zero."""

        def level(k: float) -> float:
            return float(np.hypot(2 * self.t * np.cos(k) + self.mu, 2 * self.delta * np.sin(k)))

        return -integral(level, 0.0, np.pi, epsrel=1e-12, limit=200) / (2 * np.pi)
