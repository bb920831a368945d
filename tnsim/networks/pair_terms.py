"""Sums of operators on one or two sites as a matrix for every pair: what gates are made from."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import OperatorError, ShapeError
from tnsim.networks.infinite_mpo import first_cell_terms
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
    if expansion.exponentials:
        expansion = expansion.flattened()
    neighbours = [(i, i + 1) for i in range(len(sites) - 1)]
    pairs = {pair: _zeros(pair, sites) for pair in neighbours}
    for string, value in expansion.strings.items():
        if len(string) == 2:
            holders = [(string[0][0], string[1][0])]
        else:
            holders = [pair for pair in neighbours if not string or _only_site(string) in pair]
        for pair in holders:
            operator = value / len(holders) * _matrix(string, pair, expansion, sites)
            pairs[pair] = pairs[pair] + operator if pair in pairs else operator
    return dict(zip(sorted(pairs), _real([pairs[pair] for pair in sorted(pairs)]), strict=True)), hermitian


def cell_terms(H: OperatorSum, cell: Sequence[Site]) -> tuple[dict[Pair, np.ndarray], bool]:
    """{(i, i + 1): matrix} for the bond right of every site i of a cell that repeats, and whether H is Hermitian.

    The matrices and their translations add up to what `InfiniteMPO.from_sum(H, cell)` means. Raises OperatorError for
    a term on sites that are no neighbours, and what `from_sum` raises.

    >>> from tnsim.networks.sites import spin_sites
    >>> H = OperatorSum().add(1.0, "Sz", 1, "Sz", 2)
    >>> {pair: matrix.diagonal().tolist() for pair, matrix in cell_terms(H, spin_sites(2))[0].items()}
    {(0, 1): [0.0, 0.0, 0.0, 0.0], (1, 2): [0.25, -0.25, -0.25, 0.25]}
    """
    expansion = first_cell_terms(H, cell)
    if expansion.exponentials:
        raise OperatorError("gates take terms on neighbouring sites, found an exponential: use VUMPS or TDVP.")
    count, sites = len(cell), [*cell, *cell]
    matrices = [_zeros((i, i + 1), sites) for i in range(count)]
    for string, value in expansion.strings.items():
        if len(string) == 2 and string[1][0] == string[0][0] + 1:
            place = string[0][0]
            matrices[place] = matrices[place] + value * _matrix(string, (place, place + 1), expansion, sites)
        elif len(string) == 2:
            raise OperatorError(
                f"gates take terms on neighbouring sites, found one on the sites {[i for i, _ in string]}: use VUMPS "
                "or TDVP."
            )
        elif string:
            site, (_, n) = _only_site(string), string[0]
            for place, where in ((site, site), ((site - 1) % count, (site - 1) % count + 1)):
                own = ((where, n),)
                matrices[place] = matrices[place] + value / 2 * _matrix(own, (place, place + 1), expansion, sites)
        else:
            matrices = [matrix + value / count * np.eye(len(matrix)) for matrix in matrices]
    return {(i, i + 1): matrix for i, matrix in enumerate(_real(matrices))}, is_hermitian(expansion)


def _zeros(pair: Pair, sites: Sequence[Site]) -> np.ndarray:
    size = sites[pair[0]].dim * sites[pair[1]].dim
    return np.zeros((size, size), dtype=complex)


def _real(matrices: list[np.ndarray]) -> list[np.ndarray]:
    """Real matrices where all of them are."""
    return matrices if any(matrix.imag.any() for matrix in matrices) else [matrix.real.copy() for matrix in matrices]


def _only_site(string: String) -> int:
    """The site of a string of one operator; more are refused."""
    if len(string) > 2:
        raise OperatorError(
            f"a term on the sites {[i for i, _ in string]} cannot become a gate, which takes terms on one or two "
            "sites: use TDVP or the evolution by MPOs."
        )
    return string[0][0]


def _matrix(string: String, pair: Pair, expansion: Expansion, sites: Sequence[Site]) -> np.ndarray:
    """A string as a matrix on the sites i < j; F stands left of an odd operator. Sites repeat with the bases."""
    (i, j), places, bases = pair, dict(string), expansion.bases
    first, second = places.get(i, 0), places.get(j, 0)
    odd = bases[j].charges[second][-1]
    left = bases[i].matrices[first]
    return np.kron(multiply(left, sites[i].string) if odd else left, bases[j].matrices[second])
