"""The Ising model on the cubic lattice."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tnsim.backend import Backend
from tnsim.models.classical.classical_model import WeightsModel
from tnsim.models.classical.ising import check_conserve
from tnsim.models.classical.neighbours import characters_of, split_bond
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.networks.cubic_network import CUBIC_FLOWS, CubicNetwork
from tnsim.symmetry import Group, Zn

_SPINS = np.array([1.0, -1.0])
CRITICAL = 0.221654626  # (5), Monte Carlo
# -ln Z / beta per site there. The high-temperature series (A. J. Guttmann, I. G. Enting, J. Phys. A 26, 807 (1993))
# gives -3.50835 to order 24; what lies beyond falls as n^(alpha - 3) with the order n and adds another -9.4e-4
CRITICAL_FREE_ENERGY = -3.50929


@dataclass(frozen=True, kw_only=True)
class CubicIsing(WeightsModel):
    """H = -J sum s s' over neighbours - field sum s, s = +1, -1, cubic lattice, for HOTRG3D.

    Impurities: spin (odd under the symmetry), energy (that of a site: its three bonds and the field).

    >>> CubicIsing(beta=0.3).facts["critical beta"].value
    0.221654626
    """

    flows: ClassVar[tuple[int, ...]] = CUBIC_FLOWS

    beta: float = setting(help="inverse temperature, k_B = 1")
    J: float = setting(1.0, "coupling of neighbours")
    field: float = setting(0.0, "magnetic field")
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_conserve(self, self.conserve, self.field != 0, "parity")

    @property
    def group(self) -> Group:
        return Zn(2, "spin") if self.conserve else super().group

    @property
    def charges(self) -> tuple[int, ...]:
        return (0, 1) if self.conserve else ()

    @property
    def log_scale(self) -> float:
        return 3 * abs(self.beta * self.J) + abs(self.beta * self.field)

    def network(self, *, dtype: Any = np.float64, backend: str | Backend | None = None) -> CubicNetwork:
        """The infinite lattice."""
        return CubicNetwork(
            self._tensor(self._array(self._site), dtype, backend),
            log_scale=self.log_scale,
            impurities={
                "spin": self._tensor(self._array(self._site * _SPINS), dtype, backend),
                "energy": self._tensor(self._energy(), dtype, backend),
            },
        )

    @property
    def _site(self) -> np.ndarray:
        return np.exp(self.beta * self.field * _SPINS - abs(self.beta * self.field))

    @property
    def _halves(self) -> tuple[np.ndarray, np.ndarray]:
        """The weight of a bond as X Y."""
        W = np.exp(self.beta * self.J * np.outer(_SPINS, _SPINS) - abs(self.beta * self.J))
        return characters_of(W) if self.conserve else split_bond(W)

    def _array(self, site: np.ndarray, replaced: int | None = None, half: np.ndarray | None = None) -> np.ndarray:
        """The tensor with these weights of the spin; of east, south and down one may have another half."""
        X, Y = self._halves
        east, south, down = (half if n == replaced and half is not None else X for n in range(3))
        return np.einsum("x,xn,xe,xs,xw,xu,xd->neswud", site, Y.T, east, south, Y.T, Y.T, down, optimize=True).real

    def _energy(self) -> np.ndarray:
        """X is replaced by (W energy) Y^-1 on one leg after the other."""
        X, Y = self._halves
        bond = (X @ Y * (-self.J * np.outer(_SPINS, _SPINS))) @ np.linalg.inv(Y)
        bonds = sum(self._array(self._site, n, bond) for n in range(3))
        return bonds + self._array(self._site * (-self.field * _SPINS))

    @property
    def facts(self) -> Facts:
        if self.field != 0 or self.J <= 0:
            return Facts()
        source = "Ferrenberg, Xu, Landau 2018"
        items = [Fact("critical beta", CRITICAL / self.J, "published", source)]
        if abs(self.beta * self.J - CRITICAL) < 1e-8:
            value = -CRITICAL_FREE_ENERGY * self.beta * self.J
            items.append(Fact("ln Z per site", value, "published", "series of Guttmann, Enting 1993, extrapolated"))
        return Facts(tuple(items))
