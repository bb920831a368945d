"""Reverse-mode differentiation: every value knows the operation that made it, and gradients run back through these.

The gradient g of a real function f at x has the structure of x, and a small change dx changes f by Re <g, dx>: for
complex numbers g = df/d Re(x) + i df/d Im(x). The operations stand in `tnsim.tensor.gradient` and
`tnsim.linalg.gradient`.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from tnsim.errors import ShapeError
from tnsim.symmetry import Charge, Group, Leg
from tnsim.tensor.create import scalar, zeros
from tnsim.tensor.tensor import Tensor

# gradients of the outputs -> gradients of the inputs, None for those that are constant
Pull = Callable[..., tuple[Tensor | None, ...]]
_numbers = count()


class Operation:
    """What made some values: its inputs (None for constants), and how gradients are pulled back through it."""

    __slots__ = ("inputs", "number", "outputs", "pull")

    def __init__(self, outputs: tuple[Tensor, ...], inputs: Sequence["Node | None"], pull: Pull) -> None:
        self.number = next(_numbers)
        self.outputs, self.inputs, self.pull = outputs, inputs, pull


class Node:
    """A tensor that gradients are asked for, or that was made from one. Arithmetic is recorded."""

    __slots__ = ("operation", "place", "value")

    def __init__(self, value: Tensor, operation: Operation, place: int = 0) -> None:
        self.value, self.operation, self.place = value, operation, place

    def __repr__(self) -> str:
        return f"Node({self.value!r})"

    @property
    def legs(self) -> tuple[Leg, ...]:
        return self.value.legs

    @property
    def charge(self) -> Charge:
        return self.value.charge

    @property
    def group(self) -> Group:
        return self.value.group

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def backend(self) -> Any:
        return self.value.backend

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def item(self) -> Any:
        """The number in a tensor without legs, on the host."""
        return self.value.item()

    def conj(self) -> "Node":
        """Complex conjugate; every flow and the charge turn round."""
        return record(self.value.conj(), (self,), lambda g: (g.conj(),))

    def __add__(self, other: "Node | Tensor") -> "Node":
        return record(self.value + value_of(other), (self, node_of(other)), lambda g: (g, g))

    __radd__ = __add__

    def __sub__(self, other: "Node | Tensor") -> "Node":
        return record(self.value - value_of(other), (self, node_of(other)), lambda g: (g, -g))

    def __neg__(self) -> "Node":
        return record(-self.value, (self,), lambda g: (-g,))

    def __mul__(self, factor: complex) -> "Node":
        return record(self.value * factor, (self,), lambda g: (g * factor.conjugate(),))

    __rmul__ = __mul__

    def __truediv__(self, factor: complex) -> "Node":
        return self * (1 / factor)


Value = Tensor | Node


def variable(tensor: Tensor) -> Node:
    """The start of a tape."""
    return Node(tensor, Operation((tensor,), (), tuple))


def value_of(value: Value) -> Tensor:
    """The tensor itself."""
    return value.value if type(value) is Node else value  # type: ignore[return-value]


def node_of(value: Value) -> Node | None:
    """The node, None for a constant."""
    return value if type(value) is Node else None


def record(output: Tensor, inputs: Sequence[Node | None], pull: Pull) -> Node:
    """One value made by an operation."""
    return Node(output, Operation((output,), inputs, pull))


def record_all(outputs: Sequence[Tensor], inputs: Sequence[Node | None], pull: Pull) -> tuple[Node, ...]:
    """Several values made by one operation; `pull` takes a gradient for each, zeros where there is none."""
    operation = Operation(tuple(outputs), inputs, pull)
    return tuple(Node(output, operation, place) for place, output in enumerate(outputs))


def backward(outputs: Sequence[Value], gradients: Sequence[Tensor], inputs: Sequence[Node]) -> list[Tensor]:
    """Gradients with respect to the inputs, from those with respect to the outputs; zeros where nothing depends.

    Nothing is used up: it may be asked again with other gradients. Cost: about twice that of the operations.
    """
    found: dict[Operation, list[Tensor | None]] = {}
    ends = {node.operation for node in inputs}
    for output, gradient in zip(outputs, gradients, strict=True):
        if type(output) is Node:
            _add(found, output, gradient)
    for operation in _in_reverse(list(found)):
        seeds = found.get(operation)
        if seeds is None or not operation.inputs:
            continue
        own = [_zeros(out) if g is None else g for g, out in zip(seeds, operation.outputs, strict=True)]
        for node, pulled in zip(operation.inputs, operation.pull(*own), strict=True):
            if node is not None and pulled is not None:
                _add(found, node, pulled)
        if operation not in ends:
            del found[operation]
    results = [(found.get(node.operation), node) for node in inputs]
    return [_zeros(node.value) if got is None else got[node.place] or _zeros(node.value) for got, node in results]


def _add(found: dict[Operation, list[Tensor | None]], node: Node, gradient: Tensor) -> None:
    """Sum up; what is real has a real gradient."""
    value = node.value
    if gradient.dtype is not value.dtype and gradient.dtype != value.dtype:
        data = gradient.backend.real(gradient.data) if value.dtype.kind != "c" else gradient.data
        gradient = Tensor(gradient.legs, gradient.backend.astype(data, value.dtype), gradient.charge)
    seeds = found.get(node.operation)
    if seeds is None:
        seeds = found[node.operation] = [None] * len(node.operation.outputs)
    before = seeds[node.place]
    seeds[node.place] = gradient if before is None else before + gradient


def _in_reverse(waiting: list[Operation]) -> list[Operation]:
    """All operations that these depend on, the last first."""
    seen = set(waiting)
    while waiting:
        for node in waiting.pop().inputs:
            if node is not None and node.operation not in seen:
                seen.add(node.operation)
                waiting.append(node.operation)
    return sorted(seen, key=lambda operation: -operation.number)


def _zeros(like: Tensor) -> Tensor:
    return zeros(like.legs, like.charge, dtype=like.dtype, backend=like.backend)


def value_and_gradient(function: Callable[..., Value], *tensors: Tensor) -> tuple[float, list[Tensor]]:
    """A real function of tensors, made of recorded operations, and its gradient with respect to each of them.

    Raises ShapeError where the function gives no real number. Cost: three to four times that of the function.

    >>> import numpy as np
    >>> from tnsim.tensor import from_dense
    >>> from tnsim.tensor.gradient import contract
    >>> x = from_dense(np.array([3.0, 4.0]))
    >>> value, (slope,) = value_and_gradient(lambda x: contract("a, a -> ", x, x.conj()), x)
    >>> value, slope.array.tolist()
    (25.0, [6.0, 8.0])
    """
    result, slopes = _with_slopes(function, tensors)
    return float(result.item()), slopes


def _with_slopes(function: Callable[..., Value], tensors: Sequence[Tensor]) -> tuple[Value, list[Tensor]]:
    nodes = [variable(tensor) for tensor in tensors]
    result = function(*nodes)
    if result.legs or result.dtype.kind == "c":
        raise ShapeError(f"a gradient is that of a real number, found {value_of(result)!r}: take its real().")
    one = scalar(1.0, dtype=result.dtype, backend=result.backend)
    return result, backward([result], [one], nodes)


def at_once(function: Callable[..., Value], *inputs: Value) -> Value:
    """function(*inputs), a real number whose gradient is taken now: of the way to it nothing is kept.

    Of a sum of such numbers one at a time is in memory. Unlike a `checkpoint` no run is repeated, but the gradient is
    taken whether it is asked for or not. Raises ShapeError where the function gives no real number.
    """
    values, chosen = [value_of(each) for each in inputs], [n for n, each in enumerate(inputs) if node_of(each)]
    if not chosen:
        return function(*values)

    def of_chosen(*some: Node) -> Value:
        every: list[Value] = list(values)
        for n, node in zip(chosen, some, strict=True):
            every[n] = node
        return function(*every)

    result, slopes = _with_slopes(of_chosen, [values[n] for n in chosen])

    def pull(g: Tensor) -> tuple[Tensor, ...]:
        return tuple(Tensor(slope.legs, slope.data * g.data, slope.charge) for slope in slopes)

    return record(value_of(result), [node_of(inputs[n]) for n in chosen], pull)


def checkpoint(function: Callable[..., tuple[Value, ...]], *inputs: Value) -> tuple[Value, ...]:
    """function(*inputs), of which nothing but the inputs is kept: it runs again when gradients come back.

    The function gives a tuple, and the same for the same inputs; what else it uses is constant. Memory for time: one
    more run of the function.
    """
    values, nodes = tuple(map(value_of, inputs)), tuple(map(node_of, inputs))
    outputs = function(*values)
    if not any(nodes):
        return outputs

    def pull(*gradients: Tensor) -> tuple[Tensor | None, ...]:
        own = [variable(value) if node else value for value, node in zip(values, nodes, strict=True)]
        again = function(*own)
        found = iter(backward(again, gradients, [each for each in own if type(each) is Node]))
        return tuple(next(found) if node else None for node in nodes)

    return record_all(outputs, nodes, pull)  # type: ignore[arg-type]
