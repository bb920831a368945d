"""The states of a decomposition that a truncation keeps, and the differences that its gradient divides by."""

from dataclasses import dataclass

import numpy as np

from tnsim.backend import Backend
from tnsim.symmetry import Leg, layout
from tnsim.tensor import Tensor, from_dense

# values closer than this share of their sum count as degenerate
DEGENERATE = 1e-7


def kept_leg(leg: Leg, kept: np.ndarray) -> Leg:
    """The leg of some states, given by ascending places in its dense order."""
    counts = np.histogram(kept, bins=leg.starts)[0] if len(kept) else np.zeros(len(leg), dtype=int)
    sectors = np.flatnonzero(counts)
    return Leg(leg.group, [leg.charges[n] for n in sectors], counts[sectors].tolist(), leg.flow)


def kept_states(matrix: Tensor, axis: int, kept: np.ndarray) -> Tensor:
    """A matrix with some states of one of its legs."""
    old, new = matrix.legs[axis], kept_leg(matrix.legs[axis], kept)
    legs = tuple(new if n == axis else leg for n, leg in enumerate(matrix.legs))
    size = layout(legs, matrix.charge).size
    result = Tensor(legs, matrix.backend.zeros(size, matrix.dtype), matrix.charge)
    for places, block in result.blocks():
        sector = old.charges.index(new.charges[places[axis]])
        whole = matrix.block(matrix.layout.place[tuple(sector if n == axis else p for n, p in enumerate(places))])
        start, end = old.starts[sector : sector + 2]
        block[...] = matrix.backend.take(whole, kept[(kept >= start) & (kept < end)] - start, axis)
    return result


@dataclass(frozen=True)
class Gaps:
    """Differences of values, all states by kept ones, and how near they come to a degeneracy.

    inverse: 1 / (value of column - value of row), which goes to zero where the values are degenerate; there the basis
    is left alone, and the matrix of the kept values takes up the change: `near` is the share of it, 1 on the diagonal.
    space: zero among the kept states, where only the space that they span counts.
    """

    inverse: np.ndarray
    near: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, kept: np.ndarray, *, space: bool) -> "Gaps":
        """Of all values, and the places of those that are kept."""
        gaps, sizes = values[kept][None, :] - values[:, None], np.abs(values)
        floor = DEGENERATE * (sizes[kept][None, :] + sizes[:, None]) + 1e-300
        weights = 1 / np.maximum(gaps**2 + floor**2, 1e-300)
        inverse = gaps * weights
        inverse[kept, np.arange(len(kept))] = 0
        if space:
            inverse[kept] = 0
        return cls(inverse, (floor**2 * weights)[kept])


def masked(array: np.ndarray, like: Tensor) -> Tensor:
    """`like` times an array on the host, element by element; what lies outside of its blocks does not count."""
    factors = from_dense(np.ascontiguousarray(array.astype(like.dtype)), like.legs, like.charge, tolerance=np.inf)
    return Tensor(like.legs, like.data * _on(like.backend, factors), like.charge)


def _on(backend: Backend, factors: Tensor) -> object:
    return factors.to(backend).data
