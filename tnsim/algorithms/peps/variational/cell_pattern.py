"""Which tensor of a cell that repeats stands next to which, as long as each has the same neighbours everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from tnsim.errors import ShapeError


@dataclass(frozen=True)
class CellPattern:
    """east[n], south[n], west[n], north[n]: the neighbours of tensor n."""

    east: tuple[int, ...]
    south: tuple[int, ...]
    west: tuple[int, ...]
    north: tuple[int, ...]

    @classmethod
    def of(cls, pattern: Sequence[Sequence[int]]) -> "CellPattern":
        """Raises ShapeError where a tensor has different neighbours in different places.

        >>> CellPattern.of([[0, 1], [1, 0]]).neighbour(0, 1, 1)
        0
        """
        m, n = len(pattern), len(pattern[0])
        count = max(max(row) for row in pattern) + 1
        found: dict[tuple[int, int, int], set[int]] = {}
        for i in range(m):
            for j in range(n):
                for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                    key = (pattern[i][j], di, dj)
                    found.setdefault(key, set()).add(pattern[(i + di) % m][(j + dj) % n])
        for (number, _, _), others in found.items():
            if len(others) > 1:
                raise ShapeError(
                    f"tensor {number} of the pattern {pattern} has different neighbours in different places: give "
                    "every place of the cell a tensor of its own."
                )
        ways = ((0, 1), (1, 0), (0, -1), (-1, 0))
        return cls(*(tuple(next(iter(found[number, *way])) for number in range(count)) for way in ways))

    def neighbour(self, n: int, down: int, east: int) -> int:
        """The tensor so many rows down and columns east of tensor n."""
        for _ in range(abs(down)):
            n = (self.south if down > 0 else self.north)[n]
        for _ in range(abs(east)):
            n = (self.east if east > 0 else self.west)[n]
        return n

    def turned(self) -> "CellPattern":
        """A quarter turn counterclockwise: what was east is north."""
        return CellPattern(east=self.south, south=self.west, west=self.north, north=self.east)
