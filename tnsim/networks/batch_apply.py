"""An operator on a batch of vectors, one a row, without ever writing it as a matrix."""

from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from math import prod

from tnsim.backend import Array, Backend
from tnsim.errors import BackendError, ShapeError
from tnsim.networks.apply_plan import ApplyPlan, Shapes, quick_plan
from tnsim.networks.matrix_index import MatrixAxes, MatrixAxis
from tnsim.networks.matrix_train import join_sites
from tnsim.networks.mpo import MPO
from tnsim.networks.stack import Layer, stack


def apply_to_rows(mpo: MPO, rows: Array, plan: ApplyPlan | None = None) -> Array:
    """W x for every vector x on the last axis of an array: what a linear layer without bias does.

    Leading axes are kept. Without a plan, that of least estimated cost which does not write the matrix (see
    `tnsim.tensorize.Planner` for a measured one). To call it often, `prepare` once. Exact to rounding.

    >>> import numpy as np
    >>> W, x = np.arange(12.0).reshape(4, 3), np.ones((2, 5, 3))
    >>> apply_to_rows(MPO.from_matrix(W, (2, 2), (3, 1)), x)[1, 4].round(9).tolist()
    [3.0, 12.0, 21.0, 30.0]
    """
    if plan is None:
        count = prod(rows.shape[:-1])
        plan = quick_plan(site_shapes(mpo), max(1, count), rows.dtype.itemsize)
    return prepare(mpo, plan)(rows)


def site_shapes(mpo: MPO) -> Shapes:
    """(left, out, in, right) of every site."""
    return tuple((s[0], s[1], s[2], s[3]) for s in (tensor.shape for tensor in mpo.tensors))


def prepare(mpo: MPO, plan: ApplyPlan) -> "RowMap":
    """The operator with its cores merged and laid out as a plan asks for, to be called with rows.

    Raises SettingsError where the plan is of another number of sites, LegError for tensors with symmetry.
    """
    merged = None if plan.again else stack(merge_sites(mpo, plan.groups), plan.first)
    return RowMap(mpo, plan, None if merged is None else tuple(merged))


@dataclass(frozen=True, eq=False)
class RowMap:
    """An operator that is ready to act on rows. layers: in the order they act; None where they are merged anew."""

    mpo: MPO
    plan: ApplyPlan
    layers: tuple[Layer, ...] | None = field(repr=False)

    def __call__(self, rows: Array) -> Array:
        """W x for every vector on the last axis; no copy of the rows but for permutations and padding."""
        axes, backend = self.mpo.axes or _plain_axes(self.mpo), self.mpo.backend
        width = axes.columns.size
        if not rows.shape or rows.shape[-1] != width:
            raise ShapeError(f"{self.mpo!r} acts on rows of {width} numbers, found shape {tuple(rows.shape)}.")
        if type(rows) is not type(self.mpo.tensors[0].data):
            raise BackendError(
                f"the rows are a {type(rows).__name__}, but the operator lies on {backend.name}: move one of them."
            )
        layers = self.layers
        if layers is None:
            layers = tuple(stack(merge_sites(self.mpo, self.plan.groups), self.plan.first))
        flat = rows.reshape((prod(rows.shape[:-1]), width))
        flat = axes.columns.spread(flat, 1, backend)
        result = axes.rows.gather(_through(layers, flat, self.plan.block, backend), 1, backend)
        return result.reshape((*rows.shape[:-1], axes.rows.size))


def _through(layers: tuple[Layer, ...], rows: Array, block: int, backend: Backend) -> Array:
    """All layers, so many rows at a time."""
    count = rows.shape[0]
    if not block or block >= count:
        return _all_layers(layers, rows)
    result = None
    for start in range(0, count, block):
        stop = min(count, start + block)
        part = _all_layers(layers, rows[start:stop])
        if result is None:
            result = backend.empty(count * part.shape[1], part.dtype).reshape((count, part.shape[1]))
        result[start:stop] = part
    return result


def _all_layers(layers: tuple[Layer, ...], rows: Array) -> Array:
    for layer in layers:
        rows = layer.apply(rows)
    return rows


def merge_sites(mpo: MPO, groups: tuple[int, ...]) -> MPO:
    """The same operator on fewer sites: so many neighbours contracted into each one, exact.

    >>> import numpy as np
    >>> merge_sites(MPO.from_matrix(np.eye(8), (2, 2, 2), (2, 2, 2)), (2, 1))
    MPO on 2 sites, bond dimensions 1 1 1, float64 on numpy
    """
    if sum(groups) != mpo.L or min(groups) < 1:
        raise ShapeError(f"groups of {' + '.join(map(str, groups))} sites do not make {mpo.L} sites.")
    if max(groups) == 1:
        return mpo
    ends = [sum(groups[:n]) for n in range(len(groups) + 1)]
    tensors = [reduce(join_sites, mpo.tensors[a:b]) for a, b in pairwise(ends)]
    if mpo.axes is None:
        return MPO(tensors, is_hermitian=mpo.is_hermitian)
    sides = (
        MatrixAxis(side.size, tuple(prod(side.dims[a:b]) for a, b in pairwise(ends)), side.places)
        for side in (mpo.axes.rows, mpo.axes.columns)
    )
    return MPO(tensors, is_hermitian=mpo.is_hermitian, axes=MatrixAxes(*sides))


def _plain_axes(mpo: MPO) -> MatrixAxes:
    outs, ins = (tuple(tensor.shape[axis] for tensor in mpo.tensors) for axis in (1, 2))
    return MatrixAxes(MatrixAxis(prod(outs), outs), MatrixAxis(prod(ins), ins))
