"""The environment of one PEPS tensor that all symmetries of the square leave alone, ket and bra kept apart.

C--E--C        corner (in, out), edge (left, ket, bra, right); rings run clockwise: right of one is left of the next
|  |  |        basis (left, ket, bra, bond): an isometry that takes an edge and a site into the bond of the next edge
E--a--E
|  |  |        ket and bra stand apart: a step costs O(chi^3 D^4 + chi^2 D^6 d), not O(chi^3 D^4 + chi^2 D^8)
C--E--C

Sources: T. Nishino, K. Okunishi, J. Phys. Soc. Jpn. 65, 891 (1996); a basis from a QR decomposition: Y. Zhang, Q. Yang,
P. Corboz, arXiv 2505.00494, but of corner times edge, which has the fixed point of the eigenvectors (M. T. Fishman et
al., Phys. Rev. B 98, 235148 (2018)).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.backend import Backend
from tnsim.linalg import Truncation
from tnsim.linalg.gradient import column_space, leading_space
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, eye, from_dense
from tnsim.tensor import contract as plain
from tnsim.tensor.gradient import contract, fuse, relabelled, split, transpose, unit
from tnsim.tensor.tape import value_of

# weight of the last basis in what the next one is turned to
_OLDER = 1e-3
# of a basis: an edge and the site below it flow in
_BASIS = (1, 1, -1, -1)


def turned(x: Any, flows: tuple[int, ...]) -> Any:
    """The same numbers with legs of these flows, where every charge is its own dual."""
    return relabelled(x, [leg.with_flow(flow) for leg, flow in zip(x.legs, flows, strict=True)])


@dataclass(frozen=True, eq=False)
class SymmetricEnvironment:
    """Corner and edge around a tensor, both of norm 1, and the basis of the step that made them (None at the start)."""

    corner: Any
    edge: Any
    basis: Any = None

    @classmethod
    def start(cls, site: Tensor) -> "SymmetricEnvironment":
        """Ket and bra joined by themselves outside of everything: bond dimension 1."""
        one = trivial_leg(1, 1, site.group)
        corner = from_dense(np.ones((1, 1), dtype=site.dtype), (one, one.dual)).to(site.backend)
        bond = eye(site.legs[0].dual, dtype=site.dtype, backend=site.backend)
        edge = contract("a b, k l -> a k l b", corner, bond)
        return cls(corner, unit(edge))

    @property
    def chi(self) -> int:
        """The bond dimension of the boundary."""
        return self.corner.legs[0].dim

    def parts(self) -> tuple[Any, Any]:
        """Corner and edge."""
        return self.corner, self.edge

    def with_parts(self, parts: Sequence[Any]) -> "SymmetricEnvironment":
        """Other ones, at the same basis."""
        corner, edge = parts
        return SymmetricEnvironment(corner, edge, self.basis)

    def apart(self, other: "SymmetricEnvironment") -> float:
        """How far corner and edge are from those of another environment; infinite where bonds differ."""
        if self.edge.legs != other.edge.legs:
            return float("inf")
        return max((self.corner - other.corner).norm(), (self.edge - other.edge).norm())

    def to(self, backend: str | Backend) -> "SymmetricEnvironment":
        """The same on another library's device."""
        basis = None if self.basis is None else self.basis.to(backend)
        return SymmetricEnvironment(self.corner.to(backend), self.edge.to(backend), basis)

    def grown(self, site: Any, truncation: Truncation | None = None) -> "SymmetricEnvironment":
        """A row and a column more around everything.

        With a truncation the basis are the leading eigenvectors of the grown corner, which bonds grow or shrink to, at
        O(chi^3 D^6); without one it spans the columns of the edge, at the bond dimension that there is. It is turned to
        be as near as it can to the last one, so that a fixed point is one element by element.
        """
        half = contract("l k b r, r x -> l k b x", self.edge, self.corner)
        if truncation is None:
            rows = turned(contract("a l, l k b r -> a k b r", self.corner, self.edge), _BASIS)
            basis = column_space(rows, (0, 1, 2), like=self._like(rows))
            walk = self._walk(site, basis)
            wide = contract("l w W b, b w W s S y -> l s S y", half, walk)
            corner = contract("l s S x, l s S y -> x y", basis.conj(), turned(wide, _BASIS))
        else:
            wide = self._quadrant(site, half)
            matrix = fuse(wide, [(0, 1, 2), (3, 4, 5)], [1, -1])
            basis = split(leading_space(_mirrored(matrix, (1, 0)), truncation), 0, wide.legs[:3])
            walk = self._walk(site, basis)
            corner = contract("l s S x, l s S r e E -> x r e E", basis.conj(), wide)
            corner = contract("x r e E, r e E y -> x y", corner, basis)
        edge = contract("l w W x, l w W s S y -> x s S y", basis.conj(), walk)
        corner, edge = _mirrored(corner, (1, 0)), _mirrored(edge, (3, 1, 2, 0))
        return SymmetricEnvironment(unit(corner), unit(edge), basis)

    def _like(self, rows: Any) -> Tensor:
        """What the basis is at a fixed point: corner times edge is the basis times the corner.

        The smallest values of the corner hardly tell, there the last basis does.
        """
        found = plain("l k b r, r x -> l k b x", value_of(rows), value_of(self.corner))
        if self.basis is not None and self.basis.legs == found.legs:
            found = found + self.basis * (_OLDER * found.norm())
        return found

    def _walk(self, site: Any, basis: Any) -> Any:
        """The northern edge and a site, taken in from the east: (bond in the west, w, W, s, S, new bond)."""
        walk = contract("l n N r, r e E y -> l n N e E y", self.edge, basis)
        walk = contract("l n N e E y, n e s w p -> l N E y s w p", walk, site)
        return contract("l N E y s w p, N E S W p -> l w W s S y", walk, site.conj())

    def _quadrant(self, site: Any, half: Any) -> Any:
        """Corner, western and northern edge and the site: (left, s, S, right, e, E), rows flowing in."""
        wide = contract("l w W b, b n N r -> l w W n N r", half, self.edge)
        wide = contract("l w W n N r, n e s w p -> l W N r e s p", wide, site)
        wide = contract("l W N r e s p, N E S W p -> l s S r e E", wide, site.conj())
        return turned(wide, (1, 1, -1, -1, -1, 1))


def hole(environment: SymmetricEnvironment) -> Any:
    """What surrounds a site: legs (n, N, e, E, s, S, w, W) that those of ket and bra fit. Cost O(chi^2 D^8)."""
    corner, edge = environment.corner, environment.edge
    side = contract("x a, a w W b -> x w W b", corner, edge)
    half = contract("x w W b, b y -> x w W y", side, corner)
    half = contract("x w W y, y n N z -> x w W n N z", half, edge)
    other = turned(half, (1, 1, -1, 1, -1, -1))
    return contract("x w W n N z, z e E s S x -> n N e E s S w W", half, other)


def _mirrored(x: Any, order: tuple[int, ...]) -> Any:
    """With the reflection that rounding would lose."""
    other = transpose(x, order)
    return x + turned(other, tuple(leg.flow for leg in x.legs))


def symmetrised(site: Tensor) -> Tensor:
    """The mean over the turns and reflections of the square, of legs (north, east, south, west, phys)."""
    images = []
    for order in ((0, 1, 2, 3), (0, 3, 2, 1)):
        for turns in range(4):
            image = transpose(site, (*(order[(n + turns) % 4] for n in range(4)), 4))
            images.append(turned(image, tuple(leg.flow for leg in site.legs)))
    return sum(images[1:], start=images[0]) * 0.125
