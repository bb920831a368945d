"""A tensor that repeats on the cubic lattice: legs (north, east, south, west, up, down).

     up north                 flows (+1, -1, -1, +1, +1, -1): what enters at north, west and up
       |/                     leaves at south, east and down
west --T-- east
      /|
 south down
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from tnsim.backend import Backend
from tnsim.errors import LegError, NumericalError, ShapeError, suggest
from tnsim.tensor import Tensor

CUBIC_FLOWS = (1, -1, -1, 1, 1, -1)
OPPOSITE = ((0, 2), (1, 3), (4, 5))


class CubicNetwork:
    """One tensor a cell of the infinite cubic lattice.

    sites: degrees of freedom in the cell, by which ln Z is divided; log_scale: ln of a factor of the cell;
    impurities: tensors that stand in the place of one and measure a quantity by name.

    >>> from tnsim.models.classical import CubicIsing
    >>> CubicIsing(beta=0.2, conserve="parity").network()
    CubicNetwork, bond dimension 2, symmetry Z_2 spin, float64 on numpy
    """

    def __init__(
        self,
        tensor: Tensor,
        *,
        log_scale: float = 0.0,
        sites: int = 1,
        impurities: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.tensor, self.log_scale, self.sites = tensor, float(log_scale), sites
        self.impurities = MappingProxyType(dict(impurities or {}))
        if tuple(leg.flow for leg in tensor.legs) != CUBIC_FLOWS:
            raise LegError(
                f"a tensor of the cubic lattice needs legs (north, east, south, west, up, down) with flows "
                f"{CUBIC_FLOWS}, found {list(tensor.legs)}."
            )
        for (first, second), names in zip(OPPOSITE, ("north and south", "east and west", "up and down"), strict=True):
            if tensor.legs[first].dual is not tensor.legs[second]:
                raise LegError(f"the {names} legs do not fit: {tensor.legs[first]!r} against {tensor.legs[second]!r}.")
        if not tensor.backend.all_finite(tensor.data):
            raise NumericalError("the tensor of the cubic lattice holds NaN or Inf.")
        if sites < 1:
            raise ShapeError(f"a cell holds at least one degree of freedom, found sites = {sites}.")
        for name, impurity in self.impurities.items():
            if impurity.legs != tensor.legs:
                raise LegError(f"the impurity {name!r} does not have the legs of the tensor of the cell.")

    @property
    def dtype(self) -> np.dtype:
        return self.tensor.dtype

    @property
    def backend(self) -> Backend:
        return self.tensor.backend

    def __repr__(self) -> str:
        group = self.tensor.group
        symmetry = f", symmetry {group!r}" if group.names else ""
        return f"CubicNetwork, bond dimension {max(self.tensor.shape)}{symmetry}, {self.dtype} on {self.backend.name}"

    def to(self, backend: str | Backend) -> "CubicNetwork":
        """The same network on another library's device."""
        return self._mapped(lambda tensor: tensor.to(backend))

    def astype(self, dtype: Any) -> "CubicNetwork":
        """The same network in another dtype."""
        return self._mapped(lambda tensor: tensor.astype(dtype))

    def _mapped(self, change: Any) -> "CubicNetwork":
        impurities = {name: change(tensor) for name, tensor in self.impurities.items()}
        return CubicNetwork(change(self.tensor), log_scale=self.log_scale, sites=self.sites, impurities=impurities)

    def impurity(self, name: str) -> Tensor:
        """The tensor that measures a quantity; KeyError names the nearest known one."""
        if name not in self.impurities:
            raise KeyError(f"this network has no impurity {name!r}. {suggest(name, self.impurities)}")
        return self.impurities[name]
