"""Moving the centre of a matrix-product state by one site: one QR of all blocks in a few compiled calls.

--[centre]--[next]--   =   --[isometry]--(R [next])--
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tnsim.errors import NumericalError
from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    B_BUFFER,
    B_OFFSET,
    B_STEP,
    B_STRIDE,
    B_TRANSPOSE,
    C_BUFFER,
    C_OFFSET,
    C_STEP,
    C_STRIDE,
    COLUMNS,
    KIND,
    PRODUCT,
    TASK,
    TRANSPOSE,
    K,
    M,
    N,
)
from tnsim.networks.effective import run
from tnsim.networks.effective_plans import LEFT, RIGHT, Rows, isometry_plan, panels, unit_leg
from tnsim.symmetry import Layout, Leg, layout
from tnsim.tensor import Tensor

_SWAPPED = [B_BUFFER, B_OFFSET, B_STRIDE, B_STEP], [C_BUFFER, C_OFFSET, C_STRIDE, C_STEP]


@dataclass(frozen=True, eq=False)
class _MovePlan:
    """gather: the centre as a matrix a bond sector; blocks: (offset, rows, columns) of these; scatter: the isometry
    back into a site tensor; carry: R into the next site; bond: the new bond, flow +1."""

    gather: Rows
    blocks: np.ndarray
    scatter: Rows
    carry: Rows
    bond: Leg


def move_right(center: Tensor, following: Tensor) -> tuple[Tensor, Tensor]:
    """A left-isometric tensor and the centre one site to the right; cost O(d chi^3), exact.

    Raises NumericalError on NaN or Inf.
    """
    left, phys, bond = center.legs
    _, phys_next, beyond = following.legs
    plan = _move_plan(LEFT, left, phys, bond.with_flow(1), phys_next, beyond.with_flow(1), center.dtype.char)
    legs = (left, phys, plan.bond.dual), (plan.bond, phys_next, beyond)
    return _move(plan, center, following, legs)


def move_left(preceding: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """The centre one site to the left, and a right-isometric tensor; cost O(d chi^3), exact.

    Raises NumericalError on NaN or Inf.
    """
    bond, phys, right = center.legs
    beyond, phys_next, _ = preceding.legs
    plan = _move_plan(RIGHT, right.with_flow(1), phys, bond, phys_next, beyond, center.dtype.char)
    legs = (plan.bond, phys, right), (beyond, phys_next, plan.bond.dual)
    return _move(plan, center, preceding, legs)[::-1]


def _move(
    plan: _MovePlan, center: Tensor, neighbour: Tensor, legs: tuple[tuple[Leg, Leg, Leg], tuple[Leg, Leg, Leg]]
) -> tuple[Tensor, Tensor]:
    backend, dtype = center.backend, center.dtype
    if not backend.all_finite(center.data):
        raise NumericalError(
            f"the QR of {center!r} was asked for, but it holds NaN or Inf: check what it was made from."
        )
    matrices = backend.zeros(max(1, plan.gather.size), dtype)
    run(plan.gather, (center.data, matrices), backend)
    q, r = backend.kernels.qr_blocks(matrices, plan.blocks)
    isometry, moved = (backend.zeros(layout(each, center.charge).size, dtype) for each in legs)
    run(plan.scatter, (isometry, q), backend)
    run(plan.carry, (r, neighbour.data, moved), backend)
    return Tensor(legs[0], isometry), Tensor(legs[1], moved)


@lru_cache(maxsize=2048)
def _move_plan(side: str, outer: Leg, phys: Leg, bond: Leg, phys_next: Leg, beyond: Leg, dtype: str) -> _MovePlan:
    """Plan for a centre between `outer` and `bond` (flow +1 both), which moves over `bond`."""
    center = unit_leg(bond)
    sizes = panels(side, outer, phys, center).sizes
    dims = np.minimum(sizes, bond.dims_array)
    new = Leg.from_keys(bond.group, bond.keys, dims)
    gather = isometry_plan(side, outer, phys, bond, center, dtype)
    scatter = _scatter_plan(side, outer, phys, new, dtype)
    offsets = np.concatenate([[0], np.cumsum(sizes * bond.dims_array)])[:-1]
    blocks = np.column_stack([offsets, sizes, bond.dims_array])[dims > 0].astype(np.int64)
    carry = _carry(side, bond, new, phys_next, beyond, dtype)
    return _MovePlan(gather, blocks, scatter, carry, new)


def _scatter_plan(side: str, outer: Leg, phys: Leg, bond: Leg, dtype: str) -> Rows:
    """A matrix for every bond sector (buffer 1) back into a site tensor (0): `isometry_plan` the other way round."""
    plan = isometry_plan(side, outer, phys, bond, unit_leg(bond), dtype)
    rows = plan.rows.copy()
    rows[:, _SWAPPED[0]], rows[:, _SWAPPED[1]] = plan.rows[:, _SWAPPED[1]], plan.rows[:, _SWAPPED[0]]
    return replace(plan, rows=rows)


def _carry(side: str, bond: Leg, new: Leg, phys: Leg, beyond: Leg, dtype: str) -> Rows:
    """R (buffer 0, a matrix for every sector of `new`) times the next site (1), added to the new one (2)."""
    old_table, new_table = (_next_layout(side, leg, phys, beyond) for leg in (bond, new))
    axis = 0 if side == LEFT else 2
    place = np.searchsorted(bond.keys, new.keys)  # sectors of the new bond among the old ones
    blocks = np.flatnonzero(np.isin(old_table.indices[:, axis], place))
    indices = old_table.indices[blocks].copy()
    sector = indices[:, axis] = np.searchsorted(place, indices[:, axis])
    into = np.searchsorted(_codes(new_table.indices, new_table), _codes(indices, new_table))
    inner, kept = bond.dims_array[place], new.dims_array
    starts = np.concatenate([[0], np.cumsum(inner * kept)])[:-1]
    rows = np.zeros((len(blocks), COLUMNS), dtype=np.int64)
    rows[:, KIND], rows[:, TASK], rows[:, C_BUFFER] = PRODUCT, np.arange(len(blocks)), 2
    rows[:, K], rows[:, C_OFFSET] = inner[sector], new_table.offsets[into]
    if side == LEFT:
        rows[:, M], rows[:, N] = kept[sector], old_table.shapes[blocks][:, 1:].prod(axis=1)
        rows[:, A_BUFFER], rows[:, A_OFFSET], rows[:, A_STRIDE] = 0, starts[sector], inner[sector]
        rows[:, B_BUFFER], rows[:, B_OFFSET], rows[:, B_STRIDE] = 1, old_table.offsets[blocks], rows[:, N]
    else:
        rows[:, M], rows[:, N] = old_table.shapes[blocks][:, :2].prod(axis=1), kept[sector]
        rows[:, A_BUFFER], rows[:, A_OFFSET], rows[:, A_STRIDE] = 1, old_table.offsets[blocks], inner[sector]
        rows[:, B_BUFFER], rows[:, B_OFFSET], rows[:, B_STRIDE] = 0, starts[sector], inner[sector]
        rows[:, B_TRANSPOSE] = TRANSPOSE
    rows[:, C_STRIDE] = rows[:, N]
    weights = 2.0 * rows[:, M] * rows[:, N] * rows[:, K]
    return Rows(rows, np.ones(len(rows), dtype=dtype), np.arange(len(rows) + 1), weights)


def _next_layout(side: str, bond: Leg, phys: Leg, beyond: Leg) -> Layout:
    legs = (bond, phys, beyond.with_flow(-1)) if side == LEFT else (beyond, phys, bond.with_flow(-1))
    return layout(legs, bond.group.identity)


def _codes(indices: np.ndarray, table: Layout) -> np.ndarray:
    """One ascending number for every block of a layout."""
    return np.ravel_multi_index(tuple(indices.T), [len(leg) for leg in table.legs])
