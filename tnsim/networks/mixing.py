"""A sum that connects the product states of a charge sector: what to search with where a Hamiltonian connects none."""

from collections.abc import Sequence

import numpy as np

from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import Site


def mixing_sum(sites: Sequence[Site]) -> OperatorSum:
    """Minus all moves of charge between neighbours, and all changes of a site within its charge, each with weight 1.

    Hermitian, of the symmetry of the sites. Charges that no two neighbours can exchange stay where they are.

    >>> from tnsim.networks.sites import spin_sites
    >>> len(mixing_sum(spin_sites(4)).terms), len(mixing_sum(spin_sites(4, conserve=None)).terms)
    (3, 4)
    """
    H, moves = OperatorSum(), [_moves(site) for site in sites]
    for i, here in enumerate(moves):
        none = (0,) * len(sites[i].operator_group.moduli)
        if none in here:
            H += -1.0, here[none], i
        for change, matrix in here.items() if i + 1 < len(sites) else ():
            back = _opposite(change, sites[i])
            if back in moves[i + 1] and change != none and change >= back:
                # a change that undoes itself is split in two: fermions would cancel it against its adjoint
                one_way = np.tril(matrix) if change == back else matrix
                H += plus_hc(-1.0, one_way, i, moves[i + 1][back], i + 1)
    return H


def _moves(site: Site) -> dict[tuple[int, ...], np.ndarray]:
    """Matrices of ones where the state, and with it the charge and the parity, changes; by that change."""
    charges = [(*charge, parity) for charge, parity in zip(site.charges, site.parities, strict=True)]
    found: dict[tuple[int, ...], np.ndarray] = {}
    for s, after in enumerate(charges):
        for t, before in enumerate(charges):
            if s != t:
                change = _modulo([a - b for a, b in zip(after, before, strict=True)], site)
                found.setdefault(change, np.zeros((site.dim, site.dim)))[s, t] = 1.0
    return found


def _opposite(change: tuple[int, ...], site: Site) -> tuple[int, ...]:
    return _modulo([-q for q in change], site)


def _modulo(change: Sequence[int], site: Site) -> tuple[int, ...]:
    """A change of charge with its Z_n components in 0..n-1."""
    return tuple(q % n if n else q for q, n in zip(change, site.operator_group.moduli, strict=True))
