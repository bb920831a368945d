"""A make-believe device: arrays that refuse every implicit way to or from NumPy, as a GPU library does.

`strict` is registered as a backend whose kernels are the portable ones. It is stricter than CuPy where that
finds mistakes: fresh memory is NaN, views are checked against their buffer, NumPy scalars are refused, and
every read of the device is counted, so that `with sync_budget(n):` bounds what a loop reads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.backend import register_backend
from tnsim.kernels.portable import Portable


class ImplicitTransferError(TypeError):
    """Data of the device was about to reach the host, or host data the device, without being asked to."""


def _refuse(what: str) -> Any:
    def method(self: Any, *_: Any, **__: Any) -> Any:
        raise ImplicitTransferError(
            f"{what} of a device array: use backend.read(...) or backend.to_host(...) where a transfer is meant."
        )

    return method


def _forward(name: str) -> Any:
    def method(self: "StrictArray", other: Any) -> "StrictArray":
        return type(self)(getattr(self._host, name)(self._operand(other)))

    return method


def _in_place(name: str) -> Any:
    def method(self: "StrictArray", other: Any) -> "StrictArray":
        getattr(self._host, name)(self._operand(other))
        return self

    return method


class StrictArray:
    """A NumPy array behind bars: shape, views and arithmetic with its own kind and with Python numbers."""

    __slots__ = ("_host",)
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: Any) -> None:
        self._host = np.asarray(host)

    def _operand(self, other: Any) -> Any:
        if type(other) is type(self):
            return other._host
        if type(other) in (int, float, complex, bool):
            return other
        raise ImplicitTransferError(
            f"a device array met a {type(other).__name__}: only its own kind and plain Python numbers are taken."
        )

    # -- what may be known without a transfer ----------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @property
    def dtype(self) -> np.dtype:
        return self._host.dtype

    @property
    def ndim(self) -> int:
        return self._host.ndim

    @property
    def size(self) -> int:
        return self._host.size

    @property
    def nbytes(self) -> int:
        return self._host.nbytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"

    # -- views and copies ------------------------------------------------------------------------------

    @property
    def T(self) -> "StrictArray":  # noqa: N802
        return type(self)(self._host.T)

    def reshape(self, *shape: Any) -> "StrictArray":
        return type(self)(self._host.reshape(*shape))

    def copy(self) -> "StrictArray":
        return type(self)(self._host.copy())

    def __getitem__(self, key: Any) -> "StrictArray":
        return type(self)(self._host[self._key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[self._key(key)] = self._operand(value)

    def _key(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        for part in parts:
            if isinstance(part, np.ndarray | StrictArray | list):
                raise ImplicitTransferError(f"a device array was indexed with a {type(part).__name__}.")
        return key

    # -- arithmetic ------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = _forward("__add__"), _forward("__radd__"), _in_place("__iadd__")
    __sub__, __rsub__, __isub__ = _forward("__sub__"), _forward("__rsub__"), _in_place("__isub__")
    __mul__, __rmul__, __imul__ = _forward("__mul__"), _forward("__rmul__"), _in_place("__imul__")
    __truediv__, __rtruediv__ = _forward("__truediv__"), _forward("__rtruediv__")
    __itruediv__ = _in_place("__itruediv__")
    __matmul__, __pow__ = _forward("__matmul__"), _forward("__pow__")
    __eq__, __ne__ = _forward("__eq__"), _forward("__ne__")
    __lt__, __le__, __gt__, __ge__ = _forward("__lt__"), _forward("__le__"), _forward("__gt__"), _forward("__ge__")

    def __neg__(self) -> "StrictArray":
        return type(self)(-self._host)

    # -- refused ---------------------------------------------------------------------------------------

    __array__ = _refuse("conversion to a NumPy array")
    __float__, __int__, __complex__ = _refuse("float()"), _refuse("int()"), _refuse("complex()")
    __bool__, __index__ = _refuse("bool()"), _refuse("use as an index")
    __iter__, __len__ = _refuse("iteration"), _refuse("len()")
    __contains__ = _refuse("a membership test")
    item, tolist, tobytes = _refuse("item()"), _refuse("tolist()"), _refuse("tobytes()")


class StrictBackend:
    """The protocol of `tnsim.backend` over StrictArray; counts every transfer to the host."""

    name = "strict"
    array_type: type[StrictArray] = StrictArray

    def __init__(self) -> None:
        self.kernels: Any = Portable(self)
        self.reads = 0

    def _wrap(self, host: Any) -> StrictArray:
        return self.array_type(host)

    def _bare(self, array: Any) -> np.ndarray:
        if type(array) is not self.array_type:
            raise ImplicitTransferError(f"the {self.name} device was handed a {type(array).__name__}.")
        return array._host

    # -- the doors -------------------------------------------------------------------------------------

    def asarray(self, host: np.ndarray) -> StrictArray:
        if not isinstance(host, np.ndarray):
            raise ImplicitTransferError(f"asarray takes host arrays, found {type(host).__name__}.")
        return self._wrap(np.array(host, order="C"))

    def to_host(self, array: StrictArray) -> np.ndarray:
        self.reads += 1
        return self._bare(array).copy()

    def read(self, scalar: StrictArray) -> Any:
        self.reads += 1
        return self._bare(scalar).item()

    # -- memory ----------------------------------------------------------------------------------------

    def empty(self, size: int, dtype: Any) -> StrictArray:
        return self._wrap(np.full(size, np.nan, dtype=dtype))

    def zeros(self, size: int, dtype: Any) -> StrictArray:
        return self._wrap(np.zeros(size, dtype=dtype))

    def copy(self, array: StrictArray) -> StrictArray:
        return self._wrap(self._bare(array).copy())

    def astype(self, array: StrictArray, dtype: Any) -> StrictArray:
        return self._wrap(self._bare(array).astype(dtype))

    def concatenate(self, arrays: list[StrictArray]) -> StrictArray:
        return self._wrap(np.concatenate([self._bare(array) for array in arrays]))

    def strided(self, buffer: StrictArray, offset: int, shape: tuple, strides: tuple) -> StrictArray:
        host = self._bare(buffer)
        try:
            if host.ndim != 1:
                raise ValueError
            # of the ways to make a view the quickest one, and it refuses what leaves the buffer
            steps = [host.itemsize * step for step in strides]
            return self._wrap(np.ndarray(shape, host.dtype, host, host.itemsize * offset, steps))
        except ValueError:
            raise IndexError(
                f"a view of shape {shape}, strides {strides} from {offset} leaves a buffer of {host.shape} elements."
            ) from None

    def take(self, array: StrictArray, places: np.ndarray, axis: int) -> StrictArray:
        return self._wrap(np.take(self._bare(array), places, axis=axis))

    # -- numbers ---------------------------------------------------------------------------------------

    def conj(self, array: StrictArray) -> StrictArray:
        return self._wrap(self._bare(array).conj())

    def real(self, array: StrictArray) -> StrictArray:
        return self._wrap(self._bare(array).real)

    def sqrt(self, array: StrictArray) -> StrictArray:
        return self._wrap(np.sqrt(self._bare(array)))

    def absolute(self, array: StrictArray) -> StrictArray:
        return self._wrap(np.abs(self._bare(array)))

    def sum(self, array: StrictArray) -> StrictArray:
        return self._wrap(self._bare(array).sum())

    def vdot(self, a: StrictArray, b: StrictArray) -> StrictArray:
        return self._wrap(np.vdot(self._bare(a), self._bare(b)))

    def norm(self, array: StrictArray) -> StrictArray:
        return self._wrap(np.linalg.norm(self._bare(array)))

    def all_finite(self, array: StrictArray) -> bool:
        return bool(self.read(self._wrap(np.isfinite(self._bare(array)).all())))

    # -- linear algebra --------------------------------------------------------------------------------

    def svd(self, matrix: StrictArray) -> tuple[StrictArray, ...]:
        return tuple(map(self._wrap, np.linalg.svd(self._bare(matrix), full_matrices=False)))

    def qr(self, matrix: StrictArray) -> tuple[StrictArray, ...]:
        return tuple(map(self._wrap, np.linalg.qr(self._bare(matrix))))

    def eigh(self, matrix: StrictArray) -> tuple[StrictArray, ...]:
        return tuple(map(self._wrap, np.linalg.eigh(self._bare(matrix))))

    def solve(self, matrix: StrictArray, right: StrictArray) -> StrictArray:
        return self._wrap(np.linalg.solve(self._bare(matrix), self._bare(right)))

    def synchronize(self) -> None:
        """Nothing is in flight."""


STRICT = StrictBackend()
register_backend("strict", lambda: STRICT)


@dataclass
class Spent:
    """How many transfers to the host a block of code has made."""

    reads: int = 0


@contextmanager
def sync_budget(allowed: int, backend: StrictBackend = STRICT) -> Iterator[Spent]:
    """Fail if the block reads the device more than `allowed` times."""
    start, spent = backend.reads, Spent()
    try:
        yield spent
    finally:
        spent.reads = backend.reads - start
    assert spent.reads <= allowed, f"{spent.reads} reads of the device, {allowed} allowed."
