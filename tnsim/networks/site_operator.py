"""MPO site tensors as sparse lists of entries, with their identity channels: how algorithms read an MPO."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, entries_of

_interned: dict[tuple, "SiteOperator"] = {}


@dataclass(frozen=True, eq=False)
class SiteOperator:
    """Non-zero elements of one MPO site tensor W with legs (left, out, in, right).

    entries: (left channel, right channel, out state, in state), values: their numbers on the host.
    unit_left: places on the left and right bond where everything to the left is the identity ("not started
    yet"); unit_right likewise for everything to the right ("finished"); -1 where there is none. In
    canonical form the environments of such channels are identities, so no product is spent on them.
    Equal site operators are one object.
    """

    left: Leg
    phys: Leg
    right: Leg
    entries: np.ndarray
    values: np.ndarray
    unit_left: tuple[int, int]
    unit_right: tuple[int, int]


def site_operators(tensors: Sequence[Tensor]) -> tuple[SiteOperator, ...]:
    """The entries of every site, and the identity channels found by walking from both ends."""
    entries = {key: _entries(tensor) for key, tensor in {id(tensor): tensor for tensor in tensors}.items()}
    found = [entries[id(tensor)] for tensor in tensors]
    count = len(tensors)
    left_units, right_units = [0] * (count + 1), [0] * (count + 1)
    for i in range(count):
        left_units[i + 1] = _next_unit(*found[i], left_units[i], tensors[i].shape, source=0)
    for i in range(count - 1, -1, -1):
        right_units[i] = _next_unit(*found[i], right_units[i + 1], tensors[i].shape, source=1)
    return tuple(
        _intern(tensor, *found[i], (left_units[i], left_units[i + 1]), (right_units[i], right_units[i + 1]))
        for i, tensor in enumerate(tensors)
    )


def cyclic_site_operators(
    tensors: Sequence[Tensor], starts: Sequence[int], finishes: Sequence[int]
) -> tuple[SiteOperator, ...]:
    """The entries of a cell that repeats; starts and finishes are its identity channels left of every site."""
    return tuple(
        _intern(
            tensor, *_entries(tensor),
            (starts[i], starts[(i + 1) % len(starts)]), (finishes[i], finishes[(i + 1) % len(finishes)]),
        )
        for i, tensor in enumerate(tensors)
    )  # fmt: skip


@lru_cache(maxsize=1024)
def bond_operator(operator: SiteOperator, side: str) -> SiteOperator:
    """The bond on one side of an operator as a site of one state, on which every channel just goes on.

    Beside it, two-site machinery does the work of one site.
    """
    left, place = (operator.left, 0) if side == "left" else (operator.right.dual, 1)
    one = Leg(left.group, [left.group.identity], [1])
    channels = np.arange(left.dim)
    entries = np.column_stack([channels, channels, 0 * channels, 0 * channels]).astype(np.int64)
    values = np.ones(left.dim, dtype=operator.values.dtype)
    units = (operator.unit_left[place],) * 2, (operator.unit_right[place],) * 2
    return SiteOperator(left, one, left.dual, entries, values, *units)


def _entries(tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
    places, values = entries_of(tensor)
    return np.ascontiguousarray(places[:, [0, 3, 1, 2]]), values


def _next_unit(entries: np.ndarray, values: np.ndarray, unit: int, shape: tuple[int, ...], *, source: int) -> int:
    """The channel that only continues `unit` with an identity operator, or -1."""
    if unit < 0 or shape[1] != shape[2]:
        return -1
    target, dim = entries[:, 1 - source], shape[1]
    continues = (entries[:, source] == unit) & (entries[:, 2] == entries[:, 3]) & (values == 1)
    into, plain = (np.bincount(target[chosen], minlength=1) for chosen in (slice(None), continues))
    found = np.flatnonzero((into[: len(plain)] == dim) & (plain == dim))
    return int(found[0]) if len(found) else -1


def _intern(
    tensor: Tensor, entries: np.ndarray, values: np.ndarray, unit_left: tuple[int, int], unit_right: tuple[int, int]
) -> SiteOperator:
    legs = (tensor.legs[0], tensor.legs[1], tensor.legs[3])
    key = (*legs, entries.tobytes(), values.dtype.char, values.tobytes(), unit_left, unit_right)
    if key not in _interned:
        _interned[key] = SiteOperator(*legs, entries, values, unit_left, unit_right)
    return _interned[key]
