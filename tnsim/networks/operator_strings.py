"""Many strings of basis operators as arrays: merged, mirrored and checked without a loop over strings in Python."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tnsim.networks.fermion_order import site_ordered
from tnsim.networks.local_basis import LocalBasis
from tnsim.networks.sites import Site

String = tuple[tuple[int, int], ...]  # ((site, basis operator), ...), ascending sites, no identities
Part = tuple[np.ndarray, np.ndarray]  # codes and values of some strings, in any order
ROUNDING = 1e-13
# (site, operator) in one integer; behind the last operator of a string stands -1
_SHIFT = 20
_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Strings:
    """Coefficients of different strings: codes (string, place) with the operators of each, values one number each.

    Sorted by (site, operator), place by place; what has fewer operators comes first.
    """

    codes: np.ndarray
    values: np.ndarray

    @classmethod
    def merged(cls, parts: Sequence[Part]) -> "Strings":
        """Equal strings added up; what is left of a cancellation is dropped, a coefficient that is just small is kept.

        Cost O(n log n) for n strings.
        """
        width = max((codes.shape[1] for codes, _ in parts), default=0)
        padded = [np.pad(codes, ((0, 0), (0, width - codes.shape[1])), constant_values=-1) for codes, _ in parts]
        codes = np.concatenate([np.zeros((0, width), dtype=np.int64), *padded])
        values = np.concatenate([np.zeros(0, dtype=complex), *(numbers for _, numbers in parts)])
        order, first = _grouped(codes)
        if len(first) == 0:
            return cls(codes, values)
        total = np.add.reduceat(values[order], first)
        size = np.add.reduceat(np.abs(values[order]), first)
        kept = np.abs(total) > ROUNDING * size
        return cls(codes[order[first[kept]]], total[kept])

    @classmethod
    def of(cls, coefficients: Mapping[String, complex]) -> "Strings":
        """From a dictionary: string to coefficient."""
        width = max(map(len, coefficients), default=0)
        codes = np.full((len(coefficients), width), -1, dtype=np.int64)
        for row, string in enumerate(coefficients):
            codes[row, : len(string)] = [(site << _SHIFT) + n for site, n in string]
        return cls.merged([(codes, np.array(list(coefficients.values()), dtype=complex))])

    def __len__(self) -> int:
        return len(self.values)

    def items(self) -> Iterator[tuple[String, complex]]:
        """(string, coefficient) pairs; a coefficient without imaginary part is a float."""
        for codes, value in zip(self.codes.tolist(), self.values.tolist(), strict=True):
            string = tuple((code >> _SHIFT, code & (1 << _SHIFT) - 1) for code in codes if code >= 0)
            yield string, value.real if value.imag == 0 else value

    @cached_property
    def placed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(string, site, operator) of every operator of every string."""
        row, place = np.nonzero(self.codes >= 0)
        code = self.codes[row, place]
        return row, code >> _SHIFT, code & ((1 << _SHIFT) - 1)

    def charges(self, bases: Sequence[LocalBasis]) -> np.ndarray:
        """What every string adds, in the operator group: charge, then fermion parity."""
        group = bases[0].site.operator_group
        total = np.zeros((len(self), len(group.moduli)), dtype=np.int64)
        row, site, n = self.placed
        kinds, kind_of = _kinds(bases)
        for k, basis in enumerate(kinds):
            own = kind_of[site] == k
            np.add.at(total, row[own], np.array(basis.charges, dtype=np.int64)[n[own]])
        moduli = group.moduli_array
        return np.where(moduli > 0, total % np.maximum(moduli, 1), total)

    def adjoint(self, bases: Sequence[LocalBasis]) -> Part:
        """The strings of the adjoint, not merged."""
        codes, values = self.codes.copy(), np.conj(self.values)
        row, site, n = self.placed
        kinds, kind_of = _kinds(bases)
        odd = np.zeros(len(self), dtype=np.int64)
        for k, basis in enumerate(kinds):
            own = kind_of[site] == k
            np.add.at(odd, row[own], np.array([charge[-1] for charge in basis.charges])[n[own]])
        values = np.where(odd % 4 >= 2, -values, values)  # the sign of the opposite order, see reversal_sign
        for place in range(codes.shape[1]):
            codes, values = _adjoint_at(codes, values, place, kinds, kind_of)
        codes[(codes >= 0) & (codes & ((1 << _SHIFT) - 1) == 0)] = -1  # identities
        codes = np.sort(np.where(codes < 0, _LAST, codes), axis=1)
        return np.where(codes == _LAST, -1, codes), values


