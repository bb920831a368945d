"""Lattices: sites in the plane, the order in which an MPS visits them, and pairs of neighbours."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np

from tnsim.errors import SettingsError, check_fields, suggest
from tnsim.models.setting import setting
from tnsim.models.unit_cells import UNIT_CELLS, UnitCell, neighbour_displacements

BOUNDARIES = ("open", "periodic")
ORDERS = ("columns", "snake", "folded")
_WORDS = {1: "nearest", 2: "second", 3: "third"}


@dataclass(frozen=True)
class Vertex:
    """One site of a lattice: its index along the MPS, its cell (x, y), its place in the cell, and where it lies."""

    index: int
    cell: tuple[int, int]
    place: int
    position: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """Two neighbours i and j (indices along the MPS), seen from i: j lies at x > 0, or at x = 0 and y > 0.

    vector: the way from i to j in the plane; turns: how often it goes around a ring, cylinder or torus (along y,
    where both directions are periodic).
    """

    i: int
    j: int
    vector: tuple[float, float] = (1.0, 0.0)
    turns: int = 0

    def phase(self, flux: float) -> complex:
        """exp(1j * flux * turns), what a particle picks up that steps from i to j; real where it can be."""
        return complex(np.exp(1j * flux * self.turns)) if flux and self.turns else 1.0


# sites, pairs and tensors of this many take some hundred gigabytes: refused before any is made
_MOST_SITES = 10_000_000


@dataclass(frozen=True, repr=False)
class Lattice:
    """A piece of a lattice, Lx times Ly unit cells: strip, cylinder (bc_y), ring (bc_x), or torus (both).

    The MPS runs along x, and sites are numbered along it. Nearest neighbours have distance 1, the lattice vector
    along y is vertical. Raises SettingsError where the parts do not fit.

    >>> lattice = Lattice("square", 4, 3, bc_y="periodic")
    >>> len(lattice), len(lattice.pairs(1)), len(lattice.pairs(2))
    (12, 21, 18)
    """

    kind: str = setting(help=f"lattice: {', '.join(UNIT_CELLS)}", flag="lattice")
    Lx: int = setting(help="unit cells along x, the direction of the MPS")
    Ly: int = setting(1, "unit cells along y: legs of a ladder, circumference of a cylinder")
    bc_x: str = setting("open", "boundary along x: open or periodic")
    bc_y: str = setting("open", "boundary along y: open or periodic")
    order: str = setting("columns", "path of the MPS: columns, snake, or folded (both ways around at once)")

    def __post_init__(self) -> None:
        check_fields(self)
        known = {"kind": tuple(UNIT_CELLS), "bc_x": BOUNDARIES, "bc_y": BOUNDARIES, "order": ORDERS}
        for name, values in known.items():
            value = getattr(self, name)
            if value not in values:
                raise SettingsError(f"a lattice has no {name} {value!r}. {suggest(value, values)}")
        if self.Lx < 1 or self.Ly < 1:
            raise SettingsError(f"a lattice needs Lx >= 1 and Ly >= 1, found {self!r}.")
        if len(self) > _MOST_SITES:
            raise SettingsError(
                f"{self!r} has {len(self):,} sites, more than {_MOST_SITES:,}, whose states would fill the memory "
                "before the first step: take fewer, or an infinite chain."
            )
        if self.cell.is_line and (self.Ly != 1 or self.bc_y != "open"):
            raise SettingsError(f"a chain has Ly = 1 and open bc_y, found {self!r}: take a ladder or square lattice.")
        if self.order == "folded" and not self.is_periodic:
            raise SettingsError(
                f"the folded order brings the ends of a periodic direction together, but {self!r} has open ends: "
                "take columns or snake."
            )

    def __repr__(self) -> str:
        shown = [repr(self.kind), repr(self.Lx), *([] if self.cell.is_line else [repr(self.Ly)])]
        changed = [entry for entry in fields(self)[3:] if getattr(self, entry.name) != entry.default]
        return f"Lattice({', '.join(shown + [f'{e.name}={getattr(self, e.name)!r}' for e in changed])})"

    # -- sites ------------------------------------------------------------------------------------------

    @property
    def cell(self) -> UnitCell:
        """The unit cell of this kind of lattice."""
        return UNIT_CELLS[self.kind]

    @property
    def is_periodic(self) -> bool:
        """Whether one direction at least is closed."""
        return "periodic" in (self.bc_x, self.bc_y)

    def __len__(self) -> int:
        return self.Lx * self.column

    @property
    def column(self) -> int:
        """Number of sites in one column of cells, which the MPS passes one after the other."""
        return self.Ly * len(self.cell.basis)

    @cached_property
    def vertices(self) -> tuple[Vertex, ...]:
        """All sites, in the order of the MPS."""
        result: list[Vertex] = []
        for n, x in enumerate(self._line(self.Lx, self.bc_x)):
            column = list(product(self._line(self.Ly, self.bc_y), range(len(self.cell.basis))))
            for y, place in reversed(column) if self.order == "snake" and n % 2 else column:
                result.append(Vertex(len(result), (x, y), place, self.cell.position(x, y, place)))
        return tuple(result)

    def _line(self, size: int, boundary: str) -> list[int]:
        """0, 1, 2, ...; folded: 0, n - 1, 1, n - 2, ..."""
        if self.order != "folded" or boundary != "periodic":
            return list(range(size))
        return [k // 2 if k % 2 == 0 else size - 1 - k // 2 for k in range(size)]

    @cached_property
    def positions(self) -> np.ndarray:
        """Position of every site, shape (sites, 2), in the order of the MPS."""
        return np.array([vertex.position for vertex in self.vertices])

    @cached_property
    def index(self) -> dict[tuple[int, int, int], int]:
        """Place along the MPS of site (x, y, place in the cell)."""
        return {(*vertex.cell, vertex.place): vertex.index for vertex in self.vertices}

    # -- neighbours -------------------------------------------------------------------------------------

    def pairs(self, order: int = 1) -> tuple[Pair, ...]:
        """Pairs of neighbours: order 1 the nearest, 2 the second nearest, ... by distance on the infinite lattice.

        Sorted by their first site, then by angle. Raises SettingsError where a periodic direction is so short
        that a pair has a shorter way, or another one of that length, and beyond the third where there is no pair at all
        (nearer ones, which models ask for, may be none on a small cluster).

        >>> [(pair.i, pair.j) for pair in Lattice("chain", 4, bc_x="periodic").pairs()]
        [(0, 1), (1, 2), (2, 3), (3, 0)]
        """
        found = _pairs(self, order)
        if not found and order > len(_WORDS):
            raise SettingsError(
                f"{self!r} is too small for {_named(order)} neighbours: no two sites are so far from each other. Take "
                "more cells, or nearer neighbours."
            )
        return found

    def plot(self, *, order: int = 1, path: Any = None) -> Any:
        """Sites, bonds up to a neighbour order and the path of the MPS; saved where a path is given."""
        return import_module("tnsim.plotting").plot_lattice(self, order=order, path=path)

    @cached_property
    def distances(self) -> np.ndarray:
        """Shortest distance of every two sites, over the periodic boundaries too; shape (sites, sites)."""
        around_x, around_y = self.Lx * np.array(self.cell.a1), self.Ly * np.array(self.cell.a2)
        slant = int(np.ceil(abs(around_x[1]) / around_y[1]))  # a turn along x moves a skew lattice along y too
        turns_x = range(-1, 2) if self.bc_x == "periodic" else range(1)
        turns_y = range(-slant - 1, slant + 2) if self.bc_y == "periodic" else range(1)
        straight = self.positions[None, :] - self.positions[:, None]
        ways = [straight + m * around_x + n * around_y for m, n in product(turns_x, turns_y)]
        return np.linalg.norm(ways, axis=3).min(axis=0)

    @cached_property
    def two_colouring(self) -> tuple[int, ...] | None:
        """0 or 1 for every site such that nearest neighbours differ; None where that cannot be."""
        neighbours: list[list[int]] = [[] for _ in range(len(self))]
        for pair in _steps(self, 1):
            neighbours[pair.i].append(pair.j)
            neighbours[pair.j].append(pair.i)
        colours = [-1] * len(self)
        for first in range(len(self)):
            waiting = deque([first] if colours[first] < 0 else [])
            colours[first] = max(colours[first], 0)
            while waiting:
                i = waiting.popleft()
                for j in neighbours[i]:
                    if colours[j] == colours[i]:
                        return None
                    if colours[j] < 0:
                        colours[j] = 1 - colours[i]
                        waiting.append(j)
        return tuple(colours)


@lru_cache(maxsize=64)
def _pairs(lattice: Lattice, order: int) -> tuple[Pair, ...]:
    if not isinstance(order, (int, np.integer)) or order < 1:
        raise SettingsError(f"neighbours are counted 1 (nearest), 2, 3, ..., found {order!r}.")
    taken = {frozenset((pair.i, pair.j)) for nearer in range(1, order) for pair in _pairs(lattice, nearer)}
    found = tuple(_steps(lattice, order))
    for pair in found:
        sites = frozenset((pair.i, pair.j))
        if len(sites) < 2 or sites in taken:
            raise SettingsError(
                f"{lattice!r} is too narrow for {_named(order)} neighbours: over the periodic "
                f"boundary, sites {pair.i} and {pair.j} are neighbours in two ways. Take more cells around, or open it."
            )
        taken.add(sites)
    return found


def _named(order: int) -> str:
    return _WORDS.get(order, f"{order}th")


def _steps(lattice: Lattice, order: int) -> Iterator[Pair]:
    """All ways to a neighbour, also where two lead to the same one."""
    for vertex, way in product(lattice.vertices, neighbour_displacements(lattice.cell, order)):
        over_x, x = divmod(vertex.cell[0] + way.dx, lattice.Lx)
        over_y, y = divmod(vertex.cell[1] + way.dy, lattice.Ly)
        left = (over_x and lattice.bc_x == "open") or (over_y and lattice.bc_y == "open")
        if way.start == vertex.place and not left:
            turns = over_y if lattice.bc_y == "periodic" else over_x
            yield Pair(vertex.index, lattice.index[x, y, way.end], way.vector, turns)
