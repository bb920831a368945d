"""Operations on tensors that gradients can be taken of; see `tnsim.tensor.tape` for what a gradient is.

All take tensors and nodes alike. Where no operand is a node the result is a plain tensor and nothing is recorded, so
one algorithm serves with and without gradients. The gradient of a contraction is a contraction, of a copy a copy: all
go through the same cached plans.
"""

from collections.abc import Sequence
from typing import Any

from tnsim.symmetry import Leg
from tnsim.tensor import reshape
from tnsim.tensor.contract import Words, contract_words, run_contraction, twist
from tnsim.tensor.contract import transpose as copied
from tnsim.tensor.create import eye
from tnsim.tensor.grading import is_graded
from tnsim.tensor.tape import Node, Value, node_of, record, value_of
from tnsim.tensor.tensor import Tensor


def contract(expression: str, *operands: Any) -> Any:
    """As `tnsim.tensor.contract`; twice its cost on the way back, and its intermediate results are kept."""
    return run_contraction(expression, operands, _pair, transpose)


def _pair(words_a: Words, a: Value, words_b: Words, b: Value, words: Words) -> Value:
    first, second = value_of(a), value_of(b)
    result = contract_words(words_a, first, words_b, second, words)
    nodes = node_of(a), node_of(b)
    if not any(nodes):
        return result

    def pull(g: Tensor) -> tuple[Tensor | None, ...]:
        of_a = contract_words(words, g, words_b, second.conj(), words_a) if nodes[0] else None
        of_b = contract_words(words_a, first.conj(), words, g, words_b) if nodes[1] else None
        return of_a, of_b

    def graded_pull(g: Tensor) -> tuple[Tensor | None, ...]:
        # a number contract(functional(g), a, b) of order g, a, b: what is asked for is moved to its end
        row, odd = functional(g), first.group.parity(first.charge) and second.group.parity(second.charge)
        of_a = contract_words(words, row, words_b, second, words_a) if nodes[0] else None
        of_b = contract_words(words, row, words_a, first, words_b) if nodes[1] else None
        of_a = functional(-of_a if odd else of_a, back=True) if of_a is not None else None
        return of_a, functional(of_b, back=True) if of_b is not None else None

    return record(result, nodes, graded_pull if is_graded(first.legs) or is_graded(second.legs) else pull)


def functional(x: Tensor, *, back: bool = False) -> Tensor:
    """x* with contract(x*, y) over all legs, in this order, = <x, y>: the adjoint, twisted where x flows out.

    back: the tensor of a functional.
    """
    flow = 1 if back else -1
    return twist(x.conj(), [n for n, leg in enumerate(x.legs) if leg.flow == flow])


def transpose(x: Any, order: Sequence[int]) -> Any:
    """New axis n is old axis order[n]."""
    if type(x) is not Node:
        return copied(x, order)
    back = tuple(sorted(range(len(order)), key=tuple(order).__getitem__))
    return record(copied(x.value, order), (x,), lambda g: (copied(g, back),))


def trace(x: Any, first: int, second: int) -> Any:
    """Sum over two legs, which are dual to each other."""
    kept = [f"x{n}" for n in range(x.ndim) if n not in (first, second)]
    words = " ".join("i" if n == first else "j" if n == second else f"x{n}" for n in range(x.ndim))
    delta = eye(x.legs[first].dual, dtype=x.dtype, backend=x.backend)
    return contract(f"{words}, i j -> {' '.join(kept)}", x, delta)


def fuse(x: Any, groups: Sequence[Sequence[int]], flows: Sequence[int] | None = None) -> Any:
    """Groups of axes combined, each into one leg; as `tnsim.tensor.fuse`."""
    if type(x) is not Node:
        return reshape.fuse(x, groups, flows)
    order = [axis for group in groups for axis in group]
    legs = [[x.legs[axis] for axis in group] for group in groups]
    back = tuple(sorted(range(len(order)), key=order.__getitem__))

    def pull(g: Tensor) -> tuple[Tensor]:
        for n in range(len(groups) - 1, -1, -1):
            g = reshape.split(g, n, legs[n])
        return (copied(g, back),)

    return record(reshape.fuse(x.value, groups, flows), (x,), pull)


def split(x: Any, axis: int, legs: Sequence[Leg]) -> Any:
    """`fuse` undone on one axis."""
    if type(x) is not Node:
        return reshape.split(x, axis, legs)
    many, flows = len(legs), [leg.flow for leg in x.legs]
    groups = [(n if n < axis else n + many - 1,) if n != axis else range(axis, axis + many) for n in range(x.ndim)]
    return record(reshape.split(x.value, axis, legs), (x,), lambda g: (reshape.fuse(g, groups, flows),))


def relabelled(x: Any, legs: Sequence[Leg]) -> Any:
    """The same numbers with other legs, of which each differs by its direction only; no copy.

    Only where every charge is its own dual, so that the direction is a convention.
    """
    if type(x) is not Node:
        return Tensor(legs, x.data, x.charge)
    before = x.legs
    return record(Tensor(legs, x.value.data, x.charge), (x,), lambda g: (Tensor(before, g.data, g.charge),))


def conj(x: Any) -> Any:
    """Complex conjugate; every flow and the charge turn round."""
    return x.conj()


def real(x: Any) -> Any:
    """The real part of a number (a tensor without legs)."""
    if x.dtype.kind != "c":
        return x
    value = value_of(x)
    part = Tensor(value.legs, value.backend.real(value.data), value.charge)
    return record(part, (x,), lambda g: (g,)) if type(x) is Node else part


def norm(x: Any) -> Any:
    """The Frobenius norm as a tensor without legs; no read of the device."""
    value = value_of(x)
    size = value.backend.norm(value.data).reshape(1)
    result = Tensor((), size)
    if type(x) is not Node:
        return result
    return record(result, (x,), lambda g: (_times(value, g.data * size**-1),))


def unit(x: Any) -> Any:
    """x over its norm; no read of the device."""
    value = value_of(x)
    size = value.backend.norm(value.data).reshape(1)
    result = _times(value, size**-1)
    if type(x) is not Node:
        return result

    def pull(g: Tensor) -> tuple[Tensor]:
        along = g.backend.real(g.backend.vdot(result.data, g.data)).reshape(1)
        return (_times(g - _times(result, along), size**-1),)

    return record(result, (x,), pull)


def scaled(x: Any, factor: Any) -> Any:
    """x times a number that is itself a value (a tensor without legs)."""
    value, number = value_of(x), value_of(factor)
    result = _times(value, number.data)
    nodes = node_of(x), node_of(factor)
    if not any(nodes):
        return result

    def pull(g: Tensor) -> tuple[Tensor | None, ...]:
        of_x = _times(g, g.backend.conj(number.data)) if nodes[0] else None
        of_factor = Tensor((), g.backend.vdot(value.data, g.data).reshape(1)) if nodes[1] else None
        return of_x, of_factor

    return record(result, nodes, pull)


def reciprocal(x: Any) -> Any:
    """1 over a number (a tensor without legs)."""
    value = value_of(x)
    result = Tensor((), value.data**-1)
    if type(x) is not Node:
        return result
    slope = -value.backend.conj(result.data * result.data)
    return record(result, (x,), lambda g: (_times(g, slope),))


def ratio(x: Any, y: Any) -> Any:
    """x / y, for a number y."""
    return scaled(x, reciprocal(y))


def _times(x: Tensor, factor: Any) -> Tensor:
    """Times an array of one number."""
    return Tensor(x.legs, x.data * factor, x.charge)