def _adjoint_at(
    codes: np.ndarray, values: np.ndarray, place: int, kinds: Sequence[LocalBasis], kind_of: np.ndarray
) -> Part:
    """The operators at one place of every string exchanged for their adjoints, which may be several."""
    parts = [(codes[codes[:, place] < 0], values[codes[:, place] < 0])]
    site, n = codes[:, place] >> _SHIFT, codes[:, place] & ((1 << _SHIFT) - 1)
    for k, basis in enumerate(kinds):
        mine = (codes[:, place] >= 0) & (kind_of[site] == k)
        for operator in np.unique(n[mine]).tolist():
            rows = np.flatnonzero(mine & (n == operator))
            for m, factor in basis.adjoint(operator):
                changed = codes[rows]
                changed[:, place] += m - operator
                parts.append((changed, values[rows] * factor))
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _kinds(bases: Sequence[LocalBasis]) -> tuple[list[LocalBasis], np.ndarray]:
    """Different bases, and which of them every site has."""
    number = {id(basis): k for k, basis in enumerate({id(basis): basis for basis in bases}.values())}
    return list({id(basis): basis for basis in bases}.values()), np.array([number[id(basis)] for basis in bases])


def _grouped(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order that puts equal rows side by side, sorted by their columns, and where each group begins in it."""
    if rows.shape[1] == 0:
        return np.arange(len(rows)), np.zeros(min(len(rows), 1), dtype=np.int64)
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    return order, np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(rows)])


def many_strings(
    matrices: Sequence[Sequence[np.ndarray]], places: np.ndarray, coefficients: np.ndarray, bases: Sequence[LocalBasis]
) -> Iterator[tuple[np.ndarray, Part]]:
    """Products of equal operators on many sets of sites: (numbers of the terms, their strings).

    matrices: for every factor its matrix on each kind of site (`bases`); places: (term, factor) sites. Terms whose
    sites stand in the same order (with the same of them equal) have the same signs and the same operators, so each
    such group is expanded once. Cost O(terms) in vector operations.
    """
    kinds, kind_of = _kinds(bases)
    position = np.argsort(places, axis=1, kind="stable")
    ordered = np.take_along_axis(places, position, axis=1)
    fresh = np.ones(places.shape, dtype=bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    order, first = _grouped(np.concatenate([position, fresh, kind_of[places]], axis=1))
    sites = [basis.site for basis in bases]
    for rows in np.split(order, first[1:]) if len(order) else ():
        example = places[rows[0]].tolist()
        factors = [(own[kind_of[i]], i) for own, i in zip(matrices, example, strict=True)]
        spots = ordered[rows][:, fresh[rows[0]]]
        column = {site: k for k, site in enumerate(spots[0].tolist())}
        for string, value in strings_of(factors, sites, bases):
            codes = [(spots[:, column[site]] << _SHIFT) + n for site, n in string]
            made = np.stack(codes, axis=1) if codes else np.zeros((len(rows), 0), dtype=np.int64)
            yield rows, (made, coefficients[rows] * value)


def strings_of(
    factors: Sequence[tuple[np.ndarray, int]], sites: Sequence[Site], bases: Sequence[LocalBasis]
) -> Iterator[tuple[String, complex]]:
    """One product of (matrix, site), in the order written, as (string, coefficient) pairs."""
    for sign, matrices in site_ordered(factors, sites):
        yield from product_strings(sign, matrices, bases)


def product_strings(
    coefficient: complex, matrices: Mapping[int, np.ndarray], bases: Sequence[LocalBasis]
) -> Iterator[tuple[String, complex]]:
    """A product of one matrix a site, in ascending order, in the local bases."""
    found: list[tuple[tuple[Any, ...], complex]] = [((), coefficient)]
    for i in sorted(matrices):
        pairs = bases[i].expand(matrices[i])
        found = [((*string, (i, n)) if n else string, value * c) for string, value in found for n, c in pairs]
    yield from found
