"""The gradient of a fixed point: one linear system in place of all the steps that led to it.

At x = f(x, p), a gradient g of x becomes one of p through y = (1 - J^T)^-1 g, where J is the derivative of f by x: J^T
is applied by the same tape of one step again and again. Source: B. Christianson, Optim. Methods Softw. 3, 311 (1994).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tnsim.backend import Array, Backend
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.gmres import LinearSolution, gmres
from tnsim.tensor import Tensor
from tnsim.tensor.tape import Node, Value, backward, node_of, record_all, value_of, variable

# of the norm of the gradient: what a start that leaves more of it unsolved saves is less than it costs
_NEAR = 0.3
Step = Callable[[tuple[Any, ...], tuple[Any, ...]], tuple[Any, ...]]
# told of the y that was found, and how
Report = Callable[[tuple[Tensor, ...], LinearSolution], None]


@dataclass(frozen=True, kw_only=True)
class FixedPointGradient:
    """How precisely the linear system of a fixed point is solved."""

    tol: float = field(default=1e-7, metadata={"help": "residual of the linear system, relative to the gradient"})
    krylov_max: int = field(default=40, metadata={"help": "vectors that are kept between restarts"})
    restarts: int = field(default=5, metadata={"help": "most restarts"})

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.tol > 0 or self.krylov_max < 1 or self.restarts < 1:
            raise SettingsError("tol is above 0, krylov_max and restarts are at least 1.")


def fixed_point(
    step: Step,
    point: Sequence[Tensor],
    parameters: Sequence[Value],
    settings: FixedPointGradient | None = None,
    report: Report | None = None,
    near: Sequence[Tensor] | None = None,
) -> tuple[Value, ...]:
    """x with x = step(x, parameters), as a function of the parameters; `point` has to be x already.

    step: takes and gives tuples of tensors, its gauge chosen so that every element stays what it is; near: a y of a
    similar fixed point, such as `report` was told before, where GMRES begins, which is ignored if its legs are others.
    Cost: one step, and on the way back two for every product of GMRES. Complex numbers count as pairs of real ones.

    >>> import numpy as np
    >>> from tnsim.tensor import from_dense
    >>> from tnsim.tensor.gradient import contract
    >>> from tnsim.tensor.tape import value_and_gradient
    >>> one, two = from_dense(np.array([0.5])), from_dense(np.array([2.0]))
    >>> def half_and(x, p):  # x = x / 2 + p, so x = 2 p
    ...     return (x[0] * 0.5 + p[0],)
    >>> value_and_gradient(lambda p: contract("a, a -> ", fixed_point(half_and, [two], [p])[0], one.conj()), one)[0]
    1.0
    """
    values, nodes = tuple(map(value_of, parameters)), [node_of(parameter) for parameter in parameters]
    if not any(nodes):
        return tuple(point)
    settings = settings or FixedPointGradient()
    x, p = [variable(tensor) for tensor in point], [variable(value) for value in values]
    image = step(tuple(x), tuple(p))

    def pull(*gradients: Tensor) -> tuple[Tensor | None, ...]:
        solved = _solved(image, x, gradients, settings, near)
        y = _parted(solved.vector, gradients)
        if report is not None:
            report(tuple(y), solved)
        found = backward(image, y, p)
        return tuple(gradient if node else None for gradient, node in zip(found, nodes, strict=True))

    return record_all(point, nodes, pull)


def _solved(
    image: Sequence[Value],
    x: Sequence[Node],
    gradients: Sequence[Tensor],
    settings: FixedPointGradient,
    near: Sequence[Tensor] | None,
) -> LinearSolution:
    """y of (1 - J^T) y = g."""
    backend = gradients[0].backend
    right = _joined(gradients)
    size = float(backend.read(backend.norm(right)))

    def matvec(y: Array) -> Array:
        return y - _joined(backward(image, _parted(y, gradients), x))

    start, left = None, right
    if near is not None and [y.legs for y in near] == [g.legs for g in gradients]:
        start = _joined(near)
        left = right - matvec(start)
        if not float(backend.read(backend.norm(left))) < _NEAR * size:
            start, left = None, right
    solved = gmres(
        matvec, left, None, backend, tolerance=settings.tol * size, krylov_max=settings.krylov_max,
        restarts=settings.restarts,
    )  # fmt: skip
    return solved if start is None else replace(solved, vector=start + solved.vector)


def _joined(tensors: Sequence[Tensor]) -> Array:
    """All real numbers of some tensors in a row."""
    backend: Backend = tensors[0].backend
    parts = []
    for tensor in tensors:
        parts.append(backend.real(tensor.data))
        if tensor.dtype.kind == "c":
            parts.append(backend.real(tensor.data * -1j))
    return backend.concatenate(parts)


def _parted(flat: Array, like: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of `_joined`."""
    result, start = [], 0
    for tensor in like:
        data = flat[start : start + tensor.size]
        start += tensor.size
        if tensor.dtype.kind == "c":
            data = data + flat[start : start + tensor.size] * 1j
            start += tensor.size
        result.append(Tensor(tensor.legs, tensor.backend.astype(data, tensor.dtype), tensor.charge))
    return result
