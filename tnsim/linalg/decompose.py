"""Block-wise SVD, QR and Hermitian eigenvalues of symmetric tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.backend import Array
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg.truncation import Truncation, discarded_weight
from tnsim.symmetry import Leg, layout
from tnsim.tensor import Tensor, fuse, split
from tnsim.tensor.tensor import check_square


@dataclass(frozen=True)
class Spectrum:
    """Singular values (or eigenvalues) of one bond on the host, sector by sector, with their charges.

    values: flat, in the dense order of `leg`; discarded_weight: sum of dropped squares over the sum of all.
    """

    leg: Leg
    values: np.ndarray
    discarded_weight: float = 0.0

    def __repr__(self) -> str:
        count, sectors = len(self.values), len(self.leg)
        values = f"{count} value{'s' * (count != 1)}"
        if count:
            values += f" from {self.values.max():.3g} to {self.values.min():.3g}"
        return f"Spectrum({values}, {sectors} sector{'s' * (sectors != 1)}, discarded {self.discarded_weight:.1e})"

    def by_charge(self) -> dict[tuple[int, ...], np.ndarray]:
        """Values of every sector, largest first."""
        return {
            charge: np.sort(self.values[self.leg.starts[n] : self.leg.starts[n + 1]])[::-1]
            for n, charge in enumerate(self.leg.charges)
        }

    def plot(self, path: Any = None) -> Any:
        """Entanglement energies by charge; saved where a path is given. Returns the matplotlib figure."""
        return import_module("tnsim.plotting").plot_spectrum(self, path=path)


def _as_matrix(tensor: Tensor, rows: Sequence[int]) -> tuple[Tensor, tuple[Leg, ...], tuple[Leg, ...]]:
    cols = tuple(n for n in range(tensor.ndim) if n not in rows)
    if not rows or not cols:
        raise ShapeError(f"a split needs axes on both sides, found rows {tuple(rows)} of {tensor.ndim} axes.")
    matrix = fuse(tensor, [tuple(rows), cols], [1, -1])
    return matrix, tuple(tensor.legs[n] for n in rows), tuple(tensor.legs[n] for n in cols)


def _check_finite(tensor: Tensor, name: str) -> None:
    """LAPACK may loop or answer nonsense on NaN and Inf: refuse them. One read of the device."""
    if not tensor.backend.all_finite(tensor.data):
        raise NumericalError(
            f"the {name} of {tensor!r} was asked for, but it holds NaN or Inf: check what it was made from."
        )


def _blocks(matrix: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(offset, rows, cols) of the blocks in the order of the column sectors, and their sector indices."""
    table = matrix.layout
    order = np.argsort(table.indices[:, 1], kind="stable")
    blocks = np.column_stack([table.offsets[:-1], table.shapes]).astype(np.int64)
    return blocks[order], table.indices[order]


def _bond(matrix: Tensor, places: np.ndarray, dims: np.ndarray) -> Leg:
    """The new leg: sectors of the column leg, flow -1 as seen from the left factor."""
    leg = matrix.legs[1]
    kept = dims > 0
    return Leg(leg.group, [leg.charges[p] for p in places[kept, 1]], dims[kept].tolist(), -1)


def svd(
    tensor: Tensor, rows: Sequence[int], truncation: Truncation | None = None, *, normalize: bool = False
) -> tuple[Tensor, Spectrum, Tensor]:
    """Split into U, singular values, V: axes `rows` on U, the others on V; T = U diag(s) V.

    U has legs (*rows, bond), V (bond, *others); all charge of the tensor sits on U. Truncation is global
    across the blocks and by weight; `normalize` divides the kept values by their norm. Cost O(m n min(m, n))
    for every block; error sqrt(discarded weight) times the norm. Raises NumericalError on NaN or Inf.
    """
    matrix, row_legs, col_legs = _as_matrix(tensor, rows)
    _check_finite(tensor, "SVD")
    blocks, places = _blocks(matrix)
    u, s, vh = matrix.backend.kernels.svd_blocks(matrix.data, blocks)
    values = matrix.backend.to_host(s).astype(np.float64)
    norm = float(np.sqrt((values**2).sum()))
    dims_all = blocks[:, 1:].min(axis=1)
    starts = np.concatenate([[0], np.cumsum(dims_all)])
    if truncation is None:
        kept = np.arange(len(values))
    else:
        kept = truncation.keep(values / norm if norm > 0 else values)
    dims = np.array([np.count_nonzero((kept >= a) & (kept < b)) for a, b in zip(starts, starts[1:], strict=False)])
    bond = _bond(matrix, places, dims)
    left = _cut(matrix, u, blocks, places, dims, bond, left=True)
    right = _cut(matrix, vh, blocks, places, dims, bond, left=False)
    values_kept = values[kept]
    weight = discarded_weight(values, kept)
    if normalize and len(values_kept):
        values_kept = values_kept / np.sqrt((values_kept**2).sum())
    return (
        split(left, 0, row_legs),
        Spectrum(bond.dual, values_kept, weight),
        split(right, 1, col_legs),
    )


