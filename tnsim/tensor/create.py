"""Making tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim.backend import Backend, Seed, backend_of, default_backend, get_backend, normal
from tnsim.errors import ShapeError
from tnsim.symmetry import Charge, Leg, layout, trivial_leg
from tnsim.tensor.tensor import Tensor, check_group, check_square, refuse_element


def _backend(backend: str | Backend | None) -> Backend:
    return default_backend() if backend is None else get_backend(backend)


def zeros(
    legs: Sequence[Leg],
    charge: Charge | None = None,
    *,
    dtype: Any = np.float64,
    backend: str | Backend | None = None,
) -> Tensor:
    """All allowed blocks, filled with zeros."""
    charge = check_group(legs, charge)
    return Tensor(legs, _backend(backend).zeros(layout(tuple(legs), charge).size, dtype), charge)


def random_tensor(
    legs: Sequence[Leg],
    charge: Charge | None = None,
    *,
    dtype: Any = np.float64,
    seed: Seed = None,
    backend: str | Backend | None = None,
) -> Tensor:
    """Standard normal numbers in all allowed blocks; the same seed gives the same numbers on every backend.

    >>> random_tensor([trivial_leg(2), trivial_leg(3, -1)], seed=0).shape
    (2, 3)
    """
    charge = check_group(legs, charge)
    size = layout(tuple(legs), charge).size
    return Tensor(legs, normal(size, dtype, seed, _backend(backend)), charge)


def from_dense(
    array: Any,
    legs: Sequence[Leg] | None = None,
    charge: Charge | None = None,
    *,
    tolerance: float = 0.0,
) -> Tensor:
    """Cut a full array into blocks; without legs, one block with flows (+1, ..., +1, -1).

    Raises ChargeError where an element outside the allowed blocks exceeds `tolerance`.

    >>> from tnsim.symmetry import U1
    >>> leg = Leg(U1("Sz"), [(-1,), (1,)], [1, 1])
    >>> from_dense(np.array([[0.0, 2.0], [0.0, 0.0]]), [leg, leg.dual], (-2,)).data
    array([2.])
    """
    if not hasattr(array, "shape") or isinstance(array, np.generic):
        array = np.asarray(array)
    backend = backend_of(array)
    if array.dtype.kind not in "fc":
        array = array.astype(np.float64)
    if legs is None:
        flows = [1] * (array.ndim - 1) + [-1] * (array.ndim > 0)
        legs = [trivial_leg(d, flow) for d, flow in zip(array.shape, flows, strict=True)]
    shape = tuple(leg.dim for leg in legs)
    if tuple(array.shape) != shape:
        raise ShapeError(f"legs of dimensions {shape} need an array of that shape, found {tuple(array.shape)}.")
    charge = check_group(legs, charge)
    tensor = Tensor(legs, backend.zeros(layout(tuple(legs), charge).size, array.dtype), charge)
    for places, block in tensor.blocks():
        block[...] = array[tensor._slices(places)]
    _check_nothing_lost(array, tensor, tolerance)
    return tensor


def _check_nothing_lost(array: Any, tensor: Tensor, tolerance: float) -> None:
    backend = tensor.backend
    if tensor.size == int(np.prod(tensor.shape)):
        return
    whole = backend.to_host(array)
    outside = np.abs(whole)
    for places, _ in tensor.blocks():
        outside[tensor._slices(places)] = 0
    if not outside.max(initial=0.0) <= tolerance:
        worst = tuple(int(i) for i in np.unravel_index(int(outside.argmax()), outside.shape))
        refuse_element(worst, whole[worst], tensor.legs, tensor.charge)


def eye(leg: Leg, *, dtype: Any = np.float64, backend: str | Backend | None = None) -> Tensor:
    """The identity with legs (leg, leg.dual): what it is contracted with stays as it is."""
    library = _backend(backend)
    parts = [sign * np.eye(d, dtype=dtype).reshape(-1) for d, sign in zip(leg.dims, _turn(leg), strict=True)]
    return Tensor((leg, leg.dual), library.asarray(np.concatenate(parts)))


def _turn(leg: Leg) -> list[int]:
    """Signs of the sectors of an identity (leg, leg.dual): -1 for odd ones of a leg that flows out."""
    return [-1 if odd and leg.flow < 0 else 1 for odd in leg.parities.tolist()]


def scalar(value: complex, *, dtype: Any = np.float64, backend: str | Backend | None = None) -> Tensor:
    """A tensor without legs."""
    return Tensor((), _backend(backend).asarray(np.array([value], dtype=dtype)))


def diagonal_of(tensor: Tensor) -> Any:
    """The diagonal of a matrix with legs (leg, leg.dual) and no charge, flat, in the leg's dense order.

    >>> diagonal_of(diagonal(np.array([1.0, 2.0]), trivial_leg(2)))
    array([1., 2.])
    """
    check_square(tensor, "a diagonal")
    starts, dims = tensor.layout.offsets[:-1].tolist(), tensor.legs[0].dims
    signs = _turn(tensor.legs[0])
    parts = [
        tensor.backend.strided(tensor.data, start, (d,), (d + 1,)) * sign
        if sign < 0
        else tensor.backend.strided(tensor.data, start, (d,), (d + 1,))
        for start, d, sign in zip(starts, dims, signs, strict=True)
    ]
    return tensor.backend.concatenate(parts)


def diagonal(values: Any, leg: Leg) -> Tensor:
    """diag(values) with legs (leg, leg.dual); `values` is a flat array in the leg's dense order."""
    backend = backend_of(values)
    tensor, signs = zeros((leg, leg.dual), dtype=values.dtype, backend=backend), _turn(leg)
    for places, block in tensor.blocks():
        d = leg.dims[places[0]]
        start = int(leg.starts[places[0]])
        part = values[start : start + d]
        backend.strided(block.reshape(-1), 0, (d,), (d + 1,))[...] = part * -1 if signs[places[0]] < 0 else part
    return tensor
