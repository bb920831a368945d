"""Corners and edges around every tensor of a cell, ket and bra apart, in steps that gradients can be taken of.

C1--T1--C2        corner (in, out), edge (left, ket, bra, right), clockwise from the north-west and from the north
|   |    |        a step takes a column in from the west everywhere at once, then turns the plane by a quarter
T4--a---T2
|   |    |        an oblique projector cuts every bond between two rows, from the quadrants around it
C4--T3--C3

Its bases are turned by unitary constants to be as near as they can to those of the step before, so that a fixed point
is one element by element. Both sides share the singular values, or small ones would grow in the gradient of a step.
Source: P. Corboz, T. M. Rice, M. Troyer, Phys. Rev. Lett. 113, 046402 (2014); see `tnsim.linalg.gradient`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.cell_pattern import CellPattern
from tnsim.algorithms.plane.site_layers import joined_layers
from tnsim.linalg import Truncation
from tnsim.linalg.gradient import power, svd
from tnsim.linalg.polar import polar
from tnsim.linalg.product_svd import product_svd
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, diagonal, from_dense, inner
from tnsim.tensor import contract as plain
from tnsim.tensor.gradient import contract, fuse, split, transpose, unit
from tnsim.tensor.tape import Node, value_of

Four = tuple[Any, Any, Any, Any]
# what cuts a bond between two rows: (what lies above, what lies below); and what it was made from
Cut = tuple[Any, Any]
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Surrounded:
    """A site of a state with corners from the north-west and edges from the north, clockwise."""

    site: Any
    corners: Four
    edges: Four

    def turned(self) -> "Surrounded":
        """A quarter turn counterclockwise: north becomes west."""
        first, *corners = self.corners
        north, *edges = self.edges
        site = transpose(self.site, (1, 2, 3, 0, 4))
        return Surrounded(site, (*corners, first), (*edges, north))  # type: ignore[arg-type]

    def hole(self) -> Any:
        """What surrounds the site: legs (n, N, e, E, s, S, w, W) that those of ket and bra fit. Cost O(chi^3 D^4)."""
        (c1, c2, c3, c4), (t1, t2, t3, t4) = self.corners, self.edges
        upper = contract("a b, b n N c, c d, d e E f -> a n N e E f", c1, t1, c2, t2)
        lower = contract("f g, g s S h, h i, i w W a -> f s S w W a", c3, t3, c4, t4)
        return contract("a n N e E f, f s S w W a -> n N e E s S w W", upper, lower)

    def quadrant(self, *, is_open: bool = False) -> Any:
        """The north-western one: rows (in, s, S), columns (out, e, E), and (ket, bra) behind where open."""
        quarter = contract("i w W m, m n -> i w W n", self.edges[3], self.corners[0])
        quarter = contract("i w W m, m n N o -> i w W n N o", quarter, self.edges[0])
        quarter = contract("i w W n N o, n e s w p -> i W N o e s p", quarter, self.site)
        if is_open:
            return contract("i W N o e s p, N E S W P -> i s S o e E p P", quarter, self.site.conj())
        return contract("i W N o e s p, N E S W p -> i s S o e E", quarter, self.site.conj())


@dataclass(frozen=True, eq=False)
class CellEnvironment:
    """The surroundings of every tensor of a cell, and the cuts of the last step for each of the four sides."""

    sites: tuple[Surrounded, ...]
    pattern: CellPattern
    cuts: tuple[tuple[Cut, ...], ...] = ()

    @classmethod
    def start(cls, tensors: Sequence[Any], pattern: CellPattern) -> "CellEnvironment":
        """Ket and bra joined by themselves outside of everything: bond dimension 1."""
        made = []
        for tensor in map(value_of, tensors):
            one = trivial_leg(1, 1, tensor.group)
            corner = from_dense(np.ones((1, 1), dtype=tensor.dtype), (one, one.dual)).to(tensor.backend)
            bonds = [joined_layers(tensor, direction) for direction in range(4)]
            edges = tuple(unit(plain("a b, k l -> a k l b", corner, bond)) for bond in bonds)
            made.append(Surrounded(tensor, (corner,) * 4, edges))  # type: ignore[arg-type]
        return cls(tuple(made), pattern)

    @property
    def chi(self) -> int:
        """The largest bond dimension of the boundary."""
        return max(corner.legs[0].dim for site in self.sites for corner in site.corners)

    def parts(self) -> tuple[Any, ...]:
        """All corners and edges, site by site."""
        return tuple(part for site in self.sites for part in (*site.corners, *site.edges))

    def with_parts(self, parts: Sequence[Any], tensors: Sequence[Any] | None = None) -> "CellEnvironment":
        """Other corners and edges, and other sites where given."""
        tensors = [site.site for site in self.sites] if tensors is None else tensors
        made = [
            Surrounded(tensor, tuple(parts[8 * n : 8 * n + 4]), tuple(parts[8 * n + 4 : 8 * n + 8]))  # type: ignore
            for n, tensor in enumerate(tensors)
        ]
        return replace(self, sites=tuple(made))

    def apart(self, other: "CellEnvironment") -> float:
        """How far corners and edges are from those of another environment; infinite where bonds differ."""
        pairs = list(zip(self.parts(), other.parts(), strict=True))
        if any(a.legs != b.legs for a, b in pairs):
            return float("inf")
        return max((a - b).norm() for a, b in pairs)

    def turned(self) -> "CellEnvironment":
        """A quarter turn counterclockwise of the whole plane."""
        return replace(self, sites=tuple(site.turned() for site in self.sites), pattern=self.pattern.turned())

    def grown(self, truncation: Truncation) -> "CellEnvironment":
        """A column or row more on all four sides.

        Cost O(chi^3 D^6) a tensor where gradients are asked for, else O(chi^3 D^4 + chi^2 D^6 d) and the quadrants'
        products.
        """
        now, cuts, known = self, [], []  # type: ignore[var-annotated]
        for side in range(4):
            before = self.cuts[side] if self.cuts else (None,) * len(self.sites)
            quadrants = now._quadrants(known)
            now, found = now._from_west(truncation, before, quadrants)
            cuts.append(found)
            # those in the east stay what they are, and stand in the north after the turn
            now, known = now.turned(), quadrants[1:3]
        return CellEnvironment(now.sites, self.pattern, tuple(cuts))

    def _quadrants(self, known: Sequence[Sequence["_Quadrant"]]) -> list[Sequence["_Quadrant"]]:
        """Of every site, clockwise from the north-west, of which the first ones are known."""
        found, turn = list(known), self
        for side in range(4):
            if side >= len(known):
                found.append([_Quadrant.of(site) for site in turn.sites])
            turn = turn.turned()
        return found

    def _from_west(
        self, truncation: Truncation, before: Sequence[Cut | None], quadrants: Sequence[Sequence["_Quadrant"]]
    ) -> tuple["CellEnvironment", tuple[Cut, ...]]:
        """Every column taken in by the sites east of it."""
        at, number = self.pattern, range(len(self.sites))
        cuts = []
        for n in number:
            east, south = at.neighbour(n, 0, 1), at.neighbour(n, 1, 0)
            around = [quadrants[0][n], quadrants[1][east], quadrants[2][at.neighbour(n, 1, 1)], quadrants[3][south]]
            cuts.append(_cut(around, truncation, before[n]))
        new: list[Any] = [None] * len(self.sites)
        for n in number:
            east = at.neighbour(n, 0, 1)
            new[east] = _absorbed(self.sites[n], self.sites[east], cuts[at.neighbour(n, -1, 0)], cuts[n])
        return replace(self, sites=tuple(new)), tuple((value_of(a), value_of(b)) for a, b in cuts)


@dataclass(frozen=True, eq=False)
class _Quadrant:
    """A quadrant of norm 1 as a matrix, and the legs of its rows and columns."""

    matrix: Any
    rows: Sequence[Any]
    columns: Sequence[Any]

    @classmethod
    def of(cls, site: Surrounded) -> "_Quadrant":
        """The north-western one."""
        whole = unit(site.quadrant())
        return cls(fuse(whole, [(0, 1, 2), (3, 4, 5)], [1, -1]), whole.legs[:3], whole.legs[3:])


def _absorbed(site: Surrounded, east: Surrounded, north: Cut, south: Cut) -> Surrounded:
    """What lies west of a site, with the column of its western neighbour."""
    (above, lower), (upper, below) = north, south
    (c1, _, _, c4), (t1, _, t3, t4) = site.corners, site.edges
    corner = contract("k o n N, o m -> k m n N", lower, c1)
    corner = contract("k m n N, m n N r -> k r", corner, t1)
    other = contract("l p P o, o i -> l p P i", t3, c4)
    other = contract("l p P i, i p P k -> l k", other, upper)
    edge = contract("k i s S, i w W o -> k s S w W o", below, t4)
    edge = contract("k s S w W o, n e s w p -> k S W o n e p", edge, site.site)
    edge = contract("k S W o n e p, N E S W p -> k o n N e E", edge, site.site.conj())
    edge = contract("k o n N e E, o n N j -> k e E j", edge, above)
    (d1, c2, c3, d4), (t1, t2, t3, d) = east.corners, east.edges
    corners = _facing(corner, d1), c2, c3, _facing(other, d4)
    return Surrounded(east.site, corners, (t1, t2, t3, _facing(edge, d)))


def _facing(x: Any, before: Any) -> Any:
    """Norm 1, with the phase that brings it closest to what stood in its place."""
    x, old = unit(x), value_of(before)
    if x.legs != old.legs or x.charge != old.charge:
        return x
    overlap = inner(value_of(x), old)
    size = abs(overlap)
    return x * (overlap / size) if size > 0 and overlap != size else x


def _cut(quadrants: Sequence[_Quadrant], truncation: Truncation, before: Cut | None) -> Cut:
    """Projectors of the bond in the west between two rows; quadrants clockwise from the north-west."""
    matrices = [quadrant.matrix for quadrant in quadrants]
    north_west, north_east, south_east, south_west = matrices
    ring = replace(truncation, svd_min=max(truncation.svd_min**2, _ROUNDING))
    if any(type(matrix) is Node for matrix in matrices):
        above = contract("a b, b c -> a c", north_west, north_east)
        below = contract("a b, b c -> a c", south_east, south_west)
        u, s, v = svd(contract("a b, b c -> a c", below, above), (0,), ring)
        root = power(s, -0.5)
        upper = contract("a k, k l -> a l", contract("a b, k b -> a k", above, v.conj()), root)
        lower = contract("k l, l b -> k b", root, contract("a k, a b -> k b", u.conj(), below))
    else:
        u, spectrum, v = product_svd([south_east, south_west, north_west, north_east], ring)
        root = diagonal(u.backend.asarray((spectrum.values**-0.5).astype(u.dtype)), spectrum.leg)
        upper = contract("a b, b k -> a k", north_east, transpose(v.conj(), (1, 0)))
        upper = contract("a b, b k, k l -> a l", north_west, upper, root)
        lower = contract("k l, l a -> k a", root, transpose(u.conj(), (1, 0)))
        lower = contract("k a, a b, b c -> k c", lower, south_east, south_west)
    legs = quadrants[0].rows
    turn = _turn(value_of(upper), legs, before)
    if turn is not None:
        upper, lower = contract("a k, k l -> a l", upper, turn), contract("k l, k b -> l b", turn.conj(), lower)
    return split(upper, 0, legs), split(lower, 1, quadrants[3].columns)


def _turn(upper: Tensor, legs: Sequence[Any], before: Cut | None) -> Tensor | None:
    """The unitary that brings a basis closest to that of the step before; None where bonds have changed."""
    if before is None or before[0].legs != (*legs, upper.legs[1]):
        return None
    old = fuse(before[0], [(0, 1, 2), (3,)], [1, -1])
    return polar(plain("a k, a l -> k l", upper.conj(), old), (0,))[0]
