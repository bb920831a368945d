"""Gates on two neighbouring sites in centre blocks: applied and cut in a few compiled calls.

     t    u
 .--[ gate ]--.
     s    v            theta(l t, u r) = sum gate(t u, s v) A(l s m) B(m v r)
l--[A]--m--[B]--r
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tnsim.backend import Array
from tnsim.errors import ShapeError
from tnsim.kernels.table import (
    A_BUFFER,
    A_OFFSET,
    A_STRIDE,
    ADD,
    ADJOINT,
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
    TASK,
    K,
    M,
    N,
)
from tnsim.networks.effective import TwoSiteHamiltonian, run
from tnsim.networks.effective_plans import (
    LEFT,
    RIGHT,
    HalfPlan,
    Panels,
    Rows,
    TwoSitePlan,
    center_leg,
    join_plan,
    panels,
)
from tnsim.networks.gates import gate_tensor
from tnsim.networks.site_operator import SiteOperator
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg, layout
from tnsim.tensor import Tensor, entries_of

_NOTHING = np.zeros((0, 0), dtype=np.int64)
_NO_ROWS = Rows(np.zeros((0, COLUMNS), dtype=np.int64), np.zeros(0), np.zeros(1, dtype=np.int64), np.zeros(0))


@dataclass(frozen=True, eq=False)
class GatePattern:
    """Which elements (out, out, in, in) of a gate are not zero, on two physical legs; equal ones are one object."""

    first: Leg
    second: Leg
    entries: np.ndarray


@dataclass(frozen=True, eq=False)
class TwoSiteGate:
    """The non-zero elements of a gate on two sites."""

    pattern: GatePattern
    values: np.ndarray


_patterns: dict[tuple, GatePattern] = {}


def two_site_gate(matrix: np.ndarray, sites: Sequence[Site]) -> TwoSiteGate:
    """A gate from its matrix in the Kronecker basis of two sites, rows out.

    Raises ShapeError for another size, ChargeError where it breaks a conserved charge, OperatorError where it breaks
    the fermion parity.

    >>> from tnsim.networks.sites import spin_sites
    >>> len(two_site_gate(np.eye(4)[[0, 2, 1, 3]], spin_sites(2)).values)
    4
    """
    size = sites[0].dim * sites[1].dim
    if matrix.shape != (size, size):
        raise ShapeError(
            f"a gate on sites of {sites[0].dim} and {sites[1].dim} states has shape {(size, size)}, found "
            f"{matrix.shape}."
        )
    entries, values = entries_of(gate_tensor(matrix, sites))
    there = np.abs(values) > np.finfo(values.dtype).eps * np.abs(values).max(initial=0.0)
    entries, values = np.ascontiguousarray(entries[there]), values[there]
    key = (sites[0].leg, sites[1].leg, entries.tobytes())
    if key not in _patterns:
        _patterns[key] = GatePattern(sites[0].leg, sites[1].leg, entries)
    return TwoSiteGate(_patterns[key], values)


class TwoSites(TwoSiteHamiltonian):
    """Two sites in centre blocks, without environments: what a gate acts on, and what `split_two_site` cuts."""

    def __init__(self, first: Tensor, second: Tensor) -> None:
        self.backend, self.dtype = first.backend, first.dtype
        self.known = first.legs[2].dual
        (left, phys_left, _), (_, phys_right, right) = first.legs, second.legs
        self.plan = _frame(left.with_flow(1), phys_left, phys_right, right.with_flow(1))

    def transform(self, theta: Array, gate: TwoSiteGate) -> Array:
        """The gate on theta: cost O(elements of the gate) copies of a part of theta each."""
        left, right = self.plan.left, self.plan.right
        plan, entry = _gate_rows(left.bond, gate.pattern, right.bond)
        out = self.backend.zeros(self.plan.size, self.dtype)
        alphas = gate.values.astype(self.dtype)[entry]
        run(Rows(plan.rows, alphas, plan.starts, plan.weights), (theta, out), self.backend)
        return out

    def onto_first(self, theta: Array, second: Tensor) -> Tensor:
        """theta times the adjoint of a right-isometric site: a site tensor left of it."""
        left, right, bond = self.plan.left, self.plan.right, second.legs[0]
        phys = left.operator.phys
        plan = _onto_first_plan(left.bond, phys, bond, right.operator.phys, right.bond, self.dtype.char)
        legs = (left.bond, phys, bond.dual)
        data = self.backend.zeros(layout(legs, bond.group.identity).size, self.dtype)
        run(plan, (theta, second.data, data), self.backend)
        return Tensor(legs, data)


@lru_cache(maxsize=2048)
def _onto_first_plan(left: Leg, phys_left: Leg, bond: Leg, phys_right: Leg, right: Leg, dtype: str) -> Rows:
    """A(buffer 2) += theta(0) B(1)^dagger: the rows of `join_plan` turned round."""
    join = join_plan(left, phys_left, bond, phys_right, right, dtype)
    old, rows = join.rows, join.rows.copy()
    rows[:, N], rows[:, K], rows[:, B_TRANSPOSE] = old[:, K], old[:, N], ADJOINT
    rows[:, A_BUFFER], rows[:, A_OFFSET], rows[:, A_STRIDE] = 0, old[:, C_OFFSET], old[:, C_STRIDE]
    rows[:, C_BUFFER], rows[:, C_OFFSET], rows[:, C_STRIDE] = 2, old[:, A_OFFSET], old[:, A_STRIDE]
    return replace(join, rows=rows)


@lru_cache(maxsize=2048)
def _frame(left: Leg, phys_left: Leg, phys_right: Leg, right: Leg) -> TwoSitePlan:
    """Centre blocks between two bonds (flow +1 both); no operator, so no terms."""
    center = center_leg(left, phys_left, phys_right, right)
    a, b = _side(LEFT, left, phys_left, center), _side(RIGHT, right, phys_right, center)
    sizes = np.column_stack([a.panels.sizes, b.panels.sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes[:, 0] * sizes[:, 1])])[:-1]
    # what splitting a block costs stands for the product: threads are shared out by it
    costs = 2.0 * sizes[:, 0] * sizes[:, 1] * sizes.min(axis=1)
    work = Rows(_NO_ROWS.rows, _NO_ROWS.alphas, np.zeros(len(sizes) + 1, dtype=np.int64), costs)
    return TwoSitePlan(a, b, work, np.column_stack([offsets, sizes]).astype(np.int64))


def _side(side: str, bond: Leg, phys: Leg, center: Leg) -> HalfPlan:
    fused = panels(side, bond, phys, center)
    return HalfPlan(side, bond, _bare(phys), center, fused, _NOTHING, _NO_ROWS.alphas, _NOTHING, _NO_ROWS)


@lru_cache(maxsize=256)
def _bare(phys: Leg) -> SiteOperator:
    """A site without an operator."""
    one = Leg(phys.group, [phys.group.identity], [1])
    return SiteOperator(one, phys, one.dual, _NOTHING, _NO_ROWS.alphas, (0, 0), (0, 0))


@lru_cache(maxsize=2048)
def _gate_rows(left: Leg, pattern: GatePattern, right: Leg) -> tuple[Rows, np.ndarray]:
    """Rows theta'(buffer 1) += element * theta(0) on strided parts of centre blocks, and the element of each row.

    One row for every element and every pair of bond sectors that the charge allows; one task a target block.
    """
    center = center_leg(left, pattern.first, pattern.second, right)
    a, b = panels(LEFT, left, pattern.first, center), panels(RIGHT, right, pattern.second, center)
    out_a, out_b, in_a, in_b = pattern.entries.T
    source = _blocks_of(a, b, pattern, in_a, in_b)
    target = _blocks_of(a, b, pattern, out_a, out_b)
    entry, x, z = np.nonzero((source >= 0) & (target >= 0))
    into = target[entry, x, z]
    order = np.argsort(into, kind="stable")
    entry, x, z, into = entry[order], x[order], z[order], into[order]
    rows = np.zeros((len(entry), COLUMNS), dtype=np.int64)
    rows[:, KIND], rows[:, TASK] = ADD, into
    rows[:, M], rows[:, N] = left.dims_array[x], right.dims_array[z]
    starts_of_blocks = np.concatenate([[0], np.cumsum(a.sizes * b.sizes)])
    for columns, states, block in (
        ((B_OFFSET, B_STRIDE, B_STEP), (in_a, in_b), source[entry, x, z]),
        ((C_OFFSET, C_STRIDE, C_STEP), (out_a, out_b), into),
    ):
        width = b.sizes[block]
        (p, at, many), (q, at_right, _) = (
            _state(pattern.first, states[0][entry]),
            _state(pattern.second, states[1][entry]),
        )
        row, column = a.start[x, p] + at, b.start[z, q] + at_right * right.dims_array[z]
        rows[:, columns[0]] = starts_of_blocks[block] + row * width + column
        rows[:, columns[1]], rows[:, columns[2]] = many * width, 1
    rows[:, B_BUFFER], rows[:, C_BUFFER] = 0, 1
    starts = np.searchsorted(into, np.arange(len(center) + 1))
    weights = np.bincount(into, weights=2.0 * rows[:, M] * rows[:, N], minlength=len(center))
    return Rows(rows, _NO_ROWS.alphas, starts, weights), entry


def _state(phys: Leg, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sector, place in it and its dimension, for states of a site."""
    sector = np.repeat(np.arange(len(phys)), phys.dims_array)[states]
    return sector, states - phys.starts[sector], phys.dims_array[sector]


def _blocks_of(a: Panels, b: Panels, pattern: GatePattern, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Centre block for every (element, left sector, right sector), -1 where the charges do not meet."""
    p, q = _state(pattern.first, first)[0], _state(pattern.second, second)[0]
    left, right = a.sector[:, p].T[:, :, None], b.sector[:, q].T[:, None, :]
    return np.where((left == right) & (left >= 0), left, -1)
