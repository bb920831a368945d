"""From a sum of operator strings to the MPO of least bond dimension, exactly and sparsely.

At every bond the sum is a matrix: rows are (channel, operator on this site), columns the strings that
still have to come. It is split as U V: U fills the site, V goes on. The strings that have not started and
those that are finished keep channels of their own, so that their environments are identities. Each
connected part of the rest is covered by as few rows and columns as possible (minimum vertex cover, which
keeps single operators single); where its rank is smaller than that, by linearly independent rows.
Sources: J. Ren, W. Li, T. Jiang, Z. Shuai, J. Chem. Phys. 153, 084118 (2020), section II; C. Hubig,
I. P. McCulloch, U. Schollwoeck, Phys. Rev. B 95, 035129 (2017), section III.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

from tnsim.networks.mpo import MPO
from tnsim.networks.operator_terms import Expansion
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Group, Leg
from tnsim.tensor import from_dense

# rows are called dependent where the rest is below this share of the largest element
_RANK_TOLERANCE = 1e-13


@dataclass
class _Pending:
    """The part of the sum still to be placed: value[n] of channel row[n] times string column[n]."""

    row: np.ndarray
    column: np.ndarray
    value: np.ndarray


@dataclass
class _Strings:
    """Suffixes of all strings at one bond: the operator on the next site and the suffix behind it."""

    operator: np.ndarray
    rest: np.ndarray


@dataclass
class _Bond:
    """Channels of one bond: their charges, and which of them wait for the start or are finished (None: absent)."""

    charges: list[Charge]
    start: int | None
    done: int | None

    def leg(self, group: Group) -> tuple[np.ndarray, Leg]:
        """Dense place of every channel, and the leg: channels grouped by charge, their order kept."""
        sectors = sorted(set(self.charges))
        order = np.empty(len(self.charges), dtype=np.int64)
        order[sorted(range(len(self.charges)), key=lambda c: self.charges[c])] = np.arange(len(self.charges))
        return order, Leg(group, sectors, [self.charges.count(charge) for charge in sectors])


def build_mpo(expansion: Expansion, sites: tuple[Site, ...], hermitian: bool | None = None) -> MPO:
    """The MPO of an expansion; channel order on every bond: not started, the others, finished."""
    group, is_complex = sites[0].group, _is_complex(expansion)
    suffixes, first, values = _suffixes(expansion, len(sites))
    values = values if is_complex else values.real
    pending = _Pending(np.zeros(len(first), dtype=np.int64), first, values)
    bond = _Bond([group.identity], 0, None)
    order, leg = bond.leg(group)
    tensors = []
    for i, site in enumerate(sites):
        basis = expansion.bases[i]
        place = _place_last if i == len(sites) - 1 else _place
        entries, pending, bond = place(pending, suffixes[i], bond, basis.charges, group)
        right_order, right_leg = bond.leg(group)
        w = np.zeros((leg.dim, site.dim, site.dim, right_leg.dim), dtype=np.complex128 if is_complex else np.float64)
        for a, n, c, value in entries:
            w[order[a], :, :, right_order[c]] += value * basis.matrices[n]
        tensors.append(from_dense(w, (leg, site.leg, site.leg.dual, right_leg.dual)))
        order, leg = right_order, right_leg
    return MPO(tensors, sites, is_hermitian=hermitian)


def _is_complex(expansion: Expansion) -> bool:
    if any(complex(c).imag != 0 for c in expansion.coefficients.values()):
        return True
    used = {(i, n) for string in expansion.coefficients for i, n in string}
    return any(np.iscomplexobj(expansion.bases[i].matrices[n]) for i, n in used)


def _suffixes(expansion: Expansion, length: int) -> tuple[list[_Strings], np.ndarray, np.ndarray]:
    """Numbered suffixes at every site; suffix 0 is 'only identities from here on'."""
    strings = sorted(expansion.coefficients)
    values = np.array([expansion.coefficients[string] for string in strings])
    lookups = [dict(string) for string in strings]
    current = np.zeros(len(strings), dtype=np.int64)
    tables: list[_Strings] = []
    for i in range(length - 1, -1, -1):
        operator = np.array([lookup.get(i, 0) for lookup in lookups], dtype=np.int64)
        pairs = np.concatenate([np.zeros((1, 2), dtype=np.int64), np.column_stack([operator, current])])
        unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
        inverse = inverse.ravel()
        tables.append(_Strings(unique[:, 0], unique[:, 1]))
        current = inverse[1:]
    return tables[::-1], current, values


def _rows(pending: _Pending, strings: _Strings) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(channel, operator) of every row, and the matrix as row numbers, columns (suffixes behind), values."""
    operator, rest = strings.operator[pending.column], strings.rest[pending.column]
    rows, row_of = np.unique(np.column_stack([pending.row, operator]), axis=0, return_inverse=True)
    return rows, row_of.ravel(), rest, pending.value


