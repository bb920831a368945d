"""Terms in a linearly independent basis of local operators: the form in which sums can be compared.

Every local operator is cut into parts of definite charge, and every part is expanded in operators that
were met before on equal sites. Strings of basis operators are then linearly independent, so equal sums
have equal coefficients, and ranks of coefficient matrices are operator Schmidt ranks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from tnsim.errors import ChargeError, OperatorError
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge

String = tuple[tuple[int, int], ...]  # ((site, basis operator), ...), ascending sites, no identities
_ROUNDING = 1e-13


@dataclass
class LocalBasis:
    """Linearly independent operators of one kind of site; number 0 is the identity."""

    site: Site
    matrices: list[np.ndarray] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.matrices.append(np.eye(self.site.dim))
        self.charges.append(self.site.group.identity)
        self._cache: dict[bytes, tuple[tuple[int, complex], ...]] = {}

    def expand(self, matrix: np.ndarray) -> tuple[tuple[int, complex], ...]:
        """(basis operator, coefficient) pairs; new operators join the basis as they come."""
        key = matrix.astype(complex).tobytes()
        if key not in self._cache:
            self._cache[key] = tuple(pair for part, charge in self._parts(matrix) for pair in self._solve(part, charge))
        return self._cache[key]

    def _parts(self, matrix: np.ndarray) -> Iterable[tuple[np.ndarray, Charge]]:
        """The matrix cut into parts that each change the charge by one value."""
        group, charges = self.site.group, self.site.charges
        parts: dict[Charge, np.ndarray] = {}
        for out, into in np.argwhere(matrix != 0).tolist():
            (charge,) = group.fuse(charges[out], group.dual(charges[into]))
            parts.setdefault(charge, np.zeros_like(matrix))[out, into] = matrix[out, into]
        return [(parts[charge], charge) for charge in sorted(parts)]

    def _solve(self, part: np.ndarray, charge: Charge) -> list[tuple[int, complex]]:
        mine = [n for n, q in enumerate(self.charges) if q == charge]
        if mine:
            columns = np.stack([self.matrices[n].ravel() for n in mine], axis=1)
            solution, *_ = np.linalg.lstsq(columns, part.ravel(), rcond=None)
            if np.abs(columns @ solution - part.ravel()).max() <= _ROUNDING * np.abs(part).max():
                limit = _ROUNDING * np.abs(solution).max()
                return [(n, _clean(c)) for n, c in zip(mine, solution.tolist(), strict=True) if abs(c) > limit]
        # a phase in front keeps the basis real where it can be: Sy is i times a real matrix
        first = complex(part.flat[np.flatnonzero(part)[0]])
        phase = _clean(first / abs(first))
        matrix = part / phase
        real = not np.iscomplexobj(matrix) or np.abs(matrix.imag).max() <= _ROUNDING * np.abs(matrix).max()
        self.matrices.append(np.ascontiguousarray(matrix.real) if real else matrix)
        self.charges.append(charge)
        return [(len(self.matrices) - 1, phase)]


def _clean(value: complex) -> complex:
    """Rounding noise of a least-squares solution removed, so that 0.4999999999999999 is 0.5."""
    value = complex(round(complex(value).real, 14), round(complex(value).imag, 14))
    return value.real if value.imag == 0 else value


@dataclass
class Expansion:
    """Coefficients of independent strings, and the basis of every site."""

    coefficients: dict[String, complex]
    bases: tuple[LocalBasis, ...]

    @property
    def scale(self) -> float:
        return max((abs(c) for c in self.coefficients.values()), default=0.0)


def expand(terms: Sequence[Any], sites: Sequence[Site]) -> Expansion:
    """Coefficients of every basis string; strings that cancel are dropped.

    Raises OperatorError for a site out of range or an unknown operator, ChargeError where what remains
    breaks a conserved charge.
    """
    shared: dict[Site, LocalBasis] = {}
    bases = tuple(shared.setdefault(site, LocalBasis(site)) if site not in shared else shared[site] for site in sites)
    coefficients: dict[String, complex] = {}
    origin: dict[String, Any] = {}
    for term in terms:
        for sign_adjoint in (False, True) if term.adjoint else (False,):
            for string, value in _strings(term, sites, bases, sign_adjoint):
                coefficients[string] = coefficients.get(string, 0.0) + value
                origin.setdefault(string, term)
    result = Expansion(coefficients, bases)
    limit = _ROUNDING * max((abs(term.coefficient) for term in terms), default=0.0)
    result.coefficients = {string: c for string, c in coefficients.items() if abs(c) > limit}
    _check_charges(result, sites, origin)
    return result


def _strings(term: Any, sites: Sequence[Site], bases: Sequence[LocalBasis], adjoint: bool):
    """The term as (string, coefficient) pairs in the local bases."""
    matrices: dict[int, np.ndarray] = {}
    for op, i in term.factors:
        if not 0 <= i < len(sites):
            raise OperatorError(f"the term '{term}' names site {i}, but the chain has sites 0 to {len(sites) - 1}.")
        try:
            matrix = sites[i].op(op)
        except OperatorError as error:
            raise OperatorError(f"in the term '{term}': {error}") from error
        matrices[i] = matrices[i] @ matrix if i in matrices else matrix
    coefficient = np.conj(term.coefficient) if adjoint else term.coefficient
    places = sorted(matrices)
    choices = [bases[i].expand(matrices[i].conj().T if adjoint else matrices[i]) for i in places]
    for choice in product(*choices):
        value = coefficient
        for _, c in choice:
            value = value * c
        yield tuple((i, n) for i, (n, _) in zip(places, choice, strict=True) if n != 0), value


def _check_charges(expansion: Expansion, sites: Sequence[Site], origin: dict[String, Any]) -> None:
    group = sites[0].group
    for string in expansion.coefficients:
        charges = [expansion.bases[i].charges[n] for i, n in string]
        total = group.total(charges, [1] * len(charges))
        if total != group.identity:
            raise ChargeError(
                f"the term '{origin[string]}' changes the conserved charge ({group!r}) by {total}: "
                "use sites that conserve less, or add the terms that cancel this part."
            )


def is_hermitian(expansion: Expansion) -> bool:
    """Whether the coefficients equal those of the adjoint, to 1e-12 of the largest."""
    difference = dict(expansion.coefficients)
    for string, c in expansion.coefficients.items():
        choices = [expansion.bases[i].expand(expansion.bases[i].matrices[n].conj().T) for i, n in string]
        for choice in product(*choices):
            value = np.conj(c)
            for _, factor in choice:
                value = value * factor
            mirror = tuple((i, n) for (i, _), (n, _) in zip(string, choice, strict=True) if n != 0)
            difference[mirror] = difference.get(mirror, 0.0) - value
    limit = 1e-12 * expansion.scale
    return all(abs(c) <= limit for c in difference.values())
