"""The one tensor type: legs, a total charge, and one flat buffer with all allowed blocks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tnsim.backend import Array, Backend, backend_of, get_backend
from tnsim.errors import BackendError, ChargeError, LegError, ShapeError
from tnsim.symmetry import Charge, Group, Layout, Leg, layout
from tnsim.tensor.grading import adjoint_signs, is_graded, signed


class Tensor:
    """A tensor whose blocks conserve charge: sum of flow * charge over the legs equals `charge`.

    `data` is 1-D on the device of its library, blocks in the order of `layout`, each in C order. A tensor
    without symmetry has one block, and `array` is then a view of it. Tensors are treated as values:
    functions return new ones.
    """

    __slots__ = ("charge", "data", "legs", "_backend")

    def __init__(self, legs: Sequence[Leg], data: Array, charge: Charge | None = None) -> None:
        self.legs = tuple(legs)
        self.charge = charge if charge is not None else (self.legs[0].group.identity if self.legs else ())
        self.data = data
        self._backend: Backend | None = None
        if len(data.shape) != 1 or data.shape[0] != self.layout.size:
            raise ShapeError(
                f"a tensor with legs {list(self.legs)} and charge {self.charge} stores {self.layout.size} numbers, "
                f"found data of shape {tuple(data.shape)}."
            )

    # -- structure -------------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        return layout(self.legs, self.charge)

    @property
    def backend(self) -> Backend:
        if self._backend is None:
            self._backend = backend_of(self.data)
        return self._backend

    @property
    def group(self) -> Group:
        return self.legs[0].group if self.legs else Group()

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(leg.dim for leg in self.legs)

    @property
    def ndim(self) -> int:
        return len(self.legs)

    @property
    def size(self) -> int:
        """Stored numbers."""
        return self.layout.size

    def __repr__(self) -> str:
        blocks = len(self.layout.indices)
        charge = "" if self.charge == self.group.identity else f", charge {self.charge}"
        return (
            f"Tensor{self.shape} {self.dtype} on {self.backend.name}: {blocks} block{'s' * (blocks != 1)}, "
            f"{self.size} of {int(np.prod(self.shape))} numbers{charge}"
        )

    # -- elements --------------------------------------------------------------------------------------

    def block(self, number: int) -> Array:
        """Block `number` of the layout as a view of the data."""
        table = self.layout
        return self.data[table.offsets[number] : table.offsets[number + 1]].reshape(tuple(table.shapes[number]))

    def blocks(self) -> Iterator[tuple[tuple[int, ...], Array]]:
        """(sector indices, view) of every block."""
        for number, row in enumerate(self.layout.indices.tolist()):
            yield tuple(row), self.block(number)

    @property
    def array(self) -> Array:
        """The data in full shape, without a copy; only where there is a single block that fills the shape."""
        if len(self.layout.indices) != 1 or self.size != int(np.prod(self.shape)):
            raise LegError(f"{self!r} is block-sparse: use to_dense() for a full array.")
        return self.data.reshape(self.shape)

    def to_dense(self) -> Array:
        """A full array on the same device; forbidden elements are zero."""
        dense = self.backend.zeros(int(np.prod(self.shape)), self.dtype).reshape(self.shape)
        for places, block in self.blocks():
            dense[self._slices(places)] = block
        return dense

    def _slices(self, places: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(
            slice(int(leg.starts[p]), int(leg.starts[p + 1])) for leg, p in zip(self.legs, places, strict=True)
        )

    def item(self) -> Any:
        """The number in a tensor without legs, on the host."""
        if self.legs:
            raise ShapeError(f"item() needs a tensor without legs, found {self!r}.")
        return self.backend.read(self.data[0])

    # -- moving ----------------------------------------------------------------------------------------

    def to(self, backend: str | Backend) -> "Tensor":
        """The same tensor on another library's device."""
        target = get_backend(backend)
        if target is self.backend:
            return self
        return Tensor(self.legs, target.asarray(self.backend.to_host(self.data)), self.charge)

    def astype(self, dtype: Any) -> "Tensor":
        """A tensor of another dtype; complex to real is refused unless the imaginary part vanishes."""
        if self.dtype == dtype:
            return self
        if self.dtype.kind == "c" and np.dtype(dtype).kind == "f":
            lost = self.backend.read(self.backend.norm(self.data - self.backend.conj(self.data)))
            if lost > 0:
                raise ShapeError(f"cannot make a complex tensor {dtype}: its imaginary part has norm {lost / 2:.3g}.")
            return Tensor(self.legs, self.backend.astype(self.backend.real(self.data), dtype), self.charge)
        return Tensor(self.legs, self.backend.astype(self.data, dtype), self.charge)

    def copy(self) -> "Tensor":
        return Tensor(self.legs, self.backend.copy(self.data), self.charge)

    # -- arithmetic ------------------------------------------------------------------------------------

    def conj(self) -> "Tensor":
        """Complex conjugate; every flow and the charge turn round. Of a graded tensor the adjoint, see `grading`."""
        data = self.backend.conj(self.data) if self.dtype.kind == "c" else self.data
        if is_graded(self.legs):
            data = signed(data, self.layout, adjoint_signs(self.legs, self.charge), self.backend)
        return Tensor([leg.dual for leg in self.legs], data, self.group.dual(self.charge))

    def norm(self) -> float:
        """Frobenius norm, on the host."""
        return float(self.backend.read(self.backend.norm(self.data)))

    def _same_structure(self, other: "Tensor") -> None:
        if self.legs != other.legs or self.charge != other.charge:
            raise LegError(
                f"tensors of one structure can be added: {list(self.legs)}, charge {self.charge} against "
                f"{list(other.legs)}, charge {other.charge}."
            )
        if self.backend is not other.backend:
            raise BackendError(
                f"cannot add data on {self.backend.name} and {other.backend.name}: move one with .to(...)."
            )

    def __add__(self, other: "Tensor") -> "Tensor":
        if not isinstance(other, Tensor):
            return NotImplemented
        self._same_structure(other)
        return Tensor(self.legs, self.data + other.data, self.charge)

    def __sub__(self, other: "Tensor") -> "Tensor":
        if not isinstance(other, Tensor):
            return NotImplemented
        self._same_structure(other)
        return Tensor(self.legs, self.data - other.data, self.charge)

    def __neg__(self) -> "Tensor":
        return Tensor(self.legs, -self.data, self.charge)

    def __mul__(self, factor: complex) -> "Tensor":
        return Tensor(self.legs, self.data * _python_scalar(factor), self.charge)

    __rmul__ = __mul__

    def __truediv__(self, factor: complex) -> "Tensor":
        return Tensor(self.legs, self.data * (1 / _python_scalar(factor)), self.charge)


