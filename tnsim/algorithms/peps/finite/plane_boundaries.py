"""The boundaries above and below every row of a finite PEPS and its conjugate, made when they are asked for."""

from collections.abc import Iterable, Mapping, Sequence

from tnsim.algorithms.peps.finite.cut_terms import COLUMNS, turned
from tnsim.algorithms.peps.finite.double_boundary import DoubleBoundary, edge, next_boundary
from tnsim.algorithms.peps.finite.double_layer_row import DoubleRow
from tnsim.algorithms.peps.finite.measured_row import CutTerm, MeasuredRow, Place
from tnsim.linalg import Truncation
from tnsim.networks.peps import PEPS
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.tensor import Tensor, bra, transpose

PHYS = 4
Rows = Sequence[Sequence[Tensor]]


class PlaneBoundaries:
    """Boundaries along rows, or along columns, which are rows of the lattice reflected at its diagonal."""

    def __init__(self, psi: PEPS, direction: str, truncation: Truncation, bras: Rows | None = None) -> None:
        self.direction, self._truncation = direction, truncation
        bras = [[bra(ket) for ket in row] for row in psi.rows] if bras is None else bras
        kets, bras = (_reflected(rows) if direction == COLUMNS else rows for rows in (psi.rows, bras))
        self.rows = [DoubleRow(tuple(a), tuple(b)) for a, b in zip(kets, bras, strict=True)]
        mirrored = [DoubleRow(_mirrored(row.kets), _mirrored(row.bras)) for row in self.rows[::-1]]
        self._stacks = [(self.rows, [edge(self.rows[0])]), (mirrored, [edge(mirrored[0])])]

    def above(self, i: int) -> DoubleBoundary:
        """What lies above row i."""
        return self._after(0, i)

    def below(self, i: int) -> DoubleBoundary:
        """What lies below row i."""
        return self._after(1, len(self.rows) - 1 - i)

    def _after(self, side: int, count: int) -> DoubleBoundary:
        rows, found = self._stacks[side]
        while len(found) <= count:
            found.append(next_boundary(found[-1], rows[len(found) - 1], self._truncation))
        return found[count]

    def row(self, i: int) -> MeasuredRow:
        """Row i between its boundaries, for measurements."""
        return MeasuredRow(self.above(i), self.rows[i], self.below(i))

    def in_line(self, pair: tuple[Place, Place]) -> bool:
        """Whether a pair of places lies in one row (column) of this direction, and needs no boundary between."""
        first, second = (turned(place, self.direction) for place in pair)
        return first[0] == second[0]

    @property
    def weight(self) -> float:
        """Discarded weights of all boundaries so far, summed."""
        return sum(found[-1].weight for _, found in self._stacks)

    @property
    def chi(self) -> int:
        """The largest bond so far."""
        return max(boundary.chi for _, found in self._stacks for boundary in found)

    def means(
        self, singles: Mapping[Place, Sequence[Tensor]], terms: Iterable[CutTerm]
    ) -> tuple[dict[Place, list[complex]], dict[tuple[Place, Place], complex], list[tuple[float, complex]]]:
        """Means of operators by place and of terms by pair of places, and (ln, phase) of the sum as every row sees it.

        Places are those of the lattice; of terms those of the rows of this direction.
        """
        terms = list(terms)
        local, found, sums = {}, {}, []
        for i in range(len(self.rows)):
            own = {turned(place, self.direction): operators for place, operators in singles.items()}
            here = {j: operators for (k, j), operators in own.items() if k == i}
            row = self.row(i)
            columns, pairs = row.means(here, [term for term in terms if term.lower_place[0] == i])
            local.update({turned((i, j), self.direction): values for j, values in columns.items() if j in here})
            for pair, value in pairs.items():
                first, second = sorted(turned(place, self.direction) for place in pair)
                found[first, second] = value
            sums.append((row.log_norm, row.phase))
        return local, found, sums


def _reflected(rows: Rows) -> Rows:
    """Rows as columns: west becomes north, south becomes east."""
    order = (WEST, SOUTH, EAST, NORTH, PHYS)
    return [[transpose(row[j], order) for row in rows] for j in range(len(rows[0]))]


def _mirrored(row: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """North and south exchanged."""
    return tuple(transpose(tensor, (SOUTH, EAST, NORTH, WEST, PHYS)) for tensor in row)
