"""What finite and infinite PEPS share: numbered site tensors, the pattern in which they stand, and their bonds."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from tnsim.backend import Backend, Seed, generator
from tnsim.errors import BackendError, ChargeError, ShapeError, StateError
from tnsim.networks.mps import local_vector
from tnsim.networks.peps.site_tensor import (
    State,
    bond_leg,
    charge_of,
    check_bond,
    check_dimension,
    check_site_tensor,
    embedded,
)
from tnsim.networks.sites import Site
from tnsim.networks.square_network import EAST, FLOWS, NORTH, SOUTH, WEST
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, random_tensor

Place = tuple[int, int]
Pattern = tuple[tuple[int, ...], ...]
# whether the first row follows the last one, and the first column the last one
Closed = tuple[bool, bool]


class Bond(NamedTuple):
    """The bond from a place to its neighbour in the direction EAST or SOUTH, which may lie in the next cell."""

    first: Place
    second: Place
    direction: int


class SquareState(ABC):
    """Tensors with legs (north, east, south, west, phys), flows (+1, -1, -1, +1, +1); rows count downwards.

    tensors: the different ones; pattern[i][j]: number of the one in row i and column j; kinds: the Site of each tensor.
    A tensor may carry a charge. Values are frozen: functions return new states.
    """

    closed: Closed
    """Whether the first row follows the last one, and whether the first column does."""

    def __init__(self, tensors: Sequence[Tensor], pattern: Sequence[Sequence[int]], kinds: Sequence[Site]) -> None:
        self.tensors, self.kinds = tuple(tensors), tuple(kinds)
        self.pattern = check_pattern(pattern, len(self.tensors))
        if len(self.kinds) != len(self.tensors):
            raise ShapeError(f"every tensor needs its site: {len(self.tensors)} tensors, {len(self.kinds)} sites.")
        for place in self.places():
            tensor, site = self.tensor(*place), self.site(*place)
            if site.is_fermionic and not site.group.fermionic:
                raise ChargeError(f"the fermions at {place} are not counted by {site.group!r}: see `graded_sites`.")
            check_site_tensor(tensor, site, f"at {place}")
            if tensor.backend is not self.backend:
                raise BackendError(f"the tensors lie on {self.backend.name} and {tensor.backend.name}: use .to(...).")
            if site.group != self.kinds[0].group:
                raise ChargeError(f"the sites conserve {self.kinds[0].group!r} and {site.group!r}: all the same.")
        for bond in self.bonds():
            first, second = self.tensor(*bond.first), self.tensor(*bond.second)
            check_bond(first, second, bond.direction, (f"at {bond.first}", f"at {bond.second}"))

    # -- what stands where ------------------------------------------------------------------------------

    @property
    def shape(self) -> Place:
        """(rows, columns) of the lattice, or of the cell."""
        return len(self.pattern), len(self.pattern[0])

    def places(self) -> Iterator[Place]:
        """All of them, row by row."""
        return product(range(self.shape[0]), range(self.shape[1]))

    def number(self, i: int, j: int) -> int:
        """Number of the tensor at row i, column j: any integers where the pattern repeats."""
        return self.pattern[i % self.shape[0]][j % self.shape[1]]

    @property
    def infinite(self) -> bool:
        """Whether the pattern repeats in both directions."""
        return self.closed == (True, True)

    def tensor(self, i: int, j: int) -> Tensor:
        """The tensor at row i, column j."""
        return self.tensors[self.number(i, j)]

    def site(self, i: int, j: int) -> Site:
        """The local Hilbert space at row i, column j."""
        return self.kinds[self.number(i, j)]

    def bonds(self) -> Iterator[Bond]:
        """Every bond between neighbours once, those out of the cell to the east and south included."""
        return bonds(self.shape, self.closed)

    @property
    def backend(self) -> Backend:
        return self.tensors[0].backend

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(tensor.dtype for tensor in self.tensors))

    @property
    def bond_dimension(self) -> int:
        """The largest one."""
        return max(leg.dim for tensor in self.tensors for leg in tensor.legs[:4])

    def refuse_fermions(self, what: str) -> None:
        """StateError where there are fermions; what: the name of that which has no signs for them."""
        if any(site.is_fermionic for site in self.kinds):
            raise StateError(
                f"{what} knows no signs of fermions: take SimpleUpdate and BoundaryMeasurement on a finite lattice."
            )

    def __repr__(self) -> str:
        (m, n), group = self.shape, self.kinds[0].group
        names = ", ".join(sorted({site.name for site in self.kinds}))
        symmetry = f", symmetry {group!r}" if group.names else ""
        cell = f"a {m} x {n} cell with {len(self.tensors)} tensors" if self.infinite else f"{m} x {n} sites"
        cell += " on a cylinder" if self.closed == (True, False) else ""
        return (
            f"{type(self).__name__}: {cell}, {names}, D = {self.bond_dimension}{symmetry}, {self.dtype} on "
            f"{self.backend.name}"
        )

    # -- new states -------------------------------------------------------------------------------------

    @abstractmethod
    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        """Other tensors in the same pattern on the same sites."""

    def to(self, backend: str | Backend) -> Self:
        """The same state on another library's device."""
        return self.with_tensors([tensor.to(backend) for tensor in self.tensors])

    def astype(self, dtype: Any) -> Self:
        """The same state in another dtype."""
        return self.with_tensors([tensor.astype(dtype) for tensor in self.tensors])


