"""A row of an infinite network between the boundary above and the one below it.

x--above--u
   |
w--site---e      from the left (x, w, y), from the right (u, e, v)
   |
y--below--v
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.backend import Array
from tnsim.errors import NumericalError
from tnsim.linalg.arnoldi import dominant
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.square_network import EAST, WEST
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, flip_leg, random_tensor


@dataclass(frozen=True, eq=False)
class RowChannel:
    """Sites (north, east, south, west) of one row, and the states on both sides of it."""

    sites: tuple[Tensor, ...]
    above: InfiniteMPS
    below: InfiniteMPS

    @cached_property
    def _upper(self) -> tuple[Tensor, ...]:
        return tuple(flip_leg(tensor, 1) for tensor in self.above.AL)

    def _carried(self, x: Tensor, sites: Sequence[Tensor]) -> Tensor:
        for top, site, low in zip(self._upper, sites, self.below.AL, strict=True):
            x = contract("x w y, x n u -> w y n u", x, top)
            x = contract("w y n u, n e s w -> y u e s", x, site)
            x = contract("y u e s, y s v -> u e v", x, low)
        return x

    def _brought(self, x: Tensor) -> Tensor:
        for top, site, low in zip(self._upper[::-1], self.sites[::-1], self.below.AL[::-1], strict=True):
            x = contract("u e v, x n u -> e v x n", x, top)
            x = contract("e v x n, n e s w -> v x s w", x, site)
            x = contract("v x s w, y s v -> x w y", x, low)
        return x

    def _pairs(
        self, side: str, count: int = 1, charge: Charge | None = None, tolerance: float = 1e-13
    ) -> tuple[np.ndarray, list[Tensor]]:
        """Leading eigenvalues of a cell of the row, and their vectors from one side."""
        place, bond, west_or_east = (0, 0, WEST) if side == LEFT else (-1, 2, EAST)
        ends = self._upper[place].legs[bond], self.sites[place].legs[west_or_east], self.below.AL[place].legs[bond]
        legs = tuple(leg.dual for leg in ends)
        start = random_tensor(legs, charge, dtype=self.below.dtype, seed=0, backend=self.below.backend)
        if start.size == 0:
            return np.zeros(0), []

        def matvec(flat: Array) -> Array:
            x = Tensor(legs, flat, start.charge)
            return (self._carried(x, self.sites) if side == LEFT else self._brought(x)).data

        pairs = dominant(matvec, start.data, self.below.backend, count=count, tolerance=tolerance)
        return pairs.values, [Tensor(legs, vector, start.charge) for vector in pairs.vectors]

    def spectrum(self, count: int = 2, charge: Charge | None = None) -> np.ndarray:
        """Leading eigenvalues of a cell of the row, largest first, of operators with a charge (default: without)."""
        return self._pairs(LEFT, count, charge, 1e-10)[0]

    def correlation_length(self) -> float:
        """The longest one along the row, in sites, of operators without charge."""
        values = np.abs(self.spectrum(2))
        if len(values) < 2 or values[1] == 0:
            return 0.0
        return float(-len(self.sites) / np.log(values[1] / values[0])) if values[1] < values[0] else float("inf")

    @cached_property
    def _fixed(self) -> tuple[complex, Tensor, Tensor]:
        """The largest eigenvalue and its vectors from the left and from the right."""
        values, lefts = self._pairs(LEFT)
        _, rights = self._pairs(RIGHT)
        if not lefts or not rights:
            raise NumericalError("the boundaries above and below a row have no charge in common.")
        return complex(values[0]), lefts[0], rights[0]

    def value(self) -> complex:
        """By what a cell of the row multiplies the sum, over what the same cell without the row does."""
        bare = self._bare()
        return self._fixed[0] / bare if bare else complex("nan")

    def _bare(self) -> complex:
        """The largest eigenvalue of the two boundaries joined."""
        legs = self._upper[0].legs[0].dual, self.below.AL[0].legs[0].dual
        start = random_tensor(legs, dtype=self.below.dtype, seed=0, backend=self.below.backend)

        def matvec(flat: Array) -> Array:
            x = Tensor(legs, flat)
            for top, low in zip(self._upper, self.below.AL, strict=True):
                x = contract("x s v, x s u -> u v", contract("x y, y s v -> x s v", x, low), top)
            return x.data

        values = dominant(matvec, start.data, self.below.backend, tolerance=1e-13).values
        return complex(values[0]) if len(values) else 0.0

    def mean(self, impurity: Tensor) -> float:
        """The mean of what an impurity measures in place of the first site; zero where it carries a charge."""
        if impurity.charge != self.sites[0].charge:
            return 0.0
        _, left, right = self._fixed
        whole, changed = (
            contract("u e v, u e v -> ", self._carried(left, (site, *self.sites[1:])), right).item()
            for site in (self.sites[0], impurity)
        )
        return float(np.real(changed / whole)) if whole else float("nan")
