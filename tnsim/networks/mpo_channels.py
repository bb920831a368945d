"""Splitting the matrix of one bond into channels: the fewest outer products, and as sparse as can be.

Each connected part of the matrix is covered by as few rows and columns as possible (minimum vertex cover,
which keeps single operators single); where its rank is smaller than that, by linearly independent rows.
Sources: J. Ren, W. Li, T. Jiang, Z. Shuai, J. Chem. Phys. 153, 084118 (2020), section II; C. Hubig,
I. P. McCulloch, U. Schollwoeck, Phys. Rev. B 95, 035129 (2017), section III.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, maximum_bipartite_matching

# rows are called dependent where what is left of them is below this share of the largest
_RANK_TOLERANCE = 1e-13
# rows further than this from the span of those before (of the largest) are independent without pivoting
_CLEARLY_INDEPENDENT = 1e-5
# a combination of channels is used where no number in it is larger, so that rounding stays harmless
_LARGEST_COMBINATION = 1e3


@dataclass(frozen=True)
class Channel:
    """One outer product: weights on `rows` times values on `columns`; `rows[0]` carries its charge."""

    rows: np.ndarray
    weights: np.ndarray
    columns: np.ndarray
    values: np.ndarray


def split_into_channels(r: np.ndarray, c: np.ndarray, v: np.ndarray) -> list[Channel]:
    """Channels whose outer products add up to the matrix with elements v at (r, c), each place once.

    As many as the rank (to 1e-13 of the largest element of a connected part). Cost O(elements) for the
    combinatorial part and O(n^3) for parts of size n that are neither a single row nor a single column.
    """
    if len(r) == 0:
        return []
    row_alone = np.bincount(r)[r] == 1
    column_alone = np.bincount(c)[c] == 1
    # an element belongs to a lonely row if every column of that row holds nothing else; columns likewise
    in_row = _all_of(column_alone, r)
    in_column = _all_of(row_alone, c) & ~in_row
    channels = [Channel(r[k[:1]], np.ones(1, v.dtype), c[k], v[k]) for k in _groups(r, in_row)]
    channels += [Channel(r[k], v[k], c[k[:1]], np.ones(1, v.dtype)) for k in _groups(c, in_column)]
    rest = np.flatnonzero(~in_row & ~in_column)
    for k in _parts(r[rest], c[rest]):
        channels += _split_part(r[rest[k]], c[rest[k]], v[rest[k]])
    return sorted(channels, key=lambda channel: int(channel.rows[0]))


def _all_of(flags: np.ndarray, group: np.ndarray) -> np.ndarray:
    """For every element whether the flag holds for its whole group."""
    return (np.bincount(group, weights=~flags) == 0)[group]


def _groups(labels: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """The chosen elements, grouped by label."""
    places = np.flatnonzero(chosen)
    if len(places) == 0:
        return []
    order = places[np.argsort(labels[places], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _parts(r: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
    """Elements of every connected part of the bipartite graph."""
    if len(r) == 0:
        return []
    row_ids, ri = np.unique(r, return_inverse=True)
    col_ids, ci = np.unique(c, return_inverse=True)
    size = len(row_ids) + len(col_ids)
    graph = coo_array((np.ones(len(ri)), (ri, len(row_ids) + ci)), shape=(size, size))
    _, label = connected_components(graph.tocsr(), directed=False)
    return _groups(label[ri], np.ones(len(r), dtype=bool))


def _split_part(r: np.ndarray, c: np.ndarray, v: np.ndarray) -> list[Channel]:
    """One connected part: a vertex cover where it is as small as the rank, else independent rows."""
    row_ids, ri = np.unique(r, return_inverse=True)
    col_ids, ci = np.unique(c, return_inverse=True)
    dense = np.zeros((len(row_ids), len(col_ids)), dtype=v.dtype)
    dense[ri, ci] = v
    rows, columns = _vertex_cover(csr_array(dense != 0))
    # what the cover leaves out is zero: the rank is that of its rows beside its columns, where those are independent
    if _has_full_rank(dense[rows][:, ~columns]) and _has_full_rank(dense[~rows][:, columns].T):
        return _covered(row_ids, col_ids, dense, rows, columns)
    # pivoted QR: the rank stands on the diagonal of R, and independent rows come first
    triangle, pivots = scipy.linalg.qr(dense.T, mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    rank = int(np.count_nonzero(diagonal > _RANK_TOLERANCE * diagonal[0]))
    if rows.sum() + columns.sum() <= rank:
        return _covered(row_ids, col_ids, dense, rows, columns)
    mixing = np.zeros((rank, len(row_ids)), dtype=v.dtype)
    mixing[:, pivots[:rank]] = np.eye(rank)
    mixing[:, pivots[rank:]] = scipy.linalg.solve_triangular(triangle[:rank, :rank], triangle[:rank, rank:])
    channels = []
    for k in range(rank):
        used = np.flatnonzero(np.abs(mixing[k]) > 1e-15)
        used = used[np.argsort(used != pivots[k], kind="stable")]
        row = dense[pivots[k]]
        filled = np.flatnonzero(row)
        channels.append(Channel(row_ids[used], mixing[k][used], col_ids[filled], row[filled]))
    return channels


def _has_full_rank(matrix: np.ndarray) -> bool:
    """Whether the rows are certainly independent, at a fraction of the cost of pivoting; False: look more closely."""
    if len(matrix) == 0:
        return True
    if len(matrix) <= matrix.shape[1]:
        with suppress(np.linalg.LinAlgError):
            distances = np.diag(np.linalg.cholesky(matrix @ matrix.conj().T)).real
            return bool(distances.min() > _CLEARLY_INDEPENDENT * distances.max())
    return False


def _vertex_cover(graph: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Minimum vertex cover of a bipartite graph from a maximum matching (Koenig's theorem)."""
    match_of_row = maximum_bipartite_matching(graph, perm_type="column")
    match_of_col = np.full(graph.shape[1], -1)
    matched = match_of_row >= 0
    match_of_col[match_of_row[matched]] = np.flatnonzero(matched)
    reached_rows, reached_cols = ~matched, np.zeros(graph.shape[1], dtype=bool)
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


