"""The Haldane-Shastry chain: a ring with inverse-square exchange."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tnsim.models.model import Fact, Facts
from tnsim.models.power_law import PowerLawHeisenberg
from tnsim.models.setting import setting


@dataclass(frozen=True, kw_only=True)
class HaldaneShastry(PowerLawHeisenberg):
    """J sum_{i<j} S_i . S_j / d_ij^2 with the chord distance d = (L/pi) sin(pi |i - j| / L) on a ring.

    A ring in folded order (lattice chain, periodic, order folded) is the same model on another path.

    >>> round(HaldaneShastry(L=4).facts.energy, 10)
    -2.1589759627
    """

    kinds: ClassVar[tuple[str, ...]] = ("chain",)
    periodic: bool = setting(True, "a ring", init=False)
    S: float = setting(0.5, "spin length", init=False)
    J: float = setting(1.0, "exchange at chord distance 1")
    alpha: float = setting(2.0, "power of the decay", init=False)
    tolerance: float = setting(0.0, "every pair exactly", init=False)

    @property
    def distances(self) -> np.ndarray:
        """Chord distances, on a circle with circumference L."""
        return self.L / np.pi * np.sin(np.pi * self.geometry.distances / self.L)

    @property
    def facts(self) -> Facts:
        if self.L % 2 or self.J <= 0:
            return Facts()
        energy = -self.J * np.pi**2 / 24 * (self.L + 5 / self.L)
        return Facts((Fact("energy", energy, "exact", "Haldane 1988, Shastry 1988"),))
