"""What every layer on a chain of cores shares: its parameters, what their legs stand for, and the way to an MPO."""

from collections.abc import Callable, Collection, Sequence
from math import inf, prod
from typing import Any, NamedTuple

import torch
from torch import nn

from tnsim.errors import ShapeError
from tnsim.networks.apply_plan import ApplyPlan, kept_numbers
from tnsim.networks.matrix_index import MatrixAxes, MatrixAxis
from tnsim.networks.mpo import MPO
from tnsim.tensorize.nn.arrays import cores_of, mpo_of
from tnsim.tensorize.nn.chain_product import (
    apply_chain,
    chain_matrix,
    core_shapes,
    estimated_plan,
    is_traced,
    plus_bias,
    prepared_chain,
)

_AUTOCAST = (torch.float32, torch.float16, torch.bfloat16)


class _Kept(NamedTuple):
    """Merged cores that wait for the next call, and for which calls. rows: more than the first number, at most the
    other, are what the plan is for; stored: what was merged, its version and address (tensors that are held here do
    not make room for others at their address)."""

    act: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
    given: ApplyPlan | None
    dtype: torch.dtype
    rows: tuple[float, float]
    stored: list[tuple[torch.Tensor, int, int]]


class ChainModule(nn.Module):
    """Cores (left, out, in, right) of a matrix of `axes.shape`, and permutations of its rows and columns as buffers.

    plan: how the chain acts (an `ApplyPlan`), or None for the one estimated best for each batch. is_plain: nothing is
    permuted or filled up.
    """

    cores: Any
    row_places: torch.Tensor | None
    column_places: torch.Tensor | None

    def __init__(self, cores: Sequence[torch.Tensor], axes: MatrixAxes) -> None:
        super().__init__()
        self.cores = nn.ParameterList([nn.Parameter(core) for core in cores])
        self.plan: ApplyPlan | None = None
        self._kept: _Kept | None = None
        self._estimates: dict[tuple[int, int], ApplyPlan] = {}
        self._sizes, self._padding, self._in_order = axes.shape, axes.columns.padding, not axes.rows.padding
        for name, axis in (("row_places", axes.rows), ("column_places", axes.columns)):
            self._set_buffer(name, None if axis.places is None else torch.tensor(axis.places, device=cores[0].device))
        self.is_plain = self._in_order and not self._padding and axes.rows.places is axes.columns.places is None

    @classmethod
    def _on(cls, mpo: MPO) -> Any:
        """A layer of this kind on the memory of a chain; what is its own is still to be set."""
        if mpo.axes is None:
            raise ShapeError(f"{mpo!r} stands for no matrix: make it with MPO.from_matrix.")
        layer = cls.__new__(cls)
        ChainModule.__init__(layer, cores_of(mpo), mpo.axes)
        return layer

    def _set_buffer(self, name: str, value: torch.Tensor | None) -> None:
        """A buffer, or a plain None: torch.export counts buffers that are None and loses those behind them."""
        if value is None:
            setattr(self, name, None)
        else:
            self.register_buffer(name, value)

    def chain_cores(self) -> list[torch.Tensor]:
        """The cores as they act."""
        plain = type(self.cores) is nn.ParameterList
        # iterating a ParameterList takes a microsecond a core
        return list(self.cores._parameters.values() if plain else self.cores)

    def core_shapes(self) -> list[tuple[int, ...]]:
        """(left, out, in, right) of every core."""
        stored = getattr(self.cores, "shapes", None)  # of cores in few bits
        return stored or [tuple(core.shape) for core in self.cores]

    @property
    def axes(self) -> MatrixAxes:
        """What the legs stand for, read from the buffers."""
        sides = []
        for size, places, axis in zip(self._sizes, (self.row_places, self.column_places), (1, 2), strict=True):
            dims = tuple(shape[axis] for shape in self.core_shapes())
            sides.append(MatrixAxis(size, dims, None if places is None else tuple(places.tolist())))
        return MatrixAxes(*sides)

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(shape[3] for shape in self.core_shapes()[:-1])

    @property
    def numbers(self) -> int:
        """Numbers in the cores; the bias is not counted."""
        return sum(prod(shape) for shape in self.core_shapes())

    def to_mpo(self) -> MPO:
        """The chain as an MPO on the same memory: what changes one of them changes the other."""
        return mpo_of(self.chain_cores(), self.axes)

    def matrix(self) -> torch.Tensor:
        """The whole matrix, differentiable; built anew in every call."""
        rows = _gathered(chain_matrix(self.chain_cores()), 0, self.row_places, self._sizes[0])
        return _gathered(rows, 1, self.column_places, self._sizes[1])

    def _apply_to_rows(self, rows: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The matrix on every row of a batch plus the bias; under autocast, cores in the type of the rows."""
        if self._padding:
            rows = nn.functional.pad(rows, (0, self._padding))
        if self.column_places is not None:
            rows = rows.index_select(1, self.column_places)
        if self._in_order and self.row_places is None:
            return self._through(rows, bias)
        return plus_bias(_gathered(self._through(rows, None), 1, self.row_places, self._sizes[0]), bias)

    def _through(self, rows: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """In evaluation and without gradients, merged cores are kept from call to call (see `_worth_keeping`)."""
        if self.training or torch.is_grad_enabled() or is_traced():
            plan = self.plan if is_traced() else self._plan_for(rows)
            return plus_bias(apply_chain(rows, in_autocast(rows, *self.chain_cores())[1:], plan), bias)
        kept = self._kept
        fits = kept is not None and kept.dtype is rows.dtype and kept.rows[0] < rows.shape[0] <= kept.rows[1]
        if kept is None or not fits or not self._is_current(kept):
            kept = self._kept = self._merged(rows)
        if kept is not None:
            return kept.act(rows, bias)
        return plus_bias(apply_chain(rows, in_autocast(rows, *self.chain_cores())[1:], self._plan_for(rows)), bias)

    def _merged(self, rows: torch.Tensor) -> _Kept | None:
        """The cores merged for rows such as these; None where nothing is to be kept."""
        plan = self._plan_for(rows)
        if plan.again or not self._worth_keeping(plan):
            return None
        try:
            stored = [(tensor, tensor._version, tensor.data_ptr()) for tensor in self._stored()]
        except RuntimeError:  # made in inference mode, or in the hands of torch.func: no changes are counted
            return None
        act = prepared_chain(in_autocast(rows, *self.chain_cores())[1:], plan)
        most = 2.0 ** (rows.shape[0] - 1).bit_length()
        return _Kept(act, self.plan, rows.dtype, (most / 2, most) if self.plan is None else (-1, inf), stored)

    def _is_current(self, kept: _Kept) -> bool:
        """Whether merged cores may serve this call: nothing has changed since, and neither gradient nor graph is made.

        Inputs are not looked at. In small layers all of this counts: each line takes a hundredth of a call.
        """
        if torch.is_grad_enabled() or is_traced() or kept.given is not self.plan:
            return False
        now = self._stored()
        if len(now) != len(kept.stored):
            return False
        for tensor, (merged, version, address) in zip(now, kept.stored, strict=True):
            if tensor is not merged or tensor._version != version or tensor.data_ptr() != address:
                return False
        return True

    def _plan_for(self, rows: torch.Tensor) -> ApplyPlan:
        """The plan that was given, or the one estimated best for so many rows."""
        if self.plan is not None:
            return self.plan
        key = max(0, rows.shape[0] - 1).bit_length(), rows.element_size()
        if key not in self._estimates:
            self._estimates[key] = estimated_plan(core_shapes(self.chain_cores()), 1 << key[0], key[1])
        return self._estimates[key]

    def _worth_keeping(self, plan: ApplyPlan) -> bool:
        """With a plan that was given; without, where cores are stored as they act and take little more once merged."""
        if self.plan is not None:
            return True
        shapes = core_shapes(self.chain_cores())
        little = kept_numbers(shapes, plan) <= 2 * sum(map(prod, shapes))
        return little and isinstance(self._modules["cores"], nn.ParameterList)

    def _stored(self) -> Collection[torch.Tensor]:
        """What the cores are stored in: in few bits, or in another type, they are made anew in every call."""
        cores: Any = self._modules["cores"]
        return (cores._parameters or cores._buffers).values()

    def forget_(self) -> None:
        """Forget merged cores and estimated plans: the cores have other shapes, or another plan is given."""
        self._kept, self._estimates = None, {}

    def __getstate__(self) -> dict[str, Any]:
        """Copies start without merged cores."""
        return self.__dict__ | {"_kept": None, "_estimates": {}}

    def train(self, mode: bool = True) -> "ChainModule":
        """As in `nn.Module`; merged cores are forgotten."""
        self._kept = None
        return super().train(mode)


def _gathered(array: torch.Tensor, axis: int, places: torch.Tensor | None, size: int) -> torch.Tensor:
    """From the order of a chain, with its padding, to that of the matrix."""
    if places is not None:
        array = array.index_select(axis, torch.argsort(places))
    return array if array.shape[axis] == size else array.narrow(axis, 0, size)


def in_autocast(x: torch.Tensor, *others: torch.Tensor | None) -> list[Any]:
    """All of them in the type that autocast asks for, as PyTorch's own layers do; as they are outside of it."""
    if x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return [x, *others]
    dtype = torch.get_autocast_dtype(x.device.type)
    return [t.to(dtype) if t is not None and t.dtype in _AUTOCAST else t for t in (x, *others)]


def chain_repr(layer: ChainModule) -> str:
    """Sizes, factors and ranks, for the repr of a layer."""
    (out, width), shapes = layer.axes.shape, layer.core_shapes()
    outs, ins = ("x".join(str(shape[axis]) for shape in shapes) for axis in (1, 2))
    return f"{width}, {out}, factors=({outs}, {ins}), ranks={layer.ranks}"
