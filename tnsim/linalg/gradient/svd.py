"""Gradients of truncated singular value decompositions, the discarded space included.

Sources: J. Townsend, Differentiating the singular value decomposition (2016); phases of complex vectors: Z.-Q. Wan,
S.-X. Zhang, arXiv 1909.02659; the discarded space: A. Francuz, N. Schuch, B. Vanhecke, Phys. Rev. Research 7, 013237
(2025).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim import linalg
from tnsim.linalg.gradient.kept import Gaps, kept_states, masked
from tnsim.linalg.gradient.qr import as_matrix
from tnsim.linalg.truncation import Truncation
from tnsim.tensor import Tensor, contract, diagonal, diagonal_of, transpose
from tnsim.tensor import gradient as recorded
from tnsim.tensor.tape import Node, record, record_all, value_of

# of the largest one: smaller singular values are zero
_ZERO = 1e-14


class _Factors:
    """All singular vectors of a matrix, and those that are kept."""

    def __init__(self, matrix: Tensor, truncation: Truncation | None) -> None:
        self.u_all, spectrum, self.v_all = linalg.svd(matrix, (0,))
        self.values = spectrum.values
        norm = float(np.sqrt((self.values**2).sum()))
        every = np.arange(len(self.values))
        self.kept = every if truncation is None else truncation.keep(self.values / (norm or 1.0))
        self.u, self.v = kept_states(self.u_all, 1, self.kept), kept_states(self.v_all, 0, self.kept)

    def diagonal(self, values: np.ndarray) -> Tensor:
        """diag(values) of the kept states, legs (bond, bond.dual) that U and V fit from both sides."""
        return diagonal(self.u.backend.asarray(values.astype(self.u.dtype)), self.v.legs[0])

    def of_values(self, gs: Tensor) -> Tensor:
        """Of the matrix, from that of the singular values, a Hermitian matrix that is diagonal but for degeneracies."""
        own = masked(Gaps.of(self.values, self.kept, space=False).near, (gs + transpose(gs.conj(), (1, 0))) * 0.5)
        return contract("a m, m n, n b -> a b", self.u, own, self.v)

    def of_vectors(self, gu: Tensor, gv: Tensor) -> Tensor:
        """Of the matrix, from those of U and V.

        U and V turn together as 1 / (difference of values), against each other as 1 / (their sum).
        """
        x = contract("a m, a n -> m n", self.u_all.conj(), gu)
        y = contract("m b, n b -> m n", self.v_all, gv.conj())
        s, kept = self.values, self.kept
        tiny = _ZERO * float(s.max(initial=1e-300))
        together = Gaps.of(s, kept, space=False).inverse
        against = 1 / np.maximum(s[kept][None, :] + s[:, None], tiny)
        own, other = (together + against) / 2, (together - against) / 2
        left, right = masked(own, x) + masked(other, y), masked(own, y) + masked(other, x)
        reciprocal = self.diagonal(1 / np.maximum(s[kept], tiny))
        # what lies outside of all singular vectors has the singular value zero
        beyond_u = contract("a n, n k -> a k", gu - contract("a m, m n -> a n", self.u_all, x), reciprocal)
        beyond_v = contract("k n, n b -> k b", reciprocal, gv - contract("m n, m b -> n b", y.conj(), self.v_all))
        left = contract("a m, m n -> a n", self.u_all, left) + beyond_u
        right = contract("m n, m b -> n b", right.conj(), self.v_all) + beyond_v
        return contract("a n, n b -> a b", left, self.v) + contract("a n, n b -> a b", self.u, right)

    def of_space(self, gu: Tensor, gr: Tensor) -> Tensor:
        """Of the matrix, from those of U and of U^dagger times the matrix, where the basis of the space is free."""
        s, kept = self.values, self.kept
        x = contract("a m, a n -> m n", self.u_all.conj(), gu)
        turned = x + masked(np.repeat(s[:, None], len(kept), 1), contract("m b, n b -> m n", self.v_all, gr.conj()))
        # out of the space, as it is that of the matrix times its adjoint
        out = Gaps.of(s**2, kept, space=True).inverse
        reciprocal = self.diagonal(1 / np.maximum(s[kept], _ZERO * float(s.max(initial=1e-300))))
        beyond = contract("a n, n k -> a k", gu - contract("a m, m n -> a n", self.u_all, x), reciprocal)
        left = contract("a m, m n -> a n", self.u_all, masked(out * s[kept][None, :], turned)) + beyond
        right = gr + contract("m n, m b -> n b", masked(out * s[:, None], turned).conj(), self.v_all)
        return contract("a n, n b -> a b", left, self.v) + contract("a n, n b -> a b", self.u, right)


def svd(x: Any, rows: Sequence[int], truncation: Truncation | None = None) -> Any:
    """U, S as a diagonal matrix, V: legs (*rows, bond), (bond.dual, bond), (bond.dual, *others); T = U S V.

    Truncated as by `tnsim.linalg.svd`. A function that depends on the phases of pairs of vectors, on a basis of the
    space of degenerate values, or on values that are zero, has no gradient. Cost: some products of its size.
    """
    matrix, row_legs, column_legs = as_matrix(x, rows)
    made = _Factors(value_of(matrix), truncation)
    s = made.diagonal(made.values[made.kept])
    parts: Any = made.u, s, made.v
    if type(x) is Node:

        def pull(gu: Tensor, gs: Tensor, gv: Tensor) -> tuple[Tensor]:
            return (made.of_vectors(gu, gv) + made.of_values(gs),)

        parts = record_all(parts, (matrix,), pull)
    return recorded.split(parts[0], 0, row_legs), parts[1], recorded.split(parts[2], 1, column_legs)


def compressed(x: Any, rows: Sequence[int], truncation: Truncation) -> Any:
    """The space of the leading left singular vectors, and x within it: U, U^dagger x; legs as those of U and V.

    For functions that the choice of the basis leaves alone: then gradients divide by the gaps to discarded values only,
    degeneracies among the others do no harm, and fewer products are needed than for `svd`.
    """
    matrix, row_legs, column_legs = as_matrix(x, rows)
    made = _Factors(value_of(matrix), truncation)
    parts: Any = made.u, contract("m n, n b -> m b", made.diagonal(made.values[made.kept]), made.v)
    if type(x) is Node:
        parts = record_all(parts, (matrix,), lambda gu, gr: (made.of_space(gu, gr),))
    return recorded.split(parts[0], 0, row_legs), recorded.split(parts[1], 1, column_legs)


def power(x: Any, exponent: float) -> Any:
    """A power of a positive matrix with legs (leg, leg.dual) that is diagonal, as S of `svd` is.

    Its gradient is that of the function of a matrix (divided differences): changes may be of any kind.
    """
    matrix = value_of(x)
    values = matrix.backend.to_host(diagonal_of(matrix)).real.astype(np.float64)
    result = diagonal(matrix.backend.asarray((values**exponent).astype(matrix.dtype)), matrix.legs[0])
    if type(x) is not Node:
        return result
    a, b = values[:, None], values[None, :]
    near = np.abs(a - b) <= 1e-6 * (a + b)
    slopes = exponent * ((a + b) / 2) ** (exponent - 1)
    differences = np.where(near, slopes, (a**exponent - b**exponent) / np.where(near, 1.0, a - b))
    return record(result, (x,), lambda g: (masked(differences, g),))
