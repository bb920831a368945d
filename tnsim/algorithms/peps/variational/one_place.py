"""From a cell to the one place that repeats, and back: terms of the Hamiltonian, and states of one symmetric tensor."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from tnsim.errors import OperatorError, SettingsError
from tnsim.networks.peps import InfinitePEPS, PairTerm, PlaneTerms, SquareState

# offsets that a quarter turn takes to each other
_ALIKE = (((0, 1), (1, 0)), ((1, 1), (1, -1)))


def of_one_place(H: PlaneTerms) -> PlaneTerms:
    """The terms of an infinite lattice whose places are all alike, with a cell of one place.

    Raises OperatorError where they are not alike.
    """
    (m, n), alike = H.shape, True
    pairs = [term for term in H.pairs if term.first == (0, 0)]
    known = {term.offset: term.matrix for term in pairs}
    for term in H.pairs:
        alike &= term.offset in known and np.allclose(term.matrix, known[term.offset])
    alike &= len(H.pairs) == m * n * len(pairs) and len(H.singles) in (0, m * n)
    alike &= all(np.allclose(matrix, H.singles.get((0, 0), 0)) for matrix in H.singles.values())
    if not alike or not H.infinite or any(site != H.site(0, 0) for row in H.sites for site in row):
        raise OperatorError(f"one tensor for all places needs the same terms everywhere, found {H!r}: cool it instead.")
    singles = {place: matrix for place, matrix in H.singles.items() if place == (0, 0)}
    members = {place: found for place, found in H.members.items() if place == (0, 0)}
    return replace(H, sites=((H.site(0, 0),),), singles=singles, pairs=tuple(pairs), members=members)


def on_board(terms: PlaneTerms) -> PlaneTerms:
    """Terms of a cell of one place, of a cell of two by two."""
    places = [(i, j) for i in range(2) for j in range(2)]
    pairs = [
        PairTerm((i + term.first[0], j + term.first[1]), (i + term.second[0], j + term.second[1]), term.matrix)
        for i, j in places
        for term in terms.pairs
    ]
    return replace(
        terms, sites=((terms.site(0, 0),) * 2,) * 2, pairs=tuple(pairs),
        singles={place: matrix for place in places for matrix in terms.singles.values()},
        members={place: found for place in places for found in terms.members.values()},
    )  # fmt: skip


def check_square(terms: PlaneTerms) -> None:
    """OperatorError for terms of one place that a quarter turn changes, such as those of one diagonal alone."""
    matrices = {term.offset: term.matrix for term in terms.pairs}
    for one, other in _ALIKE:
        if not np.allclose(matrices.get(one, 0.0), matrices.get(other, 0.0)):
            raise OperatorError(
                f"a quarter turn of the square takes terms at {one} to others at {other}: one symmetric tensor is no "
                "start for them, leave symmetric out."
            )


def sublattices(pattern: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The sublattice, 0 or 1, of every tensor of a pattern.

    Raises SettingsError where the two sublattices of the square lattice do not repeat with the pattern.

    >>> sublattices([[0, 1], [1, 0]]), sublattices([[0, 1], [2, 3]])
    ((0, 1), (0, 1, 1, 0))
    """
    rows, columns, found = len(pattern), len(pattern[0]), {}  # type: ignore[var-annotated]
    for i, j in product(range(rows), range(columns)):
        found.setdefault(pattern[i][j], set()).add((i + j) % 2)
    if rows % 2 or columns % 2 or any(len(each) > 1 for each in found.values()):
        raise SettingsError(
            f"the two sublattices of an antiferromagnet do not repeat with the cell {[list(row) for row in pattern]}: "
            "take a checkerboard, or even numbers of rows and of columns with tensors of their own."
        )
    return tuple(found[number].pop() for number in range(len(found)))


def on_cell(psi: SquareState, like: SquareState) -> InfinitePEPS:
    """A state of one tensor, or of a checkerboard of two, with the tensors of another cell: the same state.

    like: whose pattern, dtype and backend are taken. Raises SettingsError for a checkerboard that does not fit it.
    """
    several = len(psi.tensors) > 1
    numbers = sublattices(like.pattern) if several else (0,) * len(like.tensors)
    tensors, kinds = [psi.tensors[n] for n in numbers], [psi.kinds[n] for n in numbers]
    return InfinitePEPS(tensors, like.pattern, kinds).astype(like.dtype).to(like.backend)