def _cut(
    matrix: Tensor,
    flat: Array,
    blocks: np.ndarray,
    places: np.ndarray,
    dims: np.ndarray,
    bond: Leg,
    *,
    left: bool,
) -> Tensor:
    """The first dims[i] columns (left factor) or rows (right factor) of factor i, as a tensor."""
    legs = (matrix.legs[0], bond) if left else (bond.dual, matrix.legs[1])
    charge = matrix.charge if left else matrix.group.identity
    result = Tensor(legs, matrix.backend.zeros(layout(legs, charge).size, matrix.dtype), charge)
    start, bond_place = 0, 0
    for (_, m, n), d, (row, col) in zip(blocks.tolist(), dims.tolist(), places.tolist(), strict=True):
        k = min(m, n)
        size = m * k if left else k * n
        if d:
            factor = flat[start : start + size].reshape((m, k) if left else (k, n))
            place = result.layout.place[(row, bond_place) if left else (bond_place, col)]
            result.block(place)[...] = factor[:, :d] if left else factor[:d]
            bond_place += 1
        start += size
    return result


def qr(tensor: Tensor, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Q with legs (*rows, bond) and orthonormal columns, R with legs (bond, *others); exact, T = Q R.

    >>> from tnsim.tensor import from_dense
    >>> q, r = qr(from_dense(np.ones((2, 3, 4))), (0, 1))
    >>> q.shape, r.shape
    ((2, 3, 4), (4, 4))
    """
    return _orthogonalize(tensor, rows, left=True)


def lq(tensor: Tensor, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """L with legs (*rows, bond), Q with legs (bond, *others) and orthonormal rows; exact, T = L Q."""
    return _orthogonalize(tensor, rows, left=False)


def _orthogonalize(tensor: Tensor, rows: Sequence[int], *, left: bool) -> tuple[Tensor, Tensor]:
    matrix, row_legs, col_legs = _as_matrix(tensor, rows)
    _check_finite(tensor, "QR" if left else "LQ")
    blocks, places = _blocks(matrix)
    kernels = matrix.backend.kernels
    first, second = (kernels.qr_blocks if left else kernels.lq_blocks)(matrix.data, blocks)
    dims = blocks[:, 1:].min(axis=1)
    bond = _bond(matrix, places, dims)
    factors = (
        _cut(matrix, first, blocks, places, dims, bond, left=True),
        _cut(matrix, second, blocks, places, dims, bond, left=False),
    )
    return split(factors[0], 0, row_legs), split(factors[1], 1, col_legs)


def eigh(tensor: Tensor, truncation: Truncation | None = None) -> tuple[Tensor, Spectrum]:
    """Eigenvectors V (leg, bond) and eigenvalues of a Hermitian matrix with legs (leg, leg.dual): T = V w V^dagger.

    Values ascend inside every sector. Truncation keeps the largest absolute values across the sectors,
    relative to the Frobenius norm; the error is sqrt(discarded weight) times that norm. Cost O(n^3) for every
    block. Raises ShapeError for another structure, NumericalError on NaN or Inf.

    >>> from tnsim.tensor import from_dense
    >>> eigh(from_dense(np.diag([1.0, -3.0, 2.0])), Truncation(chi_max=2))[1].values
    array([-3.,  2.])
    """
    check_square(tensor, "eigh")
    _check_finite(tensor, "eigenvalues")
    v, w = tensor.backend.kernels.eigh_blocks(tensor.data, _blocks(tensor)[0])
    values = tensor.backend.to_host(w).astype(np.float64)
    if truncation is None:
        return Tensor(tensor.legs, v), Spectrum(tensor.legs[0], values)
    norm = float(np.sqrt((values**2).sum()))
    kept = truncation.keep(np.abs(values) / norm if norm > 0 else np.abs(values))
    return _keep_ends(tensor, v, values, kept)


def _keep_ends(matrix: Tensor, v: Array, values: np.ndarray, kept: np.ndarray) -> tuple[Tensor, Spectrum]:
    """The kept eigenvectors: in every sector the lowest negative and the highest positive values."""
    leg, chosen = matrix.legs[0], np.isin(np.arange(len(values)), kept)
    ranges = list(zip(leg.starts.tolist(), leg.starts[1:].tolist(), strict=False))
    low = [int(np.count_nonzero(chosen[a:b] & (values[a:b] <= 0))) for a, b in ranges]
    high = [int(np.count_nonzero(chosen[a:b] & (values[a:b] > 0))) for a, b in ranges]
    sectors = [n for n in range(len(leg)) if low[n] + high[n]]
    bond = Leg(leg.group, [leg.charges[n] for n in sectors], [low[n] + high[n] for n in sectors], -leg.flow)
    size = layout((leg, bond), matrix.charge).size
    vectors = Tensor((leg, bond), matrix.backend.zeros(size, matrix.dtype), matrix.charge)
    ends = []
    for (n, _), block in vectors.blocks():
        (a, b), start, d = ranges[n], int(matrix.layout.offsets[n]), leg.dims[n]
        whole = v[start : start + d * d].reshape((d, d))
        block[:, : low[n]] = whole[:, : low[n]]
        block[:, low[n] :] = whole[:, d - high[n] :]
        ends += [values[a : a + low[n]], values[b - high[n] : b]]
    weight = discarded_weight(values, kept)
    return vectors, Spectrum(bond.dual, np.concatenate(ends) if ends else values[:0], weight)