def _place(pending: _Pending, strings: _Strings, bond: _Bond, op_charges: list[Charge], group: Group):
    """Fill one site: entries (left channel, operator, right channel, value), what remains, the next bond."""
    rows, r, c, v = _rows(pending, strings)
    finished = c == 0
    is_start = (rows[:, 0] == (-1 if bond.start is None else bond.start)) & (rows[:, 1] == 0)
    waiting = is_start[r] & ~finished
    parts = _decompose(r[~waiting & ~finished], c[~waiting & ~finished], v[~waiting & ~finished])
    count = len(parts) + int(waiting.any()) + int(finished.any() or bond.done is not None)
    if min(len(np.unique(r)) + (bond.done is not None), len(np.unique(c)) + (bond.done is not None and not finished.any())) < count:
        return _place_near_end(rows, r, c, v, bond, op_charges, group)
    entries: list[tuple] = []
    out: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    charges: list[Charge] = []
    start = done = None
    if waiting.any():
        start = len(charges)
        charges.append(group.identity)
        entries.append((bond.start, 0, start, 1.0))
        out.append((np.full(waiting.sum(), start), c[waiting], v[waiting]))
    for (row_ids, weights), (columns, values) in parts:
        channel, (a, n) = len(charges), rows[row_ids[0]]
        charges.extend(group.fuse(bond.charges[a], op_charges[n]))
        entries.extend((*rows[i], channel, x) for i, x in zip(row_ids, weights, strict=True))
        out.append((np.full(len(columns), channel), columns, values))
    if finished.any() or bond.done is not None:
        done = len(charges)
        charges.append(group.identity)
        entries.extend((*rows[i], done, x) for i, x in zip(r[finished], v[finished], strict=True))
        if bond.done is not None:
            entries.append((bond.done, 0, done, 1.0))
    row, column, value = (np.concatenate(part) for part in zip(*out, strict=True)) if out else (r[:0], c[:0], v[:0])
    if not charges:  # an empty sum
        charges.append(group.identity)
    return entries, _Pending(row, column, value), _Bond(charges, start, done)


def _place_near_end(rows, r, c, v, bond: _Bond, op_charges: list[Charge], group: Group):
    """A site close to an end, where there are fewer rows or columns than channels kept apart would need:
    one channel for each row, or for each column."""
    if bond.done is not None:
        rows, r = np.concatenate([rows, [[bond.done, 0]]]), np.concatenate([r, [len(rows)]])
        c, v = np.concatenate([c, [0]]), np.concatenate([v, np.ones(1, dtype=v.dtype)])
    row_ids, col_ids = np.unique(r), np.unique(c)
    by_row = len(row_ids) <= len(col_ids)
    entries, charges = [], []
    for channel, one in enumerate(row_ids if by_row else col_ids):
        mine = np.flatnonzero((r if by_row else c) == one)
        a, n = rows[r[mine[0]]]
        charges.extend(group.fuse(bond.charges[a], op_charges[n]))
        entries.extend([(a, n, channel, 1.0)] if by_row else [(*rows[r[i]], channel, v[i]) for i in mine])
    is_start = (rows[row_ids] == [-1 if bond.start is None else bond.start, 0]).all(axis=1)
    start = int(np.argmax(is_start)) if by_row and is_start.any() else None
    done = 0 if not by_row and col_ids[0] == 0 else None
    if by_row:
        return entries, _Pending(np.searchsorted(row_ids, r), c, v), _Bond(charges, start, None)
    kept = np.flatnonzero(col_ids != 0)
    return entries, _Pending(kept, col_ids[kept], np.ones(len(kept), dtype=v.dtype)), _Bond(charges, None, done)


def _place_last(pending: _Pending, strings: _Strings, bond: _Bond, op_charges: list[Charge], group: Group):
    """The last site closes every string in the one channel of the right end."""
    rows, r, _, v = _rows(pending, strings)
    entries = [(*rows[i], 0, x) for i, x in zip(r, v, strict=True)]
    if bond.done is not None:
        entries.append((bond.done, 0, 0, 1.0))
    return entries, pending, _Bond([group.identity], None, 0)


