"""Direct sums of tensor trains: what addition of MPS and MPO has in common."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.backend import get_backend
from tnsim.errors import LegError
from tnsim.kernels.table import (
    ADD,
    B_BUFFER,
    B_OFFSET,
    B_STEP,
    B_STRIDE,
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    COLUMNS,
    KIND,
    M,
    N,
)
from tnsim.symmetry import Charge, Leg, layout
from tnsim.tensor import Tensor, contract_pair


def direct_sum(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    """Two trains as one whose inner bonds are direct sums; the outermost legs must agree and are shared."""
    last = len(first) - 1
    result = []
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.charge != b.charge:
            raise LegError(f"site {i}: tensors of the charges {a.charge} and {b.charge} have no sum.")
        legs, rows, starts = _sum_plan(a.legs, b.legs, a.charge, i > 0, i < last)
        dtype = np.result_type(a.dtype, b.dtype)
        data = a.backend.zeros(layout(legs, a.charge).size, dtype)
        buffers = (a.astype(dtype).data, b.astype(dtype).data, data)
        a.backend.kernels.run_products(rows, np.ones(len(rows), dtype=dtype), starts, np.ones(1), buffers)
        result.append(Tensor(legs, data, a.charge))
    return result


@lru_cache(maxsize=4096)
def _sum_plan(
    a: tuple[Leg, ...], b: tuple[Leg, ...], charge: Charge, sum_first: bool, sum_last: bool
) -> tuple[tuple[Leg, ...], np.ndarray, np.ndarray]:
    """Legs of the sum of two sites over their first and last legs, and every block of both (0, 1) added to it (2)."""
    summed = {axis for axis, chosen in ((0, sum_first), (len(a) - 1, sum_last)) if chosen}
    for axis, (one, other) in enumerate(zip(a, b, strict=True)):
        if (one.flow != other.flow) if axis in summed else (one is not other):
            raise LegError(f"axis {axis}: {one!r} and {other!r} must {'have one flow' if axis in summed else 'agree'}.")
    legs = tuple(sum_leg(one, b[axis]) if axis in summed else one for axis, one in enumerate(a))
    rows = np.concatenate([_added(source, legs, charge, summed, number) for number, source in enumerate((a, b))])
    return legs, rows, np.array([0, len(rows)])


def _added(source: tuple[Leg, ...], legs: tuple[Leg, ...], charge: Charge, summed: set[int], number: int) -> np.ndarray:
    """Rows that add every block of a tensor: in front of every sector of a sum, or (number 1) behind all else."""
    old, new, sizes = layout(source, charge), layout(legs, charge), [len(leg) for leg in legs]
    sectors = [np.searchsorted(leg.keys, part.keys) for leg, part in zip(legs, source, strict=True)]
    indices = np.column_stack([sectors[axis][old.indices[:, axis]] for axis in range(len(legs))])
    places = np.searchsorted(
        np.ravel_multi_index(tuple(new.indices.T), sizes), np.ravel_multi_index(tuple(indices.T), sizes)
    )
    shapes, larger = old.shapes, new.shapes[places]
    last = len(legs) - 1
    above, beside = (number * (larger[:, n] - shapes[:, n]) if n in summed else 0 for n in (0, last))
    rows = np.zeros((len(shapes), COLUMNS), dtype=np.int64)
    rows[:, KIND], rows[:, M], rows[:, N] = ADD, shapes[:, :-1].prod(axis=1), shapes[:, -1]
    rows[:, B_BUFFER], rows[:, B_OFFSET], rows[:, B_STRIDE] = number, old.offsets[:-1], shapes[:, -1]
    rows[:, C_BUFFER], rows[:, C_STRIDE], rows[:, [B_STEP, C_STEP]] = 2, larger[:, -1], 1
    rows[:, C_OFFSET] = new.offsets[places] + above * larger[:, 1:].prod(axis=1) + beside
    return rows


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
