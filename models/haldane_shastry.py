"""The Haldane-Shastry chain: a ring with inverse-square exchange."""

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from tnsim.models.lattice import Pair
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel, add_exchange, exchange_matrix
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class HaldaneShastry(SpinModel):
    """J sum_{i<j} S_i . S_j / d_ij^2 with the chord distance d = (L/pi) sin(pi |i - j| / L) on a ring.

    A ring in folded order (lattice chain, periodic, order folded) is the same model on another path.

    >>> round(HaldaneShastry(L=4).facts.energy, 10)
    -2.1589759627
    """

    kinds: ClassVar[tuple[str, ...]] = ("chain",)
    periodic: bool = setting(True, "a ring", init=False)
    flux: float = setting(0.0, "none", init=False)
    S: float = setting(0.5, "spin length", init=False)
    J: float = setting(1.0, "exchange at chord distance 1")

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for a, b in combinations(self.geometry.vertices, 2):
            turn = np.pi * (b.cell[0] - a.cell[0]) / self.L
            J = self.J * (np.pi / self.L / np.sin(turn)) ** 2
            add_exchange(H, Pair(a.index, b.index), exchange_matrix(J, J, J))
        return H

    @property
    def facts(self) -> Facts:
        if self.L % 2 or self.J <= 0:
            return Facts()
        energy = -self.J * np.pi**2 / 24 * (self.L + 5 / self.L)
        return Facts((Fact("energy", energy, "exact", "Haldane 1988, Shastry 1988"),))
