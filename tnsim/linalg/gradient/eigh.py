"""Gradients of truncated eigenvalue decompositions, the discarded space included.

Keeping some eigenvectors, a change of the matrix mixes the others into them: leaving that out is by far the largest
error of gradients through corner matrices (A. Francuz, N. Schuch, B. Vanhecke, Phys. Rev. Research 7, 013237 (2025)).
As the whole decomposition is at hand, their Sylvester equation is solved exactly.
"""

from typing import Any

import numpy as np

from tnsim import linalg
from tnsim.linalg.gradient.kept import Gaps, kept_states, masked
from tnsim.linalg.truncation import Truncation
from tnsim.tensor import Tensor, contract, diagonal, transpose
from tnsim.tensor.tape import Node, record, record_all, value_of


def eigh(x: Any, truncation: Truncation | None = None) -> Any:
    """V (leg, bond) and the eigenvalues as a diagonal matrix (bond.dual, bond) of a Hermitian matrix; T = V w V^dagger.

    Truncated as by `tnsim.linalg.eigh`. A function that depends on the phases of V, or on a basis of the space of
    degenerate values, has no gradient. Cost: some products of the size of the matrix.
    """
    whole, values, kept = _decomposed(value_of(x), truncation)
    vectors = kept_states(whole, 1, kept)
    diagonal_values = diagonal(whole.backend.asarray(values[kept].astype(whole.dtype)), vectors.legs[1].dual)
    if type(x) is not Node:
        return vectors, diagonal_values
    gaps = Gaps.of(values, kept, space=False)

    def pull(gv: Tensor, gw: Tensor) -> tuple[Tensor]:
        inner = masked(gaps.inverse, contract("a m, a n -> m n", whole.conj(), gv))
        left = contract("a m, m n -> a n", whole, inner) + contract("a m, m n -> a n", vectors, masked(gaps.near, gw))
        return (_hermitian(contract("a n, b n -> a b", left, vectors.conj())),)

    return record_all((vectors, diagonal_values), (x,), pull)


def leading_space(x: Any, truncation: Truncation) -> Any:
    """V of `eigh` for functions that only the space of the kept eigenvectors counts for, not its basis.

    Then the only gaps that gradients divide by are those to the discarded values, and degeneracies do no harm.
    """
    whole, values, kept = _decomposed(value_of(x), truncation)
    vectors = kept_states(whole, 1, kept)
    if type(x) is not Node:
        return vectors
    gaps = Gaps.of(values, kept, space=True)

    def pull(g: Tensor) -> tuple[Tensor]:
        inner = masked(gaps.inverse, contract("a m, a n -> m n", whole.conj(), g))
        return (_hermitian(contract("a m, m n, b n -> a b", whole, inner, vectors.conj())),)

    return record(vectors, (x,), pull)


def _decomposed(matrix: Tensor, truncation: Truncation | None) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """All eigenvectors and values, and the places of those that are kept."""
    whole, spectrum = linalg.eigh(matrix)
    values, sizes = spectrum.values, np.abs(spectrum.values)
    norm = float(np.sqrt((values**2).sum()))
    kept = np.arange(len(values)) if truncation is None else truncation.keep(sizes / (norm or 1.0))
    return whole, values, kept


def _hermitian(matrix: Tensor) -> Tensor:
    return (matrix + transpose(matrix.conj(), (1, 0))) * 0.5
