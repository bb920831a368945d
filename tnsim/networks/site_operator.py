"""MPO site tensors as sparse lists of entries, with their identity channels: how algorithms read an MPO."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, entries_of

_interned: dict[tuple, "SiteOperator"] = {}
# channels whose sums with random coefficients agree to this share are one operator
_EQUAL = 1e-13
# so much of the imaginary part goes into the number that channels are sorted by
_TURN = 0.7
_NONE = np.zeros(0, dtype=np.int64)


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
    mates: tuple[np.ndarray, np.ndarray] = field(default=(_NONE, _NONE), repr=False)


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
    mates = _all_mates(found, [tensor.shape for tensor in tensors])
    return tuple(
        _intern(tensor, *found[i], (left_units[i], left_units[i + 1]), (right_units[i], right_units[i + 1]), mates[i])
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


def _all_mates(
    found: Sequence[tuple[np.ndarray, np.ndarray]], shapes: Sequence[tuple[int, ...]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The mates of every site: of its right bond from the left end, of its left bond from the right end."""
    count = len(found)
    ends = [np.ones(shape[place], dtype=np.int64) for shape, place in ((shapes[0], 0), (shapes[-1], 3))]
    if any(len(end) != 1 for end in ends):
        return [(_NONE, _NONE)] * count
    lefts, rights = [ends[0]], [ends[1]]
    for i in range(count):
        lefts.append(_next_mates(*found[i], lefts[-1], shapes[i], source=0))
        rights.append(_next_mates(*found[-1 - i], rights[-1], shapes[-1 - i], source=1))
    return [(lefts[i + 1], rights[count - i]) for i in range(count)]


def _next_mates(
    entries: np.ndarray, values: np.ndarray, mates: np.ndarray, shape: tuple[int, ...], *, source: int
) -> np.ndarray:
    """Mates one site further, from those on the source's side."""
    size = shape[3 if source == 0 else 0]
    if shape[1] != shape[2]:
        return np.zeros(size, dtype=np.int64)
    turned = np.ones(shape[1]), np.arange(shape[1])
    return _next_partners(entries, (values, values.conj()), mates, size, source, turned, swap=True)


def channel_images(
    operators: Sequence[SiteOperator], reflections: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Which channels of every bond are images of each other, in the notation of mates: seen from the left end and from
    the right, one array for each of the L + 1 bonds. reflections: (image, sign) of every state of a site."""
    lefts, rights = [np.ones(1, dtype=np.int64)], [np.ones(1, dtype=np.int64)]
    for source, known in ((0, lefts), (1, rights)):
        order = range(len(operators)) if source == 0 else range(len(operators) - 1, -1, -1)
        for i in order:
            operator, (place, sign) = operators[i], reflections[i]
            size = (operator.right if source == 0 else operator.left).dim
            given = operator.values, operator.values
            known.append(_next_partners(operator.entries, given, known[-1], size, source, (sign, place), swap=False))
    return lefts, rights[::-1]


def _next_partners(
    entries: np.ndarray, values: tuple[np.ndarray, np.ndarray], partners: np.ndarray, size: int, source: int,
    states: tuple[np.ndarray, np.ndarray], *, swap: bool,
) -> np.ndarray:  # fmt: skip
    """Channels one site further that are partners, such as adjoints, from those on the source's side.

    values: of the entries, and of their partners; states: sign and place of every state in the partner, where (swap)
    out and in change places too. Every channel becomes one number, the sum of its entries with random coefficients of
    source, out and in, and its partner another one: the two agree.
    """
    sign, place = states
    rng = np.random.default_rng(size)
    weights, random = rng.normal(size=len(partners)), rng.normal(size=(2, len(place)))
    sources, targets, out, into = entries[:, source], entries[:, 1 - source], entries[:, 2], entries[:, 3]
    own = weights[sources] * random[0, out] * random[1, into]
    turned = np.sign(partners) * weights[np.abs(partners) - 1]
    first, second = (into, out) if swap else (place[out], place[into])
    other = turned[sources] * random[0, first] * random[1, second] * (sign[out] * sign[into])
    ours, theirs = _sums(targets, values[0] * own, size), _sums(targets, values[1] * other, size)
    scale = _sums(targets, np.abs(values[0] * own), size).real
    known = (_sums(targets, (partners[sources] == 0).astype(float), size) == 0) & (scale > 0)
    return _mutual(_matches(ours, theirs, scale, np.flatnonzero(known)))


def _matches(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For every channel the only one whose number is that of its adjoint, or minus that; cost O(n log n)."""
    found, width = np.zeros(len(ours), dtype=np.int64), 2 * _EQUAL * scale.max(initial=0.0)
    keys, aims = (numbers[known].real + _TURN * numbers[known].imag for numbers in (ours, theirs))
    order, keys = known[np.argsort(keys)], np.sort(keys)
    for sign in (1, -1):
        first = np.searchsorted(keys, sign * aims - width)
        last = np.searchsorted(keys, sign * aims + width, side="right")
        single = last - first == 1
        one, other = order[first[single]], known[single]
        near = np.abs(ours[one] - sign * theirs[other]) <= _EQUAL * np.maximum(scale[one], scale[other])
        found[other[near]] = sign * (one[near] + 1)
    return found


def _mutual(mates: np.ndarray) -> np.ndarray:
    """Those that are mates of their mates: where numbers nearly agree, rounding may tell in one of two directions."""
    back = np.sign(mates) * (np.arange(len(mates)) + 1)
    return np.where(mates[np.abs(mates) - 1] == back, mates, 0)


def _sums(targets: np.ndarray, numbers: np.ndarray, size: int) -> np.ndarray:
    """The numbers of every target added up."""
    real = np.bincount(targets, numbers.real, size)
    return real + 1j * np.bincount(targets, numbers.imag, size) if numbers.dtype.kind == "c" else real


def _intern(
    tensor: Tensor, entries: np.ndarray, values: np.ndarray, unit_left: tuple[int, int], unit_right: tuple[int, int],
    mates: tuple[np.ndarray, np.ndarray] = (_NONE, _NONE),
) -> SiteOperator:  # fmt: skip
    legs = (tensor.legs[0], tensor.legs[1], tensor.legs[3])
    bytes_of_mates = mates[0].tobytes(), mates[1].tobytes()
    key = (*legs, entries.tobytes(), values.dtype.char, values.tobytes(), unit_left, unit_right, *bytes_of_mates)
    if key not in _interned:
        _interned[key] = SiteOperator(*legs, entries, values, unit_left, unit_right, mates)
    return _interned[key]
