"""The energy of a finite PEPS through boundary MPS, ket and bra apart, in steps that gradients can be taken of.

A boundary is a row of tensors (left, ket, bra, right) for what lies above (or below) a row of sites. A site after the
other is zipped into it, and every bond cut by its singular values, from alternating ends. Terms are measured between
two boundaries, in strips of one row (neighbours beside each other) or two (above each other).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.cell_energy import expectation
from tnsim.errors import OperatorError
from tnsim.linalg import Truncation
from tnsim.linalg.gradient import svd
from tnsim.networks.peps import PlaneTerms
from tnsim.symmetry import Leg, trivial_leg
from tnsim.tensor import Tensor
from tnsim.tensor.gradient import contract, transpose, unit

Row = list[Any]


def ones(legs: Sequence[Leg], like: Any) -> Tensor:
    """The number one on legs of dimension 1."""
    return Tensor(tuple(legs), like.backend.asarray(np.ones(1, dtype=like.dtype)))


class FiniteTerms:
    """The energy of neighbours on a finite lattice. Raises OperatorError for terms that reach further."""

    def __init__(self, terms: PlaneTerms, truncation: Truncation) -> None:
        if terms.infinite or not terms.is_hermitian:
            raise OperatorError(f"a finite state takes Hermitian terms of a finite lattice, found {terms!r}.")
        if terms.is_cylinder:
            raise OperatorError("nothing on a cylinder is minimised by gradient: cool it with NeighbourhoodUpdate.")
        self.shape, self.truncation = terms.shape, truncation
        self.bonds = {(term.first, term.offset): term.matrix for term in terms.bonds}
        for _, offset in self.bonds:
            if offset not in ((0, 1), (1, 0)):
                raise OperatorError(f"terms of neighbours can be minimised on a finite lattice, found one at {offset}.")

    def energy(self, rows: Sequence[Sequence[Any]]) -> Any:
        """Of the whole lattice, as a number that gradients can be taken of."""
        m, total = len(rows), None
        above = self._boundaries(rows)
        below = self._boundaries([[transpose(site, (2, 1, 0, 3, 4)) for site in row] for row in rows[::-1]])[::-1]
        for i in range(m):
            strips = [([rows[i]], below[i], (0, 1))]
            if i + 1 < m:
                strips.append(([rows[i], rows[i + 1]], below[i + 1], (1, 0)))
            for sites, lower, offset in strips:
                wanted = {j: self.bonds[(i, j), offset] for j in range(len(rows[i])) if ((i, j), offset) in self.bonds}
                for mean in _strip(above[i], sites, lower, wanted):
                    total = mean if total is None else total + mean
        return total

    def _boundaries(self, rows: Sequence[Sequence[Any]]) -> list[Row]:
        """What lies above every row."""
        group = rows[0][0].group
        left, right = trivial_leg(1, 1, group), trivial_leg(1, -1, group)
        found = [[ones((left, site.legs[0].dual, site.legs[0], right), site) for site in rows[0]]]
        for number, row in enumerate(rows[:-1]):
            boundary, sites = found[-1], list(row)
            if number % 2:
                boundary, sites = _mirrored(boundary), [transpose(site, (0, 3, 2, 1, 4)) for site in sites[::-1]]
            made = self._zipped(boundary, sites)
            found.append(_mirrored(made) if number % 2 else made)
        return found

    def _zipped(self, boundary: Row, sites: Row) -> Row:
        """A row taken into a boundary, from the left."""
        first, made = sites[0], []
        carry: Any = ones((boundary[0].legs[0].dual.dual, *_closing(boundary[0], first, 0, 3)), first)
        for number, (edge, site) in enumerate(zip(boundary, sites, strict=True)):
            whole = contract("x l w W, l k K r -> x w W k K r", carry, edge)
            whole = contract("x w W k K r, k e s w p -> x W K r e s p", whole, site)
            whole = unit(contract("x W K r e s p, K E S W p -> x s S r e E", whole, site.conj()))
            if number + 1 == len(sites):
                end = ones((*_closing(edge, site, 3, 1), edge.legs[3]), site)
                made.append(contract("x s S r e E, r e E z -> x s S z", whole, end))
                break
            u, s, v = svd(whole, (0, 1, 2), self.truncation)
            made.append(u)
            carry = contract("y z, z r e E -> y r e E", s, v)
        return made


def _closing(edge: Any, site: Any, leg: int, direction: int) -> tuple[Leg, Leg, Leg]:
    """Legs of dimension 1 that close an edge and both layers of a site on one side."""
    return edge.legs[leg].dual, site.legs[direction].dual, site.legs[direction]


def _mirrored(boundary: Row) -> Row:
    return [transpose(edge, (3, 1, 2, 0)) for edge in boundary[::-1]]


def _strip(upper: Row, rows: Sequence[Sequence[Any]], lower: Row, wanted: dict[int, np.ndarray]) -> list[Any]:
    """Means of neighbours in a strip: beside each other in one row, or above each other in two; by their column."""
    n, high = len(upper), len(rows)
    columns = [(upper[j], [row[j] for row in rows], lower[j]) for j in range(n)]
    lefts, rights = [_end(columns[0], 0, 3)], [_end(columns[-1], 3, 1)]
    for column in columns[: max(wanted, default=0)]:
        lefts.append(unit(_absorbed(lefts[-1], column)))
    for upper_edge, sites, lower_edge in columns[: min(wanted, default=n) : -1]:
        mirrored = (
            _mirrored([upper_edge])[0],
            [transpose(x, (0, 3, 2, 1, 4)) for x in sites],
            _mirrored([lower_edge])[0],
        )
        rights.append(unit(_absorbed(rights[-1], mirrored)))
    # those of columns that nothing asks for are left out
    known = {n - 1 - k: right for k, right in enumerate(rights)}
    means = []
    for j, matrix in wanted.items():
        if high == 1:
            half = _absorbed(lefts[j], columns[j], is_open=True)
            mirrored = (
                _mirrored([columns[j + 1][0]])[0], [transpose(columns[j + 1][1][0], (0, 3, 2, 1, 4))],
                _mirrored([columns[j + 1][2]])[0],
            )  # fmt: skip
            other = _absorbed(known[j + 1], mirrored, is_open=True)
            density = contract("t e E b p P, t e E b q Q -> p P q Q", half, other)
        else:
            half = _absorbed(lefts[j], columns[j], is_open=True)
            density = contract("t e E f F b p P q Q, t e E f F b -> p P q Q", half, known[j])
        means.append(expectation(density, matrix))
    return means


def _end(column: tuple[Any, list[Any], Any], leg: int, direction: int) -> Tensor:
    """What closes a strip at one of its ends."""
    upper, sites, lower = column
    layers = [own for site in sites for own in (site.legs[direction].dual, site.legs[direction])]
    return ones((upper.legs[leg].dual, *layers, lower.legs[leg].dual), upper)


def _absorbed(left: Any, column: tuple[Any, list[Any], Any], *, is_open: bool = False) -> Any:
    """A column taken in from the left; is_open: its physical legs (ket, bra), row by row, behind the others."""
    upper, sites, lower = column
    P, Q, one, both = ("P", "Q", " p P", " p P q Q") if is_open else ("p", "q", "", "")
    if len(sites) == 1:
        (site,) = sites
        whole = contract("t e E b, t k K u -> e E b k K u", left, upper)
        whole = contract("e E b k K u, k f s e p -> E b K u f s p", whole, site)
        whole = contract(f"E b K u f s p, K F S E {P} -> b u f s F S{one}", whole, site.conj())
        return contract(f"b u f s F S{one}, b s S c -> u f F c{one}", whole, lower)
    first, second = sites
    whole = contract("t e E g G b, t k K u -> e E g G b k K u", left, upper)
    whole = contract("e E g G b k K u, k f s e p -> E g G b K u f s p", whole, first)
    whole = contract(f"E g G b K u f s p, K F S E {P} -> g G b u f s F S{one}", whole, first.conj())
    whole = contract(f"g G b u f s F S{one}, s h x g q -> G b u f F S{one} h x q", whole, second)
    whole = contract(f"G b u f F S{one} h x q, S H X G {Q} -> b u f F h x H X{both}", whole, second.conj())
    return contract(f"b u f F h x H X{both}, b x X c -> u f F h H c{both}", whole, lower)
