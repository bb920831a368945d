"""Networks of tensors on the square lattice: an infinite one with a unit cell, and finite ones with closed edges.

A tensor has legs (north, east, south, west) with flows (+1, -1, -1, +1): west to east and south to north it is a site
of an MPO (west, north, south, east). Rows count downwards.

         north
           |
    west --T-- east
           |
         south
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from tnsim.backend import Backend
from tnsim.errors import BackendError, LegError, NumericalError, ShapeError, suggest
from tnsim.tensor import Tensor, contract, flip_leg, fuse, transpose

FLOWS = (1, -1, -1, 1)
NORTH, EAST, SOUTH, WEST = range(4)
_NAMES = ("north", "east", "south", "west")
Rows = tuple[tuple[Tensor, ...], ...]


class _Grid:
    """Tensors in rows, the legs of which fit; the value is that of the contraction times exp(log_scale)."""

    def __init__(self, rows: Sequence[Sequence[Tensor]], log_scale: float) -> None:
        self.rows: Rows = tuple(tuple(row) for row in rows)
        self.log_scale = float(log_scale)
        widths = {len(row) for row in self.rows}
        if not self.rows or widths != {len(self.rows[0])} or 0 in widths:
            raise ShapeError(f"a network needs rows of one length, found {[len(row) for row in self.rows]}.")
        for place, tensor in self._places():
            if tuple(leg.flow for leg in tensor.legs) != FLOWS:
                raise LegError(
                    f"the tensor at row {place[0]}, column {place[1]} needs legs (north, east, south, west) with flows "
                    f"{FLOWS}, found {list(tensor.legs)}."
                )
            if tensor.backend is not self.backend:
                raise BackendError(f"the tensors lie on {self.backend.name} and {tensor.backend.name}: use .to(...).")
            if not tensor.backend.all_finite(tensor.data):
                raise NumericalError(f"the tensor at row {place[0]}, column {place[1]} holds NaN or Inf.")

    def _places(self) -> list[tuple[tuple[int, int], Tensor]]:
        return [((i, j), tensor) for i, row in enumerate(self.rows) for j, tensor in enumerate(row)]

    def _check_bond(self, first: tuple[int, int], second: tuple[int, int], direction: int) -> None:
        """The leg of `first` in a direction against the opposite leg of `second`."""
        opposite = (direction + 2) % 4
        a = self.rows[first[0]][first[1]].legs[direction]
        b = self.rows[second[0]][second[1]].legs[opposite]
        if a.dual is not b:
            raise LegError(
                f"the {_NAMES[direction]} leg of the tensor at {first} does not fit the {_NAMES[opposite]} leg of the "
                f"tensor at {second}: {a!r} against {b!r}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.rows), len(self.rows[0])

    @property
    def backend(self) -> Backend:
        return self.rows[0][0].backend

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(tensor.dtype for row in self.rows for tensor in row))

    @property
    def bond_dimension(self) -> int:
        """The largest one."""
        return max(leg.dim for row in self.rows for tensor in row for leg in tensor.legs)

    def _describe(self, what: str) -> str:
        (m, n), group = self.shape, self.rows[0][0].group
        symmetry = f", symmetry {group!r}" if group.names else ""
        return f"{what} {m} x {n}, bond dimension {self.bond_dimension}{symmetry}, {self.dtype} on {self.backend.name}"


class FiniteNetwork(_Grid):
    """m x n tensors whose outer legs have dimension 1: one number, exp(log_scale) times the contraction.

    >>> from tnsim.models.classical import Ising
    >>> Ising(beta=0.4).finite(3, 4)
    FiniteNetwork 3 x 4, bond dimension 2, float64 on numpy
    """

    def __init__(self, rows: Sequence[Sequence[Tensor]], *, log_scale: float = 0.0) -> None:
        super().__init__(rows, log_scale)
        m, n = self.shape
        for (i, j), tensor in self._places():
            outside = {NORTH: i == 0, EAST: j == n - 1, SOUTH: i == m - 1, WEST: j == 0}
            for direction, is_outside in outside.items():
                if is_outside and tensor.legs[direction].dim != 1:
                    raise ShapeError(
                        f"the {_NAMES[direction]} leg of the tensor at ({i}, {j}) is open, "
                        f"{tensor.legs[direction]!r}: outer legs have dimension 1."
                    )
            if not outside[EAST]:
                self._check_bond((i, j), (i, j + 1), EAST)
            if not outside[SOUTH]:
                self._check_bond((i, j), (i + 1, j), SOUTH)

    def __repr__(self) -> str:
        return self._describe("FiniteNetwork")

    def to(self, backend: str | Backend) -> "FiniteNetwork":
        """The same network on another library's device."""
        return FiniteNetwork([[t.to(backend) for t in row] for row in self.rows], log_scale=self.log_scale)

    def turned(self) -> "FiniteNetwork":
        """A quarter turn counterclockwise: east becomes north, the last column the first row. Same value."""
        move = _mover((EAST, SOUTH, WEST, NORTH))
        rows = [[move(row[j]) for row in self.rows] for j in range(self.shape[1] - 1, -1, -1)]
        return FiniteNetwork(rows, log_scale=self.log_scale)

    def mirrored(self) -> "FiniteNetwork":
        """North and south exchanged: the last row becomes the first. Same value."""
        move = _mover((SOUTH, EAST, NORTH, WEST))
        return FiniteNetwork([list(map(move, row)) for row in self.rows[::-1]], log_scale=self.log_scale)