def _covered(
    row_ids: np.ndarray, col_ids: np.ndarray, dense: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> list[Channel]:
    """Channels of a vertex cover: a covered row goes on as it is, a covered column collects the other rows."""
    one = np.ones(1, dtype=dense.dtype)
    channels = []
    for i in np.flatnonzero(rows):
        filled = np.flatnonzero(dense[i])
        channels.append(Channel(row_ids[i : i + 1], one, col_ids[filled], dense[i, filled]))
    for j in np.flatnonzero(columns):
        filled = np.flatnonzero((dense[:, j] != 0) & ~rows)
        if len(filled):
            channels.append(Channel(row_ids[filled], dense[filled, j], col_ids[j : j + 1], one))
    return channels


def combine(
    vectors: Sequence[tuple[np.ndarray, np.ndarray]], places: np.ndarray, values: np.ndarray
) -> np.ndarray | None:
    """x with sum_k x_k vector_k = the vector with `values` at `places`; None where there is no such x.

    Vectors are (places, values) as well.
    """
    if len(places) == 0:
        return np.zeros(len(vectors))
    union = np.unique(np.concatenate([place for place, _ in vectors])) if vectors else places[:0]
    if len(places) > len(union) or not np.isin(places, union).all():
        return None
    matrix = np.zeros((len(union), len(vectors)), dtype=values.dtype)
    for k, (place, value) in enumerate(vectors):
        matrix[np.searchsorted(union, place), k] = value
    target = np.zeros(len(union), dtype=values.dtype)
    target[np.searchsorted(union, places)] = values
    solution, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    error = np.abs(matrix @ solution - target).max()
    largest = np.abs(values).max()
    if error > _RANK_TOLERANCE * largest or np.abs(solution).max() > _LARGEST_COMBINATION * largest:
        return None
    solution[np.abs(solution) < 1e-15 * np.abs(solution).max()] = 0
    return solution
