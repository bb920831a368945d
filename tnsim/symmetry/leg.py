"""A leg of a symmetric tensor: sectors (charge, dimension) and a direction."""

from collections.abc import Sequence
from functools import cached_property
from operator import index
from weakref import WeakValueDictionary

import numpy as np

from tnsim.errors import LegError
from tnsim.symmetry.group import TRIVIAL, Charge, Group


class Leg:
    """Sectors in ascending order of charge, and the flow: +1 into the tensor, -1 out of it.

    Legs are interned: equal legs are one object, so a structure is a dictionary key that compares by
    identity. The dense index runs through the sectors one after the other.

    >>> from tnsim.symmetry import U1
    >>> leg = Leg(U1("Sz"), [(-1,), (1,)], [2, 3])
    >>> leg.dim, leg.dual.flow, leg is Leg(U1("Sz"), [(-1,), (1,)], [2, 3])
    (5, -1, True)
    """

    _interned: "WeakValueDictionary[tuple, Leg]" = WeakValueDictionary()

    group: Group
    keys: np.ndarray
    dims_array: np.ndarray
    flow: int

    def __new__(cls, group: Group, charges: Sequence[Charge], dims: Sequence[int], flow: int = 1) -> "Leg":
        return cls._intern(group, group.keys(charges), _whole(dims), flow)

    @classmethod
    def from_keys(cls, group: Group, keys: np.ndarray, dims: np.ndarray, flow: int = 1) -> "Leg":
        """A leg from packed keys in ascending order; sectors of dimension 0 are dropped."""
        kept = dims > 0
        if not kept.all():
            keys, dims = keys[kept], dims[kept]
        return cls._intern(group, keys, dims, flow)

    @classmethod
    def _intern(cls, group: Group, keys: np.ndarray, dims: np.ndarray, flow: int) -> "Leg":
        """The one leg with these sectors."""
        name = (group, keys.tobytes(), dims.tobytes(), flow)
        found = cls._interned.get(name)
        if found is None:
            _check(group, keys, dims, flow)
            leg = object.__new__(cls)
            # copies, as the caller may go on with its own; writeable ones, as kernels are compiled for these
            own, sizes = np.array(keys, dtype=np.int64), np.array(dims, dtype=np.int64)
            leg.__dict__.update(group=group, keys=own, dims_array=sizes, flow=flow)
            found = cls._interned.setdefault(name, leg)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a leg is frozen: make a new one.")

    def __reduce__(self) -> tuple:
        return Leg, (self.group, self.charges, self.dims, self.flow)

    def __repr__(self) -> str:
        arrow = "in" if self.flow > 0 else "out"
        if self.group is TRIVIAL or not self.group.names:
            return f"Leg({self.dim}, {arrow})"
        sectors = ", ".join(f"{q[0] if len(q) == 1 else q}:{d}" for q, d in zip(self.charges, self.dims, strict=True))
        return f"Leg({self.dim} = {{{sectors}}}, {arrow})"

    def __len__(self) -> int:
        return len(self.keys)

    # cached properties write to the object's dictionary, past the frozen __setattr__

    @cached_property
    def charges(self) -> tuple[Charge, ...]:
        return self.group.charges(self.keys)

    @cached_property
    def dims(self) -> tuple[int, ...]:
        return tuple(self.dims_array.tolist())

    @cached_property
    def dim(self) -> int:
        """Total dimension."""
        return int(self.dims_array.sum())

    @cached_property
    def dual(self) -> "Leg":
        """The same sectors with the opposite flow: what this leg can be contracted with."""
        return Leg._intern(self.group, self.keys, self.dims_array, -self.flow)

    @cached_property
    def starts(self) -> np.ndarray:
        """First dense index of every sector, and the total at the end."""
        return np.concatenate([[0], np.cumsum(self.dims_array)]).astype(np.int64)

    @cached_property
    def parities(self) -> np.ndarray:
        """1 for sectors with an odd number of fermions."""
        return np.array([self.group.parity(charge) for charge in self.charges], dtype=np.int64)

    @property
    def flipped(self) -> "Leg":
        """The same space written with the opposite flow: every charge replaced by its dual."""
        pairs = sorted((self.group.dual(charge), dim) for charge, dim in zip(self.charges, self.dims, strict=True))
        return Leg(self.group, [charge for charge, _ in pairs], [dim for _, dim in pairs], -self.flow)

    def with_flow(self, flow: int) -> "Leg":
        return self if flow == self.flow else self.dual

    def index_of(self, charge: Charge) -> int | None:
        """Place of a sector, or None."""
        try:
            return self.charges.index(self.group.charge(charge))
        except ValueError:
            return None

    def slice_of(self, charge: Charge) -> slice:
        """Where a sector lies in the dense index."""
        place = self.index_of(charge)
        if place is None:
            raise LegError(f"{self!r} has no sector of charge {charge}.")
        return slice(int(self.starts[place]), int(self.starts[place + 1]))


def _whole(dims: Sequence[int]) -> np.ndarray:
    try:
        return np.array(list(map(index, dims)), dtype=np.int64)
    except TypeError as error:
        raise LegError(f"every dimension of a leg is a whole number, found {list(dims)}.") from error


def _check(group: Group, keys: np.ndarray, dims: np.ndarray, flow: int) -> None:
    if flow not in (1, -1):
        raise LegError(f"a leg's flow is +1 (into the tensor) or -1 (out of it), found {flow!r}.")
    if len(keys) != len(dims):
        raise LegError(f"a leg needs one dimension per charge: {len(keys)} charges, {len(dims)} dimensions.")
    if (keys[1:] <= keys[:-1]).any():
        raise LegError(f"a leg's charges must ascend without repeats, found {group.charges(keys)}.")
    if (dims < 1).any():
        raise LegError(f"every sector needs a dimension of at least 1, found {dims.tolist()}.")


def trivial_leg(dim: int, flow: int = 1, group: Group = TRIVIAL) -> Leg:
    """A leg with one sector of identity charge."""
    return Leg(group, (group.identity,), (dim,), flow)
