"""The metric of a bond of a finite PEPS from boundaries above and below its row, or on both sides of its column.

x--top---u---top'--r        left and right of the bond what the row makes of its other columns
|   |        |     |
L--Qa        Qb----R
|   |        |     |
y--low---v---low'--q
"""

from collections.abc import Sequence

from tnsim.algorithms.peps.finite.double_boundary import DoubleBoundary, edge, next_boundary
from tnsim.algorithms.peps.finite.double_layer_row import DoubleRow, absorb, ones
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.linalg import Truncation
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.peps.bond_graph import BondGraph, Link
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, bra, contract, transpose

# how rows and columns are read as rows: columns reflected at the diagonal, so that south becomes east
_ORDERS = {EAST: (NORTH, EAST, SOUTH, WEST, 4), SOUTH: (WEST, SOUTH, EAST, NORTH, 4)}
_UPSIDE_DOWN = (SOUTH, EAST, NORTH, WEST, 4)


class BoundaryMetric:
    """Boundaries on all sides of a finite lattice, made when they are asked for and forgotten when tensors are new."""

    def __init__(self, truncation: Truncation, graph: BondGraph, tensors: Sequence[Tensor]) -> None:
        self.truncation, self.graph = truncation, graph
        self._lines = {way: _Lines(truncation, graph, tensors, way) for way in (EAST, SOUTH)}

    def replaced(self, tensors: Sequence[Tensor], link: Link, steps: int) -> None:
        """Take in the new tensors of a bond."""
        for lines in self._lines.values():
            for number in (link.first, link.second):
                lines.replace(number, tensors[number])

    def metric(self, frame: BondFrame) -> Tensor:
        """Legs (k0', k1', k0, k1), Hermitian and positive but for the errors of the boundaries."""
        lines = self._lines[frame.link.direction]
        i, j = lines.place(frame.link.first)
        above, below = lines.above(i).sites, lines.below(i).sites
        left, right = lines.ends(i, j)
        extra, ancilla = " a" * (frame.first.ndim - 4), range(3, frame.first.ndim - 1)
        # turned to the east, north of a column lies where its reflection has south
        first, second = ("n s w", "n e s") if frame.link.direction == EAST else ("s n w", "s e n")
        half = contract("x w W y, x n N u, y s S v -> w W n N u s S v", left, above[j], below[j])
        half = contract(f"w W n N u s S v, {first}{extra} k -> W N u S v{extra} k", half, frame.first)
        west = contract(f"W N u S v{extra} k, {first.upper()}{extra} K -> u v k K", half, bra(frame.first, ancilla))
        half = contract("r e E q, u n N r, v s S q -> e E n N u s S v", right, above[j + 1], below[j + 1])
        half = contract(f"e E n N u s S v, {second}{extra} k -> E N u S v{extra} k", half, frame.second)
        east = contract(f"E N u S v{extra} k, {second.upper()}{extra} K -> u v k K", half, bra(frame.second, ancilla))
        return contract("u v k K, u v l L -> K L k l", west, east)


class _Lines:
    """The lattice as rows in one of two ways, with the boundaries above and below them."""

    def __init__(self, truncation: Truncation, graph: BondGraph, tensors: Sequence[Tensor], way: int) -> None:
        self._truncation, self._order = truncation, _ORDERS[way]
        pattern = graph.pattern if way == EAST else tuple(zip(*graph.pattern, strict=True))
        self._pattern, self._places = pattern, {n: (i, j) for i, row in enumerate(pattern) for j, n in enumerate(row)}
        self._kets = {number: self._oriented(tensors[number]) for row in pattern for number in row}
        self._rows: dict[int, DoubleRow] = {}
        self._above: list[DoubleBoundary] = []
        self._below: list[DoubleBoundary] = []
        # of the row that was asked for last: what lies west of so many columns, and east of as many from the other end
        self._measured, self._west, self._east = -1, [], []  # type: ignore[var-annotated]

    def place(self, number: int) -> tuple[int, int]:
        """Row and column of a tensor in this way of reading the lattice."""
        return self._places[number]

    def replace(self, number: int, tensor: Tensor) -> None:
        """A new tensor: boundaries that hold the old one are forgotten."""
        i, j = self._places[number]
        self._kets[number] = self._oriented(tensor)
        self._rows.pop(i, None)
        del self._above[i + 1 :]
        del self._below[len(self._pattern) - i :]
        # what lies beside the new tensor stays as it is
        del self._west[j + 1 if i == self._measured else 0 :]
        del self._east[len(self._pattern[0]) - j if i == self._measured else 0 :]

    def row(self, i: int) -> DoubleRow:
        """Row i beside its conjugate."""
        if i not in self._rows:
            self._rows[i] = DoubleRow.of([self._kets[number] for number in self._pattern[i]])
        return self._rows[i]

    def above(self, i: int) -> DoubleBoundary:
        """What lies above row i."""
        while len(self._above) <= i:
            count = len(self._above)
            last = self.row(count - 1) if count else None
            self._above.append(self._next(self._above, last, self.row(0)))
        return self._above[i]

    def below(self, i: int) -> DoubleBoundary:
        """What lies below row i, looked at upside down."""
        total = len(self._pattern)
        while len(self._below) < total - i:
            count = len(self._below)
            last = _upside_down(self.row(total - count)) if count else None
            self._below.append(self._next(self._below, last, _upside_down(self.row(total - 1))))
        return self._below[total - 1 - i]

    def ends(self, i: int, j: int) -> tuple[Tensor, Tensor]:
        """What row i makes of its columns west of j, and of those east of j + 1, between its boundaries."""
        if i != self._measured:
            self._measured, self._west, self._east = i, [], []
        row, above, below = self.row(i), self.above(i).sites, self.below(i).sites
        n = len(row)
        for side, found, wanted in ((LEFT, self._west, j), (RIGHT, self._east, n - 2 - j)):
            if not found:
                found.append(_outer(side, row, above, below))
            while len(found) <= wanted:
                k = len(found) - 1 if side == LEFT else n - len(found)
                found.append(absorb(side, found[-1], above[k], (row.kets[k], row.bras[k]), below[k]))
        return self._west[j], self._east[n - 2 - j]

    def _next(self, found: list[DoubleBoundary], row: DoubleRow | None, outermost: DoubleRow) -> DoubleBoundary:
        return edge(outermost) if row is None else next_boundary(found[-1], row, self._truncation)

    def _oriented(self, tensor: Tensor) -> Tensor:
        return transpose(tensor, self._order)


def _upside_down(row: DoubleRow) -> DoubleRow:
    return DoubleRow.of([transpose(ket, _UPSIDE_DOWN) for ket in row.kets])


def _outer(side: str, row: DoubleRow, above: Sequence[Tensor], below: Sequence[Tensor]) -> Tensor:
    """Outside of a row: legs of dimension 1 (boundary above, ket, bra, boundary below)."""
    k, leg = (0, WEST) if side == LEFT else (-1, EAST)
    own = 0 if side == LEFT else 3
    legs: list[Leg] = [above[k].legs[own], row.kets[k].legs[leg], row.bras[k].legs[leg], below[k].legs[own]]
    return ones(legs, row.kets[k])
