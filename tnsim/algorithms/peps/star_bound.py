"""What no energy lies below, whatever the state: the lowest ones of stars, a place with all that it has terms with.

Every pair lies in two stars and counts half in each. Source: P. W. Anderson, Phys. Rev. 83, 1260 (1951).
"""

from collections.abc import Iterator
from math import prod

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from tnsim.networks.peps import PlaneTerms
from tnsim.networks.peps.plane_terms import PairTerm, Place

# states of a star that are decomposed in full, and at most
_DENSE, _MOST = 64, 2**13
# what a place has a term with, its dimension, and the matrix (place, other)
_Arm = tuple[Place, int, np.ndarray]


def star_bound(terms: PlaneTerms) -> float:
    """No state has less energy: on a finite lattice in all, else per place.

    Of fermions, whose signs depend on what stands between, and where a star has more than 8192 states, every pair is
    taken alone. Tight for classical terms; of a spin 1/2 and its neighbours on the square lattice 12% low.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> round(star_bound(PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 2)), [[0]])), 9)
    -0.75
    """
    places = [(i, j) for i, row in enumerate(terms.sites) for j, _ in enumerate(row)]
    stars: dict[Place, dict[Place, tuple[int, np.ndarray]]] = {place: {} for place in places}
    for term in terms.bonds:
        for place, (other, dim, matrix) in _arms(terms, term):
            known = stars[place].get(other)
            stars[place][other] = (dim, matrix / 2 if known is None else known[1] + matrix / 2)
    sizes = [terms.site(*place).dim * prod(dim for dim, _ in stars[place].values()) for place in places]
    if max(sizes) > _MOST or any(np.any(terms.site(*place).parities) for place in places):
        total = sum(float(np.linalg.eigvalsh(term.matrix)[0]) for term in terms.bonds)
    else:
        total = sum(_lowest(terms.site(*place).dim, list(stars[place].values())) for place in places)
    return total / len(places) if terms.infinite else total


def _arms(terms: PlaneTerms, term: PairTerm) -> Iterator[tuple[Place, _Arm]]:
    """A pair as part of the stars of both of its places, each in the cell."""
    (rows, columns), (down, east) = terms.shape, term.offset
    first, last = terms.site(*term.first).dim, terms.site(*term.second).dim
    inside = term.second[0] % rows, term.second[1] % columns
    backwards = term.matrix.reshape(first, last, first, last).transpose(1, 0, 3, 2).reshape(term.matrix.shape)
    # of a cell those of the same place in other cells are others; around a cylinder they are not
    there, back = ((down, east), (-down, -east)) if terms.infinite else (inside, term.first)
    yield term.first, (there, last, term.matrix)
    yield inside, (back, first, backwards)


def _lowest(d: int, arms: list[tuple[int, np.ndarray]]) -> float:
    """The least energy of a place and what it has terms with."""
    shape = (d, *(dim for dim, _ in arms))
    operators = [matrix.reshape(d, dim, d, dim) for dim, matrix in arms]
    if not any(np.any(operator) for operator in operators):
        return 0.0

    def star(x: np.ndarray) -> np.ndarray:
        psi = x.reshape(shape)
        parts = (np.tensordot(operator, psi, ([2, 3], [0, k])) for k, operator in enumerate(operators, 1))
        return np.sum([np.moveaxis(part, 1, k) for k, part in enumerate(parts, 1)], axis=0).ravel()

    size, dtype = prod(shape), np.result_type(float, *operators)
    if size <= _DENSE:
        return float(np.linalg.eigvalsh(np.stack([star(x) for x in np.eye(size)], axis=1))[0])
    start = np.random.default_rng(0).normal(size=size)
    operator = LinearOperator((size, size), star, dtype=dtype)
    return float(eigsh(operator, k=1, which="SA", v0=start, return_eigenvectors=False)[0])
