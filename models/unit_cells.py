"""Unit cells of the lattices, and the displacements between neighbours, found from distances.

The second lattice vector points along y: a cylinder is wrapped along it. Nearest neighbours have distance 1.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_ROOT3 = np.sqrt(3.0)
_SAME = 1e-9  # distances closer than this are equal


@dataclass(frozen=True)
class UnitCell:
    """Lattice vectors a1, a2, and the positions of the sites in one cell; a line has no second direction."""

    a1: tuple[float, float]
    a2: tuple[float, float]
    basis: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    is_line: bool = False

    def position(self, x: int, y: int, place: int) -> tuple[float, float]:
        """Where site `place` of cell (x, y) lies."""
        (ax, ay), (bx, by), (px, py) = self.a1, self.a2, self.basis[place]
        return x * ax + y * bx + px, x * ay + y * by + py


_SQUARE = UnitCell((1.0, 0.0), (0.0, 1.0))
UNIT_CELLS: dict[str, UnitCell] = {
    "chain": UnitCell((1.0, 0.0), (0.0, 1.0), is_line=True),
    "ladder": _SQUARE,
    "square": _SQUARE,
    "triangular": UnitCell((_ROOT3 / 2, 0.5), (0.0, 1.0)),
    "honeycomb": UnitCell((1.5, _ROOT3 / 2), (0.0, _ROOT3), ((0.0, 0.0), (1.0, 0.0))),
    "kagome": UnitCell((_ROOT3, 1.0), (0.0, 2.0), ((0.0, 0.0), (0.0, 1.0), (_ROOT3 / 2, 0.5))),
}


@dataclass(frozen=True)
class Displacement:
    """From site `start` of a cell to site `end` of the cell (dx, dy) further; vector: the way in the plane."""

    start: int
    end: int
    dx: int
    dy: int
    vector: tuple[float, float]

    @property
    def length(self) -> float:
        return float(np.hypot(*self.vector))


@lru_cache(maxsize=64)
def neighbour_displacements(cell: UnitCell, order: int) -> tuple[Displacement, ...]:
    """Displacements to the neighbours of the given order, each pair in one direction only.

    That direction has x > 0, or x = 0 and y > 0. Sorted by start, then by angle from -90 to 90 degrees. Cost
    O(order^2).

    >>> [d.vector for d in neighbour_displacements(UNIT_CELLS["square"], 2)]
    [(1.0, -1.0), (1.0, 1.0)]
    """
    found = _displacements(cell, 2 * order + 1)
    lengths = sorted(d.length for d in found)
    shells = [length for length, previous in zip(lengths, [0.0, *lengths]) if length - previous > _SAME]
    chosen = [d for d in found if abs(d.length - shells[order - 1]) < _SAME]
    return tuple(sorted(chosen, key=lambda d: (d.start, np.arctan2(d.vector[1], d.vector[0]))))


def _displacements(cell: UnitCell, reach: int) -> list[Displacement]:
    """All displacements to cells at most `reach` away that go forward."""
    found = []
    for start, origin in enumerate(cell.basis):
        for end in range(len(cell.basis)):
            for dx in range(-reach, reach + 1):
                for dy in range(-reach, reach + 1) if not cell.is_line else (0,):
                    x, y = cell.position(dx, dy, end)
                    x, y = x - origin[0], y - origin[1]
                    if x > _SAME or (abs(x) < _SAME and y > _SAME):
                        found.append(Displacement(start, end, dx, dy, (x, y)))
    return found
