"""The spin-1 chain with bilinear and biquadratic exchange, and the AKLT point."""

from dataclasses import dataclass
from functools import cached_property

from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


@dataclass(frozen=True, kw_only=True)
class BilinearBiquadratic(Model):
    """sum_i [bilinear S_i . S_{i+1} + biquadratic (S_i . S_{i+1})^2] on an open chain.

    >>> round(BilinearBiquadratic(L=10, biquadratic=1 / 3).facts.energy, 10)
    -6.0
    """

    S: float = setting(1.0, "spin length")
    bilinear: float = setting(1.0, "coefficient of S . S")
    biquadratic: float = setting(0.0, "coefficient of (S . S)^2")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, self.S, self.conserve)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        exchange = ((0.5, "S+", "S-"), (0.5, "S-", "S+"), (1.0, "Sz", "Sz"))
        for i in range(self.L - 1):
            for a, left, right in exchange:
                if self.bilinear:
                    H += self.bilinear * a, left, i, right, i + 1
                for b, second_left, second_right in exchange if self.biquadratic else ():
                    H += self.biquadratic * a * b, f"{left} {second_left}", i, f"{right} {second_right}", i + 1
        return H

    @property
    def facts(self) -> Facts:
        if self.S == 1 and self.bilinear > 0 and abs(3 * self.biquadratic - self.bilinear) < 1e-14:
            energy = -2 / 3 * self.bilinear * (self.L - 1)
            return Facts((Fact("energy", energy, "exact", "Affleck, Kennedy, Lieb, Tasaki 1987"),))
        return Facts()


@dataclass(frozen=True, kw_only=True)
class AKLT(BilinearBiquadratic):
    """S . S + (S . S)^2 / 3: the valence-bond solid; energy -2/3 a bond, fourfold degenerate on an open chain."""

    biquadratic: float = setting(1 / 3, "coefficient of (S . S)^2: a third of the bilinear one")
