"""Sums of products of local operators, written as a user writes them.

H = OperatorSum()
for i in range(L - 1):
    H += 0.5, "S+", i, "S-", i + 1

Fermionic operators (those that change the fermion parity of a site) stand for themselves: H += t, "Cdag", i, "C", j
is right in any order of sites and operators, the Jordan-Wigner strings are placed when the MPO is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from numbers import Number
from typing import Any

import numpy as np

from tnsim.errors import OperatorError
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_construction import build_mpo
from tnsim.networks.operator_terms import expand, is_hermitian
from tnsim.networks.sites import Site

Operator = str | np.ndarray


@dataclass(frozen=True)
class Term:
    """coefficient * product of (operator, site) in the order written, plus adjoint_coefficient * its adjoint."""

    coefficient: complex
    factors: tuple[tuple[Operator, int], ...]
    adjoint_coefficient: complex = 0.0

    def __mul__(self, factor: complex) -> "Term":
        return replace(
            self, coefficient=self.coefficient * factor, adjoint_coefficient=self.adjoint_coefficient * factor
        )

    def __str__(self) -> str:
        product = " ".join(f"{_name(op)}[{site}]" for op, site in self.factors)
        if not self.adjoint_coefficient:
            return f"{self.coefficient:g} {product}"
        if self.adjoint_coefficient == np.conj(self.coefficient):
            return f"{self.coefficient:g} {product} + h.c."
        return f"{self.coefficient:g} {product} + {self.adjoint_coefficient:g} ({product})^dagger"


@dataclass(frozen=True)
class Exponential:
    """coefficient * sum_{i<j} decay**(j - i) first_i string_{i+1} ... string_{j-1} second_j over the whole chain."""

    coefficient: complex
    first: Operator
    second: Operator
    decay: complex
    string: Operator = "Id"

    def __mul__(self, factor: complex) -> "Exponential":
        return replace(self, coefficient=self.coefficient * factor)

    def __str__(self) -> str:
        between = "" if isinstance(self.string, str) and self.string == "Id" else f" {_name(self.string)}.."
        pair = f"{_name(self.first)}[i]{between} {_name(self.second)}[j]"
        return f"{self.coefficient:g} sum_i<j {self.decay:g}**(j-i) {pair}"


@dataclass(frozen=True, eq=False)
class ManyTerms:
    """Terms of one kind: coefficients[n] * product over k of operators[k] at site places[n, k]."""

    coefficients: np.ndarray
    operators: tuple[Operator, ...]
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.coefficients)

    def __mul__(self, factor: complex) -> "ManyTerms":
        return replace(self, coefficients=self.coefficients * factor)

    def term(self, n: int) -> Term:
        """One of them."""
        factors = zip(self.operators, self.places[n].tolist(), strict=True)
        return Term(_plain(self.coefficients[n]), tuple(factors))


def plus_hc(coefficient: complex, *factors: Any) -> Term:
    """A term and its Hermitian conjugate: H += plus_hc(t, "S+", i, "S-", j), or plus_hc(-t, "Cdag", i, "C", j).

    >>> str(plus_hc(0.5, "S+", 0, "S-", 1))
    '0.5 S+[0] S-[1] + h.c.'
    """
    term = _term((coefficient, *factors))
    return replace(term, adjoint_coefficient=np.conj(term.coefficient).item())


class OperatorSum:
    """A sum of terms; `H += coefficient, "name", site, "name", site, ...` adds one.

    Operators are names, products of names ("Sz Sz"), or matrices in the basis of the site's states. Any
    number of sites and any order; several operators on a site multiply in the order written. Fermionic
    operators of different sites anticommute, as they are written: no strings need to be given.

    >>> H = OperatorSum()
    >>> H += 1.0, "Sz", 0, "Sz", 1
    >>> H += plus_hc(0.5, "S+", 0, "S-", 1)
    >>> H
    OperatorSum with 2 terms: 1 Sz[0] Sz[1] + 0.5 S+[0] S-[1] + h.c.
    """

    __array_ufunc__ = None  # so that a NumPy number times a sum comes to __rmul__

    def __init__(
        self, terms: Sequence[Term] = (), exponentials: Sequence[Exponential] = (), many: Sequence[ManyTerms] = ()
    ) -> None:
        self.terms: list[Term] = list(terms)
        self.exponentials: list[Exponential] = list(exponentials)
        self.many: list[ManyTerms] = list(many)

    def add(self, coefficient: complex, *factors: Any) -> "OperatorSum":
        """Add coefficient * factors in place, as `+=` with a tuple does; returns the sum itself."""
        self.terms.append(_term((coefficient, *factors)))
        return self

    def add_many(self, coefficients: Any, *factors: Any) -> "OperatorSum":
        """Add terms of one kind in place: arrays of coefficients and of sites, the operators in the order written.

        The same as adding them one by one, and fast for millions. Raises OperatorError where lengths differ.

        >>> H = OperatorSum().add_many([0.5, 0.3], "Cdag", [0, 1], "C", [2, 0])
        >>> H
        OperatorSum with 2 terms: 0.5 Cdag[0] C[2] + 0.3 Cdag[1] C[0]
        """
        shown = ("coefficients", *("sites" if k % 2 else op for k, op in enumerate(factors)))
        values = np.atleast_1d(np.asarray(coefficients))
        places = [np.atleast_1d(np.asarray(sites)) for sites in factors[1::2]]
        if len(factors) < 2 or len(factors) % 2 or values.dtype.kind not in "iufc" or values.ndim != 1:
            raise OperatorError(f"many terms read (coefficients, operator, sites, ...), found {_shown(shown)}.")
        for op in factors[::2]:
            _check_operator(op, shown)
        for sites in places:
            if sites.shape != values.shape or (sites.dtype.kind not in "iu" and sites.size):
                raise OperatorError(
                    f"{len(values)} terms need as many sites, whole numbers, for every operator, found an array of "
                    f"shape {sites.shape} and type {sites.dtype} in {_shown(shown)}."
                )
        if not np.isfinite(values).all():
            raise OperatorError(f"coefficient {int(np.argmin(np.isfinite(values)))} in {_shown(shown)} is not finite.")
        self.many.append(ManyTerms(values, tuple(factors[::2]), np.stack(places, axis=1).astype(np.int64)))
        return self

    def written_out(self) -> "OperatorSum":
        """The same sum with the terms of `add_many` one by one among `terms`."""
        return OperatorSum([*self.terms, *self._listed()], self.exponentials)

    def _listed(self) -> Iterator[Term]:
        return (many.term(n) for many in self.many for n in range(len(many)))

    def add_exponential(
        self, coefficient: complex, first: Operator, second: Operator, decay: complex, string: Operator = "Id"
    ) -> "OperatorSum":
        """Add coefficient * sum_{i<j} decay**(j - i) first_i second_j over the whole chain, in place.

        `string` acts on every site between (beside the Jordan-Wigner string, if first and second are
        fermionic). Costs one MPO channel, however long the chain. Raises OperatorError unless 0 < |decay| <= 1.

        >>> from tnsim.networks.sites import spin_sites
        >>> H = OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5)
        >>> H.mpo(spin_sites(6)).bond_dimensions
        (1, 2, 3, 3, 3, 2, 1)
        """
        if not (isinstance(decay, Number) and 0 < abs(decay) <= 1):
            raise OperatorError(f"an exponential decay needs 0 < |decay| <= 1, found {decay!r}.")
        shown = ("coefficient, first, second, decay =", coefficient, first, second, decay)
        for op in (first, second, string):
            _check_operator(op, shown)
        number = _coefficient(coefficient, shown)
        self.exponentials.append(Exponential(number, first, second, _plain(decay), string))
        return self

    def __iadd__(self, other: "tuple | Term | OperatorSum") -> "OperatorSum":
        if isinstance(other, OperatorSum):
            self.terms.extend(other.terms)
            self.exponentials.extend(other.exponentials)
            self.many.extend(other.many)
        elif isinstance(other, Term):
            self.terms.append(other)
        elif isinstance(other, (tuple, list)):
            self.terms.append(_term(other))
        else:
            raise OperatorError(
                f"H += takes (coefficient, operator, site, ...), plus_hc(...) or another sum, found {other!r}."
            )
        return self

    def __add__(self, other: "OperatorSum") -> "OperatorSum":
        if not isinstance(other, OperatorSum):
            return NotImplemented
        return OperatorSum(
            [*self.terms, *other.terms], [*self.exponentials, *other.exponentials], [*self.many, *other.many]
        )

    def __sub__(self, other: "OperatorSum") -> "OperatorSum":
        if not isinstance(other, OperatorSum):
            return NotImplemented
        return self + (-other)

    def __mul__(self, factor: complex) -> "OperatorSum":
        if not isinstance(factor, Number):
            return NotImplemented
        number = _coefficient(factor, (factor, "* OperatorSum"))
        return OperatorSum(
            [term * number for term in self.terms],
            [term * number for term in self.exponentials],
            [terms * number for terms in self.many],
        )

    __rmul__ = __mul__

    def __truediv__(self, factor: complex) -> "OperatorSum":
        return self * (1 / factor)

    def __neg__(self) -> "OperatorSum":
        return self * -1.0

    def __len__(self) -> int:
        return len(self.terms) + len(self.exponentials) + sum(map(len, self.many))

    def __iter__(self) -> Iterator[Term | Exponential]:
        yield from self.terms
        yield from self.exponentials
        yield from self._listed()

    def __repr__(self) -> str:
        shown = [str(term) for term in islice(self, 4)]
        more = " + ..." if len(self) > 4 else ""
        return f"OperatorSum with {len(self)} term{'s' * (len(self) != 1)}: {' + '.join(shown) or '0'}{more}"

    def is_hermitian(self, sites: Sequence[Site]) -> bool:
        """Whether the sum equals its adjoint, to 1e-12 of its largest coefficient; cost O(terms)."""
        return is_hermitian(expand(self.terms, self.exponentials, sites, self.many))

    def mpo(self, sites: Sequence[Site]) -> MPO:
        """The matrix-product operator of least bond dimension; see `mpo_construction`.

        Cost O(terms * L), and the cube of the bond dimension where ranks have to be found. Exact to 1e-13 of
        the largest coefficient. Raises OperatorError for an unknown operator or site and for an odd number of
        fermionic operators in a term, ChargeError for a term that breaks a conserved charge.
        """
        expansion = expand(self.terms, self.exponentials, sites, self.many)
        return build_mpo(expansion, tuple(sites), is_hermitian(expansion))


def _term(parts: Sequence[Any]) -> Term:
    """Check the shape of (coefficient, operator, site, operator, site, ...)."""
    parts = tuple(parts)
    if len(parts) < 3 or len(parts) % 2 == 0 or not isinstance(parts[0], Number):
        raise OperatorError(f"a term reads (coefficient, operator, site, operator, site, ...), found {_shown(parts)}.")
    coefficient = _coefficient(parts[0], parts)
    for op, site in zip(parts[1::2], parts[2::2], strict=True):
        _check_operator(op, parts)
        if not isinstance(site, (int, np.integer)) or isinstance(site, bool):
            raise OperatorError(f"a site is an integer, found {site!r} in {_shown(parts)}.")
    return Term(coefficient, tuple(zip(parts[1::2], map(int, parts[2::2]), strict=True)))


def _coefficient(value: Any, parts: Sequence[Any]) -> complex:
    if not isinstance(value, Number) or not np.isfinite(complex(value)):  # type: ignore[call-overload]
        raise OperatorError(f"the coefficient in {_shown(parts)} is {value!r}: it must be a finite number.")
    return _plain(value)


def _plain(value: Any) -> complex:
    """A float where the imaginary part vanishes."""
    number = complex(value)
    return number.real if number.imag == 0 else number


def _check_operator(op: Any, parts: Sequence[Any]) -> None:
    if not isinstance(op, (str, np.ndarray)):
        raise OperatorError(f"an operator is a name or a matrix, found {op!r} in {_shown(parts)}.")


def _name(op: Operator) -> str:
    return op if isinstance(op, str) else "matrix"


def _shown(parts: Sequence[Any]) -> str:
    return "(" + ", ".join("matrix" if isinstance(part, np.ndarray) else repr(part) for part in parts) + ")"
