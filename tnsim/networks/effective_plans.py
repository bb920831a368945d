"""Plans for two sites between two environments: everything that follows from legs and operators alone."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from tnsim.kernels.cpu import diagonal, growth, half_terms, hamiltonian, reflection, sectors
from tnsim.kernels.cpu.layout import longest_first
from tnsim.networks.plan_cache import PlanCache
from tnsim.networks.reflection import ChannelImages, Mirror, SiteReflection, images
from tnsim.networks.site_operator import SiteOperator
from tnsim.symmetry import Layout, Leg, layout

LEFT, RIGHT = "left", "right"
# adding a number takes as long as so many flops of a product
ADDED = 16.0
# flops in a second with blocks of the sizes where it matters whether threads pay, and what a row takes beside its flops
RATE, _ROW = 2e10, 5e-8
# a task is most of the work with more than this share of the flops
_LONE = 0.7
# the plans whose rows count products: molecules have tens of MB in each
keep_plan = PlanCache(2**30)

_NO_IMAGES = np.zeros(0, dtype=np.int64)
# of an environment that grows: the site's reflection, that of its channels, and the even states of the new bond
Growth = tuple[SiteReflection, ChannelImages, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Rows:
    """A product plan with coefficients and the size of its work buffer; see `kernels/table.py`."""

    rows: np.ndarray
    alphas: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    work: int = 0
    size: int = 0

    @cached_property
    def flops(self) -> float:
        return float(self.weights.sum())

    @cached_property
    def seconds(self) -> float:
        """About what the plan takes on one thread of a machine of today, near where threads begin to pay."""
        return self.flops / RATE + _ROW * len(self.rows)

    @cached_property
    def is_lone(self) -> bool:
        """Whether one task is most of the work: the other threads would be idle, so BLAS shares it out instead."""
        return bool(self.weights.max() > _LONE * self.flops)

    @cached_property
    def order(self) -> np.ndarray:
        """The order in which tasks are claimed."""
        return longest_first(self.weights)

    @property
    def nbytes(self) -> int:
        """Memory of the plan."""
        return self.rows.nbytes + self.alphas.nbytes


@dataclass(frozen=True, eq=False)
class Panels:
    """Where every (bond sector, physical sector) pair lies in the centre sectors: sector, start, sizes."""

    sector: np.ndarray
    start: np.ndarray
    sizes: np.ndarray

    @property
    def table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.sector, self.start, self.sizes


@dataclass(frozen=True, eq=False)
class HalfPlan:
    """One environment with the site next to it, as terms on the fused (bond, physical) index.

    alphas: coefficients of the terms, complex in double precision whatever the dtype of the plan.
    """

    side: str
    bond: Leg
    operator: SiteOperator
    center: Leg
    panels: Panels
    terms: np.ndarray
    alphas: np.ndarray
    groups: np.ndarray
    build: Rows

    @property
    def dtype(self) -> np.dtype:
        """That of the numbers which the plan is for."""
        return self.build.alphas.dtype

    @property
    def nbytes(self) -> int:
        """Memory of the plan."""
        return self.terms.nbytes + self.alphas.nbytes + self.groups.nbytes + self.build.nbytes


@dataclass(frozen=True, eq=False)
class Folding:
    """What a reflection makes of the centre blocks: the image of every sector, the runs of rows (left) and columns
    (right) that it moves together, and how many rows of every block have to be computed."""

    mirror: Mirror
    images: np.ndarray
    left: np.ndarray
    right: np.ndarray
    heights: np.ndarray

    @cached_property
    def copies(self) -> np.ndarray:
        """For how many sectors each stands: none if it is the image of one before it."""
        numbers = np.arange(len(self.images))
        return 1 + np.sign(self.images - numbers)


@dataclass(frozen=True, eq=False)
class TwoSitePlan:
    """The effective Hamiltonian of two sites: both halves, the matrix-vector product, the centre blocks.

    blocks: (offset, rows, cols) of every centre sector of the two-site tensor; folding: where a reflection is used.
    """

    left: HalfPlan
    right: HalfPlan
    matvec: Rows
    blocks: np.ndarray
    folding: Folding | None = None

    @cached_property
    def size(self) -> int:
        return int((self.blocks[:, 1] * self.blocks[:, 2]).sum())

    @property
    def nbytes(self) -> int:
        """Memory of the plan and of its halves."""
        return self.matvec.nbytes + self.left.nbytes + self.right.nbytes


def environment_legs(side: str, bond: Leg, operator_leg: Leg) -> tuple[Leg, Leg, Leg]:
    """Legs (bra, op, ket) of a half; `bond` and `operator_leg` are those of the site it will meet."""
    return bond.with_flow(1 if side == LEFT else -1), operator_leg.dual, bond.with_flow(-1 if side == LEFT else 1)


def unit_leg(leg: Leg) -> Leg:
    """The same charges with dimension 1: a key for what depends on the charges only."""
    return Leg.from_keys(leg.group, leg.keys, np.ones(len(leg), dtype=np.int64))


@lru_cache(maxsize=2048)
def fused_keys(side: str, bond: Leg, phys: Leg) -> np.ndarray:
    """Charge on the centre bond of every (bond, physical) pair, seen from the left or the right."""
    return sectors.fused_keys(bond.keys, phys.keys, 1 if side == LEFT else -1, bond.group.moduli_array)


@lru_cache(maxsize=2048)
def center_leg(left: Leg, phys_left: Leg, phys_right: Leg, right: Leg) -> Leg:
    """The charges that the bond between two sites can carry, each with dimension 1."""
    keys = sectors.common_keys(fused_keys(LEFT, left, phys_left), fused_keys(RIGHT, right, phys_right))
    return Leg.from_keys(left.group, keys, np.ones(len(keys), dtype=np.int64))


@lru_cache(maxsize=2048)
def panels(side: str, bond: Leg, phys: Leg, center: Leg) -> Panels:
    """Panels of a fused leg for the charges of `center`.

    They are sorted by the last component of the bond's charge, most often a spin: of a sector that is its own
    reflection the first half is then the image of the second.
    """
    charges = np.array(bond.charges, dtype=np.int64).reshape(len(bond), -1)
    order = np.lexsort(charges.T) if charges.shape[1] > 1 else np.arange(len(bond))
    keys = fused_keys(side, bond, phys)
    return Panels(*sectors.panels(keys, bond.dims_array, phys.dims_array, center.keys, order))


@lru_cache(maxsize=256)
def _states(phys: Leg) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sector of every state, its place in the sector, and the sector dimensions."""
    sector = np.repeat(np.arange(len(phys)), phys.dims_array)
    within = np.arange(phys.dim) - phys.starts[sector]
    return sector.astype(np.int64), within.astype(np.int64), phys.dims_array


