"""Contraction in leg words: `contract("a b, b c -> a c", A, B)`.

Words name legs, equal words are summed over. The path comes from opt_einsum, the block products from
cached plans, so that repeated contractions of one structure cost their arithmetic and little else.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import opt_einsum

from tnsim.backend import Array, Backend, thread_count
from tnsim.errors import BackendError, ShapeError
from tnsim.tensor.create import eye
from tnsim.tensor.grading import is_graded, signed, transpose_signs, twist_signs
from tnsim.tensor.plan import ProductPlan, copy_plan, pair_plan
from tnsim.tensor.tensor import Tensor

Words = tuple[str, ...]


def contract(expression: str, *tensors: Tensor) -> Tensor:
    """Sum products of tensors over shared leg words.

    Each word stands once (an open leg, named behind the arrow) or twice (summed over, opposite flows).
    Cost: that of the pairwise path opt_einsum finds; exact. Raises ShapeError for a wrong expression,
    LegError where legs do not fit, BackendError for mixed devices.

    >>> from tnsim.tensor import from_dense
    >>> A, B = from_dense(np.ones((2, 3))), from_dense(np.ones((3, 4)))
    >>> contract("a b, b c -> a c", A, B).shape
    (2, 4)
    """
    return run_contraction(expression, tensors, contract_words, transpose)


def run_contraction(
    expression: str, operands: Sequence[Any], pair: Callable[..., Any], single: Callable[..., Any]
) -> Any:
    """A contraction whose products are made by `pair`, as by `contract_words`; of one operand by `single`."""
    inputs, output = parse(expression)
    if len(inputs) != len(operands):
        raise ShapeError(f"{expression!r} names {len(inputs)} tensors, {len(operands)} were given.")
    for number, (words, operand) in enumerate(zip(inputs, operands, strict=True)):
        if len(words) != operand.ndim:
            raise ShapeError(
                f"{expression!r} gives tensor {number} the {len(words)} legs {' '.join(words)!r}, "
                f"but it has {operand.ndim}."
            )
    if len(operands) == 1:
        return single(operands[0], tuple(inputs[0].index(word) for word in output))
    if len(operands) == 2:
        return pair(inputs[0], operands[0], inputs[1], operands[1], output)
    waiting = list(zip(inputs, operands, strict=True))
    for i, j, words in steps(inputs, output, tuple(operand.shape for operand in operands)):
        (words_b, b), (words_a, a) = waiting.pop(max(i, j)), waiting.pop(min(i, j))
        waiting.append((words, pair(words_a, a, words_b, b, words)))
    return waiting[0][1]


@lru_cache(maxsize=4096)
def parse(expression: str) -> tuple[tuple[Words, ...], Words]:
    """Input words of every tensor, and output words."""
    if expression.count("->") != 1:
        raise ShapeError(f"a contraction reads 'a b, b c -> a c' with one arrow, found {expression!r}.")
    left, right = expression.split("->")
    inputs, output = tuple(tuple(part.split()) for part in left.split(",")), tuple(right.split())
    counts: dict[str, int] = {}
    for words in inputs:
        if len(set(words)) != len(words):
            raise ShapeError(f"{expression!r} names a leg twice on one tensor ({' '.join(words)!r}): use trace().")
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    once = {word for word, count in counts.items() if count == 1}
    if len(set(output)) != len(output) or set(output) != once or max(counts.values(), default=0) > 2:
        raise ShapeError(
            f"{expression!r}: every word stands twice before the arrow, or once before and once behind it; "
            f"open legs here are {' '.join(sorted(once))!r}, behind the arrow stands {' '.join(output)!r}."
        )
    return inputs, output


@lru_cache(maxsize=4096)
def steps(
    inputs: tuple[Words, ...], output: Words, shapes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, int, Words], ...]:
    """Pairwise steps (operand, operand, words of the result); results go to the end of the list."""
    if len(inputs) == 2:
        return ((0, 1, output),)
    letters = {word: opt_einsum.get_symbol(n) for n, word in enumerate(sorted({w for ws in inputs for w in ws}))}
    equation = ",".join("".join(letters[w] for w in ws) for ws in inputs) + "->" + "".join(letters[w] for w in output)
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="auto")
    current, result = list(inputs), []
    for number, pair in enumerate(path):
        i, j = sorted(pair) if len(pair) == 2 else (pair[0], pair[0])
        words_b, words_a = current.pop(j), current.pop(i)
        last = number == len(path) - 1
        words = output if last else tuple(w for w in words_a + words_b if (w in words_a) != (w in words_b))
        current.append(words)
        result.append((i, j, words))
    return tuple(result)


def contract_words(words_a: Words, a: Tensor, words_b: Words, b: Tensor, words: Words) -> Tensor:
    """Two tensors, summed over the words that both have; `words` orders the others."""
    bound, order = _axes(words_a, words_b, words)
    return contract_pair(a, b, bound, order)


@lru_cache(maxsize=4096)
def _axes(words_a: Words, words_b: Words, words: Words) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Pairs of axes that are summed over, and the order of the others."""
    bound = tuple((words_a.index(word), words_b.index(word)) for word in words_a if word in words_b)
    free = [word for word in words_a if word not in words_b] + [word for word in words_b if word not in words_a]
    return bound, tuple(free.index(word) for word in words)


