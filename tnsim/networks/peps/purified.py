"""Mixed states in the plane as PEPS on sites that carry an ancilla each.

Imaginary time beta / 2 takes the state of infinite temperature to that of temperature 1 / beta, the ancillas traced.
Source: F. Verstraete, J. J. Garcia-Ripoll, J. I. Cirac, Phys. Rev. Lett. 93, 207204 (2004); P. Czarnik, L. Cincio, J.
Dziarmaga, Phys. Rev. B 86, 245101 (2012).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tnsim.backend import Backend
from tnsim.errors import ShapeError
from tnsim.networks.peps.peps import PEPS, InfinitePEPS
from tnsim.networks.peps.plane_terms import PairTerm, PlaneTerms
from tnsim.networks.purification import pair_tensor, purified_site
from tnsim.networks.sites import Site


def infinitely_hot(
    H: PlaneTerms, pattern: Sequence[Sequence[int]] | None = None, *, backend: str | Backend | None = None
) -> PEPS | InfinitePEPS:
    """The state on purified sites in which all states of the lattice are as likely; bonds have dimension 1.

    pattern: where H is that of the infinite lattice, whose cell it has to fill. With conserved charges it holds all
    sectors. Raises ShapeError for a pattern that does not fit H.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> infinitely_hot(PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 2)))).bond_dimension
    1
    """
    m, n = H.shape
    if not H.infinite:
        sites = [[purified_site(site) for site in row] for row in H.sites]
        return PEPS.product(sites, [[_equal(site) for site in row] for row in H.sites], backend=backend)
    if pattern is None or (len(pattern), len(pattern[0])) != (m, n):
        raise ShapeError(f"terms on a cell of {m} x {n} places need a pattern of that shape, found {pattern}.")
    kinds = {pattern[i][j]: H.sites[i][j] for i in range(m) for j in range(n)}
    found = [kinds[number] for number in sorted(kinds)]
    return InfinitePEPS.product(
        [purified_site(site) for site in found], [_equal(site) for site in found], pattern, backend=backend
    )


def purified_terms(H: PlaneTerms) -> PlaneTerms:
    """The same Hamiltonian on purified sites, where it leaves the ancillas alone: for measurements. Exact.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> H = purified_terms(PlaneTerms.of(Heisenberg(lattice=Lattice("square", 2, 1))))
    >>> H.pairs[0].matrix.shape, H.is_hermitian
    ((16, 16), True)
    """
    singles = {place: _widened(matrix, (H.site(*place),)) for place, matrix in H.singles.items()}
    pairs = tuple(
        PairTerm(term.first, term.second, _widened(term.matrix, (H.site(*term.first), H.site(*term.second))))
        for term in H.pairs
    )
    rows = tuple(tuple(purified_site(site) for site in row) for row in H.sites)
    return replace(H, sites=rows, singles=singles, pairs=pairs)


def _equal(site: Site) -> np.ndarray:
    """The vector of a purified site in which state and ancilla agree, norm 1."""
    states, ancillas = _pairs(site)
    return (states == ancillas) / np.sqrt(site.dim)


def _widened(matrix: np.ndarray, sites: Sequence[Site]) -> np.ndarray:
    """A matrix on sites times the identity on their ancillas, in the Kronecker basis of the purified sites.

    Ancillas of fermions stand between the sites: states of a site pass those before it.
    """
    states, ancillas = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    signs, odd = np.ones(1), np.zeros(1, dtype=np.int64)
    for site in sites:
        own, parities = _pairs(site), np.array(site.parities)
        signs = (signs[:, None] * (1 - 2 * (odd[:, None] & parities[own[0]]))).ravel()
        odd = (odd[:, None] ^ parities[own[1]]).ravel()
        states = (states[:, None] * site.dim + own[0]).ravel()
        ancillas = (ancillas[:, None] * site.dim + own[1]).ravel()
    wide = signs[:, None] * matrix[np.ix_(states, states)] * signs
    return np.where(ancillas[:, None] == ancillas[None, :], wide, 0)


def _pairs(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """State and ancilla of every state of the purified site."""
    there = pair_tensor(site).to("numpy").to_dense()
    states, ancillas, places = np.nonzero(there)
    order = np.argsort(places)
    return states[order], ancillas[order]
