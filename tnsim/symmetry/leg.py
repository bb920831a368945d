"""A leg of a symmetric tensor: sectors (charge, dimension) and a direction."""

from collections.abc import Sequence
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
    charges: tuple[Charge, ...]
    dims: tuple[int, ...]
    flow: int

    def __new__(cls, group: Group, charges: Sequence[Charge], dims: Sequence[int], flow: int = 1) -> "Leg":
        try:
            found = cls._interned.get((group, tuple(charges), tuple(dims), flow))
        except TypeError:  # charges given as lists
            found = None
        if found is None:
            found = cls._make(group, tuple(map(group.charge, charges)), _whole(dims), flow)
            key = (group, found.charges, found.dims, flow)
            found = cls._interned.setdefault(key, found)
        return found

    @classmethod
    def from_keys(cls, group: Group, keys: np.ndarray, dims: np.ndarray, flow: int = 1) -> "Leg":
        """A leg from packed keys in ascending order; sectors of dimension 0 are dropped."""
        kept = dims > 0
        return cls(group, group.charges(keys[kept].tolist()), dims[kept].tolist(), flow)

    @classmethod
    def _make(cls, group: Group, charges: tuple[Charge, ...], dims: tuple[int, ...], flow: int) -> "Leg":
        if flow not in (1, -1):
            raise LegError(f"a leg's flow is +1 (into the tensor) or -1 (out of it), found {flow!r}.")
        if len(charges) != len(dims):
            raise LegError(f"a leg needs one dimension per charge: {len(charges)} charges, {len(dims)} dimensions.")
        if any(a >= b for a, b in zip(charges, charges[1:], strict=False)):
            raise LegError(f"a leg's charges must ascend without repeats, found {charges}.")
        if any(d < 1 for d in dims):
            raise LegError(f"every sector needs a dimension of at least 1, found {dims}.")
        leg = object.__new__(cls)
        object.__setattr__(leg, "group", group)
        object.__setattr__(leg, "charges", charges)
        object.__setattr__(leg, "dims", dims)
        object.__setattr__(leg, "flow", flow)
        return leg

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
        return len(self.dims)

    # cached on the interned object, past the frozen __setattr__
    def _cached(self, name: str, make) -> object:
        value = self.__dict__.get(name)
        if value is None:
            value = self.__dict__[name] = make()
        return value

    @property
    def dim(self) -> int:
        """Total dimension."""
        return sum(self.dims)

    @property
    def dual(self) -> "Leg":
        """The same sectors with the opposite flow: what this leg can be contracted with."""
        found = self.__dict__.get("_dual")  # asked for so often that a closure would be seen
        if found is None:
            found = self._cached("_dual", lambda: Leg(self.group, self.charges, self.dims, -self.flow))
        return found  # type: ignore[return-value]

    @property
    def keys(self) -> np.ndarray:
        return self._cached("_keys", lambda: self.group.keys(self.charges))  # type: ignore[return-value]

    @property
    def dims_array(self) -> np.ndarray:
        return self._cached("_dims", lambda: np.array(self.dims, dtype=np.int64))  # type: ignore[return-value]

    @property
    def starts(self) -> np.ndarray:
        """First dense index of every sector, and the total at the end."""
        return self._cached("_starts", lambda: np.concatenate([[0], np.cumsum(self.dims_array)]).astype(np.int64))  # type: ignore[return-value]

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


def _whole(dims: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(map(index, dims))
    except TypeError as error:
        raise LegError(f"every dimension of a leg is a whole number, found {list(dims)}.") from error


def trivial_leg(dim: int, flow: int = 1, group: Group = TRIVIAL) -> Leg:
    """A leg with one sector of identity charge."""
    return Leg(group, (group.identity,), (dim,), flow)
