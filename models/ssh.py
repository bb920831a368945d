"""The chain of Su, Schrieffer and Heeger: alternating hopping, and levels at its ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.exact.integral import integral
from tnsim.models.filling import check_number, conserves, occupations, spread
from tnsim.models.free_particles import free_facts
from tnsim.models.hopping import add_hopping, hopping_matrix
from tnsim.models.lattice import Lattice, Pair
from tnsim.models.model import Fact, Facts, Model
from tnsim.models.setting import setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, fermion_site


@dataclass(frozen=True, kw_only=True)
class SSH(Model):
    """-t1 sum (Cdag_2i C_2i+1 + h.c.) - t2 sum (Cdag_2i+1 C_2i+2 + h.c.) on an open chain.

    For |t1| < |t2| and even L there is a level at each end, their energies split by about |t1/t2|^(L/2); at
    half filling one fermion shares them, and every cut holds ln 2 more entropy. N chooses the sector of the
    product states and of the facts.

    >>> round(SSH(L=40, t1=0.5, t2=1.0).facts["edge level"].value, 10)
    7.153e-07
    """

    t1: float = setting(0.5, "hopping inside a cell (sites 0-1, 2-3, ...)")
    t2: float = setting(1.0, "hopping between cells (sites 1-2, 3-4, ...)")
    N: int | None = setting(None, "number of fermions (default: half filling)")
    conserve: str | None = setting("N", "conserved quantity: N, parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("SSH", self.particles, self.L, "fermions")

    @property
    def particles(self) -> int:
        """The number of fermions."""
        return self.L // 2 if self.N is None else self.N

    @property
    def steps(self) -> list[tuple[Pair, float]]:
        """Pairs and amplitudes, inside and between the cells in turn."""
        return [(pair, self.t2 if pair.i % 2 else self.t1) for pair in Lattice("chain", self.L).pairs()]

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return (fermion_site(self.conserve),) * self.L

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        add_hopping(H, self.steps)
        return H

    def _patterns(self) -> dict[str, Sequence[str]]:
        return {"neel": occupations(spread(self.particles, self.L))}

    @property
    def facts(self) -> Facts:
        sea = FermiSea(hopping_matrix(self.L, self.steps), self.particles)
        items = free_facts([sea]) if conserves(self.conserve, "N") else []
        if self.L % 2 == 0:
            items.append(Fact("edge level", float(np.abs(sea.levels).min()), "exact", "free fermions"))
        if 2 * self.particles == self.L and conserves(self.conserve, "N"):
            items.append(Fact("bulk energy per site", self._bulk(), "exact", "free fermions"))
        gap = 2 * abs(abs(self.t1) - abs(self.t2))
        items.append(Fact("bulk gap", gap, "exact", "Su, Schrieffer, Heeger 1979: 2 |t1 - t2|"))
        return Facts(tuple(items))

    def _bulk(self) -> float:
        """Half of the filled band -|t1 + t2 exp(ik)|, averaged over k."""
        t1, t2 = self.t1, self.t2
        band = integral(lambda k: float(abs(t1 + t2 * np.exp(1j * k))), 0.0, np.pi, epsrel=1e-12)
        return -band / (2 * np.pi)
