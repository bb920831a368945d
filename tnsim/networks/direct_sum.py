"""Direct sums of tensor trains: what addition of MPS and MPO has in common."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract_pair, from_dense


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
    dims: dict[tuple[int, ...], int] = {}
    for leg in (a, b):
        for charge, dim in zip(leg.charges, leg.dims, strict=True):
            dims[charge] = dims.get(charge, 0) + dim
    total = Leg(a.group, sorted(dims), [dims[charge] for charge in sorted(dims)], a.flow)
    matrices = []
    for leg, behind in ((a, False), (b, True)):
        matrix = np.zeros((leg.dim, total.dim))
        for n, charge in enumerate(leg.charges):
            place = total.slice_of(charge)
            start = place.stop - leg.dims[n] if behind else place.start
            rows = slice(int(leg.starts[n]), int(leg.starts[n + 1]))
            matrix[rows, start : start + leg.dims[n]] = np.eye(leg.dims[n])
        matrices.append(from_dense(matrix, (leg.dual, total)))
    return matrices[0], matrices[1]


def embed(tensor: Tensor, embedding: Tensor, axis: int) -> Tensor:
    """A tensor with one axis in the larger space of a sum: `embedding` is one of `embeddings`."""
    others = [n for n in range(tensor.ndim) if n != axis]
    order = tuple(tensor.ndim - 1 if n == axis else others.index(n) for n in range(tensor.ndim))
    return contract_pair(tensor, embedding.astype(tensor.dtype).to(tensor.backend), ((axis, 0),), order)
