"""A chain of cores on a batch of vectors, differentiable: little memory forwards, recomputed backwards.

Of the forward pass only its input is kept for the gradient. Rows pass all layers in blocks (see `ApplyPlan`), so that
what lies between two layers is never in memory for the whole batch, forwards or backwards.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from tnsim.errors import SettingsError
from tnsim.networks.apply_plan import ApplyPlan, Shapes, estimated_seconds, layer_sizes, plans

# under tracing the number of rows is not known: the plan is that for so many, in one piece
_TRACED_ROWS = 256


def is_traced() -> bool:
    """Whether a graph is being made of what runs, for numbers that are not known yet."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


class Step(NamedTuple):
    """1_before x matrix x 1_after, as in `tnsim.networks.stack`."""

    before: int
    after: int


def apply_chain(rows: torch.Tensor, cores: Sequence[torch.Tensor], plan: ApplyPlan | None = None) -> torch.Tensor:
    """The matrix that the cores (left, out, in, right) stand for, on every row; without a plan, that estimated best."""
    shapes = core_shapes(cores)
    tracing = is_traced()
    if plan is None:
        plan = estimated_plan(shapes, _TRACED_ROWS if tracing else max(1, rows.shape[0]), rows.element_size())
    _check_groups(plan, len(shapes))
    if len(plan.groups) == 1:
        return functional.linear(rows, chain_matrix(cores))
    steps, matrices = _steps(cores, plan)
    if tracing or torch._C._are_functorch_transforms_active():
        # torch.func goes through plain steps: what is computed anew backwards is nothing that it could look into
        return _last(rows, steps, matrices)
    if not torch.is_grad_enabled():
        return _in_blocks(rows, steps, plan.block, matrices)
    block = plan.block or max(1, rows.shape[0])
    return _ChainProduct.apply(rows, steps, block, *matrices)


def prepared_chain(
    cores: Sequence[torch.Tensor], plan: ApplyPlan
) -> Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]:
    """The chain with its cores merged once and for all, to be called with vectors and a bias; without gradients.

    Vectors stand on the last axis, in any number of others.
    """
    _check_groups(plan, len(cores))
    if len(plan.groups) == 1:
        return partial(_times, chain_matrix(cores))
    steps, matrices = _steps(cores, plan)
    layers = [_on_one_row(step, matrix) for step, matrix in zip(steps, matrices, strict=True)]
    width, out = prod(core.shape[2] for core in cores), _width(steps, matrices)

    def act(x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        shape = (*x.shape[:-1], out)
        if x.shape[-1:] != (width,):
            raise RuntimeError(f"this chain acts on {width} numbers, found shape {tuple(x.shape)}.")
        if x.numel() == width:
            for form, layer in layers:
                x = layer(x.reshape(form))
        else:
            x = _in_blocks(x.reshape(prod(shape[:-1]), width), steps, plan.block, matrices)
        return plus_bias(x.view(shape), bias)

    return act


def _check_groups(plan: ApplyPlan, sites: int) -> None:
    if sum(plan.groups) != sites:
        raise SettingsError(f"the plan of this chain ({plan}) is for {sum(plan.groups)} sites, it has {sites}.")


def plus_bias(rows: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """A bias added to rows that nobody else holds."""
    if bias is None:
        return rows
    return rows + bias if torch.is_grad_enabled() else rows.add_(bias)


def _on_one_row(step: Step, matrix: torch.Tensor) -> tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor]]:
    """The shape that one row takes before a layer, and the layer: there each microsecond counts."""
    (m, k), (before, after) = matrix.shape, step
    if after == 1:
        return (before, k), partial(torch.mm, mat2=matrix.T)
    if before == 1:
        return (k, after), partial(torch.mm, matrix)
    return (before, k, after), partial(torch.bmm, matrix.expand(before, m, k))


