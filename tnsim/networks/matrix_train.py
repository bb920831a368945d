"""From a matrix to a chain of site tensors (left, out, in, right), and back."""

from collections.abc import Sequence
from functools import reduce
from math import prod

import numpy as np

from tnsim.backend import Array, Backend, backend_of
from tnsim.errors import NumericalError, ShapeError
from tnsim.linalg import Truncation, fix_signs, svd
from tnsim.linalg.product_svd import product_svd
from tnsim.networks.matrix_index import MatrixAxes
from tnsim.networks.rank_rule import RankRule, ranks_within
from tnsim.networks.scaling import scale_rows
from tnsim.symmetry import TRIVIAL, Leg, trivial_leg
from tnsim.tensor import Tensor, contract, fuse, transpose

_FLOWS = (1, 1, -1, -1)


def core_legs(shape: Sequence[int]) -> tuple[Leg, ...]:
    """Legs (left, out, in, right) of a core of these sizes."""
    return tuple(trivial_leg(d, flow) for d, flow in zip(shape, _FLOWS, strict=True))


def core_tensor(core: Array) -> Tensor:
    """A core (left, out, in, right) as a site tensor on its memory."""
    return Tensor(core_legs(core.shape), core.reshape(-1))


def checked_matrix(matrix: Array, name: str = "") -> Array:
    """A matrix of finite floating-point numbers; its name, where it has one, stands in the errors."""
    called = f"the matrix {name!r}" if name else "the matrix"
    array = matrix if hasattr(matrix, "shape") else np.asarray(matrix)
    backend = backend_of(array)
    if len(array.shape) != 2 or 0 in array.shape:
        raise ShapeError(f"{called} must have two axes, neither empty, found shape {tuple(array.shape)}.")
    if array.dtype.kind not in "fc":
        array = backend.astype(array, np.float64)
    elif array.dtype == np.float16:
        array = backend.astype(array, np.float32)
    if not backend.all_finite(array):
        raise NumericalError(f"{called} holds NaN or Inf: check the file or the training run that it comes from.")
    return array


def train_of_matrix(matrix: Array, axes: MatrixAxes, rule: RankRule) -> list[Tensor]:
    """Site tensors whose product is the matrix, cut site by site from the left (TT-SVD).

    The last site keeps the remainder. Cost of one SVD of the matrix a cut. Error at most sqrt(cuts) times that of
    the best chain of these ranks; at full rank, rounding. Source: I. V. Oseledets, SIAM J. Sci. Comput. 33, 2295
    (2011), algorithm 1; I. V. Oseledets, SIAM J. Matrix Anal. 31, 2130 (2010) for pairs of indices on a site.
    """
    dims = [o * i for o, i in zip(axes.rows.dims, axes.columns.dims, strict=True)]
    ranks = rule.fixed(dims)
    whole = site_array(matrix, axes)
    if (budget := rule.budget(whole.dtype.itemsize)) is not None:
        ranks = ranks_within(budget, dims, cut_values(whole, dims))
    cores, rest, bonds = [], whole, [1]
    for k in range(len(dims) - 1):
        table = _as_tensor(rest, (bonds[-1] * dims[k], prod(dims[k + 1 :])), (1, -1))
        u, v = _cut(table, _truncation(rule, ranks, k, table, len(dims) - 1), rule)
        cores.append(u.data)
        rest = v.data
        bonds.append(u.shape[1])
    shapes = zip([*cores, rest], bonds, axes.rows.dims, axes.columns.dims, [*bonds[1:], 1], strict=True)
    return [_as_tensor(core, shape, _FLOWS) for core, *shape in shapes]


def matrix_of_train(tensors: Sequence[Tensor], axes: MatrixAxes) -> Array:
    """The matrix that site tensors stand for, without padding, its rows and columns in their own order."""
    backend = tensors[0].backend
    array = product_of_sites(tensors)
    for axis, side in enumerate((axes.rows, axes.columns)):
        array = side.gather(array, axis, backend)
    return backend.copy(array)


