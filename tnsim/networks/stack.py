"""An operator as a product of sparse layers, one site each: identity x core x identity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from scipy import sparse

from tnsim.backend import Array, backend_of
from tnsim.errors import LegError, SettingsError, ShapeError, suggest
from tnsim.networks.mpo import MPO
from tnsim.tensor import transpose

_FIRST = ("last", "first")


@dataclass(frozen=True, eq=False)
class Layer:
    """1_before x core x 1_after, acting on vectors of before * columns * after numbers.

    core: matrix whose rows and columns fuse one bond of the chain with one physical leg; bond: where the bond leg of
    the result stands, (before, size, after) in the vector.
    """

    before: int
    core: Array = field(repr=False)
    after: int
    bond: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int]:
        return self.before * self.core.shape[0] * self.after, self.before * self.core.shape[1] * self.after

    def apply(self, rows: Array) -> Array:
        """The layer on every row of a matrix: one product of matrices, no copy of the input; cost of the core a row."""
        count, (m, k) = rows.shape[0], self.core.shape
        if self.after == 1:
            return (rows.reshape((count * self.before, k)) @ self.core.T).reshape((count, self.shape[0]))
        pieces = rows.reshape((count * self.before, k, self.after))
        return (self.core @ pieces).reshape((count, self.before * m * self.after))

    def matrix(self) -> sparse.csr_matrix:
        """The layer as a sparse matrix on the host."""
        core = sparse.csr_matrix(backend_of(self.core).to_host(self.core))
        inner = sparse.kron(core, sparse.identity(self.after))
        layer = sparse.kron(sparse.identity(self.before), inner, format="csr")
        layer.eliminate_zeros()
        return layer


def stack(mpo: MPO, first: str = "last") -> list[Layer]:
    """Layers in the order they act: that of the last site first, or that of the first site first.

    Their product is `to_dense()`. Before the layer of a site the vector holds, in this order,
    "last": in legs up to that site, bond, out legs behind it; "first": out legs before it, bond, in legs from it on.
    Raises LegError for tensors with symmetry.

    >>> from functools import reduce
    >>> import numpy as np
    >>> mpo = MPO.from_matrix(np.arange(12.0).reshape(4, 3), (2, 2), (3, 1))
    >>> layers = [layer.matrix() for layer in stack(mpo)]
    >>> reduce(lambda done, layer: layer @ done, layers).toarray().round(9)[3].tolist()
    [9.0, 10.0, 11.0]
    """
    if first not in _FIRST:
        raise SettingsError(f"the first layer is that of the last or the first site. {suggest(first, _FIRST)}")
    if any(len(leg) > 1 for tensor in mpo.tensors for leg in tensor.legs):
        raise LegError(
            "layers are made of dense tensors, this operator has symmetric blocks: write it without symmetry."
        )
    outs, ins = ([tensor.shape[axis] for tensor in mpo.tensors] for axis in (1, 2))
    sites = range(mpo.L - 1, -1, -1) if first == "last" else range(mpo.L)
    return [(_from_the_right if first == "last" else _from_the_left)(mpo, k, outs, ins) for k in sites]


def _from_the_right(mpo: MPO, k: int, outs: Sequence[int], ins: Sequence[int]) -> Layer:
    left, o, i, right = mpo.tensors[k].shape
    before, after = prod(ins[:k]), prod(outs[k + 1 :])
    core = mpo.tensors[k].array.reshape((left * o, i * right))
    return Layer(before, core, after, (before, left, o * after))


def _from_the_left(mpo: MPO, k: int, outs: Sequence[int], ins: Sequence[int]) -> Layer:
    left, o, i, right = mpo.tensors[k].shape
    before, after = prod(outs[:k]), prod(ins[k + 1 :])
    core = transpose(mpo.tensors[k], (1, 3, 0, 2)).array.reshape((o * right, left * i))
    return Layer(before, core, after, (before * o, right, after))


def bond_features(mpo: MPO, rows: Array, first: str = "last") -> Iterator[Array]:
    """What the vectors (one a row) become on every inner bond: arrays (row, before, bond, after), see `stack`."""
    rows = _checked_rows(mpo, rows)
    for layer in stack(mpo, first)[:-1]:
        rows = layer.apply(rows)
        yield rows.reshape((rows.shape[0], *layer.bond))


def _checked_rows(mpo: MPO, rows: Array) -> Array:
    """A matrix with a vector a row, in the order of the chain's legs: columns permuted and filled up."""
    size = prod(tensor.shape[2] for tensor in mpo.tensors) if mpo.axes is None else mpo.axes.columns.size
    if len(rows.shape) != 2 or rows.shape[1] != size:
        raise ShapeError(f"{mpo!r} acts on rows of {size} numbers, found an array of shape {tuple(rows.shape)}.")
    return rows if mpo.axes is None else mpo.axes.columns.spread(rows, 1, mpo.backend)
