"""Sums of operators on one or two sites as a matrix for every pair: what gates are made from."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import OperatorError, ShapeError
from tnsim.networks.operator_strings import String
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.operator_terms import Expansion, expand, is_hermitian
from tnsim.networks.sites import Site, multiply

Pair = tuple[int, int]


def pair_terms(H: OperatorSum, sites: Sequence[Site]) -> tuple[dict[Pair, np.ndarray], bool]:
    """{(i, j): matrix} with i < j, which add up to H, and whether H is Hermitian; every (i, i + 1) is among them.

    Matrices are in the Kronecker basis of both sites, rows out; fermions are in Jordan-Wigner order as if i and j were
    neighbours, which is exact for neighbours and after fermionic swaps for others. A term on one site is shared
    equally by the neighbouring pairs that hold it, a constant by all of them. Exact. Raises OperatorError for a term
    on three sites or more, and what `OperatorSum.mpo` raises.

    >>> from tnsim.networks.sites import spin_sites
    >>> H = OperatorSum().add(1.0, "Sz", 0, "Sz", 1).add(2.0, "Sz", 1)
    >>> pairs, hermitian = pair_terms(H, spin_sites(3))
    >>> pairs[0, 1].diagonal().tolist(), pairs[1, 2].diagonal().tolist(), hermitian
    ([-0.25, 0.25, -0.75, 0.75], [-0.5, -0.5, 0.5, 0.5], True)
    """
    if len(sites) < 2:
        raise ShapeError(f"terms of pairs need at least 2 sites, found {len(sites)}.")
    expansion = expand(H.terms, H.exponentials, sites, H.many)
    hermitian = is_hermitian(expansion)
    pairs = {(i, i + 1): np.zeros((a.dim * b.dim,) * 2, complex) for i, (a, b) in enumerate(zip(sites, sites[1:]))}
    for string, value in _flat(expansion).strings.items():
        for (i, j), share in _holders(string, len(sites)):
            operator = value * share * _matrix(dict(string), i, j, expansion, sites)
            pairs[i, j] = pairs[i, j] + operator if (i, j) in pairs else operator
    real = not any(matrix.imag.any() for matrix in pairs.values())
    return {pair: matrix.real.copy() if real else matrix for pair, matrix in sorted(pairs.items())}, hermitian


def _flat(expansion: Expansion) -> Expansion:
    return expansion.flattened() if expansion.exponentials else expansion


def _holders(string: String, length: int) -> list[tuple[Pair, float]]:
    """Pairs that hold the sites of a string, and their shares."""
    if len(string) > 2:
        raise OperatorError(
            f"a term on the sites {[i for i, _ in string]} cannot become a gate, which takes terms on one or "
            "two sites: use TDVP or the evolution by MPOs."
        )
    if len(string) == 2:
        return [((string[0][0], string[1][0]), 1.0)]
    bonds = range(length - 1) if not string else [i for i in (string[0][0] - 1, string[0][0]) if 0 <= i < length - 1]
    return [((i, i + 1), 1 / len(bonds)) for i in bonds]


def _matrix(string: dict[int, int], i: int, j: int, expansion: Expansion, sites: Sequence[Site]) -> np.ndarray:
    """A string as a matrix on sites i < j; F stands left of an odd operator."""
    first, second = string.get(i, 0), string.get(j, 0)
    odd = expansion.bases[j].charges[second][-1]
    left = expansion.bases[i].matrices[first]
    return np.kron(multiply(left, sites[i].string) if odd else left, expansion.bases[j].matrices[second])
