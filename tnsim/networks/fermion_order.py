"""Products of local operators brought into the order of the sites, with the signs of fermions.

Operators that change the fermion parity anticommute where they stand on different sites. A product in ascending
order of sites becomes matrices by the Jordan-Wigner transformation: at every site the local matrix, times
F = (-1)^N where an odd number of such operators stands on the sites to the right. (To the left of all of them an
even number stands, in a product of even parity.) Source: P. Jordan, E. Wigner, Z. Phys. 47, 631 (1928).
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np

from tnsim.networks.sites import Site, multiply

Factors = Sequence[tuple[np.ndarray, int]]


def site_ordered(factors: Factors, sites: Sequence[Site]) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
    """(sign, {site: matrix}) for products of definite parity at every factor, which add up to the one given.

    factors: (matrix, site) in the order written; several on a site multiply in that order. One pair, unless a
    factor mixes even and odd parts.

    >>> from tnsim.networks.sites import fermion_site
    >>> site = fermion_site()
    >>> factors = [(site.op("C"), 1), (site.op("Cdag"), 0)]
    >>> [(sign, sorted(matrices)) for sign, matrices in site_ordered(factors, [site] * 2)]
    [(-1, [0, 1])]
    """
    for choice in product(*(sites[i].by_parity(matrix) for matrix, i in factors)):
        matrices: dict[int, np.ndarray] = {}
        for (_, matrix), (_, i) in zip(choice, factors, strict=True):
            matrices[i] = multiply(matrices[i], matrix) if i in matrices else matrix
        yield _sign([i for (parity, _), (_, i) in zip(choice, factors, strict=True) if parity]), matrices


def _sign(odd: Sequence[int]) -> int:
    """The sign of sorting fermionic operators by site; those on one site keep their order."""
    return -1 if sum(a > b for a, b in combinations(odd, 2)) % 2 else 1


def reversal_sign(odd: int) -> int:
    """The sign of writing so many fermionic operators of different sites in the opposite order.

    >>> [reversal_sign(n) for n in range(5)]
    [1, 1, -1, -1, 1]
    """
    return -1 if odd % 4 in (2, 3) else 1