def rows_of(dtype: np.dtype, rows: np.ndarray, alphas: np.ndarray, *rest: Any) -> Rows:
    """What an integer kernel wrote, for numbers of a dtype: it is compiled for complex coefficients alone."""
    return Rows(rows, (alphas if dtype.kind == "c" else alphas.real).astype(dtype), *rest)


def _tables(table: Layout) -> tuple[np.ndarray, np.ndarray]:
    return table.indices, table.offsets


@keep_plan
def half_plan(side: str, bond: Leg, operator: SiteOperator, center: Leg, dtype: str) -> HalfPlan:
    """Terms of an environment on `bond` and the operator next to it, for the charges of `center`."""
    is_left = side == LEFT
    fused = panels(side, bond, operator.phys, center)
    source, target = (operator.left, operator.right) if is_left else (operator.right, operator.left)
    legs = environment_legs(side, bond, source)
    order = [0, 1, 2, 3] if is_left else [1, 0, 2, 3]
    terms, alphas, groups, rows, row_alphas, starts, added, size = half_terms.half_terms(
        (*_tables(layout(legs, bond.group.identity)), source.starts, source.dims_array),
        np.ascontiguousarray(operator.entries[:, order]),
        operator.values.astype(np.complex128),
        _states(operator.phys),
        fused.table,
        bond.dims_array,
        is_left,
        operator.unit_left[0] if is_left else operator.unit_right[1],
        target.dim,
    )
    build = rows_of(np.dtype(dtype), rows, row_alphas, starts, ADDED * added, 0, max(1, size))
    return HalfPlan(side, bond, operator, center, fused, terms, alphas, groups, build)


