"""Tensors as short power series: products, logarithms, and the leading eigenvectors of a matrix that changes.

A series is a tuple of coefficients, that of the constant first.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim.linalg.decompose import eigh
from tnsim.linalg.density_vectors import kept_vectors
from tnsim.linalg.truncation import Truncation
from tnsim.tensor import Tensor, contract, from_dense

Series = tuple[Tensor, ...]

# eigenvalues nearer than this, relative to the largest, are not told apart
_GAP = 1e-15


def contract_series(expression: str, first: Series, second: Series) -> Series:
    """The contraction of two series, to the order of the first."""
    found = []
    for order in range(len(first)):
        terms = [contract(expression, first[k], second[order - k]) for k in range(order + 1)]
        found.append(sum(terms[1:], terms[0]))
    return tuple(found)


def conjugated(series: Series) -> Series:
    """Coefficient by coefficient: the parameter is real."""
    return tuple(tensor.conj() for tensor in series)


def log_series(values: Sequence[complex]) -> list[complex]:
    """The logarithm of a series of numbers, without its constant; at most to second order.

    >>> log_series([2.0, 2.0, 1.0])
    [1.0, 0.0]
    """
    first = [value / values[0] for value in values[1:]]
    return [*first[:1], *(second - first[0] ** 2 / 2 for second in first[1:])]


def density_vector_series(rho: Series, truncation: Truncation) -> tuple[Series, float]:
    """The isometry onto the leading eigenvectors of a density matrix that changes, and what is discarded.

    The space that is kept follows the matrix, to at most second order; the vectors inside of it turn as little as they
    can, so that equal eigenvalues do no harm. Cost O(n^3) for every block and order.
    """
    vectors, spectrum = eigh(rho[0])
    kept, weight = kept_vectors(spectrum, truncation, rho[0])
    start = contract("a m, m n -> a n", vectors, kept)
    if len(rho) == 1:
        return (start,), weight
    turned = [contract("a m, a b, b n -> m n", vectors.conj(), part, vectors) for part in rho]
    inverse_gaps = _inverse_gaps(spectrum.values, kept)
    space: list[Tensor] = [kept]
    for order in range(1, len(rho)):
        source = _sum([contract("m n, n k -> m k", turned[m], space[order - m]) for m in range(1, order + 1)])
        for m in range(1, order):
            inside = contract("m k, m n -> k n", kept.conj(), _applied(turned, space, order - m))
            source = source - contract("m k, k n -> m n", space[m], inside)
        space.append(Tensor(source.legs, source.data * inverse_gaps.data, source.charge))
    if len(rho) > 2:
        square = contract("m k, m n -> k n", space[1].conj(), space[1])
        space[2] = space[2] - contract("m k, k n -> m n", kept, square) / 2
    return tuple(contract("a m, m n -> a n", vectors, part) for part in space), weight


def _applied(turned: Sequence[Tensor], space: Sequence[Tensor], order: int) -> Tensor:
    """The coefficient of the matrix times the space."""
    return _sum([contract("m n, n k -> m k", turned[m], space[order - m]) for m in range(order + 1)])


def _inverse_gaps(values: np.ndarray, kept: Tensor) -> Tensor:
    """1 / (kept value - dropped value) with legs (all, kept); zero between kept ones."""
    chosen = kept.backend.to_host(kept.to_dense()).real
    places = np.argmax(chosen, axis=0)
    gaps = values[places] - values[:, None]
    dropped = chosen.sum(axis=1) == 0
    far = dropped[:, None] & (np.abs(gaps) > _GAP * np.abs(values).max(initial=0.0))
    inverse = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=far)
    allowed = np.zeros(inverse.shape, dtype=bool)
    for spots, _ in kept.blocks():
        allowed[kept._slices(spots)] = True
    return from_dense((inverse * allowed).astype(kept.dtype), kept.legs).to(kept.backend)


def _sum(terms: list[Any]) -> Any:
    return sum(terms[1:], terms[0])
