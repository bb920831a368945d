"""Fusing legs: which sector tuples make up each sector of the combined leg, and where they lie in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from tnsim.errors import LegError
from tnsim.symmetry.leg import Leg


@dataclass(frozen=True, eq=False)
class FusedLeg:
    """The product of `legs` as one `leg`.

    sector: for every tuple of sectors (C order over the legs) the sector of `leg` it falls into;
    start: where in that sector it begins. Inside a tuple the order is C order, tuples of one sector
    follow each other in lexicographic order.
    """

    legs: tuple[Leg, ...]
    leg: Leg
    sector: np.ndarray
    start: np.ndarray


@lru_cache(maxsize=4096)
def fuse_legs(legs: tuple[Leg, ...], flow: int = 1) -> FusedLeg:
    """Combine legs into one with the given flow; the charge of a tuple is flow * sum(flow_n charge_n)."""
    if not legs:
        raise LegError("fusing needs at least one leg.")
    group = legs[0].group
    members: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for number, places in enumerate(product(*(range(len(leg)) for leg in legs))):
        charges = [leg.charges[place] for leg, place in zip(legs, places, strict=True)]
        charge = group.total(charges, [flow * leg.flow for leg in legs])
        dim = int(np.prod([leg.dims[place] for leg, place in zip(legs, places, strict=True)]))
        members.setdefault(charge, []).append((number, dim))
    count = int(np.prod([len(leg) for leg in legs]))
    sector, start = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    charges_out, dims_out = [], []
    for place, charge in enumerate(sorted(members)):
        total = 0
        for number, dim in members[charge]:
            sector[number], start[number] = place, total
            total += dim
        charges_out.append(charge)
        dims_out.append(total)
    return FusedLeg(legs, Leg(group, charges_out, dims_out, flow), sector, start)


def kronecker_order(legs: Sequence[Leg]) -> np.ndarray:
    """Place of every Kronecker product state in the leg fused pair by pair from the left."""
    places = np.arange(legs[0].dim)
    fused = legs[0]
    for leg in legs[1:]:
        table = fuse_legs((fused, leg), legs[0].flow)
        first, second = _sector_of(fused), _sector_of(leg)
        code = first[0][:, None] * len(leg) + second[0][None, :]
        inside = first[1][:, None] * leg.dims_array[second[0]][None, :] + second[1][None, :]
        joined = table.leg.starts[table.sector[code]] + table.start[code] + inside
        places = joined[places].ravel()
        fused = table.leg
    return places


def _sector_of(leg: Leg) -> tuple[np.ndarray, np.ndarray]:
    """Sector of every dense index, and the place inside it."""
    sector = np.repeat(np.arange(len(leg)), leg.dims_array)
    return sector, np.arange(leg.dim) - leg.starts[sector]
