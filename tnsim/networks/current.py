"""Currents of conserved quantities, for any sum of terms."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from tnsim.errors import OperatorError, ShapeError
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.operator_terms import expand
from tnsim.networks.sites import Site

_ROUNDING = 1e-12


def current(H: OperatorSum, density: str, bond: int, sites: Sequence[Site]) -> OperatorSum:
    """What flows over a bond from left to right: J = -i [H, N], with N the density summed up to site `bond`.

    The rate of change of <N> is -<J>, and J of one bond less J of the next one that of the density in between. A term
    of H that moves the quantity by m to the left counts i m times; terms of any range and number of sites. density: a
    diagonal operator with the same name on every site, such as "Sz" or "N", whose sum H conserves. Exact. Raises
    ShapeError for a bond that is not there, OperatorError for a density that is not diagonal or not conserved.

    >>> from tnsim.networks.operator_sum import plus_hc
    >>> from tnsim.networks.sites import fermion_site
    >>> H = OperatorSum() + OperatorSum([plus_hc(-1.0, "Cdag", 0, "C", 1)])
    >>> J = current(H, "N", 0, [fermion_site()] * 2)
    >>> J.mpo([fermion_site()] * 2).to_dense()[1:3, 1:3].tolist()
    [[0j, 1j], [-1j, 0j]]
    """
    if not isinstance(H, OperatorSum):
        raise OperatorError(f"a current is one of the terms of an OperatorSum, found {type(H).__name__}.")
    if not isinstance(bond, (int, np.integer)) or not 0 <= bond < len(sites) - 1:
        raise ShapeError(f"a chain of {len(sites)} sites has bonds 0 to {len(sites) - 2}, found {bond!r}.")
    values = [_diagonal(site, density) for site in sites]
    expansion = expand(H.terms, H.exponentials, sites, H.many)
    if expansion.exponentials:
        expansion = expansion.flattened()
    flow, sources = OperatorSum(), OperatorSum()
    for string, value in expansion.strings.items():
        places = [site for site, _ in string]
        parts = [_parts(expansion.bases[site].matrices[n], values[site]) for site, n in string]
        for choice in product(*parts):
            shifts = np.array([shift for shift, _ in choice])
            factors = [x for place, (_, matrix) in zip(places, choice, strict=True) for x in (matrix, place)]
            moved, made = float(shifts[np.array(places) <= bond].sum()), float(shifts.sum())
            if abs(made) > _ROUNDING:
                sources.add(complex(value * made), *factors)
            elif abs(moved) > _ROUNDING:
                flow.add(complex(1j * value * moved), *factors)
    _check_conserved(sources, density, sites)
    return flow


def _check_conserved(sources: OperatorSum, density: str, sites: Sequence[Site]) -> None:
    """OperatorError unless the terms that change the sum of a density cancel, as S+ S+ does in Sx Sx + Sy Sy."""
    left = expand(sources.terms, (), sites).coefficients if len(sources) else {}
    if left:
        places = [site for site, _ in next(iter(left))]
        raise OperatorError(
            f"H does not conserve the sum of {density!r}: a term on the sites {places} changes it, so it has no "
            "current."
        )


def _diagonal(site: Site, density: str) -> np.ndarray:
    matrix = site.op(density)
    if np.abs(matrix - np.diag(matrix.diagonal())).max() > _ROUNDING or np.abs(matrix.imag).max() > 0:
        raise OperatorError(f"a density is diagonal and real, {density!r} of {site.name!r} is not.")
    return matrix.diagonal().real


def _parts(matrix: np.ndarray, values: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """The parts of an operator that change a diagonal quantity by one value each."""
    changes = np.subtract.outer(values, values)
    there = np.abs(matrix) > _ROUNDING * np.abs(matrix).max()
    for change in np.unique(changes[there].round(10)):
        yield float(change), np.where(np.abs(changes - change) < 1e-9, matrix, 0)
