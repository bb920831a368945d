"""The energy of a finite PEPS through boundary MPS, ket and bra apart, in steps that gradients can be taken of.

A boundary is a row of tensors (left, ket, bra, right) for what lies above (or below) a row of sites. A site after the
other is zipped into it, and every bond cut by its singular values, from alternating ends. Neighbours beside each other
are measured in their row, between the boundaries above and below it; those above each other in their column, which is
a row of the lattice reflected at its diagonal: no strip is wider than one row.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.cell_energy import expectation
from tnsim.errors import OperatorError
from tnsim.linalg import Truncation
from tnsim.linalg.gradient import compressed
from tnsim.networks.peps import PlaneTerms
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.symmetry import Leg, trivial_leg
from tnsim.tensor import Tensor
from tnsim.tensor.gradient import contract, transpose, unit
from tnsim.tensor.tape import at_once

Row = Sequence[Any]
# a site between the boundaries above and below it
Column = tuple[Any, Any, Any]
PHYS = 4
# how a site stands in the lattice reflected at its diagonal, upside down, and from behind
_REFLECTED, _UPSIDE_DOWN = (WEST, SOUTH, EAST, NORTH, PHYS), (SOUTH, EAST, NORTH, WEST, PHYS)
_MIRRORED = (NORTH, WEST, SOUTH, EAST, PHYS)


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
        # matrices by row and by the column of the first place; of pairs in columns the other way round
        self._in_rows: dict[int, dict[int, np.ndarray]] = {}
        self._in_columns: dict[int, dict[int, np.ndarray]] = {}
        for term in terms.bonds:
            (i, j), offset = term.first, term.offset
            if offset == (0, 1):
                self._in_rows.setdefault(i, {})[j] = term.matrix
            elif offset == (1, 0):
                self._in_columns.setdefault(j, {})[i] = term.matrix
            else:
                raise OperatorError(f"terms of neighbours can be minimised on a finite lattice, found one at {offset}.")

    def energy(self, rows: Sequence[Row]) -> Any:
        """Of the whole lattice, as a number that gradients can be taken of."""
        columns = [[transpose(row[j], _REFLECTED) for row in rows] for j in range(len(rows[0]))]
        means = [*self._means(rows, self._in_rows), *self._means(columns, self._in_columns)]
        return sum(means[1:], start=means[0])

    def _means(self, rows: Sequence[Row], bonds: Mapping[int, Mapping[int, np.ndarray]]) -> Iterator[Any]:
        """The energy of the bonds in every row that has some."""
        if not bonds:
            return
        above = self._boundaries(rows)
        below = self._boundaries([[transpose(site, _UPSIDE_DOWN) for site in row] for row in rows[::-1]])[::-1]
        n = len(rows[0])
        for i, matrices in bonds.items():

            def of_row(*tensors: Any, matrices: Mapping[int, np.ndarray] = matrices) -> Any:
                columns = zip(tensors[:n], tensors[n : 2 * n], tensors[2 * n :], strict=True)
                return _row_energy(list(columns), matrices)

            yield at_once(of_row, *above[i], *rows[i], *below[i])

    def _boundaries(self, rows: Sequence[Row]) -> list[Row]:
        """What lies above every row."""
        group = rows[0][0].group
        left, right = trivial_leg(1, 1, group), trivial_leg(1, -1, group)
        found: list[Row] = [[ones((left, site.legs[0].dual, site.legs[0], right), site) for site in rows[0]]]
        for number, row in enumerate(rows[:-1]):
            boundary, sites = found[-1], row
            if number % 2:
                boundary, sites = _mirrored(boundary), [transpose(site, _MIRRORED) for site in sites[::-1]]
            made = self._zipped(boundary, sites)
            found.append(_mirrored(made) if number % 2 else made)
        return found

    def _zipped(self, boundary: Row, sites: Row) -> Row:
        """A row taken into a boundary, from the left."""
        first, made = sites[0], []
        carry: Any = ones((boundary[0].legs[0].dual.dual, *_closing(boundary[0], first, 0, WEST)), first)
        for number, (edge, site) in enumerate(zip(boundary, sites, strict=True)):
            whole = contract("x l w W, l k K r -> x w W k K r", carry, edge)
            whole = contract("x w W k K r, k e s w p -> x W K r e s p", whole, site)
            whole = unit(contract("x W K r e s p, K E S W p -> x s S r e E", whole, site.conj()))
            if number + 1 == len(sites):
                end = ones((*_closing(edge, site, 3, EAST), edge.legs[3]), site)
                made.append(contract("x s S r e E, r e E z -> x s S z", whole, end))
                break
            basis, carry = compressed(whole, (0, 1, 2), self.truncation)
            made.append(basis)
        return made


def _closing(edge: Any, site: Any, leg: int, direction: int) -> tuple[Leg, Leg, Leg]:
    """Legs of dimension 1 that close an edge and both layers of a site on one side."""
    return edge.legs[leg].dual, site.legs[direction].dual, site.legs[direction]


def _mirrored(boundary: Row) -> Row:
    return [transpose(edge, (3, 1, 2, 0)) for edge in boundary[::-1]]


def _row_energy(columns: Sequence[Column], matrices: Mapping[int, np.ndarray]) -> Any:
    """The sum of the means of neighbours in a row; matrices: by the column of the first of them."""
    n = len(columns)
    uppers, sites, lowers = zip(*columns, strict=True)
    behind = [transpose(site, _MIRRORED) for site in sites[::-1]]
    west = _halves(columns, matrices.keys())
    east = _halves(list(zip(_mirrored(uppers), behind, _mirrored(lowers), strict=True)), [n - 2 - j for j in matrices])
    means = []
    for j, matrix in matrices.items():
        density = contract("t e E b p P, t e E b q Q -> p P q Q", west[j], east[n - 2 - j])
        means.append(expectation(density, matrix))
    return sum(means[1:], start=means[0])


def _halves(columns: Sequence[Column], wanted: Collection[int]) -> dict[int, Any]:
    """All from the west up to a column whose physical legs stay open, for those that are wanted.

    t--upper--u     legs (u, f, F, c, p, P); what is left of a column (t, e, E, b)
    e--ket----f
    E--bra----F     capital letters: of the bra
    b--lower--c     Cost O(chi^3 D^4 d^2 + chi^2 D^6 d^2) a column
    """
    upper, site, lower = columns[0]
    west: Any = ones((upper.legs[0].dual, site.legs[WEST].dual, site.legs[WEST], lower.legs[0].dual), site)
    last, found = max(wanted), {}
    for j, (upper, site, lower) in enumerate(columns[: last + 1]):
        half = contract("t e E b, t k K u -> e E b k K u", west, upper)
        half = contract("e E b k K u, k f s e p -> E b K u f s p", half, site)
        if j in wanted:
            both = contract("E b K u f s p, K F S E P -> b u f s F S p P", half, site.conj())
            found[j] = contract("b u f s F S p P, b s S c -> u f F c p P", both, lower)
        if j < last:
            both = contract("E b K u f s p, K F S E p -> b u f s F S", half, site.conj())
            west = unit(contract("b u f s F S, b s S c -> u f F c", both, lower))
    return found