def product_of_sites(tensors: Sequence[Tensor]) -> Array:
    """Dense matrix of tensors without symmetry, rows and columns in Kronecker order, on their device."""
    whole = reduce(join_sites, tensors)
    return whole.array.reshape((whole.shape[1], whole.shape[2]))


def join_sites(first: Tensor, second: Tensor) -> Tensor:
    """Two neighbours (left, out, in, right) as one site, out and in legs fused; cost of their product.

    Dense ones as products of matrices that come out in order: (out, in x m) times (out', m x in') for all out, out'.
    """
    (left, o, i, m), (_, p, j, right) = first.shape, second.shape
    if first.group is not TRIVIAL or second.group is not TRIVIAL:
        joined = contract("l o i m, m p j r -> l o p i j r", first, second)
        return fuse(joined, [(0,), (1, 2), (3, 4), (5,)], [1, 1, -1, -1])
    rows = first.array.reshape((left * o, 1, i, m))
    columns = transpose(second, (1, 0, 2, 3)).array.reshape((1, p, m, j * right))
    return _as_tensor((rows @ columns).reshape(-1), (left, o * p, i * j, right), _FLOWS)


def site_array(matrix: Array, axes: MatrixAxes) -> Array:
    """The numbers of a matrix, site by site: first index out of site 0, then in of site 0, out of site 1, ...; flat."""
    backend = backend_of(matrix)
    if tuple(matrix.shape) != axes.shape:
        raise ShapeError(f"the chain stands for a matrix of shape {axes.shape}, found {tuple(matrix.shape)}.")
    for axis, side in enumerate((axes.rows, axes.columns)):
        matrix = side.spread(matrix, axis, backend)
    count = len(axes.rows.dims)
    legs = [trivial_leg(d) for d in (*axes.rows.dims, *axes.columns.dims)]
    whole = Tensor(legs, _flat(matrix, backend))
    return transpose(whole, tuple(n for k in range(count) for n in (k, count + k))).data


def cut_values(whole: Array, dims: Sequence[int]) -> list[np.ndarray]:
    """Singular values of every cut, descending, of a flat array that runs site by site; cost of an SVD a cut."""
    values = []
    for k in range(1, len(dims)):
        table = _as_tensor(whole, (prod(dims[:k]), prod(dims[k:])), (1, -1))
        values.append(np.sort(svd(table, (0,))[1].values)[::-1])
    return values


def _flat(array: Array, backend: Backend) -> Array:
    """A flat copy, whatever the strides."""
    return backend.copy(array).reshape(-1)


def _as_tensor(flat: Array, shape: Sequence[int], flows: Sequence[int]) -> Tensor:
    return Tensor([trivial_leg(d, flow) for d, flow in zip(shape, flows, strict=True)], flat)


def _truncation(rule: RankRule, ranks: tuple[int, ...] | None, cut: int, table: Tensor, cuts: int) -> Truncation:
    """Of one cut: its rank, or its share of the error, or all but rounding."""
    most = min(table.shape)
    if ranks is not None:
        return Truncation(chi_max=min(ranks[cut], most), svd_min=0.0, chi_min=min(ranks[cut], most))
    if rule.tol:
        return Truncation(chi_max=most, svd_min=0.0, trunc_err=rule.tol**2 / cuts)
    rounding = float(np.finfo(table.dtype).eps) * max(table.shape) / 4
    return Truncation(chi_max=most, svd_min=min(rounding, 0.1))


def _cut(table: Tensor, truncation: Truncation, rule: RankRule) -> tuple[Tensor, Tensor]:
    """Orthonormal columns, and what is left for the sites behind the cut."""
    if rule.method == "rsvd":
        u, s, v = product_svd([table], truncation, seed=rule.seed)
    else:
        u, s, v = svd(table, (0,), truncation)
    u, v = fix_signs(u, v)
    return u, scale_rows(v, s)