def contract_pair(a: Tensor, b: Tensor, bound: tuple[tuple[int, int], ...], order: tuple[int, ...]) -> Tensor:
    """Sum over pairs of axes; free axes of a, then of b, permuted by `order`."""
    backend = a.backend
    if backend is not b.backend:
        raise BackendError(f"cannot contract data on {backend.name} with data on {b.backend.name}: use .to(...).")
    plan = pair_plan((a.legs, a.charge), (b.legs, b.charge), bound, order)
    dtype = a.dtype if a.dtype == b.dtype else np.result_type(a.dtype, b.dtype)
    data_a = _permuted(a.astype(dtype), plan.copy_a)
    data_b = _permuted(b.astype(dtype), plan.copy_b)
    data = execute(plan.product, (data_a, data_b), plan.size, dtype, backend)
    result = Tensor(plan.legs, data, plan.charge)
    return result if plan.copy_out is None else _moved(result, plan.copy_out)


def execute(plan: ProductPlan, operands: Sequence[Array], size: int, dtype: np.dtype, backend: Backend) -> Array:
    """Run a product plan into a new buffer."""
    target = backend.zeros(size, dtype)
    alphas = _ones(len(plan.rows), dtype) if plan.signs is None else plan.signs.astype(dtype)
    threads = thread_count() if plan.flops > 1e6 else 1
    backend.kernels.run_products(plan.rows, alphas, plan.starts, plan.weights, (*operands, target), threads)
    return target


@lru_cache(maxsize=1024)
def _ones(count: int, dtype: np.dtype) -> np.ndarray:
    """Only read from: the coefficients of a plan's products."""
    return np.ones(count, dtype=dtype)


def _permuted(tensor: Tensor, order: tuple[int, ...] | None) -> Array:
    return tensor.data if order is None else _moved(tensor, order).data


def transpose(tensor: Tensor, order: Sequence[int]) -> Tensor:
    """New axis n is old axis order[n]. Odd legs of a graded tensor that pass each other change the sign."""
    order = tuple(order)
    if sorted(order) != list(range(tensor.ndim)):
        raise ShapeError(f"a transposition of {tensor.ndim} axes needs each of them once, found {order}.")
    signs = transpose_signs(tensor.legs, tensor.charge, order) if is_graded(tensor.legs) else None
    if signs is not None:
        tensor = Tensor(tensor.legs, signed(tensor.data, tensor.layout, signs, tensor.backend), tensor.charge)
    return _moved(tensor, order)


def _moved(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """The numbers with axes in a new order, without signs."""
    plan = copy_plan(tensor.legs, tensor.charge, order)
    if plan.rows is None:
        return tensor
    data = tensor.backend.kernels.copy_blocks(tensor.data, plan.size, plan.rows, False)
    return Tensor(plan.legs, data, tensor.charge)


def twist(tensor: Tensor, axes: Sequence[int]) -> Tensor:
    """The sign of an odd number of fermions on each of the axes; without a graded group the tensor itself.

    Summed over legs that flow out, a tensor and its conjugate need it for their norm: twist(A.conj(), axes).
    """
    if not is_graded(tensor.legs):
        return tensor
    signs = twist_signs(tensor.legs, tensor.charge, tuple(axes))
    return Tensor(tensor.legs, signed(tensor.data, tensor.layout, signs, tensor.backend), tensor.charge)


def bra(ket: Tensor, traced: Sequence[int] = ()) -> Tensor:
    """The conjugate to stand behind a ket: their sum over the traced axes, and axes that flow in, is positive.

    Without a graded group the conjugate itself.
    """
    if not is_graded(ket.legs):
        return ket.conj()
    found = twist(ket.conj(), [axis for axis in traced if ket.legs[axis].flow < 0])
    return -found if ket.group.parity(ket.charge) else found


def inner(a: Tensor, b: Tensor) -> complex:
    """<a|b>, conjugating a; both of one structure. A number on the host."""
    a._same_structure(b)
    return a.backend.read(a.backend.vdot(a.data, b.data))


def trace(tensor: Tensor, first: int, second: int) -> Tensor:
    """Sum over two legs of one tensor, which must be dual to each other."""
    leg = tensor.legs[first]
    delta = eye(leg.dual, dtype=tensor.dtype, backend=tensor.backend)
    order = tuple(range(tensor.ndim - 2))
    return contract_pair(tensor, delta, ((first, 0), (second, 1)), order)
