"""Matrix-product operators: sites with legs (left, out, in, right).

`out` and `in` may differ in size: a weight matrix is an MPO too.
"""

from collections.abc import Sequence
from functools import cached_property, reduce
from numbers import Number
from typing import Any

import numpy as np

from tnsim.backend import Array, Backend, default_backend, get_backend
from tnsim.errors import LegError, OperatorError, ShapeError
from tnsim.linalg import Truncation, qr, svd
from tnsim.networks.direct_sum import direct_sum
from tnsim.networks.identity_channels import scale_train, share_identities
from tnsim.networks.matrix_index import IndexOrder, MatrixAxes, matrix_axes
from tnsim.networks.matrix_train import checked_matrix, join_sites, matrix_of_train, train_of_matrix
from tnsim.networks.rank_rule import RankRule
from tnsim.networks.scaling import scale_columns
from tnsim.networks.site_operator import SiteOperator, site_operators
from tnsim.networks.sites import Site, check_chain
from tnsim.symmetry import Leg, kronecker_order
from tnsim.tensor import Tensor, contract, flip_leg, from_dense, fuse, transpose


class MPO:
    """A chain of tensors with legs (left, out, in, right), flows (+1, +1, -1, -1), and no charge.

    Tensors are values: methods return new operators. is_hermitian is True, False, or None where unknown. axes: of a
    chain made from a matrix, what its legs stand for (permutations, padding), else None.

    >>> from tnsim.networks.sites import spin_sites
    >>> MPO.identity(spin_sites(3))
    MPO on 3 sites, bond dimensions 1 1 1 1, float64 on numpy
    """

    __array_ufunc__ = None  # so that a NumPy number times an MPO comes to __rmul__

    def __init__(
        self,
        tensors: Sequence[Tensor],
        sites: Sequence[Site] | None = None,
        *,
        is_hermitian: bool | None = None,
        axes: MatrixAxes | None = None,
    ) -> None:
        self.tensors = list(tensors)
        self.axes = axes
        self.sites = None if sites is None else tuple(sites)
        self.is_hermitian = is_hermitian
        if not self.tensors:
            raise ShapeError("an MPO needs at least one site tensor.")
        for i, tensor in enumerate(self.tensors):
            if [leg.flow for leg in tensor.legs] != [1, 1, -1, -1]:
                raise LegError(
                    f"MPO site {i} needs legs (left, out, in, right) with flows (+1, +1, -1, -1), found "
                    f"{list(tensor.legs)}."
                )
            if i and self.tensors[i - 1].legs[3].dual is not tensor.legs[0]:
                raise LegError(
                    f"the MPO's bond between sites {i - 1} and {i} does not fit: {self.tensors[i - 1].legs[3]!r} "
                    f"against {tensor.legs[0]!r}."
                )
        check_chain(self.tensors[0].group)
        ends = self.tensors[0].legs[0].dim, self.tensors[-1].legs[3].dim
        if ends != (1, 1):
            raise ShapeError(f"an open MPO ends in bonds of dimension 1, found {ends}.")
        if self.sites is not None and [site.leg for site in self.sites] != [t.legs[1] for t in self.tensors]:
            raise LegError(f"the sites given do not fit the MPO's physical legs, {[t.legs[1] for t in self.tensors]}.")
        if axes is not None and [axes.rows.dims, axes.columns.dims] != [self._sizes(1), self._sizes(2)]:
            raise ShapeError(f"{axes} does not fit physical legs of sizes {self._sizes(1)} and {self._sizes(2)}.")

    @classmethod
    def identity(cls, sites: Sequence[Site], *, dtype: Any = np.float64, backend: str | Backend | None = None) -> "MPO":
        """The identity, bond dimension 1."""
        library = default_backend() if backend is None else get_backend(backend)
        one = Leg(sites[0].group, [sites[0].group.identity], [1])
        tensors = []
        for site in sites:
            matrix = np.eye(site.dim, dtype=dtype)[None, :, :, None]
            tensors.append(from_dense(matrix, (one, site.leg, site.leg.dual, one.dual)).to(library))
        return cls(tensors, sites, is_hermitian=True)

    @classmethod
    def from_matrix(
        cls,
        matrix: Array,
        out_factors: Sequence[int],
        in_factors: Sequence[int],
        rule: RankRule | int | Sequence[int] | None = None,
        *,
        index: IndexOrder | None = None,
        name: str = "",
    ) -> "MPO":
        """The chain of a matrix (rows out, columns in) whose sizes are products of factors, by SVDs from the left.

        rule: RankRule(ranks=, tol=, params= or bytes=), a bound on all ranks, or the rank of every cut; None keeps
        all but rounding. name stands in errors. Cost and error: see `networks/matrix_train.py`. Signs are fixed, so
        equal matrices give equal numbers. Raises ShapeError, SettingsError, NumericalError.

        >>> W = np.arange(12.0).reshape(4, 3)
        >>> MPO.from_matrix(W, (2, 2), (3, 1))
        MPO on 2 sites, bond dimensions 1 2 1, float64 on numpy
        """
        axes = matrix_axes(np.shape(matrix), out_factors, in_factors, index or IndexOrder())
        rule = RankRule.of(rule)
        rule.fixed([o * i for o, i in zip(axes.rows.dims, axes.columns.dims, strict=True)])
        return cls(train_of_matrix(checked_matrix(matrix, name), axes, rule), axes=axes)

    # -- structure -------------------------------------------------------------------------------------

    @property
    def L(self) -> int:
        return len(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    @property
    def bond_dimensions(self) -> tuple[int, ...]:
        return tuple(tensor.legs[0].dim for tensor in self.tensors) + (self.tensors[-1].legs[3].dim,)

    def _sizes(self, axis: int) -> tuple[int, ...]:
        return tuple(tensor.shape[axis] for tensor in self.tensors)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(tensor.dtype for tensor in self.tensors))

    @property
    def backend(self) -> Backend:
        return self.tensors[0].backend

    @cached_property
    def site_operators(self) -> tuple[SiteOperator, ...]:
        """Non-zero entries and identity channels of every site, as algorithms read them (on the host)."""
        return site_operators(self.tensors)

    def __repr__(self) -> str:
        dims = " ".join(map(str, self.bond_dimensions)) if self.L <= 12 else f"up to {max(self.bond_dimensions)}"
        return f"MPO on {self.L} sites, bond dimensions {dims}, {self.dtype} on {self.backend.name}"

    # -- moving ----------------------------------------------------------------------------------------

    def _with(self, tensors: Sequence[Tensor], is_hermitian: bool | None = None) -> "MPO":
        return MPO(tensors, self.sites, is_hermitian=is_hermitian, axes=self.axes)

    def to(self, backend: str | Backend) -> "MPO":
        return self._with([tensor.to(backend) for tensor in self.tensors], self.is_hermitian)

    def astype(self, dtype: Any) -> "MPO":
        return self._with([tensor.astype(dtype) for tensor in self.tensors], self.is_hermitian)

    def to_dense(self) -> Array:
        """The full matrix, rows out, columns in; for small chains (dimension d**L)."""
        return _unsorted(reduce(join_sites, self.tensors), self.tensors)

    def to_matrix(self) -> Array:
        """The matrix that the chain was made from: no padding, rows and columns where they were. See `to_dense`."""
        return self.to_dense() if self.axes is None else matrix_of_train(self.tensors, self.axes)

    # -- algebra ---------------------------------------------------------------------------------------

    def __mul__(self, factor: complex) -> "MPO":
        if not isinstance(factor, Number):
            return NotImplemented
        number = complex(factor)  # type: ignore[call-overload]
        if number.imag == 0:
            return self._with(scale_train(self.tensors, number.real), self.is_hermitian)
        dtype = np.result_type(self.dtype, np.complex64)
        hermitian = False if self.is_hermitian else None
        return self._with(scale_train([tensor.astype(dtype) for tensor in self.tensors], number), hermitian)

    __rmul__ = __mul__

    def __truediv__(self, factor: complex) -> "MPO":
        return self * (1 / factor)

    def __neg__(self) -> "MPO":
        return self * -1.0

    def __add__(self, other: "MPO") -> "MPO":
        """The sum: bond dimensions add up, less the identity channels that both have; see `compress`."""
        if not isinstance(other, MPO):
            return NotImplemented
        self._check_fits(other)
        both = {self.is_hermitian, other.is_hermitian}
        hermitian = False not in both if True in both and None not in both else None  # two that are not may cancel
        return self._with(share_identities(direct_sum(self.tensors, other.tensors)), hermitian)

    def __sub__(self, other: "MPO") -> "MPO":
        return self + (-other)

    def __matmul__(self, other: "MPO") -> "MPO":
        """The product self other (other acts first), bond dimensions multiplied.

            o |
        l1--[self]--r1
            m |
        l2--[other]-r2
            i |
        """
        if not isinstance(other, MPO):
            raise OperatorError(
                f"H @ x multiplies operators, found {type(other).__name__}: a state takes tn.apply(H, psi)."
            )
        if self.L != other.L:
            raise ShapeError(f"operators on {self.L} and {other.L} sites cannot be multiplied.")
        axes, tensors = self._axes_of_product(other), []
        for a, b in zip(self.tensors, other.tensors, strict=True):
            joined = contract("l o m r, x m i y -> l x o i r y", a, b)
            tensors.append(fuse(joined, [(0, 1), (2,), (3,), (4, 5)], [1, 1, -1, -1]))
        return MPO(tensors, self.sites, axes=axes)

    @property
    def H(self) -> "MPO":
        """The Hermitian conjugate."""
        tensors = [_adjoint(tensor) for tensor in self.tensors]
        axes = None if self.axes is None else self.axes.transposed
        return MPO(tensors, self.sites, is_hermitian=self.is_hermitian, axes=axes)

    def _check_fits(self, other: "MPO") -> None:
        if self.L != other.L or any(
            a.legs[1:3] != b.legs[1:3] for a, b in zip(self.tensors, other.tensors, strict=True)
        ):
            raise ShapeError(f"operators can be added where they act on the same sites, found {self!r} and {other!r}.")
        if self.axes != other.axes:
            raise ShapeError(f"matrices can be added where their axes agree, found {self.axes} and {other.axes}.")

    def _axes_of_product(self, other: "MPO") -> MatrixAxes | None:
        if self.axes is None and other.axes is None:
            return None
        if self.axes is None or other.axes is None or self.axes.columns != other.axes.rows:
            raise ShapeError(
                f"matrices can be multiplied where the columns of the first stand as the rows of the second, found "
                f"{self.axes} and {other.axes}."
            )
        return MatrixAxes(self.axes.rows, other.axes.columns)

    # -- compression -----------------------------------------------------------------------------------

    def compress(self, truncation: Truncation) -> "MPO":
        """The nearest MPO (Frobenius norm) with truncated bonds: QR to the right, SVD back.

        Singular values are taken relative to the norm of the whole operator. Cost O(L w^3 d^2); error below
        sqrt(sum of discarded weights) times the norm.
        """
        tensors = list(self.tensors)
        # isometries are scaled like identities, so that the norm of a long chain does not overflow
        sizes = [(tensor.shape[1] * tensor.shape[2]) ** 0.25 for tensor in tensors]
        for i in range(self.L - 1):
            q, r = qr(tensors[i], (0, 1, 2))
            tensors[i] = q * sizes[i]
            tensors[i + 1] = contract("l m, m o i r -> l o i r", r / sizes[i], tensors[i + 1])
        for i in range(self.L - 1, 0, -1):
            u, s, v = svd(tensors[i], (0,), truncation)
            tensors[i] = v * sizes[i]
            tensors[i - 1] = contract("l o i m, m n -> l o i n", tensors[i - 1], scale_columns(u, s) / sizes[i])
        return self._with(tensors, self.is_hermitian)


def _adjoint(tensor: Tensor) -> Tensor:
    """Out and in exchanged, numbers conjugated, bond legs turned round so that the flows stay."""
    return flip_leg(flip_leg(transpose(tensor.conj(), (0, 2, 1, 3)), 0), 3)


def _unsorted(result: Tensor, tensors: Sequence[Tensor]) -> Array:
    """Matrix elements in Kronecker order; fused legs are ordered by charge."""
    backend = result.backend
    dense = backend.to_host(result.to_dense()).reshape(result.shape[1], result.shape[2])
    rows, cols = (kronecker_order([tensor.legs[axis] for tensor in tensors]) for axis in (1, 2))
    return backend.asarray(dense[np.ix_(rows, cols)])