@keep_plan
def two_site_plan(
    left: Leg, first: SiteOperator, second: SiteOperator, right: Leg, dtype: str, symmetric: bool,
    mirror: Mirror | None = None,
) -> TwoSitePlan:  # fmt: skip
    """The effective Hamiltonian between the bonds `left` and `right` (flow +1 both); symmetric: as a matrix.

    mirror: half of the result is computed, the rest is its reflection.
    """
    center = center_leg(left, first.phys, second.phys, right)
    a = half_plan(LEFT, left, first, center, dtype)
    b = half_plan(RIGHT, right, second, center, dtype)
    sizes = np.column_stack([a.panels.sizes, b.panels.sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes[:, 0] * sizes[:, 1])])[:-1]
    folding = None if mirror is None else _folding(a, b, mirror)
    heights = a.panels.sizes if folding is None else folding.heights
    rows, alphas, starts, weights, work = hamiltonian.matvec_rows(
        a.terms, a.alphas, a.groups, b.terms, b.alphas, b.groups, a.panels.sizes, b.panels.sizes, symmetric, heights
    )
    if folding is not None:
        rows, alphas, starts = reflection.with_images(
            rows, alphas, starts, folding.left, folding.right, folding.images, heights, offsets, a.panels.sizes,
            b.panels.sizes,
        )  # fmt: skip
    product = rows_of(a.dtype, rows, alphas, starts, weights, work)
    return TwoSitePlan(a, b, product, np.column_stack([offsets, sizes]).astype(np.int64), folding)


def _folding(a: HalfPlan, b: HalfPlan, mirror: Mirror) -> Folding:
    """What a reflection makes of the blocks between two halves."""
    factors = mirror.sites[0].factors
    center = images(a.center, factors)
    left, right = (
        _runs(half, site, even, factors) for half, site, even in zip((a, b), mirror.sites, mirror.even, strict=True)
    )
    return Folding(mirror, center, left, right, reflection.heights(left, center, a.panels.sizes))


def _runs(half: HalfPlan, site: SiteReflection, even: tuple[int, ...], factors: tuple[int, ...]) -> np.ndarray:
    bond = half.bond.dims_array, images(half.bond, factors), np.array(even, dtype=np.int64)
    fused = half.panels.sector, half.panels.start
    return reflection.runs(*fused, bond, _states(half.operator.phys), (site.place, site.sign), half.side == LEFT)


@keep_plan
def diagonal_plan(plan: TwoSitePlan) -> Rows:
    """The diagonal of the effective Hamiltonian of two sites."""
    a, b = plan.left, plan.right
    rows = diagonal.diagonal_rows(
        a.terms, a.alphas, a.groups, b.terms, b.alphas, b.groups, a.panels.sizes, b.panels.sizes
    )
    return rows_of(a.dtype, *rows)


@keep_plan
def noise_plan(half: HalfPlan, other_sizes: tuple[int, ...], folding: Folding | None = None) -> Rows:
    """Gram matrices of all products of one half with the two-site tensor; with a folding, none of images."""
    other = np.array(other_sizes, dtype=np.int64)
    is_left = half.side == LEFT
    n_left, n_right = (half.panels.sizes, other) if is_left else (other, half.panels.sizes)
    heights = n_left if folding is None else folding.heights
    rows = hamiltonian.noise_rows(half.terms, half.alphas, half.groups, n_left, n_right, is_left, heights)
    return rows_of(half.dtype, *rows)


@keep_plan
def environment_plan(half: HalfPlan, bond: Leg, mirror: Growth | None = None) -> tuple[Rows, tuple[Leg, Leg, Leg]]:
    """The environment beyond the half's site, on the new `bond` (flow +1), and its legs."""
    operator, is_left = half.operator, half.side == LEFT
    op_leg = operator.right if is_left else operator.left
    legs = environment_legs(half.side, bond, op_leg.dual)
    goals, channels, even = bond.dims_array, _NO_IMAGES, bond.dims_array
    if mirror is not None:
        site, known, counts = mirror
        goals, even = images(bond, site.factors), np.array(counts, dtype=np.int64)
        channels = known.right if is_left else known.left
    # the next site's operator leg is the dual of this site's
    table = layout(legs, bond.group.identity)
    rows, alphas, starts, weights, work = growth.environment_rows(
        half.terms, half.alphas, half.groups, half.panels.sizes,
        (*_tables(table), op_leg.starts, op_leg.dims_array),
        (bond.dims_array, goals, even), np.searchsorted(half.center.keys, bond.keys),
        (operator.unit_left[1], operator.mates[0], channels) if is_left
        else (operator.unit_right[0], operator.mates[1], channels),
    )  # fmt: skip
    return rows_of(half.dtype, rows, alphas, starts, weights, work, table.size), legs


