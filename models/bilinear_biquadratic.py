"""Spin-1 models with bilinear and biquadratic exchange, and the AKLT point of the chain."""

from dataclasses import dataclass
from itertools import product

from tnsim.models.coupling import Coupling, is_uniform
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel, exchange_matrix, exchange_terms
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class BilinearBiquadratic(SpinModel):
    """sum [bilinear S_i . S_j + biquadratic (S_i . S_j)^2] over nearest neighbours.

    >>> round(BilinearBiquadratic(L=10, biquadratic=1 / 3).facts.energy, 10)
    -6.0
    """

    S: float = setting(1.0, "spin length")
    bilinear: Coupling = setting(1.0, "coefficient of S . S", over=1)
    biquadratic: Coupling = setting(0.0, "coefficient of (S . S)^2", over=1)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for pair, bilinear, biquadratic in self.on_pairs("bilinear", "biquadratic"):
            exchange = exchange_terms(exchange_matrix(1.0, 1.0, 1.0), pair.phase(self.flux))
            for a, left, right in exchange if bilinear else ():
                H += bilinear * a, left, pair.i, right, pair.j
            for (a, left, right), (b, left2, right2) in product(exchange, exchange) if biquadratic else ():
                H += biquadratic * a * b, f"{left} {left2}", pair.i, f"{right} {right2}", pair.j
        return H

    @property
    def facts(self) -> Facts:
        plain = self.S == 1 and self.is_uniform("bilinear", "biquadratic") and (self.is_open_chain or self.is_ring)
        if plain and self.bilinear > 0 and abs(3 * self.biquadratic - self.bilinear) < 1e-14:
            energy = -2 / 3 * self.bilinear * len(self.geometry.pairs(1))
            source, bulk = "Affleck, Kennedy, Lieb, Tasaki 1987", -2 / 3 * self.bilinear
            return Facts((Fact("energy", energy, "exact", source), Fact("bulk energy per site", bulk, "exact", source)))
        return Facts()


@dataclass(frozen=True, kw_only=True)
class AKLT(BilinearBiquadratic):
    """S . S + (S . S)^2 / 3 of spins 1: on a chain the valence-bond solid, with energy -2/3 a bond.

    The open chain is fourfold degenerate.
    """

    S: float = setting(1.0, "spin length", init=False)
    bilinear: float = setting(1.0, "coefficient of S . S", over=1)
    biquadratic: float = setting(1 / 3, "coefficient of (S . S)^2: a third of it", over=1, init=False)

    def __post_init__(self) -> None:
        if is_uniform(self.bilinear):
            object.__setattr__(self, "biquadratic", self.bilinear / 3)
        super().__post_init__()
