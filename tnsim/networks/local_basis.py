"""A growing basis of linearly independent operators on one kind of site.

Every operator is cut into parts of definite charge and fermion parity, and every part is expanded in operators
that were met before.
"""

from dataclasses import dataclass, field
from math import floor, log2

import numpy as np

from tnsim.networks.sites import Site
from tnsim.symmetry import Charge

Combination = tuple[tuple[int, complex], ...]  # ((basis operator, coefficient), ...)
_ROUNDING = 1e-13
# an operator nearer to the span of those known (relative) joins the basis by the part that is new
_NEARLY_KNOWN = 1e-2


@dataclass
class LocalBasis:
    """Linearly independent operators of one kind of site; number 0 is the identity.

    charges: what each adds, in the site's `operator_group` group: the last component is its fermion parity.
    """

    site: Site
    matrices: list[np.ndarray] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.matrices.append(np.eye(self.site.dim))
        self.charges.append(self.site.operator_group.identity)
        self._cache: dict[bytes, Combination] = {}
        self._adjoints: dict[int, Combination] = {}

    def expand(self, matrix: np.ndarray) -> Combination:
        """(basis operator, coefficient) pairs; new operators join the basis as they come."""
        key = matrix.astype(complex).tobytes()
        if key not in self._cache:
            limit = _ROUNDING * np.abs(matrix).max(initial=0.0)
            parts = {q: part for q, part in self.site.parts(matrix).items() if np.abs(part).max() > limit}
            self._cache[key] = tuple(pair for charge in sorted(parts) for pair in self._solve(parts[charge], charge))
        return self._cache[key]

    def adjoint(self, n: int) -> Combination:
        """The adjoint of a basis operator."""
        if n not in self._adjoints:
            self._adjoints[n] = self.expand(self.matrices[n].conj().T)
        return self._adjoints[n]

    def _solve(self, part: np.ndarray, charge: Charge) -> list[tuple[int, complex]]:
        size = 2.0 ** floor(log2(np.abs(part).max()))  # a power of two scales without rounding
        known = [n for n, q in enumerate(self.charges) if q == charge]
        pairs: list[tuple[int, complex]] = []
        rest = part / size
        if known:
            columns = np.stack([self.matrices[n].ravel() for n in known], axis=1)
            solution, *_ = np.linalg.lstsq(columns, rest.ravel(), rcond=None)
            beyond = rest - (columns @ solution).reshape(rest.shape)
            if np.abs(beyond).max() <= _NEARLY_KNOWN:
                limit = _ROUNDING * np.abs(solution).max()
                values = zip(known, solution.tolist(), strict=True)
                pairs = [(n, size * _clean(c)) for n, c in values if abs(c) > limit]
                if np.abs(beyond).max() <= _ROUNDING:
                    return pairs
                rest = beyond
        return [*pairs, self._join(rest, charge, size)]

    def _join(self, matrix: np.ndarray, charge: Charge, size: float) -> tuple[int, complex]:
        """Take `matrix` into the basis without the phase of its first element: Sy is i times a real matrix."""
        first = complex(matrix.flat[np.flatnonzero(matrix)[0]])
        phase = _clean(first / abs(first))
        matrix = matrix / phase
        real = not np.iscomplexobj(matrix) or np.abs(matrix.imag).max() <= _ROUNDING * np.abs(matrix).max()
        scale = 2.0 ** floor(log2(np.abs(matrix).max()))
        self.matrices.append(np.ascontiguousarray(matrix.real if real else matrix) / scale)
        self.charges.append(charge)
        return len(self.matrices) - 1, phase * size * scale


def _clean(value: complex) -> complex:
    """Rounding noise of a number of order one removed, so that 0.4999999999999999 is 0.5."""
    value = complex(round(complex(value).real, 14), round(complex(value).imag, 14))
    return value.real if value.imag == 0 else value
