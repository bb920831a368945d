"""Gradients held against finite differences along random directions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tnsim.tensor import Tensor, inner, random_tensor, transpose
from tnsim.tensor.gradient import contract, real
from tnsim.tensor.tape import value_and_gradient


def random_like(tensor: Tensor, seed: int) -> Tensor:
    """Standard normal numbers in the structure of a tensor."""
    return random_tensor(tensor.legs, tensor.charge, dtype=tensor.dtype, seed=seed, backend=tensor.backend)


def overlap_with(value: Any, seed: int) -> Any:
    """A real number made of all elements of a value: Re <random, value>."""
    words = " ".join(f"a{n}" for n in range(value.ndim))
    probe = random_tensor(value.legs, value.charge, dtype=value.dtype, seed=seed, backend=value.backend)
    return real(contract(f"{words}, {words} -> ", probe.conj(), value))


def slopes(
    function: Callable[..., Any], tensors: Sequence[Tensor], *, step: float = 1e-4, hermitian: bool = False
) -> tuple[float, float]:
    """The derivative along a random direction: by the gradient, and by differences of fourth order."""
    _, gradients = value_and_gradient(function, *tensors)
    directions = [random_like(tensor, 100 + n) for n, tensor in enumerate(tensors)]
    if hermitian:
        directions = [_hermitian(direction) for direction in directions]
    for gradient, tensor in zip(gradients, tensors, strict=True):
        assert gradient.legs == tensor.legs and gradient.charge == tensor.charge and gradient.dtype == tensor.dtype
    found = sum(inner(gradient, way) for gradient, way in zip(gradients, directions, strict=True))

    def at(t: float) -> float:
        return float(function(*(x + way * t for x, way in zip(tensors, directions, strict=True))).item())

    expected = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
    return float(np.real(found)), expected


def check(function: Callable[..., Any], *tensors: Tensor, hermitian: bool = False, tolerance: float = 1e-8) -> None:
    """The gradient agrees with differences, to a share of its size."""
    found, expected = slopes(function, tensors, hermitian=hermitian)
    assert abs(expected) > 1e-6, "this test sees no slope"
    assert abs(found - expected) <= tolerance * max(1.0, abs(expected))


def _hermitian(matrix: Tensor) -> Tensor:
    return (matrix + transpose(matrix.conj(), (1, 0))) * 0.5
