"""From a sum of operator strings to the MPO of least bond dimension, exactly and sparsely.

At every bond the sum is a matrix: rows are (channel, operator on this site), columns the suffixes that
still have to come. It is split into channels (`mpo_channels`): one factor fills the site, the other goes
on. What has not started and what is finished keep channels of their own wherever that costs no bond
dimension, so that their environments are identities (Jordan form). Near an end of the chain the matrix has
fewer rows or columns than that would take, and the two are merged into the other channels. A channel to whose
right an odd number of fermionic operators still has to come carries the Jordan-Wigner string: on its site the
matrix is multiplied by F.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.backend import default_backend
from tnsim.networks.local_basis import LocalBasis
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_channels import Channel, combine, split_into_channels
from tnsim.networks.operator_suffixes import Suffixes, suffix_tables
from tnsim.networks.operator_terms import Expansion
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Group, Leg
from tnsim.tensor import Tensor, from_entries


@dataclass(frozen=True)
class Bond:
    """Channels of one bond: their charges, and which of them wait for the start or are finished (None: absent).

    The last component of a charge is the fermion parity of what was placed (equal to that of what is to come);
    it is no part of the leg.
    """

    charges: tuple[Charge, ...]
    start: int | None = None
    done: int | None = None

    @cached_property
    def order(self) -> np.ndarray:
        """Dense place of every channel: grouped by charge, their order kept."""
        order = np.empty(len(self.charges), dtype=np.int64)
        order[sorted(range(len(self.charges)), key=lambda c: self.charges[c])] = np.arange(len(self.charges))
        return order

    def leg(self, group: Group) -> Leg:
        charges = [charge[:-1] for charge in self.charges]
        sectors = sorted(set(charges))
        return Leg(group, sectors, [charges.count(charge) for charge in sectors])

    @property
    def odd(self) -> np.ndarray:
        """Which channels carry a Jordan-Wigner string."""
        return np.array([charge[-1] == 1 for charge in self.charges])


@dataclass(frozen=True)
class SitePlan:
    """Entries of one site: value[n] * operator[n] from channel left[n] to channel right[n]."""

    left: np.ndarray
    operator: np.ndarray
    right: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class _Pending:
    """The part of the sum still to be placed: value[n] of channel row[n] times suffix column[n]."""

    row: np.ndarray
    column: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class _Matrix:
    """The matrix of one bond: value[n] at row r[n], suffix c[n]; rows: (channel, operator); first: the row
    (not started, identity), or -1."""

    rows: np.ndarray
    r: np.ndarray
    c: np.ndarray
    v: np.ndarray
    first: int

    def part(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.r[chosen], self.c[chosen], self.v[chosen]


@dataclass(frozen=True)
class _Ends:
    """Where the two identity channels go: their own channel, or (start, done) merged into the others with weights."""

    own_start: bool
    own_done: bool
    start_weights: np.ndarray
    done_weights: np.ndarray


def build_mpo(expansion: Expansion, sites: tuple[Site, ...], hermitian: bool | None = None) -> MPO:
    """The MPO of an expansion; channel order on every bond: not started, the others, finished."""
    plans, bonds = plan_sites(expansion)
    group = sites[0].group
    legs = [bond.leg(group) for bond in bonds]
    dtype = np.complex128 if _is_complex(plans, expansion) else np.float64
    made: dict[tuple, Tensor] = {}
    tensors = []
    for i, plan in enumerate(plans):
        arrays = (plan.left, plan.operator, plan.right, plan.value)
        ends = (bonds[i].charges, bonds[i + 1].charges)
        key = (id(expansion.bases[i]), ends, *(array.tobytes() for array in arrays))
        if key not in made:
            entries = _site_entries(plan, bonds[i], bonds[i + 1], expansion.bases[i], dtype)
            tensor = from_entries(*entries, (legs[i], sites[i].leg, sites[i].leg.dual, legs[i + 1].dual))
            made[key] = tensor.to(default_backend())
        tensors.append(made[key])
    return MPO(tensors, sites, is_hermitian=hermitian)


def _site_entries(
    plan: SitePlan, left: Bond, right: Bond, basis: LocalBasis, dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (left, out, in, right) and values of the elements of one site tensor."""
    value = plan.value if dtype is np.complex128 else plan.value.real
    odd = right.odd[plan.right]
    places: list[np.ndarray] = [np.zeros((0, 4), dtype=np.int64)]
    values: list[np.ndarray] = [np.zeros(0, dtype=dtype)]
    for n, with_string in sorted(set(zip(plan.operator.tolist(), odd.tolist(), strict=True))):
        mine = np.flatnonzero((plan.operator == n) & (odd == with_string))
        matrix = basis.matrices[n] @ basis.site.string if with_string else basis.matrices[n]
        for out, into in np.argwhere(matrix != 0).tolist():
            ends = left.order[plan.left[mine]], right.order[plan.right[mine]]
            places.append(np.column_stack([ends[0], np.full_like(mine, out), np.full_like(mine, into), ends[1]]))
            values.append(value[mine] * matrix[out, into])
    return np.concatenate(places), np.concatenate(values).astype(dtype)