def _decompose(r: np.ndarray, c: np.ndarray, v: np.ndarray) -> list:
    """Channels ((rows, coefficients), (columns, coefficients)) whose outer products add up to the matrix."""
    if len(r) == 0:
        return []
    row_ids, ri = np.unique(r, return_inverse=True)
    col_ids, ci = np.unique(c, return_inverse=True)
    graph = coo_array((np.ones(len(ri)), (ri, len(row_ids) + ci)), shape=(len(row_ids) + len(col_ids),) * 2)
    count, label = connected_components(graph.tocsr(), directed=False)
    order = np.argsort(label[ri], kind="stable")
    bounds = np.searchsorted(label[ri][order], np.arange(count + 1))
    channels = []
    for n in range(count):
        mine = order[bounds[n] : bounds[n + 1]]
        channels += _component(row_ids[ri[mine]], col_ids[ci[mine]], v[mine])
    return channels


def _component(r: np.ndarray, c: np.ndarray, v: np.ndarray) -> list:
    """One connected part: a vertex cover where it is as small as the rank, else independent rows."""
    row_ids, ri = np.unique(r, return_inverse=True)
    col_ids, ci = np.unique(c, return_inverse=True)
    if len(row_ids) == 1 or len(col_ids) == 1:
        single_row = len(row_ids) == 1
        rows, cols = np.full(len(row_ids), single_row), np.full(len(col_ids), not single_row)
        return _cover(row_ids, col_ids, ri, ci, v, rows, cols)
    dense = np.zeros((len(row_ids), len(col_ids)), dtype=v.dtype)
    dense[ri, ci] = v
    cover_rows, cover_cols = _vertex_cover(csr_array(dense != 0))
    size = int(cover_rows.sum() + cover_cols.sum())
    # rows in order of their pivots: R has the rank on its diagonal
    _, triangle, pivots = scipy.linalg.qr(dense.T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    rank = int(np.count_nonzero(diagonal > _RANK_TOLERANCE * diagonal[0]))
    if size <= rank:
        return _cover(row_ids, col_ids, ri, ci, v, cover_rows, cover_cols)
    mixing = np.eye(rank, len(row_ids), dtype=v.dtype)
    mixing[:, rank:] = scipy.linalg.solve_triangular(triangle[:rank, :rank], triangle[:rank, rank:])
    channels = []
    for k in range(rank):
        weights = np.zeros(len(row_ids), dtype=v.dtype)
        weights[pivots] = mixing[k]
        kept = np.flatnonzero(np.abs(weights) > 1e-15)
        kept = kept[np.argsort(kept != pivots[k], kind="stable")]
        row = dense[pivots[k]]
        columns = np.flatnonzero(row)
        channels.append(((row_ids[kept], weights[kept]), (col_ids[columns], row[columns])))
    return channels


def _vertex_cover(graph: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Minimum vertex cover of a bipartite graph from a maximum matching (Koenig)."""
    rows, cols = graph.shape
    match_of_row = maximum_bipartite_matching(graph, perm_type="column")
    match_of_col = np.full(cols, -1)
    matched = match_of_row >= 0
    match_of_col[match_of_row[matched]] = np.flatnonzero(matched)
    reached_rows, reached_cols = ~matched, np.zeros(cols, dtype=bool)
    frontier = list(np.flatnonzero(reached_rows))
    while frontier:
        i = frontier.pop()
        for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]]:
            if not reached_cols[j]:
                reached_cols[j] = True
                k = match_of_col[j]
                if k >= 0 and not reached_rows[k]:
                    reached_rows[k] = True
                    frontier.append(k)
    return ~reached_rows, reached_cols


def _cover(
    row_ids: np.ndarray, col_ids: np.ndarray, ri: np.ndarray, ci: np.ndarray, v: np.ndarray, rows: np.ndarray, cols: np.ndarray
) -> list:
    """Channels of a vertex cover: a covered row goes on as it is, a covered column collects the other rows."""
    one = np.ones(1, dtype=v.dtype)
    channels = []
    for i in np.flatnonzero(rows):
        mine = ri == i
        channels.append(((row_ids[i : i + 1], one), (col_ids[ci[mine]], v[mine])))
    for j in np.flatnonzero(cols):
        mine = (ci == j) & ~rows[ri]
        if mine.any():
            channels.append(((row_ids[ri[mine]], v[mine]), (col_ids[j : j + 1], one)))
    return channels
