"""Fusing legs of a tensor into one, and splitting them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tnsim.errors import LegError, ShapeError
from tnsim.kernels.table import (
    A_OFFSET,
    A_STRIDE,
    ADD,
    B_OFFSET,
    B_STRIDE,
    C_BUFFER,
    C_OFFSET,
    C_STRIDE,
    COLUMNS,
    KIND,
    M,
    N,
)
from tnsim.symmetry import Charge, FusedLeg, Layout, Leg, fuse_legs, layout
from tnsim.tensor.contract import contract_pair, transpose, twist
from tnsim.tensor.create import from_dense, zeros
from tnsim.tensor.grading import fusion_signs, is_graded, parities
from tnsim.tensor.tensor import Tensor


@dataclass(frozen=True, eq=False)
class _MatrixPlan:
    """Copy rows (see `kernels/cpu/layout.py`) from blocks to fused blocks, and back; None where nothing moves."""

    legs: tuple[Leg, ...]
    size: int
    gather: np.ndarray | None
    scatter: np.ndarray | None
    signs: np.ndarray


def fuse(tensor: Tensor, groups: Sequence[Sequence[int]], flows: Sequence[int] | None = None) -> Tensor:
    """Combine groups of axes, each into one leg, in the order given; a sum over it is one over all of them.

    Every axis stands in one group. The flow of a fused leg is that of its first member unless `flows`
    says otherwise. Cost: one copy, none where axes stay in order and there is one block.

    >>> from tnsim.tensor import from_dense
    >>> fuse(from_dense(np.ones((2, 3, 4))), [(0, 1), (2,)]).shape
    (6, 4)
    """
    order = tuple(axis for group in groups for axis in group)
    if sorted(order) != list(range(tensor.ndim)):
        raise ShapeError(f"fusing {tensor.ndim} axes needs each of them in one group, found {groups}.")
    tensor = transpose(tensor, order)
    fused, start = [], 0
    for number, group in enumerate(groups):
        if not group:
            raise LegError(f"fusing needs at least one leg in every group, found {groups}.")
        legs = tensor.legs[start : start + len(group)]
        flow = legs[0].flow if flows is None else flows[number]
        fused.append(fuse_legs(legs, flow))
        start += len(group)
    plan = _plan(tuple(fused), tensor.charge)
    data = tensor.data if plan.gather is None else _move(tensor, plan.gather, plan.signs, plan.size)
    return Tensor(plan.legs, data, tensor.charge)


def split(tensor: Tensor, axis: int, legs: Sequence[Leg]) -> Tensor:
    """Undo `fuse` on one axis: replace it by `legs`."""
    fused = fuse_legs(tuple(legs), tensor.legs[axis].flow)
    if fused.leg is not tensor.legs[axis]:
        raise LegError(f"axis {axis}, {tensor.legs[axis]!r}, is not the fusion of {list(legs)}.")
    parts = [fuse_legs((leg,), leg.flow) for leg in tensor.legs]
    parts[axis] = fused
    plan = _plan(tuple(parts), tensor.charge)
    new_legs = tuple(leg for part in parts for leg in part.legs)
    if plan.scatter is None:
        return Tensor(new_legs, tensor.data, tensor.charge)
    size = layout(new_legs, tensor.charge).size
    return Tensor(new_legs, _move(tensor, plan.scatter, plan.signs, size), tensor.charge)


def flip_leg(tensor: Tensor, axis: int) -> Tensor:
    """The same tensor with one leg written with the opposite flow and dual charges; on both ends of a bond no change.

    Cost: one contraction; nothing where the sectors stay in order, as of Z_2 charges or without any.
    """
    old, new = tensor.legs[axis], tensor.legs[axis].flipped
    if new.charges == tuple(map(old.group.dual, old.charges)):
        # of a leg that flows in the contraction below would change the sign of odd sectors
        tensor = twist(tensor, (axis,)) if old.flow > 0 else tensor
        return Tensor((*tensor.legs[:axis], new, *tensor.legs[axis + 1 :]), tensor.data, tensor.charge)
    connector = np.zeros((old.dim, new.dim), dtype=tensor.dtype)
    for n, charge in enumerate(old.charges):
        start = new.slice_of(old.group.dual(charge)).start
        connector[int(old.starts[n]) : int(old.starts[n + 1]), start : start + old.dims[n]] = np.eye(old.dims[n])
    bridge = from_dense(connector, (old.dual, new)).to(tensor.backend)
    # the new leg comes out last
    last = tensor.ndim - 1
    order = tuple(n if n < axis else last if n == axis else n - 1 for n in range(tensor.ndim))
    return contract_pair(tensor, bridge, ((axis, 0),), order)


def select(tensor: Tensor, axis: int, place: int) -> Tensor:
    """One value of an index: the leg stays, with the one state that stands at `place` of its dense index.

    >>> select(from_dense(np.arange(6.0).reshape(2, 3)), 1, 2).array
    array([[2.],
           [5.]])
    """
    leg = tensor.legs[axis]
    if not 0 <= place < leg.dim:
        raise ShapeError(f"axis {axis} has the places 0 to {leg.dim - 1}, found {place}.")
    sector = int(np.searchsorted(leg.starts, place, side="right")) - 1
    inside = place - int(leg.starts[sector])
    one = Leg(leg.group, leg.charges[sector : sector + 1], [1], leg.flow)
    result = zeros((*tensor.legs[:axis], one, *tensor.legs[axis + 1 :]), tensor.charge, dtype=tensor.dtype,
                   backend=tensor.backend)  # fmt: skip
    for places, block in result.blocks():
        source = tensor.layout.place[(*places[:axis], sector, *places[axis + 1 :])]
        block[...] = tensor.block(source)[(slice(None),) * axis + (slice(inside, inside + 1),)]
    return result


def _move(tensor: Tensor, rows: np.ndarray, signs: np.ndarray, size: int):
    """Strided copies both ways: source and target strides stand in the row."""
    backend = tensor.backend
    target = backend.zeros(size, tensor.dtype)
    starts, weights = np.array([0, len(rows)]), np.ones(1)
    backend.kernels.run_products(rows, signs.astype(tensor.dtype), starts, weights, (tensor.data, target))
    return target


@lru_cache(maxsize=4096)
def _plan(fused: tuple[FusedLeg, ...], charge: Charge) -> _MatrixPlan:
    """Every block of the unfused tensor is a strided piece of one fused block.

    Only one- and two-sided fusions occur often, so pieces are cut along all axes but the last two groups.
    """
    old = layout(tuple(leg for part in fused for leg in part.legs), charge)
    new_legs = tuple(part.leg for part in fused)
    new = layout(new_legs, charge)
    signs = _signs(fused, old)
    if len(old.indices) == len(new.indices) == 1 and old.size == new.size and signs[0] > 0:
        return _MatrixPlan(new_legs, new.size, None, None, signs)
    shape, spots, firsts = _pieces(fused, old)
    big = _numbers(spots, new)
    big_shape = np.pad(new.shapes[big], ((0, 0), (2, 0)), constant_values=1)
    strides = np.ones_like(big_shape)
    strides[:, :-1] = np.cumprod(big_shape[:, :0:-1], axis=1)[:, ::-1]
    shape, firsts = (np.pad(part, ((0, 0), (2, 0)), constant_values=k) for part, k in ((shape, 1), (firsts, 0)))
    counts = shape[:, :-2].prod(axis=1)
    block = np.repeat(np.arange(len(shape)), counts)
    place = np.arange(len(block)) - np.repeat(np.cumsum(counts) - counts, counts)
    gather = np.zeros((len(block), COLUMNS), dtype=np.int64)
    gather[:, KIND], gather[:, M], gather[:, N] = ADD, shape[block, -2], shape[block, -1]
    gather[:, B_OFFSET] = old.offsets[block] + place * gather[:, M] * gather[:, N]
    gather[:, B_STRIDE], gather[:, C_BUFFER], gather[:, C_STRIDE] = shape[block, -1], 1, strides[block, -2]
    gather[:, C_OFFSET] = (new.offsets[big] + (firsts * strides).sum(axis=1))[block]
    for axis in range(shape.shape[1] - 3, -1, -1):
        place, inside = np.divmod(place, shape[block, axis])
        gather[:, C_OFFSET] += inside * strides[block, axis]
    gather[:, A_STRIDE] = gather[:, A_OFFSET] = 1
    scatter = gather.copy()
    scatter[:, [B_OFFSET, B_STRIDE, C_OFFSET, C_STRIDE]] = gather[:, [C_OFFSET, C_STRIDE, B_OFFSET, B_STRIDE]]
    return _MatrixPlan(new_legs, new.size, gather, scatter, signs[block].astype(np.float64))


def _pieces(fused: tuple[FusedLeg, ...], old: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every block, a column for every group of legs: its size, the sector it falls into, where it begins there."""
    found: list[tuple[np.ndarray, ...]] = []
    start = 0
    for part in fused:
        columns = range(start, start + len(part.legs))
        code = np.zeros(len(old.indices), dtype=np.int64)
        for leg, column in zip(part.legs, columns, strict=True):
            code = code * len(leg) + old.indices[:, column]
        found.append((old.shapes[:, columns].prod(axis=1), part.sector[code], part.start[code]))
        start += len(part.legs)
    shape, spots, firsts = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    return shape, spots, firsts


def _numbers(spots: np.ndarray, table: Layout) -> np.ndarray:
    """The numbers of blocks with these sectors, a row each."""
    codes = np.zeros(len(spots), dtype=np.int64)
    known = np.zeros(len(table.indices), dtype=np.int64)
    for n, leg in enumerate(table.legs):
        codes, known = codes * len(leg) + spots[:, n], known * len(leg) + table.indices[:, n]
    return np.searchsorted(known, codes)


def _signs(fused: tuple[FusedLeg, ...], old: Layout) -> np.ndarray:
    """Of every block, from all groups of legs that are fused into one that flows out."""
    signs = np.ones(len(old.indices), dtype=np.int64)
    if not is_graded(old.legs):
        return signs
    odd, start = parities(old), 0
    for part in fused:
        if part.leg.flow < 0:
            signs *= fusion_signs(odd[:, start : start + len(part.legs)], [leg.flow for leg in part.legs])
        start += len(part.legs)
    return signs
