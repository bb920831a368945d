"""What every classical model on the square lattice offers: tensors, networks, facts."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, ClassVar

import numpy as np

from tnsim.backend import Backend, default_backend, get_backend
from tnsim.errors import SettingsError, ShapeError, check_fields, suggest
from tnsim.models.model import Facts
from tnsim.networks.square_network import FLOWS, FiniteNetwork, InfiniteNetwork
from tnsim.symmetry import TRIVIAL, Group, Leg
from tnsim.tensor import Tensor, from_dense

ALL = (True, True, True, True)
Present = tuple[bool, ...]  # which of the legs north, east, south, west there are


@dataclass(frozen=True, kw_only=True)
class WeightsModel:
    """Boltzmann weights as tensors of one structure, with facts. Frozen."""

    flows: ClassVar[tuple[int, ...]] = FLOWS

    def __post_init__(self) -> None:
        check_fields(self)
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float) and not np.isfinite(value):
                hint = ": zero temperature has no weights, take a large beta" if entry.name == "beta" else ""
                raise SettingsError(f"{type(self).__name__}: {entry.name} must be finite, found {value}{hint}.")

    @property
    def log_scale(self) -> float:
        """ln of the factor that was taken out of the weights of one cell, so that they stay in range."""
        return 0.0

    @property
    def sites(self) -> int:
        """Degrees of freedom in a cell."""
        return 1

    @property
    def group(self) -> Group:
        """The symmetry that the tensors conserve."""
        return TRIVIAL

    @property
    def charges(self) -> tuple[int, ...]:
        """The charge of every index of a leg, ascending; none without symmetry."""
        return ()

    @property
    def facts(self) -> Facts:
        """Exact and published numbers for these parameters."""
        return Facts()

    def _tensor(self, array: np.ndarray, dtype: Any, backend: str | Backend | None) -> Tensor:
        library = default_backend() if backend is None else get_backend(backend)
        legs = [self._leg(d, flow) for d, flow in zip(array.shape, self.flows, strict=True)]
        charge = self._charge_of(array, legs)
        scale = float(np.abs(array).max(initial=0.0))
        tensor = from_dense(np.asarray(array, dtype=np.float64), legs, charge, tolerance=1e-13 * scale)
        return tensor.astype(np.dtype(dtype)).to(library)

    def _leg(self, dim: int, flow: int) -> Leg:
        charges = self.charges[:dim] if self.charges else (0,) * dim
        known = sorted(set(charges))
        if not self.charges:
            return Leg(TRIVIAL, [()], [dim], flow)
        return Leg(self.group, [(q,) for q in known], [charges.count(q) for q in known], flow)

    def _charge_of(self, array: np.ndarray, legs: list[Leg]) -> tuple[int, ...] | None:
        """The total charge of an array whose elements all have one."""
        if not self.charges:
            return None
        place = np.unravel_index(int(np.abs(array).argmax()), array.shape)
        charges = [(self.charges[int(i)],) for i in place]
        return self.group.total(charges, [leg.flow for leg in legs])


@dataclass(frozen=True, kw_only=True)
class ClassicalModel(WeightsModel, ABC):
    """Boltzmann weights on the square lattice as one tensor (north, east, south, west) a cell. Frozen."""

    # -- what a model states -----------------------------------------------------------------------------

    @abstractmethod
    def weights(self, present: Present = ALL) -> np.ndarray:
        """The tensor as an array; legs that are not present (at open edges) have dimension 1."""

    def measured(self, present: Present = ALL) -> Mapping[str, np.ndarray]:
        """Arrays that measure a quantity (in the place of the tensor) by name."""
        return {}

    def taylor(self) -> Sequence[np.ndarray]:
        """The coefficients of the first and second power of a change of beta in the tensor, where they are known."""
        return ()

    def edges(self) -> Mapping[str, np.ndarray]:
        """Vectors on a leg that close the network, by name: "free", "fixed"."""
        return {}

    # -- networks ----------------------------------------------------------------------------------------

    def network(self, *, dtype: Any = np.float64, backend: str | Backend | None = None) -> InfiniteNetwork:
        """The infinite lattice."""
        return InfiniteNetwork(
            [[self._tensor(self.weights(), dtype, backend)]],
            log_scale=self.log_scale,
            sites=self.sites,
            impurities={name: self._tensor(array, dtype, backend) for name, array in self.measured().items()},
            edges=self.edges(),
            taylor=[self._tensor(array, dtype, backend) for array in self.taylor()],
        )

    def finite(
        self,
        rows: int,
        columns: int,
        *,
        measure: str | None = None,
        dtype: Any = np.float64,
        backend: str | Backend | None = None,
    ) -> FiniteNetwork:
        """An open lattice of rows x columns cells; bonds over its edges are left out.

        measure: the tensors that measure a quantity in every place, see `Boundaries.means`.
        """
        if rows < 1 or columns < 1:
            raise ShapeError(f"a lattice has at least one row and one column, found {rows} x {columns}.")
        made: dict[Present, Tensor] = {}
        for key in product((False, True), repeat=4):
            if _occurs(key, rows, columns):
                array = self.weights(key) if measure is None else self._measured(measure, key)
                made[key] = self._tensor(array, dtype, backend)
        tensors = [[made[(i > 0, j < columns - 1, i < rows - 1, j > 0)] for j in range(columns)] for i in range(rows)]
        return FiniteNetwork(tensors, log_scale=self.log_scale_finite(rows, columns))

    def _measured(self, name: str, present: Present) -> np.ndarray:
        known = self.measured(present)
        if name not in known:
            raise SettingsError(f"{type(self).__name__} measures no {name!r} here. {suggest(name, known)}")
        return known[name]

    def log_scale_finite(self, rows: int, columns: int) -> float:
        """ln of the factor that was taken out of the weights of an open lattice."""
        return rows * columns * self.log_scale


def _occurs(present: Present, rows: int, columns: int) -> bool:
    """Whether some cell of an open lattice has just these neighbours."""
    north, east, south, west = present
    vertical = {(i > 0, i < rows - 1) for i in range(rows)}
    horizontal = {(j > 0, j < columns - 1) for j in range(columns)}
    return (north, south) in vertical and (west, east) in horizontal