@lru_cache(maxsize=512)
def join_plan(left: Leg, phys_left: Leg, bond: Leg, phys_right: Leg, right: Leg, dtype: str) -> Rows:
    """Two site tensors into centre blocks, theta = A B (all bonds with flow +1)."""
    center = center_leg(left, phys_left, phys_right, right)
    a, b = panels(LEFT, left, phys_left, center), panels(RIGHT, right, phys_right, center)
    rows, starts, weights, offsets = sectors.join_rows(
        *_tables(_site_layout(left, phys_left, bond)), *_tables(_site_layout(bond, phys_right, right)),
        bond.dims_array, a.table, b.table, left.dims_array, phys_left.dims_array, phys_right.dims_array,
        right.dims_array, _center_sectors(center, bond),
    )  # fmt: skip
    return Rows(rows, np.ones(len(rows), dtype=dtype), starts, weights, size=int(offsets[-1]))


@lru_cache(maxsize=512)
def project_plan(left: Leg, phys_left: Leg, bond: Leg, phys_right: Leg, right: Leg, dtype: str) -> Rows:
    """A two-site residual back onto the right site, A^dagger r."""
    center = center_leg(left, phys_left, phys_right, right)
    join = join_plan(left, phys_left, bond, phys_right, right, dtype)
    a, b = panels(LEFT, left, phys_left, center), panels(RIGHT, right, phys_right, center)
    rows, size = sectors.project_rows(join.rows, bond.dims_array, _center_sectors(center, bond), a.sizes, b.sizes)
    return Rows(rows, join.alphas, join.starts, join.weights, size=size)


def _center_sectors(center: Leg, bond: Leg) -> np.ndarray:
    """The centre sector of every bond sector, -1 where there is none."""
    spots = np.searchsorted(center.keys, bond.keys)
    spots[center.keys[np.minimum(spots, len(center) - 1)] != bond.keys] = -1
    return spots


def _site_layout(left: Leg, phys: Leg, right: Leg) -> Layout:
    return layout((left.with_flow(1), phys.with_flow(1), right.with_flow(-1)), left.group.identity)


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """Two-site tensor and kept basis into two sites: what is done, the sites' legs, and the sizes of their data."""

    rows: Rows
    legs: tuple[tuple[Leg, Leg, Leg], tuple[Leg, Leg, Leg]]
    sizes: tuple[int, int]


@lru_cache(maxsize=512)
def split_plan(
    left: Leg,
    phys_left: Leg,
    bond: Leg,
    phys_right: Leg,
    right: Leg,
    rightwards: bool,
    dtype: str,
) -> SplitPlan:
    """Two-site tensor and kept basis into site tensors; `rows.size` is that of the isometry Q."""
    center = center_leg(left, phys_left, phys_right, right)
    a, b = panels(LEFT, left, phys_left, center), panels(RIGHT, right, phys_right, center)
    first, second = _site_layout(left, phys_left, bond), _site_layout(bond, phys_right, right)
    rows, starts, weights, size = sectors.split_rows(
        np.searchsorted(center.keys, bond.keys), a.table, b.table,
        left.dims_array, phys_left.dims_array, phys_right.dims_array, right.dims_array,
        _tables(first), _tables(second), bond.dims_array, rightwards,
    )  # fmt: skip
    legs = (left, phys_left, bond.dual), (bond, phys_right, right.dual)
    return SplitPlan(
        Rows(rows, np.ones(len(rows), dtype=dtype), starts, weights, size=int(size)), legs, (first.size, second.size)
    )


@lru_cache(maxsize=512)
def isometry_plan(side: str, outer: Leg, phys: Leg, bond: Leg, center: Leg, dtype: str) -> Rows:
    """The isometry Q of a site tensor: rows the fused (outer, physical) index, columns the bond."""
    is_left = side == LEFT
    table = _site_layout(outer, phys, bond) if is_left else _site_layout(bond, phys, outer)
    fused = panels(side, outer, phys, center)
    rows, size = sectors.gather_rows(
        *_tables(table), 2 if is_left else 0, np.searchsorted(center.keys, bond.keys), fused.table,
        outer.dims_array, phys.dims_array, bond.dims_array, not is_left,
    )  # fmt: skip
    return Rows(rows, np.ones(len(rows), dtype=dtype), np.array([0, len(rows)]), np.ones(1), size=int(size))
