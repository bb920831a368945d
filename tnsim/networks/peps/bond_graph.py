"""Which tensors of a PEPS meet on which legs: the bonds by number, and ways along them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tnsim.errors import OperatorError, ShapeError
from tnsim.networks.peps.square_state import Closed, Pattern, Place, bonds
from tnsim.networks.square_network import EAST, SOUTH, WEST

_STEPS = {EAST: (0, 1), SOUTH: (1, 0)}


class Link(NamedTuple):
    """The bond from tensor `first` to the tensor `second` that lies EAST or SOUTH of it (direction)."""

    first: int
    second: int
    direction: int


class Walk(NamedTuple):
    """A way over the lattice: numbers of the tensors, and for all but the last the leg that leads on."""

    numbers: tuple[int, ...]
    legs: tuple[int, ...]


class BondGraph:
    """The bonds of a pattern of tensors; at[tensor][leg] is the number of the bond there, None at an open edge."""

    def __init__(self, pattern: Pattern, closed: Closed) -> None:
        self.pattern, self.closed = pattern, closed
        count = max(map(max, pattern)) + 1
        self.links: tuple[Link, ...] = tuple(dict.fromkeys(self._link(bond) for bond in bonds(self.shape, closed)))
        at: list[list[int | None]] = [[None] * 4 for _ in range(count)]
        for number, link in enumerate(self.links):
            for tensor, leg in ((link.first, link.direction), (link.second, (link.direction + 2) % 4)):
                if at[tensor][leg] is not None:
                    raise ShapeError(
                        f"tensor {tensor} has different neighbours in the places where it stands: updates need a "
                        f"pattern in which equal tensors have equal neighbours, found {pattern}."
                    )
                at[tensor][leg] = number
        self.at = tuple(map(tuple, at))

    @property
    def shape(self) -> Place:
        """(rows, columns)."""
        return len(self.pattern), len(self.pattern[0])

    def number(self, place: Place) -> int:
        """Number of the tensor in a place: of any integers along a direction that is closed."""
        (i, j), (m, n) = place, self.shape
        if not all(ring or 0 <= k < size for ring, k, size in zip(self.closed, place, self.shape, strict=True)):
            raise ShapeError(f"{m} x {n} sites have no place {place}.")
        return self.pattern[i % m][j % n]

    def neighbour(self, tensor: int, leg: int) -> int | None:
        """Number of the tensor that a leg leads to, None at an open edge."""
        bond = self.at[tensor][leg]
        if bond is None:
            return None
        link = self.links[bond]
        return link.second if leg == link.direction else link.first

    def _link(self, bond) -> Link:
        return Link(self.number(bond.first), self.number(bond.second), bond.direction)

    def walks(self, first: Place, second: Place, longest: int) -> tuple[Walk, ...]:
        """The shortest ways between two places that turn once at most: one along a line, else two.

        Raises OperatorError for places farther apart than `longest` steps, and where a way meets a tensor twice.
        """
        down, right = second[0] - first[0], second[1] - first[1]
        steps = abs(down) + abs(right)
        if not 0 < steps <= longest:
            raise OperatorError(
                f"the sites {first} and {second} are not neighbours and {steps} steps apart, and no gate is led over a "
                f"way of more than {longest} steps: take models with terms of shorter range."
            )
        moves = [(WEST if right < 0 else EAST, abs(right)), (SOUTH if down > 0 else 0, abs(down))]
        orders = [moves] if 0 in (down, right) else [moves, moves[::-1]]
        return tuple(self._walk(first, [leg for leg, count in order for _ in range(count)]) for order in orders)

    def _walk(self, first: Place, legs: Sequence[int]) -> Walk:
        numbers = [self.number(first)]
        for leg in legs:
            following = self.neighbour(numbers[-1], leg)
            assert following is not None, "shortest ways stay inside"
            numbers.append(following)
        if len(set(numbers)) < len(numbers):
            raise OperatorError(
                f"a gate from {first} over {len(legs)} bonds meets the tensors {numbers}, one of them twice: take a "
                f"larger cell than {self.pattern}."
            )
        return Walk(tuple(numbers), tuple(legs))


@lru_cache(maxsize=64)
def bond_graph(pattern: Pattern, closed: Closed) -> BondGraph:
    """The bonds of a pattern. Raises ShapeError where equal tensors have different neighbours.

    >>> bond_graph(((0, 1), (1, 0)), (True, True)).links[:2]
    (Link(first=0, second=1, direction=1), Link(first=0, second=1, direction=2))
    """
    return BondGraph(pattern, closed)
