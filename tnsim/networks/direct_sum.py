"""Direct sums of tensor trains: what addition of MPS and MPO has in common."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.backend import get_backend
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract_pair


def direct_sum(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    """Two trains as one whose inner bonds are direct sums; the outermost legs must agree and are shared."""
    last = len(first) - 1
    result = []
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        axes = ([0] if i > 0 else []) + ([a.ndim - 1] if i < last else [])
        for axis in axes:
            into_a, into_b = embeddings(a.legs[axis], b.legs[axis])
            a, b = embed(a, into_a, axis), embed(b, into_b, axis)
        dtype = np.result_type(a.dtype, b.dtype)
        result.append(a.astype(dtype) + b.astype(dtype))
    return result


@lru_cache(maxsize=4096)
def embeddings(a: Leg, b: Leg) -> tuple[Tensor, Tensor]:
    """0/1 matrices (a.dual, sum) and (b.dual, sum)."""
    total = sum_leg(a, b)
    return injection(a, total), injection(b, total, behind=True)


def sum_leg(a: Leg, b: Leg) -> Leg:
    """The leg that holds both, sector by sector."""
    keys, places = np.unique(np.concatenate([a.keys, b.keys]), return_inverse=True)
    dims = np.zeros(len(keys), dtype=np.int64)
    np.add.at(dims, places, np.concatenate([a.dims_array, b.dims_array]))
    return Leg.from_keys(a.group, keys, dims, a.flow)


def injection(leg: Leg, total: Leg, *, behind: bool = False, like: Tensor | None = None) -> Tensor:
    """The 0/1 matrix (leg.dual, total) that puts a leg first (or `behind` all else) in every sector of a larger one.

    Its numbers are of the type of `like` and lie where those do; without it they are float64 on the host.
    """
    dtype, backend = (np.float64, "numpy") if like is None else (like.dtype, like.backend)
    sector = np.searchsorted(total.keys, leg.keys)
    dims, widths = leg.dims_array, total.dims_array[sector]
    starts = np.cumsum(dims * widths) - dims * widths + (widths - dims if behind else 0)
    inside = np.arange(leg.dim) - np.repeat(leg.starts[:-1], dims)
    matrix = np.zeros(int((dims * widths).sum()), dtype=dtype)
    matrix[np.repeat(starts, dims) + inside * (np.repeat(widths, dims) + 1)] = 1.0
    return Tensor((leg.dual, total), get_backend(backend).asarray(matrix))


def embed(tensor: Tensor, embedding: Tensor, axis: int) -> Tensor:
    """A tensor with one axis in the larger space of a sum: `embedding` is one of `embeddings`."""
    others = [n for n in range(tensor.ndim) if n != axis]
    order = tuple(tensor.ndim - 1 if n == axis else others.index(n) for n in range(tensor.ndim))
    return contract_pair(tensor, embedding.astype(tensor.dtype).to(tensor.backend), ((axis, 0),), order)


def side_by_side(tensors: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors that differ in one leg as one whose leg is the direct sum, the first tensor first in every sector."""
    result = tensors[0]
    for tensor in tensors[1:]:
        a, b = result.legs[axis], tensor.legs[axis]
        total = sum_leg(a, b)
        first, second = injection(a, total, like=result), injection(b, total, behind=True, like=tensor)
        result = embed(result, first, axis) + embed(tensor, second, axis)
    return result