def _is_complex(plans: Sequence[SitePlan], expansion: Expansion) -> bool:
    return any((plan.value.imag != 0).any() for plan in plans) or any(
        np.iscomplexobj(basis.matrices[n])
        for plan, basis in zip(plans, expansion.bases, strict=True)
        for n in np.unique(plan.operator)
    )


def plan_sites(expansion: Expansion) -> tuple[list[SitePlan], list[Bond]]:
    """The MPO as symbols: entries of every site, channels of every bond (L + 1 of them)."""
    group = expansion.bases[0].site.operator_group
    tables, columns, values = suffix_tables(expansion)
    if not values.imag.any() and not any(table.weight.imag.any() for table in tables):
        values = values.real  # real arithmetic, so that no rounding makes the MPO complex
    pending = _Pending(np.zeros(len(columns), dtype=np.int64), columns, values)
    bonds, plans = [Bond((group.identity,), start=0)], []
    for table, basis in zip(tables[:-1], expansion.bases, strict=False):
        plan, pending, bond = _place(_matrix(pending, table, bonds[-1]), bonds[-1], basis.charges, group)
        plans.append(plan)
        bonds.append(bond)
    plans.append(_place_last(_matrix(pending, tables[-1], bonds[-1]), bonds[-1]))
    bonds.append(Bond((group.identity,), done=0))
    return plans, bonds


