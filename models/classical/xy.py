"""The XY model: angles on the square lattice, by the characters of their group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product

import numpy as np
from scipy.special import ive

from tnsim.errors import SettingsError
from tnsim.models.classical.classical_model import ALL, ClassicalModel, Present
from tnsim.models.classical.ising import check_conserve
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.symmetry import U1, Group, Leg

# charges are left out where their weight falls below this, relative to that of charge 0
_NEGLIGIBLE = 1e-14


@dataclass(frozen=True, kw_only=True)
class XY(ClassicalModel):
    """H = -J sum cos(a - b) over neighbours - field sum cos a, angles a on the square lattice.

    Z is the mean of exp(-beta H) over all angles. Bonds carry charges n with weights I_n(beta J) (modified Bessel
    functions), and a site conserves charge but for the field: no angle is discretised. Impurities: energy; spin
    = cos a, without conserved charge. Source: J. V. Jose, L. P. Kadanoff, S. Kirkpatrick, D. R. Nelson, Phys. Rev. B
    16, 1217 (1977); Y. Liu and others, Phys. Rev. D 88, 056005 (2013).

    >>> XY(beta=1.0, conserve="charge").network()
    InfiniteNetwork 1 x 1, bond dimension 27, symmetry U(1) spin, float64 on numpy
    """

    beta: float = setting(help="inverse temperature, k_B = 1")
    J: float = setting(1.0, "coupling of neighbours")
    field: float = setting(0.0, "field along the angle 0")
    conserve: str | None = setting(None, "conserved quantity: charge or none")
    modes: int = setting(0, "largest charge on a bond; 0: until its weight falls below 1e-14")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_conserve(self, self.conserve, self.field != 0, "charge")
        if self.modes < 0:
            raise SettingsError(f"XY needs modes >= 0, found {self.modes}.")

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The charges of a bond."""
        largest, x = self.modes, abs(self.beta * self.J)
        if not largest:
            weights = ive(np.arange(1, 20 + int(4 * x)), x)
            largest = max(1, int(np.count_nonzero(weights > _NEGLIGIBLE * ive(0, x))))
        return np.arange(-largest, largest + 1)

    @property
    def group(self) -> Group:
        return U1("spin") if self.conserve else super().group

    @property
    def charges(self) -> tuple[int, ...]:
        return tuple(self._numbers.tolist()) if self.conserve else ()

    @property
    def log_scale(self) -> float:
        return 2 * abs(self.beta * self.J) + abs(self.beta * self.field)

    def log_scale_finite(self, rows: int, columns: int) -> float:
        bonds = rows * (columns - 1) + (rows - 1) * columns
        return bonds * abs(self.beta * self.J) + rows * columns * abs(self.beta * self.field)

    def weights(self, present: Present = ALL) -> np.ndarray:
        return self._array(self._bond[0], self._site[0], present)

    def _array(self, bond: np.ndarray | Sequence[np.ndarray], site: np.ndarray, present: Present = ALL) -> np.ndarray:
        """Roots of bond weights on every leg (or one array a leg), and the weight of what a site does not conserve."""
        numbers = self._numbers
        roots = [bond] * 4 if isinstance(bond, np.ndarray) else list(bond)
        # of antiferromagnets the sign (-1)^n of a bond stands on one of its sites
        signs = (-1.0) ** np.abs(numbers) if self.beta * self.J < 0 else np.ones(len(numbers))
        legs = [root * signs if axis in (0, 3) else root for axis, root in enumerate(roots)]
        spots = [numbers if there else np.zeros(1, dtype=int) for there in present]
        legs = [leg if there else np.ones(1) for leg, there in zip(legs, present, strict=True)]
        n, e, s, w = np.meshgrid(*spots, indexing="ij")
        middle = len(site) // 2
        return np.einsum("nesw,n,e,s,w->nesw", site[n + w - e - s + middle], *legs)

    @cached_property
    def _bond(self) -> list[np.ndarray]:
        """Coefficients of the powers of a change of beta in the root of I_n(beta J)."""
        x, n = abs(self.beta * self.J), np.abs(self._numbers)
        first = (ive(n - 1, x) + ive(n + 1, x)) / 2 * abs(self.J)
        second = (ive(n - 2, x) + 2 * ive(n, x) + ive(n + 2, x)) / 8 * self.J**2
        root = np.sqrt(ive(n, x))
        inverse = np.divide(0.5, root, out=np.zeros_like(root), where=root > 0)
        one = first * inverse
        return [root, one, (second - one**2) * inverse]

    @cached_property
    def _site(self) -> list[np.ndarray]:
        """The same of I_k(beta field), for all k that four charges of bonds may add up to, and beyond."""
        x, most = self.beta * self.field, 4 * len(self._numbers)
        k = np.arange(-most, most + 1)
        first = (ive(k - 1, x) + ive(k + 1, x)) / 2 * self.field
        return [ive(k, x), first, (ive(k - 2, x) + 2 * ive(k, x) + ive(k + 2, x)) / 8 * self.field**2]

    def measured(self, present: Present = ALL) -> Mapping[str, np.ndarray]:
        root, change, _ = self._bond
        found = {"energy": self._array(root, -self._site[1], present) if self.field else 0.0 * self.weights(present)}
        # minus the change of the weight of one bond by beta
        for axis in (1, 2):
            if present[axis]:
                legs = [root if n != axis else -2 * change for n in range(4)]
                found["energy"] = found["energy"] + self._array(legs, self._site[0], present)
        if not self.conserve:
            site = self._site[0]
            found["spin"] = self._array(root, (np.roll(site, 1) + np.roll(site, -1)) / 2, present)
        return found

    def taylor(self) -> Sequence[np.ndarray]:
        orders = {total: [n for n in product(range(3), repeat=5) if sum(n) == total] for total in (1, 2)}
        return [
            reduce(np.add, (self._array([self._bond[k] for k in n[:4]], self._site[n[4]]) for n in orders[total]))
            for total in (1, 2)
        ]

    def _leg(self, dim: int, flow: int) -> Leg:
        return Leg(self.group, [(0,)], [1], flow) if self.conserve and dim == 1 else super()._leg(dim, flow)

    def _charge_of(self, array: np.ndarray, legs: list[Leg]) -> tuple[int, ...] | None:
        return None

    @property
    def facts(self) -> Facts:
        if self.field != 0 or self.J == 0:
            return Facts()
        return Facts((Fact("critical beta", 1.1199 / abs(self.J), "published", "Hasenbusch 2005"),))