def _times(matrix: torch.Tensor, rows: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return functional.linear(rows, matrix, bias)


def core_shapes(cores: Sequence[torch.Tensor]) -> Shapes:
    """(left, out, in, right) of every core."""
    return tuple((s[0], s[1], s[2], s[3]) for s in (core.shape for core in cores))


def chain_matrix(cores: Sequence[torch.Tensor]) -> torch.Tensor:
    """The whole matrix, rows and columns in the order of the chain."""
    whole = reduce(_join, cores)
    return whole.reshape(whole.shape[1], whole.shape[2])


def _join(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    (left, o, i, m), (_, p, j, right) = first.shape, second.shape
    # rows (out, in x m) times (out', m x in') for all out, out': the product comes out in order
    columns = second.permute(1, 0, 2, 3).reshape(1, p, m, j * right)
    return (first.reshape(left * o, 1, i, m) @ columns).reshape(left, o * p, i * j, right)


def estimated_plan(shapes: Shapes, rows: int, itemsize: int) -> ApplyPlan:
    """The plan of least estimated cost, the whole matrix built in every call among them; never one that keeps it."""
    return _estimated_plan(shapes, 1 << (rows - 1).bit_length(), itemsize)


@lru_cache(maxsize=4096)
def _estimated_plan(shapes: Shapes, rows: int, itemsize: int) -> ApplyPlan:
    cores, whole = sum(prod(shape) for shape in shapes), prod(shape[1] * shape[2] for shape in shapes)
    most = max(2 * cores, min(whole // 4, whole - 1))
    choices = [plan for plan in plans(shapes, rows, itemsize, most) if len(plan.groups) > 1 or plan.again]
    if not choices:
        return ApplyPlan(groups=(len(shapes),))
    return min(choices, key=lambda plan: estimated_seconds(shapes, plan, rows, itemsize))


def _steps(cores: Sequence[torch.Tensor], plan: ApplyPlan) -> tuple[tuple[Step, ...], list[torch.Tensor]]:
    """Layers in the order they act, and their matrices, differentiable with respect to the cores."""
    ends = [sum(plan.groups[:n]) for n in range(len(plan.groups) + 1)]
    merged = [reduce(_join, cores[a:b]) for a, b in pairwise(ends)]
    sizes = layer_sizes(core_shapes(merged), plan.first)
    if plan.first == "last":
        merged = merged[::-1]
        matrices = [core.reshape(m, k) for core, (_, m, k, _) in zip(merged, sizes, strict=True)]
    else:
        matrices = [core.permute(1, 3, 0, 2).reshape(m, k) for core, (_, m, k, _) in zip(merged, sizes, strict=True)]
    return tuple(Step(before, after) for before, _, _, after in sizes), matrices


def _act(rows: torch.Tensor, step: Step, matrix: torch.Tensor) -> torch.Tensor:
    """One layer on every row: one product of matrices, or one for every row and index before it."""
    count, (m, k) = rows.shape[0], matrix.shape
    if step.after == 1:
        return functional.linear(rows.reshape(count * step.before, k), matrix).reshape(count, step.before * m)
    if step.before == 1 and isinstance(count, int) and count == 1:
        return torch.mm(matrix, rows.reshape(k, step.after)).reshape(1, m * step.after)
    pieces = rows.reshape(count * step.before, k, step.after)
    return torch.bmm(matrix.expand(count * step.before, m, k), pieces).reshape(count, step.before * m * step.after)


def _through(rows: torch.Tensor, steps: Sequence[Step], matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The rows before the first layer, between the layers, and behind the last one."""
    states = [rows]
    for step, matrix in zip(steps, matrices, strict=True):
        states.append(_act(states[-1], step, matrix))
    return states


class _ChainProduct(torch.autograd.Function):
    """All layers on all rows, block by block; saves the rows alone."""

    @staticmethod
    def forward(rows: torch.Tensor, steps: tuple[Step, ...], block: int, *matrices: torch.Tensor) -> torch.Tensor:
        return _in_blocks(rows, steps, block, matrices)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        rows, ctx.steps, ctx.block, *matrices = inputs
        ctx.save_for_backward(rows, *matrices)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple:
        rows, *matrices = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted: through the plain steps
            inputs = [t for t in (rows, *matrices) if t.requires_grad]
            y = _last(rows, ctx.steps, matrices)
            found = iter(torch.autograd.grad(y, inputs, grad, create_graph=True))
            grads = [next(found) if t.requires_grad else None for t in (rows, *matrices)]
            return grads[0], None, None, *grads[1:]
        of_rows = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        of_matrices = [torch.zeros_like(matrix, memory_format=torch.contiguous_format) for matrix in matrices]
        for start in range(0, rows.shape[0], ctx.block):
            stop = start + ctx.block
            part = _back(rows[start:stop], grad[start:stop], ctx.steps, matrices, of_matrices)
            if of_rows is not None:
                of_rows[start:stop] = part
        return of_rows, None, None, *of_matrices


def _in_blocks(rows: torch.Tensor, steps: Sequence[Step], block: int, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """All layers, so many rows at a time (0: all)."""
    if not block or block >= rows.shape[0]:
        return _last(rows, steps, matrices)
    result = rows.new_empty(rows.shape[0], _width(steps, matrices))
    for part, out in zip(rows.split(block), result.split(block), strict=True):
        out.copy_(_last(part, steps, matrices))
    return result


def _last(rows: torch.Tensor, steps: Sequence[Step], matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    for step, matrix in zip(steps, matrices, strict=True):
        rows = _act(rows, step, matrix)
    return rows


def _width(steps: Sequence[Step], matrices: Sequence[torch.Tensor]) -> int:
    return steps[-1].before * matrices[-1].shape[0] * steps[-1].after


def _back(
    rows: torch.Tensor,
    grad: torch.Tensor,
    steps: Sequence[Step],
    matrices: Sequence[torch.Tensor],
    of_matrices: Sequence[torch.Tensor],
) -> torch.Tensor:
    """The gradient of one block of rows; those of the matrices are added up in place."""
    states = _through(rows, steps[:-1], matrices[:-1])
    for step, matrix, state, total in zip(
        reversed(steps), reversed(matrices), reversed(states), reversed(of_matrices), strict=True
    ):
        (m, k), count = matrix.shape, rows.shape[0] * step.before
        if step.after == 1:
            g = grad.reshape(count, m)
            total.addmm_(g.T, state.reshape(count, k).conj())
            grad = g @ matrix.conj()
        else:
            g = grad.reshape(count, m, step.after)
            total.addbmm_(g, state.reshape(count, k, step.after).mH)
            grad = torch.bmm(matrix.mH.expand(count, k, m), g)
    return grad.reshape(rows.shape)