def _matrix(pending: _Pending, table: Suffixes, bond: Bond) -> _Matrix:
    """One step further: every pending suffix becomes operators on this site times suffixes behind it."""
    row, column, value = pending.row, pending.column, pending.value
    if table.single:
        operator, behind = table.operator[column], table.behind[column]
    else:
        counts = table.first[column + 1] - table.first[column]
        source = np.repeat(np.arange(len(column)), counts)
        inner = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        step = table.first[column[source]] + inner
        operator, behind = table.operator[step], table.behind[step]
        row = row[source]
        value = value[source] * (table.weight[step] if np.iscomplexobj(value) else table.weight[step].real)
    width = int(operator.max(initial=0)) + 1
    keys, r = np.unique(row * width + operator, return_inverse=True)
    rows = np.column_stack([keys // width, keys % width])
    first = -1 if bond.start is None else int(np.searchsorted(keys, bond.start * width))
    first = first if 0 <= first < len(keys) and keys[first] == bond.start * width else -1  # type: ignore[operator]
    if not table.single:
        r, behind, value = _merged(r, behind, value)
    return _Matrix(rows, r, behind, value, first)


def _merged(r: np.ndarray, c: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements at equal places added up; those that cancel are dropped."""
    width = int(c.max(initial=0)) + 1
    keys, place = np.unique(r * width + c, return_inverse=True)
    total, size = np.zeros(len(keys), dtype=v.dtype), np.zeros(len(keys))
    np.add.at(total, place, v)
    np.add.at(size, place, np.abs(v))
    kept = np.abs(total) > 1e-15 * size
    return keys[kept] // width, keys[kept] % width, total[kept]


def _place(matrix: _Matrix, bond: Bond, op_charges: Sequence[Charge], group: Group):
    """Fill one site: its entries, what remains, and the next bond."""
    waiting, finished = matrix.r == matrix.first, matrix.c == 0
    channels = split_into_channels(*matrix.part(~waiting & ~finished))
    charges = [group.fuse(bond.charges[a], op_charges[n])[0] for a, n in (matrix.rows[x.rows[0]] for x in channels)]
    neutral = [k for k, charge in enumerate(charges) if charge == group.identity]
    ends = _ends(matrix, [channels[k] for k in neutral], bond)
    shift = int(ends.own_start)
    done = shift + len(channels) if ends.own_done else None
    charges = [group.identity] * shift + charges + [group.identity] * ends.own_done
    entries = [(x.rows, shift + k, x.weights) for k, x in enumerate(channels)]
    pending = [(shift + k, x.columns, x.values) for k, x in enumerate(channels)]
    if ends.own_start:
        entries.append((np.array([matrix.first]), 0, np.ones(1)))
        mine = waiting if done is None else waiting & ~finished
        pending.append((0, matrix.c[mine], matrix.v[mine]))
    else:
        first, weights = np.array([matrix.first]), zip(neutral, ends.start_weights, strict=True)
        entries += [(first, shift + k, np.array([x])) for k, x in weights if x != 0]
    if done is not None:
        entries.append((matrix.r[finished], done, matrix.v[finished]))
    else:
        zero = np.zeros(1, dtype=np.int64)
        pending += [(shift + k, zero, np.array([z])) for k, z in zip(neutral, ends.done_weights, strict=True) if z != 0]
    plan = _plan(matrix, entries)
    if bond.done is not None and done is not None:
        plan = _with_entry(plan, bond.done, done)
    next_bond = Bond(tuple(charges) or (group.identity,), 0 if ends.own_start else None, done)
    return plan, _joined(pending, matrix.v.dtype), next_bond


def _ends(matrix: _Matrix, channels: Sequence[Channel], bond: Bond) -> _Ends:
    """Decide whether the two identity channels stand alone: only where they raise the rank.

    With the matrix written as [[a, b], [c, U V]] (first row: not started; first column: finished), b has
    to be a combination of the rows of V, c one of the columns of U, to be merged; if both are, a decides.
    Only channels without charge (`channels`) can take part.
    """
    waiting, finished = matrix.r == matrix.first, matrix.c == 0
    none = np.zeros(len(channels))
    _, c, b = matrix.part(waiting & ~finished)
    constant = matrix.v[waiting & finished].sum()
    start_weights = combine([(x.columns, x.values) for x in channels], c, b)
    own_start = start_weights is None
    if bond.done is not None:
        return _Ends(own_start, True, none if start_weights is None else start_weights, none)
    r, _, v = matrix.part(~waiting & finished)
    done_weights = combine([(x.rows, x.weights) for x in channels], r, v)
    own_done = done_weights is None
    if start_weights is not None and done_weights is not None:
        size = abs(constant) + np.abs(start_weights) @ np.abs(done_weights)
        own_done = bool(abs(constant - start_weights @ done_weights) > 1e-14 * size)
    return _Ends(
        own_start,
        own_done,
        none if start_weights is None else start_weights,
        none if done_weights is None or own_done else done_weights,
    )


def _plan(matrix: _Matrix, entries: Sequence[tuple[np.ndarray, int, np.ndarray]]) -> SitePlan:
    if not entries:
        empty = np.zeros(0, dtype=np.int64)
        return SitePlan(empty, empty, empty, np.zeros(0))
    rows = np.concatenate([rows for rows, _, _ in entries])
    right = np.repeat([channel for _, channel, _ in entries], [len(rows) for rows, _, _ in entries])
    left, operator = matrix.rows[rows].T if len(rows) else (rows, rows)
    return SitePlan(left, operator, right, np.concatenate([weights for _, _, weights in entries]))


def _with_entry(plan: SitePlan, left: int, right: int) -> SitePlan:
    """The finished channel goes on with an identity."""
    return SitePlan(
        np.append(plan.left, left),
        np.append(plan.operator, 0),
        np.append(plan.right, right),
        np.append(plan.value, 1.0),
    )


def _joined(parts: Sequence[tuple[int, np.ndarray, np.ndarray]], dtype: np.dtype) -> _Pending:
    if not parts:
        return _Pending(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=dtype))
    row = np.repeat([channel for channel, _, _ in parts], [len(columns) for _, columns, _ in parts])
    return _Pending(row, np.concatenate([columns for _, columns, _ in parts]), np.concatenate([v for _, _, v in parts]))


def _place_last(matrix: _Matrix, bond: Bond) -> SitePlan:
    """The last site closes everything in the one channel of the right end."""
    plan = _plan(matrix, [(matrix.r, 0, matrix.v)])
    return plan if bond.done is None else _with_entry(plan, bond.done, 0)