def with_flows(tensor: Tensor) -> Tensor:
    """Legs that point the wrong way after a move, written with the opposite flow."""
    for axis in range(4):
        tensor = flip_leg(tensor, axis) if tensor.legs[axis].flow != FLOWS[axis] else tensor
    return tensor


def _mover(order: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """Legs in another order; a tensor that stands in many places is moved once."""
    return cache(lambda tensor: with_flows(transpose(tensor, order)))


class InfiniteNetwork(_Grid):
    """A unit cell of tensors that repeats in both directions.

    sites: degrees of freedom in the cell, by which ln Z is divided; log_scale: ln of a factor of the whole cell;
    impurities: tensors that stand for the (only) one of the cell and measure a quantity by name; edges: vectors on
    a leg, by name, that close a network at a boundary; taylor: of the tensor as a function of a parameter (of models
    beta), the coefficients of the first and second power of a change of it, log_scale held.

    >>> from tnsim.models.classical import Ising
    >>> Ising(beta=0.4, conserve="parity").network()
    InfiniteNetwork 1 x 1, bond dimension 2, symmetry Z_2 spin, float64 on numpy
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Tensor]],
        *,
        log_scale: float = 0.0,
        sites: int | None = None,
        impurities: Mapping[str, Tensor] | None = None,
        edges: Mapping[str, np.ndarray] | None = None,
        taylor: Sequence[Tensor] = (),
    ) -> None:
        super().__init__(rows, log_scale)
        m, n = self.shape
        for (i, j), _ in self._places():
            self._check_bond((i, j), (i, (j + 1) % n), EAST)
            self._check_bond((i, j), ((i + 1) % m, j), SOUTH)
        self.sites = m * n if sites is None else sites
        self.impurities = MappingProxyType(dict(impurities or {}))
        self.edges = MappingProxyType(dict(edges or {}))
        self.taylor = tuple(taylor)
        if self.sites < 1:
            raise ShapeError(f"a cell holds at least one degree of freedom, found sites = {sites}.")
        for name, impurity in self.impurities.items():
            if self.shape != (1, 1) or impurity.legs != self.rows[0][0].legs:
                raise LegError(f"the impurity {name!r} does not have the legs of a single tensor of the cell.")
        for part in self.taylor:
            if self.shape != (1, 1) or part.legs != self.rows[0][0].legs:
                raise LegError("a coefficient of taylor does not have the legs of a single tensor of the cell.")

    def __repr__(self) -> str:
        return self._describe("InfiniteNetwork")

    def to(self, backend: str | Backend) -> "InfiniteNetwork":
        """The same network on another library's device."""
        return self._mapped(lambda tensor: tensor.to(backend))

    def astype(self, dtype: Any) -> "InfiniteNetwork":
        """The same network in another dtype."""
        return self._mapped(lambda tensor: tensor.astype(dtype))

    def _mapped(self, change: Any) -> "InfiniteNetwork":
        return InfiniteNetwork(
            [[change(t) for t in row] for row in self.rows],
            log_scale=self.log_scale,
            sites=self.sites,
            impurities={name: change(t) for name, t in self.impurities.items()},
            edges=self.edges,
            taylor=[change(t) for t in self.taylor],
        )

    def mirrored(self) -> "InfiniteNetwork":
        """North and south exchanged: the last row becomes the first. Same value."""

        move = _mover((SOUTH, EAST, NORTH, WEST))
        return InfiniteNetwork(
            [list(map(move, row)) for row in self.rows[::-1]],
            log_scale=self.log_scale,
            sites=self.sites,
            impurities={name: move(t) for name, t in self.impurities.items()},
            edges=self.edges,
        )

    def fused_row(self) -> tuple[Tensor, ...]:
        """All rows of a cell as one row: what lies in one column is stacked, bonds to the east and west are fused."""
        columns = []
        for j in range(self.shape[1]):
            column = self.rows[0][j]
            for row in self.rows[1:]:
                column = stack(column, row[j])
            columns.append(column)
        return tuple(columns)

    @property
    def tensor(self) -> Tensor:
        """The whole cell as one tensor; bonds of a larger cell are fused, exactly."""
        joined, *others = self.fused_row()
        for column in others:
            joined = beside(joined, column)
        return joined

    def impurity(self, name: str) -> Tensor:
        """The tensor that measures a quantity; KeyError names the nearest known one."""
        if name not in self.impurities:
            raise KeyError(f"this network has no impurity {name!r}. {suggest(name, self.impurities)}")
        return self.impurities[name]


def beside(left: Tensor, right: Tensor) -> Tensor:
    """Two tensors side by side as one: north and south legs are fused."""
    joined = contract("a m c l, b r d m -> a b r c d l", left, right)
    return fuse(joined, [(0, 1), (2,), (3, 4), (5,)])


def stack(top: Tensor, bottom: Tensor) -> Tensor:
    """Two tensors one above the other as one: east and west legs are fused."""
    joined = contract("n a m c, m b s d -> n a b s c d", top, bottom)
    return fuse(joined, [(0,), (1, 2), (3,), (4, 5)])
