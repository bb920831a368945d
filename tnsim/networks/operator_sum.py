"""Sums of products of local operators, written as a user writes them.

    H = OperatorSum()
    for i in range(L - 1):
        H += 0.5, "S+", i, "S-", i + 1
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from tnsim.errors import OperatorError
from tnsim.networks.mpo import MPO
from tnsim.networks.operator_terms import expand, is_hermitian
from tnsim.networks.mpo_construction import build_mpo
from tnsim.networks.sites import Site

Operator = str | np.ndarray


@dataclass(frozen=True)
class Term:
    """coefficient * product of (operator, site) in the order written; `adjoint` adds the Hermitian conjugate."""

    coefficient: complex
    factors: tuple[tuple[Operator, int], ...]
    adjoint: bool = False

    def __str__(self) -> str:
        names = (f"{op if isinstance(op, str) else 'matrix'}[{site}]" for op, site in self.factors)
        return f"{self.coefficient:g} " + " ".join(names) + (" + h.c." if self.adjoint else "")


def plus_hc(coefficient: complex, *factors: Any) -> Term:
    """A term and its Hermitian conjugate: H += plus_hc(t, "S+", i, "S-", j).

    >>> str(plus_hc(0.5, "S+", 0, "S-", 1))
    '0.5 S+[0] S-[1] + h.c.'
    """
    return _term((coefficient, *factors), adjoint=True)


class OperatorSum:
    """A sum of terms; `H += coefficient, "name", site, "name", site, ...` adds one.

    Operators are names, products of names ("Sz Sz"), or matrices in the basis of the site's states. Any
    number of sites and any order; several operators on a site multiply in the order written.

    >>> H = OperatorSum()
    >>> H += 1.0, "Sz", 0, "Sz", 1
    >>> H
    OperatorSum with 1 term: 1 Sz[0] Sz[1]
    """

    def __init__(self, terms: Sequence[Term] = ()) -> None:
        self.terms: list[Term] = list(terms)

    def add(self, coefficient: complex, *factors: Any) -> "OperatorSum":
        """Add coefficient * factors in place; the same as `+=` with a tuple."""
        self.terms.append(_term((coefficient, *factors)))
        return self

    def add_exponential(
        self, coefficient: complex, first: Operator, second: Operator, decay: float, L: int
    ) -> "OperatorSum":
        """Add coefficient * sum_{i<j} decay**(j-i-1) first_i second_j on L sites; one MPO channel."""
        if not abs(decay) <= 1:
            raise OperatorError(f"an exponential decay needs |decay| <= 1, found {decay!r}.")
        for i in range(L):
            for j in range(i + 1, L):
                value = coefficient * decay ** (j - i - 1)
                if value != 0:
                    self.add(value, first, i, second, j)
        return self

    def __iadd__(self, other: "tuple | Term | OperatorSum") -> "OperatorSum":
        if isinstance(other, OperatorSum):
            self.terms.extend(other.terms)
        elif isinstance(other, Term):
            self.terms.append(other)
        else:
            self.terms.append(_term(other))
        return self

    def __add__(self, other: "OperatorSum") -> "OperatorSum":
        return OperatorSum([*self.terms, *other.terms])

    def __sub__(self, other: "OperatorSum") -> "OperatorSum":
        return self + (-1) * other

    def __mul__(self, factor: complex) -> "OperatorSum":
        return OperatorSum(
            [
                part
                for term in self.terms
                for part in _scaled(term, factor)
            ]
        )

    __rmul__ = __mul__

    def __neg__(self) -> "OperatorSum":
        return (-1) * self

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def __repr__(self) -> str:
        shown = " + ".join(str(term) for term in self.terms[:4]) + (" + ..." if len(self.terms) > 4 else "")
        return f"OperatorSum with {len(self.terms)} term{'s' * (len(self.terms) != 1)}: {shown or '0'}"

    def is_hermitian(self, sites: Sequence[Site]) -> bool:
        """Whether the sum equals its adjoint, to 1e-12 of its largest coefficient."""
        return is_hermitian(expand(self.terms, sites))

    def mpo(self, sites: Sequence[Site]) -> MPO:
        """The matrix-product operator of least bond dimension; see `mpo_construction`.

        Cost O(terms * L). Exact to 1e-13 of the largest coefficient. Raises OperatorError for an unknown
        operator or site, ChargeError for a term that breaks a conserved charge.
        """
        expansion = expand(self.terms, sites)
        return build_mpo(expansion, tuple(sites), is_hermitian(expansion))


def _scaled(term: Term, factor: complex) -> list[Term]:
    if not term.adjoint or complex(factor).imag == 0:
        return [Term(term.coefficient * factor, term.factors, term.adjoint)]
    raise OperatorError(
        f"the term '{term}' holds its Hermitian conjugate and can be scaled by real numbers only, found {factor}."
    )


def _term(parts: Sequence[Any], adjoint: bool = False) -> Term:
    """Check the shape of (coefficient, operator, site, operator, site, ...)."""
    parts = tuple(parts)
    if len(parts) < 3 or len(parts) % 2 == 0 or not isinstance(parts[0], Number):
        raise OperatorError(
            f"a term reads (coefficient, operator, site, operator, site, ...), found {_shown(parts)}."
        )
    coefficient = complex(parts[0])  # type: ignore[arg-type]
    if not np.isfinite([coefficient.real, coefficient.imag]).all():
        raise OperatorError(f"the coefficient of {_shown(parts)} is {parts[0]}: it must be finite.")
    factors = []
    for op, site in zip(parts[1::2], parts[2::2], strict=True):
        if not isinstance(op, (str, np.ndarray)):
            raise OperatorError(f"an operator is a name or a matrix, found {op!r} in {_shown(parts)}.")
        if not isinstance(site, (int, np.integer)):
            raise OperatorError(f"a site is an integer, found {site!r} in {_shown(parts)}.")
        factors.append((op, int(site)))
    return Term(coefficient.real if coefficient.imag == 0 else coefficient, tuple(factors), adjoint)


def _shown(parts: Sequence[Any]) -> str:
    return "(" + ", ".join("matrix" if isinstance(part, np.ndarray) else repr(part) for part in parts) + ")"
