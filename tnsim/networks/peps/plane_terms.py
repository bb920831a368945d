"""A Hamiltonian in the plane: a matrix for every place, and for every pair of places that interact."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np

from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.networks.fermion_order import site_ordered
from tnsim.networks.operator_sum import OperatorSum, Term
from tnsim.networks.peps.fused_site import empty_site, fused_site
from tnsim.networks.peps.graded_sites import graded_sites
from tnsim.networks.peps.peps import check_rows
from tnsim.networks.peps.square_places import REACH, Place, is_fused, place_of, with_margin
from tnsim.networks.peps.square_state import Closed
from tnsim.networks.sites import Site, multiply

_HERMITIAN = 1e-12


@dataclass(frozen=True, eq=False)
class PairTerm:
    """matrix on two places in the Kronecker basis (first, second), rows out; first lies in the lattice or cell.

    Of fermions, those of first stand before those of second, as if nothing stood between. second lies below first, or
    beside it to the east, and may lie outside of a cell that repeats.
    """

    first: Place
    second: Place
    matrix: np.ndarray = field(repr=False)

    @property
    def offset(self) -> Place:
        """(rows down, columns east) from first to second."""
        return self.second[0] - self.first[0], self.second[1] - self.first[1]

    @property
    def is_nearest(self) -> bool:
        """Whether the places are neighbours on the square lattice."""
        return self.offset in ((0, 1), (1, 0))


@dataclass(frozen=True, eq=False)
class PlaneTerms:
    """Terms that add up to a Hamiltonian: on places (i, j) of a lattice, or of a cell that repeats.

    sites[i][j]: what stands there, several sites of the lattice as one where they share a place; singles: a matrix for
    places with terms of their own, constants included; members: the sites of the model in every place; is_cylinder: the
    first row follows the last one, and pairs across have their second place below it.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 2)))
    >>> terms
    PlaneTerms on 2 x 3 places: 7 pairs, 0 single places, Hermitian
    >>> PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("triangular", 2, 1)), [[0]])
    PlaneTerms on a 1 x 1 cell: 3 pairs, 0 single places, Hermitian
    """

    sites: tuple[tuple[Site, ...], ...]
    singles: Mapping[Place, np.ndarray]
    pairs: tuple[PairTerm, ...]
    infinite: bool
    is_hermitian: bool
    members: Mapping[Place, tuple[int, ...]] = field(default_factory=dict, repr=False)
    is_cylinder: bool = False

    @classmethod
    def of(cls, model: Any, *, fused: bool | None = None) -> "PlaneTerms":
        """The terms of a model on a finite lattice or a cylinder (bc_y); without a lattice its sites stand in a row.

        fused: all sites of a cell in one place; by default on kagome only. Raises SettingsError for a lattice that is
        closed along x, OperatorError for terms on three places and more.
        """
        geometry = getattr(model, "geometry", None)
        if geometry is None:
            return cls.from_sum(model.operator_sum(), model.sites, [(0, i) for i in range(len(model.sites))])
        joined, around = is_fused(geometry.kind, fused), geometry.bc_y == "periodic"
        if geometry.bc_x == "periodic":
            raise SettingsError(f"a finite PEPS is open along x, but {geometry!r} is closed: take open bc_x.")
        if around and geometry.kind == "honeycomb" and not joined:
            raise SettingsError("the brick wall of a honeycomb does not close around a cylinder: take fused = True.")
        places = [place_of(geometry.kind, vertex, joined) for vertex in geometry.vertices]
        return cls.from_sum(model.operator_sum(), model.sites, places, is_cylinder=around)

    @classmethod
    def from_sum(
        cls, H: OperatorSum, sites: Sequence[Site], places: Sequence[Place], *, is_cylinder: bool = False
    ) -> "PlaneTerms":
        """Any sum of terms on a finite lattice: places[n] is where site n stands; what is left free stays empty."""
        if len(places) != len(sites) or not sites:
            raise ShapeError(f"every site needs a place, and there is one: {len(sites)} sites, {len(places)} places.")
        top, left = (min(place[axis] for place in places) for axis in (0, 1))
        bottom, right = (max(place[axis] for place in places) for axis in (0, 1))
        moved = [(i - top, j - left) for i, j in places]
        grid = _Grid(sites, moved)
        singles, pairs = _collected(H, grid, lambda place: True)
        rows = tuple(tuple(grid.site((i, j)) for j in range(right - left + 1)) for i in range(bottom - top + 1))
        if not is_cylinder:
            return _made(rows, singles, pairs, False, grid.members)
        return replace(_made(rows, singles, _around(pairs, rows), False, grid.members), is_cylinder=True)

    @classmethod
    def infinite_of(cls, model: Any, pattern: Sequence[Sequence[int]], *, fused: bool | None = None) -> "PlaneTerms":
        """The terms of a uniform model on the infinite lattice that begin in a cell of the shape of the pattern.

        Raises SettingsError where the terms do not repeat with the cell, OperatorError for terms on three places.
        """
        geometry = getattr(model, "geometry", None)
        if geometry is None or geometry.is_periodic:
            raise SettingsError(f"the infinite lattice is read off from a model on an open Lattice, found {model!r}.")
        check_rows("numbers", pattern)
        shape = len(pattern), len(pattern[0])
        joined = is_fused(geometry.kind, fused)
        larger, moved = with_margin(model, shape, joined)
        grid = _Grid(larger.sites, moved)
        m, n = shape
        cells = [(0, 0), (m, 0), (0, n)]
        wanted = {(i + r * m, j + s * n) for i, j in product(range(m), range(n)) for r, s in ((0, 0), (1, 0), (0, 1))}
        singles, pairs = _collected(larger.operator_sum(), grid, wanted.__contains__)
        found = [_of_cell(corner, shape, singles, pairs) for corner in cells]
        rows = tuple(tuple(grid.site((i, j)) for j in range(n)) for i in range(m))
        if not all(_equal(found[0], other) for other in found[1:]):
            raise SettingsError(
                f"the terms of {type(model).__name__} do not repeat with a cell of {m} x {n} places, or reach over "
                f"more than {REACH}: take a cell that they repeat with, and couplings of finite range."
            )
        return _made(rows, *found[0], True, {place: grid.members[place] for place in product(range(m), range(n))})

    @property
    def shape(self) -> Place:
        """(rows, columns) of the lattice or cell."""
        return len(self.sites), len(self.sites[0])

    @cached_property
    def bonds(self) -> tuple[PairTerm, ...]:
        """All pairs, with the terms of single places shared out equally to the nearest pairs that hold them.

        A place without such a pair gets one with its neighbour. Raises OperatorError for a single place alone.
        """
        matrices = {(term.first, term.second): term.matrix for term in self.pairs}
        for place, matrix in self.singles.items():
            candidates = list(self._nearest_pairs(place))
            holders = [entry for entry in candidates if entry[0] in matrices] or candidates[:1]
            if not holders:
                raise OperatorError(f"a gate takes two places, and {place} has no neighbour.")
            for pair, is_first in holders:
                other = self.site(*pair[is_first]).dim
                share = matrix / len(holders)
                added = np.kron(share, np.eye(other)) if is_first else np.kron(np.eye(other), share)
                matrices[pair] = matrices[pair] + added if pair in matrices else added
        return tuple(PairTerm(*pair, matrices[pair]) for pair in sorted(matrices))

    def _nearest_pairs(self, place: Place) -> Iterator[tuple[tuple[Place, Place], bool]]:
        """Pairs of neighbours that hold a place, and whether it is the first of them."""
        for down, east in ((0, 1), (1, 0)):
            behind, before = (place[0] + down, place[1] + east), (place[0] - down, place[1] - east)
            if self.infinite:
                before = (before[0] % self.shape[0], before[1] % self.shape[1])
                yield (place, behind), True
                yield (before, (before[0] + down, before[1] + east)), False
                continue
            if behind[0] < self.shape[0] and behind[1] < self.shape[1]:
                yield (place, behind), True
            if min(before) >= 0:
                yield (before, place), False

    @property
    def closed(self) -> Closed:
        """Whether the first row follows the last one, and whether the first column does."""
        return self.infinite or self.is_cylinder, self.infinite

    def opened(self) -> "PlaneTerms":
        """Of a cylinder: the same terms on places inside, as `CylinderPEPS.opened` is measured."""
        if not self.is_cylinder:
            return self
        m, inside = self.shape[0], []
        for term in self.pairs:
            second = term.second[0] % m, term.second[1]
            swap = second < term.first
            matrix = _exchanged(term.matrix, self.site(*term.first), self.site(*second)) if swap else term.matrix
            first, last = sorted((term.first, second))
            inside.append(PairTerm(first, last, matrix))
        return replace(self, pairs=tuple(inside), is_cylinder=False)

    def site(self, i: int, j: int) -> Site:
        """What stands at row i, column j: any integers along a direction that is closed."""
        rows, columns = self.closed
        return self.sites[i % self.shape[0] if rows else i][j % self.shape[1] if columns else j]

    def __repr__(self) -> str:
        m, n = self.shape
        where = f"a {m} x {n} cell" if self.infinite else f"{m} x {n} places"
        where += " of a cylinder" if self.is_cylinder else ""
        kind = "Hermitian" if self.is_hermitian else "not Hermitian"
        return f"PlaneTerms on {where}: {len(self.pairs)} pairs, {len(self.singles)} single places, {kind}"


Singles = dict[Place, np.ndarray]
Pairs = dict[tuple[Place, Place], np.ndarray]


class _Grid:
    """Which sites of a model stand in which place, and the one Site that they make there."""

    def __init__(self, sites: Sequence[Site], places: Sequence[Place]) -> None:
        members: dict[Place, list[int]] = defaultdict(list)
        for n, place in enumerate(places):
            members[place].append(n)
        self.members = {place: tuple(found) for place, found in members.items()}
        self.places, self._sites = tuple(places), tuple(sites)

    def _fused(self, place: Place) -> tuple[Site, np.ndarray]:
        return fused_site(tuple(self._sites[n] for n in self.members[place]))

    def site(self, place: Place) -> Site:
        return self._fused(place)[0] if place in self.members else empty_site(self._sites[0].group)

    def op(self, name: Any, n: int) -> np.ndarray:
        """An operator of a site of the model."""
        return self._sites[n].op(name)

    def matrix(self, factors: Sequence[tuple[np.ndarray, int]], places: Sequence[Place]) -> np.ndarray:
        """A product of operators as a matrix on places, in the Kronecker basis of their sites, fermions in order."""
        order = [n for place in places for n in self.members[place]]
        local = [self._sites[n] for n in order]
        rank = {n: k for k, n in enumerate(order)}
        total: Any = 0.0
        for sign, matrices in site_ordered([(op, rank[n]) for op, n in factors], local):
            total = total + sign * reduce(np.kron, _strung(matrices, local))
        orders = [self._fused(place)[1] for place in places]
        kept = reduce(lambda a, b: (a[:, None] * len(b) + b).ravel(), orders)
        return total[np.ix_(kept, kept)]


def _strung(matrices: Mapping[int, np.ndarray], sites: Sequence[Site]) -> list[np.ndarray]:
    """The Jordan-Wigner matrices of a product in ascending order: F where an odd number stands to the right."""
    found, odd = [], 0
    for k in range(len(sites) - 1, -1, -1):
        matrix = matrices.get(k, np.eye(sites[k].dim))
        found.append(multiply(matrix, sites[k].string) if odd else matrix)
        if k in matrices:
            odd ^= sites[k].by_parity(matrix)[0][0]
    return found[::-1]


def _collected(H: OperatorSum, grid: _Grid, keep: Callable[[Place], bool]) -> tuple[Singles, Pairs]:
    """Matrices of all terms whose first place is kept, added up by place and by pair."""
    if H.exponentials:
        raise OperatorError("terms in the plane are listed one by one, found an exponential, which belongs to a chain.")
    singles: Singles = {}
    pairs: Pairs = {}
    for term in H.written_out().terms:
        places = sorted({_place(term, n, grid) for _, n in term.factors})
        if not keep(places[0]):
            continue
        if len(places) > 2:
            raise OperatorError(f"the term '{term}' acts on {len(places)} places: a PEPS takes terms on one or two.")
        matrix = _term_matrix(term, grid, places)
        if len(places) == 1:
            singles[places[0]] = singles.get(places[0], 0.0) + matrix
        else:
            pair = (places[0], places[1])
            pairs[pair] = pairs.get(pair, 0.0) + matrix
    return singles, pairs


def _around(pairs: Pairs, rows: Sequence[Sequence[Site]]) -> Pairs:
    """Pairs of a cylinder whose shorter way leads from the last row to the first, with the lower place first."""
    m, found = len(rows), {}
    for (a, b), matrix in pairs.items():
        if 2 * (b[0] - a[0]) > m:
            matrix = _exchanged(matrix, rows[a[0]][a[1]], rows[b[0]][b[1]])
            a, b = b, (a[0] + m, a[1])
        found[a, b] = matrix
    return found


def _exchanged(matrix: np.ndarray, first: Site, second: Site) -> np.ndarray:
    """A matrix on two places in the basis (second, first); fermions of one pass those of the other."""
    signs = 1.0 - 2.0 * np.outer(first.parities, second.parities).ravel()
    parts = (signs[:, None] * matrix * signs).reshape(first.dim, second.dim, first.dim, second.dim)
    return parts.transpose(1, 0, 3, 2).reshape(matrix.shape)


def _place(term: Term, n: int, grid: _Grid) -> Place:
    if not 0 <= n < len(grid.places):
        raise OperatorError(f"the term '{term}' names site {n}, but there are sites 0 to {len(grid.places) - 1}.")
    return grid.places[n]


def _term_matrix(term: Term, grid: _Grid, places: Sequence[Place]) -> np.ndarray:
    try:
        factors = [(grid.op(op, n), n) for op, n in term.factors]
    except OperatorError as error:
        raise OperatorError(f"in the term '{term}': {error}") from error
    matrix = term.coefficient * grid.matrix(factors, places)
    if term.adjoint_coefficient:
        adjoint = [(op.conj().T, n) for op, n in reversed(factors)]
        matrix = matrix + term.adjoint_coefficient * grid.matrix(adjoint, places)
    return matrix


def _of_cell(corner: Place, shape: Place, singles: Singles, pairs: Pairs) -> tuple[Singles, Pairs]:
    """What begins in the cell at a corner, moved to the origin."""

    def moved(place: Place) -> Place:
        return place[0] - corner[0], place[1] - corner[1]

    def inside(place: Place) -> bool:
        i, j = moved(place)
        return 0 <= i < shape[0] and 0 <= j < shape[1]

    return (
        {moved(place): matrix for place, matrix in singles.items() if inside(place)},
        {(moved(a), moved(b)): matrix for (a, b), matrix in pairs.items() if inside(a)},
    )


def _equal(first: tuple[Singles, Pairs], second: tuple[Singles, Pairs]) -> bool:
    return _same(first[0], second[0]) and _same(first[1], second[1])


def _same(one: Mapping[Any, np.ndarray], two: Mapping[Any, np.ndarray]) -> bool:
    """Whether matrices agree to rounding, key by key."""
    if one.keys() != two.keys():
        return False
    limit = _HERMITIAN * _scale(one)
    return all(one[k].shape == two[k].shape and np.abs(one[k] - two[k]).max() <= limit for k in one)


def _scale(matrices: Mapping[Any, np.ndarray]) -> float:
    return max((float(np.abs(matrix).max()) for matrix in matrices.values()), default=0.0)


def _made(rows: Any, singles: Singles, pairs: Pairs, infinite: bool, members: Any) -> PlaneTerms:
    """Terms with zeros left out, real where all are, and the judgement whether they are Hermitian."""
    limit = _HERMITIAN * max(_scale(singles), _scale(pairs))
    every: list[np.ndarray] = [*singles.values(), *pairs.values()]
    hermitian = all(np.abs(matrix - matrix.conj().T).max() <= limit for matrix in every)
    real = all(not np.iscomplexobj(matrix) or np.abs(matrix.imag).max() <= limit for matrix in every)

    def kept(matrices: Mapping[Any, np.ndarray]) -> list[tuple[Any, np.ndarray]]:
        chosen = sorted(key for key, matrix in matrices.items() if np.abs(matrix).max() > limit)
        return [(key, np.ascontiguousarray(matrices[key].real if real else matrices[key])) for key in chosen]

    return PlaneTerms(
        graded_sites(rows, strict=False),
        MappingProxyType(dict(kept(singles))),
        tuple(PairTerm(first, second, matrix) for (first, second), matrix in kept(pairs)),
        infinite,
        hermitian,
        MappingProxyType(dict(members)),
    )