def bonds(shape: Place, closed: Closed) -> Iterator[Bond]:
    """Bonds between neighbours of a lattice, of a cylinder or of a cell that repeats."""
    m, n = shape
    for i, j in product(range(m), range(n)):
        if closed[1] or j + 1 < n:
            yield Bond((i, j), (i, j + 1), EAST)
        if closed[0] or i + 1 < m:
            yield Bond((i, j), (i + 1, j), SOUTH)


def check_pattern(pattern: Sequence[Sequence[int]], count: int) -> Pattern:
    """ShapeError unless rows of one length name the tensors 0 to count - 1, each somewhere."""
    rows = tuple(tuple(row) for row in pattern)
    if not rows or not rows[0] or {len(row) for row in rows} != {len(rows[0])}:
        raise ShapeError(f"a cell that tiles the plane has rows of one length, found {[len(row) for row in rows]}.")
    found = {number for row in rows for number in row}
    if found != set(range(count)):
        raise ShapeError(f"a pattern of {count} tensors names each of 0 to {count - 1}, found {sorted(found)}.")
    return rows


AnyState = TypeVar("AnyState", bound=SquareState)

# -- bonds of a given dimension -------------------------------------------------------------------------


def legs_of(
    pattern: Pattern,
    closed: Closed,
    kinds: Sequence[Site],
    charges: Sequence[Charge],
    D: int,
    old: Sequence[Tensor] = (),
) -> list[list[Leg]]:
    """The four bonds of every tensor with dimension D (1 at the edges), larger than those of the old tensors.

    Bonds that meet are equal: of tensors which stand in several places too.
    """
    check_dimension(D)
    group = kinds[0].group
    edge = Leg(group, [group.identity], [1])
    legs = [[edge if flow > 0 else edge.dual for flow in FLOWS] for _ in kinds]
    shape = len(pattern), len(pattern[0])
    numbered = []
    for bond in bonds(shape, closed):
        a, b = (pattern[i % shape[0]][j % shape[1]] for i, j in (bond.first, bond.second))
        numbered.append((a, b, bond.direction))
    for direction in (EAST, SOUTH):
        for members in _classes([(a, b) for a, b, way in numbered if way == direction]):
            a, b = members[0]
            known = old[a].legs[direction] if old else None
            leg = bond_leg(kinds[a], kinds[b], (charges[a], charges[b]), D, FLOWS[direction], known)
            for first, second in members:
                legs[first][direction] = leg
                legs[second][WEST if direction == EAST else NORTH] = leg.dual
    return legs


def _classes(pairs: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Pairs (a, b) in groups that share a first or a second member."""
    groups: list[list[tuple[int, int]]] = []
    for pair in dict.fromkeys(pairs):
        touching = [group for group in groups if any(pair[0] == a or pair[1] == b for a, b in group)]
        joined = [*(member for group in touching for member in group), pair]
        groups = [group for group in groups if group not in touching] + [joined]
    return groups


def grown(psi: AnyState, D: int, noise: float = 0.02, seed: Seed = 0) -> AnyState:
    """The state with all bonds of dimension D: embedded, with normal random numbers added to every element.

    noise: their size relative to the root mean square of the elements; without any, the state is the same one. Bonds
    of a symmetric state gain the sectors that both ends can exchange. Cost O(D^4 d) a tensor. Raises ShapeError for a D
    below the present one, SettingsError for a D that is no number above 0.

    >>> from tnsim.networks.sites import spin_site
    >>> from tnsim.networks.peps import InfinitePEPS
    >>> psi = InfinitePEPS.product([spin_site()] * 2, ["up", "down"], [[0, 1], [1, 0]])
    >>> grown(psi, 3, noise=0.05, seed=1)
    InfinitePEPS: a 2 x 2 cell with 2 tensors, spin-1/2, D = 3, symmetry U(1) 2Sz, float64 on numpy
    """
    charges = [tensor.charge for tensor in psi.tensors]
    legs = legs_of(psi.pattern, psi.closed, psi.kinds, charges, D, psi.tensors)
    rng = generator(seed)
    pairs = zip(psi.tensors, legs, strict=True)
    return psi.with_tensors([embedded(tensor, wanted, noise, rng) for tensor, wanted in pairs])


def random_tensors(
    pattern: Pattern,
    closed: Closed,
    kinds: Sequence[Site],
    D: int,
    states: Sequence[State] | None,
    seed: Seed,
    dtype: Any,
    backend: str | Backend | None,
) -> list[Tensor]:
    """Normal random tensors with the charges of the states; none are needed where nothing is conserved."""
    group = kinds[0].group
    if states is None and group.names:
        raise ChargeError(f"a random state that conserves {group!r} needs states=, whose charges its tensors carry.")
    if states is not None and len(states) != len(kinds):
        raise ShapeError(f"a state for each of the {len(kinds)} tensors is needed, found {len(states)}.")
    charges = [group.identity] * len(kinds)
    if states is not None and group.names:
        charges = [
            charge_of(site, local_vector(site, state, f"of tensor {n}"), f"of tensor {n}")
            for n, (site, state) in enumerate(zip(kinds, states, strict=True))
        ]
    rng = generator(seed)
    legs = legs_of(pattern, closed, kinds, charges, D)
    tensors = []
    for site, bonds_, charge in zip(kinds, legs, charges, strict=True):
        made = random_tensor([*bonds_, site.leg], charge, dtype=dtype, seed=rng, backend=backend)
        tensors.append(made / (made.norm() or 1.0))
    return tensors
