"""All that one row of a PEPS measures between the boundaries above and below it, in one pass to and fro."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.peps.finite.double_boundary import DoubleBoundary
from tnsim.algorithms.peps.finite.double_layer_row import DoubleRow, absorb, closed, doubled, entered, joined, ones
from tnsim.errors import NumericalError
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.square_network import EAST, WEST
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class CutTerm:
    """A term on two places as two operators with a bond between: upper (out, in, bond), lower (bond, out, in).

    The lower place lies in the row below the upper one, or further east in the same row.
    """

    upper_place: Place
    lower_place: Place
    upper: Tensor
    lower: Tensor

    @property
    def places(self) -> tuple[Place, Place]:
        return self.upper_place, self.lower_place

    @property
    def in_one_row(self) -> bool:
        return self.upper_place[0] == self.lower_place[0]


@dataclass(eq=False)
class _Column:
    """Column j in the pass from the west: what is left of it, that with the center above and the ket, the boundary
    below with what is right, and all around the bra; norm: the sum over all."""

    j: int
    left: Tensor
    half: Tensor
    closing: Tensor
    around: Tensor
    norm: complex
    entered: dict[int, Tensor] = field(default_factory=dict)
    halves: dict[tuple[int, bool], Tensor] = field(default_factory=dict)


class MeasuredRow:
    """A row with what lies above and below it; log_norm and phase: of the sum over all, as this row sees it."""

    def __init__(self, above: DoubleBoundary, row: DoubleRow, below: DoubleBoundary) -> None:
        self.above, self.row, self.low = above, row, below.sites
        self.log_norm, self.phase = above.log_norm + below.log_norm, 1.0 + 0j
        # what is right of every column, divided by its norm, and ln of what it was divided by in all
        self._rights: dict[int, Tensor] = {}
        self._right_logs: dict[int, float] = {}
        self._right_halves: dict[tuple[int, int], Tensor] = {}

    def means(
        self, singles: Mapping[int, Sequence[Tensor]], terms: Iterable[CutTerm]
    ) -> tuple[dict[int, list[complex]], dict[tuple[Place, Place], complex]]:
        """Means of operators (out, in) in every column, and of terms whose lower place lies in this row."""
        starting, ending = defaultdict(list), defaultdict(list)
        for term in terms:
            starting[term.upper_place[1]].append(term)
            ending[term.lower_place[1]].append(term)
        self._pass_from_the_east(ending)
        left = self._end(0, WEST, self.above.before[0].legs[0], self.low[0].legs[0])
        local, found = {}, {}
        waiting: dict[CutTerm, tuple[Tensor, float]] = {}
        log = 0.0  # what the environment from the west was divided by so far
        for j, (ket, bra) in enumerate(zip(self.row.kets, self.row.bras, strict=True)):
            column = self._column(j, left)
            operators = [operated(bra, operator) for operator in singles.get(j, ())]
            local[j] = [_around(column.around, operator) / column.norm for operator in operators]
            for term in starting[j]:
                env, then = waiting.pop(term) if term in waiting else (None, log)
                found[term.places] = self._pair(column, term, env) * float(np.exp(then - log)) / column.norm
            half = entered(LEFT, left, self.above.before[j], ket)
            for term in (term for term in ending[j] if term.upper_place[1] > j):
                env = closed(LEFT, doubled(LEFT, half, operated_below(bra, term.lower)), self.low[j])
                env = self._carried(env, self.above.before, range(j + 1, term.upper_place[1]))
                waiting[term] = env, log
            left, size = _scaled(closed(LEFT, doubled(LEFT, half, bra), self.low[j]))
            log += size
        return local, found

    def _pass_from_the_east(self, ending: Mapping[int, Sequence[CutTerm]]) -> None:
        """What is right of every column, and the halves that begin with the lower operator of a term."""
        last = len(self.row) - 1
        right, log = self._end(last, EAST, self.above.sites[last].legs[3], self.low[last].legs[3]), 0.0
        for j in range(last, -1, -1):
            ket, bra = self.row.kets[j], self.row.bras[j]
            self._rights[j], self._right_logs[j] = right, log
            half = entered(RIGHT, right, self.above.sites[j], ket)
            for lower in {id(t.lower): t.lower for t in ending.get(j, ()) if t.upper_place[1] < j}.values():
                env = closed(RIGHT, doubled(RIGHT, half, operated_below(bra, lower)), self.low[j])
                self._right_halves[j, id(lower)] = env
            if j > 0:
                right, size = _scaled(closed(RIGHT, doubled(RIGHT, half, bra), self.low[j]))
                log += size

    def _end(self, j: int, side: int, top: Leg, low: Leg) -> Tensor:
        return ones([top, self.row.kets[j].legs[side], self.row.bras[j].legs[side], low], self.row.kets[j])

    def _column(self, j: int, left: Tensor) -> _Column:
        half = entered(LEFT, left, self.above.centers[j], self.row.kets[j])
        closing = contract("y s S v, u e E v -> y s S u e E", self.low[j], self._rights[j])
        around = _all_but_the_bra(half, closing)
        norm = _around(around, self.row.bras[j])
        if not 0 < abs(norm) < np.inf:
            raise NumericalError(f"the sum over a row is {norm}: the state vanishes, or chi_max is far too small.")
        if j == 0:
            self.log_norm += self._right_logs[0] + float(np.log(abs(norm)))
            self.phase = norm / abs(norm)
        return _Column(j, left, half, closing, around, norm)

    def _pair(self, column: _Column, term: CutTerm, waiting: Tensor | None) -> complex:
        """The sum over all with a term whose upper place stands in this column."""
        j, target = column.j, term.lower_place[1]
        if target > j:
            env = self._carried(self._west_half(column, term), self.above.sites, range(j + 1, target))
            scale = float(np.exp(self._right_logs[target] - self._right_logs[j]))
            return joined(env, self._right_halves[target, id(term.lower)]) * scale
        if waiting is None:
            around = _all_but_the_bra(self._below_operator(column, term), column.closing)
            return _around(around, operated_below(self.row.bras[j], term.lower))
        half = entered(LEFT, waiting, self._center(j, term), self.row.kets[j])
        return _around(_all_but_the_bra(half, column.closing), self.row.bras[j])

    def _west_half(self, column: _Column, term: CutTerm) -> Tensor:
        """All up to a column with the upper operator of a term."""
        key = id(term.upper), term.in_one_row
        if key not in column.halves:
            bra = self.row.bras[column.j]
            half = column.half if term.in_one_row else self._below_operator(column, term)
            bra = operated(bra, term.upper) if term.in_one_row else bra
            column.halves[key] = closed(LEFT, doubled(LEFT, half, bra), self.low[column.j])
        return column.halves[key]

    def _below_operator(self, column: _Column, term: CutTerm) -> Tensor:
        """column.half with the operator in the row above."""
        key = id(term.upper)
        if key not in column.entered:
            top = self._center(column.j, term)
            column.entered[key] = entered(LEFT, column.left, top, self.row.kets[column.j])
        return column.entered[key]

    def _center(self, j: int, term: CutTerm) -> Tensor:
        assert self.above.row is not None
        return self.above.with_operator(j, operated(self.above.row.bras[j], term.upper))

    def _carried(self, env: Tensor, tops: Sequence[Tensor], columns: Iterable[int]) -> Tensor:
        for c in columns:
            env = absorb(LEFT, env, tops[c], (self.row.kets[c], self.row.bras[c]), self.low[c])
        return env


def operated(bra: Tensor, operator: Tensor) -> Tensor:
    """A bra with an operator (out, in) or (out, in, bond) between it and its ket."""
    bond = " a" * (operator.ndim - 2)
    return contract(f"N E S W q, q p{bond} -> N E S W p{bond}", bra, operator)


def operated_below(bra: Tensor, operator: Tensor) -> Tensor:
    """A bra with an operator (bond, out, in)."""
    return contract("N E S W q, a q p -> N E S W p a", bra, operator)


def _all_but_the_bra(half: Tensor, closing: Tensor) -> Tensor:
    bond = " a" * (half.ndim - 7)
    return contract(f"W y N u e s p{bond}, y s S u e E -> N E S W p{bond}", half, closing)


def _around(around: Tensor, bra: Tensor) -> complex:
    bond = " a" * (bra.ndim - 5)
    return contract(f"N E S W p{bond}, N E S W p{bond} -> ", around, bra).item()


def _scaled(env: Tensor) -> tuple[Tensor, float]:
    """The environment divided by its norm, and ln of that; zero stays zero."""
    size = env.norm()
    return (env / size, float(np.log(size))) if 0 < size < np.inf else (env, 0.0)
