"""Plans: everything about an operation that follows from legs and charges alone, made once and cached."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tnsim.errors import LegError, ShapeError
from tnsim.kernels.cpu.pairing import pair_blocks
from tnsim.kernels.table import A_OFFSET, B_OFFSET, MAX_SIZE
from tnsim.symmetry import Charge, Layout, Leg, layout
from tnsim.tensor.grading import is_graded, pair_signs, parities


@dataclass(frozen=True, eq=False)
class CopyPlan:
    """Blocks copied with permuted axes into the order of another layout; None as `rows` means no copy."""

    legs: tuple[Leg, ...]
    size: int
    rows: np.ndarray | None


@dataclass(frozen=True, eq=False)
class ProductPlan:
    """A list of block products with coefficients, 1 without signs; see `kernels/table.py`."""

    rows: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    signs: np.ndarray | None = None

    @cached_property
    def flops(self) -> float:
        return float(self.weights.sum())


@dataclass(frozen=True, eq=False)
class PairPlan:
    """Contraction of two tensors: copy each if its axes are interleaved, multiply blocks, copy the result."""

    copy_a: tuple[int, ...] | None
    copy_b: tuple[int, ...] | None
    product: ProductPlan
    legs: tuple[Leg, ...]
    charge: Charge
    size: int
    copy_out: tuple[int, ...] | None


@lru_cache(maxsize=8192)
def copy_plan(legs: tuple[Leg, ...], charge: Charge, order: tuple[int, ...]) -> CopyPlan:
    """Plan of a transposition: new axis n is old axis order[n]. Axes that stay side by side are copied as one."""
    new_legs = tuple(legs[n] for n in order)
    old, new = layout(legs, charge), layout(new_legs, charge)
    if order == tuple(range(len(legs))):
        return CopyPlan(new_legs, new.size, None)
    rank = len(legs)
    strides = np.ones((len(old.indices), rank), dtype=np.int64)
    for n in range(rank - 2, -1, -1):
        strides[:, n] = strides[:, n + 1] * old.shapes[:, n + 1]
    permuted = old.indices[:, order]
    places = [new.place[tuple(row)] for row in permuted.tolist()]
    runs = [n for n in range(rank) if n == 0 or order[n] != order[n - 1] + 1]
    lasts = [*(n - 1 for n in runs[1:]), rank - 1]
    rows = np.zeros((len(old.indices), 3 + 2 * len(runs)), dtype=np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = old.offsets[:-1], new.offsets[places], len(runs)
    rows[:, 3 : 3 + len(runs)] = np.multiply.reduceat(old.shapes[:, order], runs, axis=1)
    rows[:, 3 + len(runs) :] = strides[:, order][:, lasts]
    return CopyPlan(new_legs, new.size, rows)


@lru_cache(maxsize=4096)
def pair_plan(
    a: tuple[tuple[Leg, ...], Charge],
    b: tuple[tuple[Leg, ...], Charge],
    bound: tuple[tuple[int, int], ...],
    order: tuple[int, ...],
) -> PairPlan:
    """Contract axis i of a with axis j of b for (i, j) in `bound`; `order` permutes the free axes of a then b."""
    (legs_a, charge_a), (legs_b, charge_b) = a, b
    _check_legs(legs_a, legs_b, bound)
    free_a = tuple(n for n in range(len(legs_a)) if n not in {i for i, _ in bound})
    free_b = tuple(n for n in range(len(legs_b)) if n not in {j for _, j in bound})
    # keep the bound axes in the order that saves a copy of the larger tensor
    larger_a = layout(legs_a, charge_a).size >= layout(legs_b, charge_b).size
    bound = tuple(sorted(bound, key=lambda pair: pair[0 if larger_a else 1]))
    bound_a, bound_b = tuple(i for i, _ in bound), tuple(j for _, j in bound)
    order_a, flip_a = _stored_order(free_a, bound_a)
    order_b, flip_b = _stored_order(bound_b, free_b)
    legs_a, legs_b = tuple(legs_a[n] for n in order_a), tuple(legs_b[n] for n in order_b)
    nf, nb, nk = len(free_a), len(free_b), len(bound)
    axes_fa, axes_ka = (range(nk, nk + nf), range(nk)) if flip_a else (range(nf), range(nf, nf + nk))
    axes_fb, axes_kb = (range(nb), range(nb, nb + nk)) if flip_b else (range(nk, nk + nb), range(nk))
    out_legs = tuple(legs_a[n] for n in axes_fa) + tuple(legs_b[n] for n in axes_fb)
    charge = _total_charge(a, b, out_legs)
    rows, starts, weights = pair_blocks(
        _tables(layout(legs_a, charge_a)), _tables(layout(legs_b, charge_b)), _tables(layout(out_legs, charge)),
        _axes(axes_fa), _axes(axes_ka), _axes(axes_kb), _axes(axes_fb),
        _radix(legs_a, axes_fa), _radix(legs_a, axes_ka), _radix(legs_b, axes_fb),
        _axes((flip_a, flip_b)),
    )  # fmt: skip
    _check_sizes(rows)
    signs = _signs(rows, (legs_a, charge_a, order_a), (legs_b, charge_b, order_b), bound, order)
    identity = tuple(range(len(out_legs)))
    return PairPlan(
        None if order_a == tuple(range(len(order_a))) else order_a,
        None if order_b == tuple(range(len(order_b))) else order_b,
        ProductPlan(rows, starts, weights, signs),
        out_legs,
        charge,
        layout(out_legs, charge).size,
        None if order == identity else order,
    )


def _signs(
    rows: np.ndarray,
    a: tuple[tuple[Leg, ...], Charge, tuple[int, ...]],
    b: tuple[tuple[Leg, ...], Charge, tuple[int, ...]],
    bound: tuple[tuple[int, int], ...],
    order: tuple[int, ...],
) -> np.ndarray | None:
    """The sign of every product of blocks of graded tensors; a, b: legs as stored, charge, which axes those are."""
    if not is_graded(a[0]) and not is_graded(b[0]):
        return None
    odd, flows = [], []
    for (legs, charge, stored), column in ((a, A_OFFSET), (b, B_OFFSET)):
        table = layout(legs, charge)
        blocks = np.searchsorted(table.offsets[:-1], rows[:, column])
        odd.append(parities(table)[blocks][:, np.argsort(stored)])
        flows.append([legs[stored.index(n)].flow for n in range(len(legs))])
    return pair_signs(odd[0], odd[1], flows[0], bound, order)


def _total_charge(
    a: tuple[tuple[Leg, ...], Charge], b: tuple[tuple[Leg, ...], Charge], out_legs: tuple[Leg, ...]
) -> Charge:
    """The fused charge; a tensor without legs has none (were it not the identity, the number is zero)."""
    if not out_legs:
        return ()
    (legs_a, charge_a), (legs_b, charge_b) = a, b
    if not legs_a or not legs_b:
        return charge_a if legs_a else charge_b
    (charge,) = legs_a[0].group.fuse(charge_a, charge_b)
    return charge


def _stored_order(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """Axes as (first, second); stored the other way round already means a transposed product, not a copy."""
    if second + first == tuple(range(len(first) + len(second))) and first and second:
        return second + first, 1
    return first + second, 0


def _tables(table: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return table.indices, table.offsets, table.shapes


def _axes(axes) -> np.ndarray:
    return np.array(tuple(axes), dtype=np.int64)


def _radix(legs: tuple[Leg, ...], axes) -> np.ndarray:
    return np.array([len(legs[n]) for n in axes], dtype=np.int64)


def _check_legs(legs_a: tuple[Leg, ...], legs_b: tuple[Leg, ...], bound: tuple[tuple[int, int], ...]) -> None:
    for i, j in bound:
        if legs_a[i] is not legs_b[j].dual:
            raise LegError(
                f"axis {i} of the first tensor, {legs_a[i]!r}, cannot be contracted with axis {j} of the second, "
                f"{legs_b[j]!r}: they need equal sectors and opposite flow."
            )


def _check_sizes(rows: np.ndarray) -> None:
    if rows.size and rows[:, [2, 3, 4, 7, 11, 15]].max() > MAX_SIZE:
        raise ShapeError("a block has a dimension of 2**31 or more, which BLAS cannot take: split the tensor.")
