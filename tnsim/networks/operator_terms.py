"""Terms as strings of linearly independent local operators: the form in which sums can be compared.

Strings of basis operators are linearly independent, so equal sums have equal coefficients, and ranks of
coefficient matrices are operator Schmidt ranks. The operators of a string stand in ascending order of sites and
anticommute where they are fermionic (`fermion_order`): no signs are written out between them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tnsim.errors import ChargeError, OperatorError, ShapeError
from tnsim.networks.fermion_order import reversal_sign
from tnsim.networks.local_basis import Combination, LocalBasis
from tnsim.networks.operator_strings import ROUNDING, Part, String, Strings, many_strings, product_strings, strings_of
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge


@dataclass(frozen=True)
class Tail:
    """sum_j decay**(j - i) between_i ... between_{j-1} last_j, what an exponential term leaves to its right."""

    last: int
    decay: complex
    between: Combination


@dataclass
class Expansion:
    """Coefficients of independent strings, and the basis of every site.

    exponentials: coefficients of sum_{i<j} decay**(j - i) first_i between ... last_j by (first, tail).
    """

    strings: Strings
    exponentials: dict[tuple[int, Tail], complex]
    bases: tuple[LocalBasis, ...]

    @property
    def coefficients(self) -> dict[String, complex]:
        """The strings as a dictionary."""
        return dict(self.strings.items())

    @property
    def scale(self) -> float:
        largest = np.abs(self.strings.values).max(initial=0.0)
        return max([float(largest), *(abs(c) for c in self.exponentials.values())])

    def flattened(self) -> "Expansion":
        """The same sum with every exponential written as strings."""
        coefficients = self.coefficients
        for (first, tail), value in self.exponentials.items():
            for i, j in _pairs(len(self.bases)):
                for middle in product(tail.between, repeat=j - i - 1):
                    weight = value * tail.decay ** (j - i)
                    for _, c in middle:
                        weight = weight * c
                    inner = ((i + 1 + k, n) for k, (n, _) in enumerate(middle) if n != 0)
                    string = ((i, first), *inner, (j, tail.last))
                    string = tuple((site, n) for site, n in string if n != 0)
                    coefficients[string] = coefficients.get(string, 0.0) + weight
        return Expansion(Strings.of(coefficients), {}, self.bases)


def _pairs(length: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(length) for j in range(i + 1, length))


def expand(
    terms: Sequence[Any], exponentials: Sequence[Any], sites: Sequence[Site], many: Sequence[Any] = ()
) -> Expansion:
    """Coefficients of every basis string; strings that cancel are dropped. many: terms of one kind as arrays.

    Raises OperatorError for a site out of range, an unknown operator or where what remains is odd in fermions,
    ChargeError where it breaks a conserved charge.
    """
    _check_sites(sites)
    shared: dict[Site, LocalBasis] = {}
    bases = tuple(shared[site] if site in shared else shared.setdefault(site, LocalBasis(site)) for site in sites)
    strings, tails = _Collected(), _Collected()
    origin: dict[Any, Any] = {}
    uniform = all(basis is bases[0] for basis in bases)
    for term in exponentials:
        target, found = (tails, _tails(term, bases)) if uniform else (strings, _written_out(term, sites, bases))
        for key, value in found:
            target.add(key, value)
            origin.setdefault(key, term)
    for term in terms:
        for string, value in _strings(term, sites, bases):
            strings.add(string, value)
            origin.setdefault(string, term)
    groups = [(given, rows, part) for given in many for rows, part in _many(given, sites, bases)]
    merged = Strings.of(strings.coefficients())
    if groups:
        merged = Strings.merged([(merged.codes, merged.values), *(part for _, _, part in groups)])
    result = Expansion(merged, tails.coefficients(), bases)
    _check_charges(result, sites, origin, groups)
    return result


class _Collected:
    """Coefficients by key, and the sum of the magnitudes that went into each: what is left of a cancellation
    is dropped, a coefficient that is just small is kept (an exponential cut off would cost channels)."""

    def __init__(self) -> None:
        self.sums: dict[Any, complex] = {}
        self.sizes: dict[Any, float] = {}

    def add(self, key: Any, value: complex) -> None:
        self.sums[key] = self.sums.get(key, 0.0) + value
        self.sizes[key] = self.sizes.get(key, 0.0) + abs(value)

    def coefficients(self) -> dict[Any, complex]:
        return {key: c for key, c in self.sums.items() if abs(c) > ROUNDING * self.sizes[key]}


def _check_sites(sites: Sequence[Site]) -> None:
    if not sites:
        raise ShapeError("an operator needs at least one site, found none.")
    for i, site in enumerate(sites):
        if site.group != sites[0].group:
            raise ChargeError(
                f"site {i} conserves {site.group!r}, site 0 {sites[0].group!r}: all sites of a chain conserve the same."
            )


def _matrix(term: Any, op: str | np.ndarray, site: Site) -> np.ndarray:
    try:
        return site.op(op)
    except OperatorError as error:
        raise OperatorError(f"in the term '{term}': {error}") from error


def _strings(term: Any, sites: Sequence[Site], bases: Sequence[LocalBasis]) -> Iterator[tuple[String, complex]]:
    """The term as (string, coefficient) pairs in the local bases."""
    factors = []
    for op, i in term.factors:
        if not 0 <= i < len(sites):
            raise OperatorError(f"the term '{term}' names site {i}, but the chain has sites 0 to {len(sites) - 1}.")
        factors.append((_matrix(term, op, sites[i]), i))
    for string, value in strings_of(factors, sites, bases):
        yield string, term.coefficient * value
    if term.adjoint_coefficient:
        adjoints = [(matrix.conj().T, i) for matrix, i in reversed(factors)]
        for string, value in strings_of(adjoints, sites, bases):
            yield string, term.adjoint_coefficient * value


def _many(terms: Any, sites: Sequence[Site], bases: Sequence[LocalBasis]) -> Iterator[tuple[np.ndarray, Part]]:
    """Terms of one kind: numbers of the terms and their strings."""
    outside = np.flatnonzero(((terms.places < 0) | (terms.places >= len(sites))).any(axis=1))
    if len(outside):
        term = terms.term(int(outside[0]))
        wrong = next(i for _, i in term.factors if not 0 <= i < len(sites))
        raise OperatorError(f"the term '{term}' names site {wrong}, but the chain has sites 0 to {len(sites) - 1}.")
    kinds = list({id(basis): basis for basis in bases}.values())
    if len(terms):
        example = terms.term(0)
        matrices = [[_matrix(example, op, basis.site) for basis in kinds] for op in terms.operators]
        yield from many_strings(matrices, terms.places, terms.coefficients, bases)


def _tails(term: Any, bases: Sequence[LocalBasis]) -> Iterator[tuple[tuple[int, Tail], complex]]:
    """An exponential on equal sites as ((first operator, tail), coefficient) pairs."""
    site = bases[0].site
    first, last, between = (bases[0].expand(_matrix(term, op, site)) for op in (term.first, term.second, term.string))
    for (a, x), (b, y) in product(first, last):
        yield (a, Tail(b, term.decay, between)), term.coefficient * x * y


def _written_out(term: Any, sites: Sequence[Site], bases: Sequence[LocalBasis]) -> Iterator[tuple[String, complex]]:
    """An exponential on sites of several kinds, pair by pair (in the order of the sites: no sign)."""
    for i, j in _pairs(len(sites)):
        matrices = {k: _matrix(term, term.string, sites[k]) for k in range(i + 1, j)}
        matrices |= {i: _matrix(term, term.first, sites[i]), j: _matrix(term, term.second, sites[j])}
        yield from product_strings(term.coefficient * term.decay ** (j - i), matrices, bases)


def _check_charges(
    expansion: Expansion, sites: Sequence[Site], origin: dict[Any, Any], many: Sequence[tuple[Any, np.ndarray, Part]]
) -> None:
    group = sites[0].operator_group
    totals = expansion.strings.charges(expansion.bases)
    bad = np.flatnonzero(totals.any(axis=1))
    if len(bad):
        string = next(Strings(expansion.strings.codes[bad[:1]], expansion.strings.values[bad[:1]]).items())[0]
        term = origin.get(string) or _origin(expansion.strings.codes[bad[0]], many)
        _refuse(term, tuple(totals[bad[0]].tolist()), sites[0])
    own = expansion.bases[0].charges
    changes: list[tuple[Any, list[Charge]]] = []
    for first, tail in expansion.exponentials:
        changes.append(((first, tail), [own[first], own[tail.last]]))
        changes += [((first, tail), [own[n]]) for n, _ in tail.between]
    for key, charges in changes:
        _refuse(origin[key], group.total(charges, [1] * len(charges)), sites[0])


def _origin(codes: np.ndarray, many: Sequence[tuple[Any, np.ndarray, Part]]) -> Any:
    """The first of many terms that holds a string."""
    wanted = codes[codes >= 0]
    for terms, rows, (made, _) in many:
        if made.shape[1] == len(wanted) and len(hits := np.flatnonzero((made == wanted).all(axis=1))):
            return terms.term(int(rows[hits[0]]))
    return None


def _refuse(term: Any, total: Charge, site: Site) -> None:
    """An error where what a term adds is not zero."""
    if total[-1]:
        raise OperatorError(
            f"the term '{term}' has an odd number of fermionic operators: no Hamiltonian or observable "
            "changes the fermion parity. Use them in pairs, such as Cdag on one site and C on another."
        )
    if total != site.operator_group.identity:
        raise ChargeError(
            f"the term '{term}' changes the conserved charge ({site.group!r}) by {total[:-1]}: "
            "use sites that conserve less, or add the terms that cancel this part."
        )


def is_hermitian(expansion: Expansion) -> bool:
    """Whether the coefficients equal those of the adjoint, to 1e-12 of the largest."""
    limit = 1e-12 * expansion.scale
    tails = _antihermitian_tails(expansion)
    if any(abs(c) > limit for c in tails.values()):
        if any(len(tail.between) > 1 for _, tail in tails):
            return False  # written out, it would be a sum over all ways between
        expansion = expansion.flattened()
    strings = expansion.strings
    codes, values = strings.adjoint(expansion.bases)
    difference = Strings.merged([(strings.codes, strings.values), (codes, -values)])
    return bool(np.abs(difference.values).max(initial=0.0) <= limit)


def _antihermitian_tails(expansion: Expansion) -> dict[tuple[int, Tail], complex]:
    difference = dict(expansion.exponentials)
    for (first, tail), c in expansion.exponentials.items():
        basis = expansion.bases[0]
        between: dict[int, complex] = {}
        for n, x in tail.between:
            for m, y in basis.adjoint(n):
                between[m] = between.get(m, 0.0) + np.conj(x) * y
        decay = np.conj(tail.decay).item() if isinstance(tail.decay, complex) else tail.decay
        sign = reversal_sign(basis.charges[first][-1] + basis.charges[tail.last][-1])
        for (a, x), (b, y) in product(basis.adjoint(first), basis.adjoint(tail.last)):
            key = (a, Tail(b, decay, tuple(sorted(between.items()))))
            difference[key] = difference.get(key, 0.0) - sign * np.conj(c) * x * y
    return difference