def _python_scalar(value: Any) -> complex:
    """A plain number: NumPy scalars would promote float32 data."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (int, float, complex)):
        raise ShapeError(f"a tensor can be scaled by a number, found {type(value).__name__}.")
    return value


def check_square(tensor: Tensor, what: str) -> None:
    """Refuse anything but a matrix with legs (leg, leg.dual) and no charge."""
    square = tensor.ndim == 2 and tensor.legs[0].dual is tensor.legs[1]
    if not square or tensor.charge != tensor.group.identity:
        raise ShapeError(f"{what} needs a matrix with legs (leg, leg.dual) and no charge, found {tensor!r}.")


def check_group(legs: Sequence[Leg], charge: Charge | None) -> Charge:
    """The total charge, the identity if none is given; a wrong length is an error."""
    if not legs:
        return ()
    group = legs[0].group
    if charge is None:
        return group.identity
    try:
        return group.charge(charge)
    except ChargeError as error:
        raise ChargeError(f"total charge {charge} does not fit legs of {group!r}: {error}") from error


def refuse_element(place: tuple[int, ...], value: complex, legs: Sequence[Leg], charge: Charge) -> None:
    """ChargeError for an element outside the allowed blocks."""
    raise ChargeError(
        f"element {place} = {value:.6g} breaks the conservation of {legs[0].group!r} at total charge {charge}: drop "
        "the symmetry or give the right charge."
    )
