"""Site tensors of states on the square lattice: their checks, product and random ones, and the legs of their bonds.

     north  phys
       |   /
west --T-- east
       |
     south
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from tnsim.backend import Backend, Seed, default_backend, get_backend
from tnsim.errors import ChargeError, LegError, NumericalError, SettingsError, ShapeError
from tnsim.networks.mps import local_vector
from tnsim.networks.sites import Site
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, from_dense, random_tensor

SITE_FLOWS = (*FLOWS, 1)
DIRECTIONS = ("north", "east", "south", "west")
State = str | Sequence[complex] | np.ndarray


def check_site_tensor(tensor: Tensor, site: Site, where: str) -> None:
    """LegError for other legs than (north, east, south, west, phys), NumericalError for NaN and Inf."""
    if tensor.ndim != 5 or tuple(leg.flow for leg in tensor.legs) != SITE_FLOWS:
        raise LegError(
            f"the tensor {where} needs legs (north, east, south, west, phys) with flows {SITE_FLOWS}, "
            f"found {list(tensor.legs)}."
        )
    if tensor.legs[4] is not site.leg:
        raise LegError(f"the tensor {where} has the physical leg {tensor.legs[4]!r}, but its site has {site.leg!r}.")
    if not tensor.backend.all_finite(tensor.data):
        raise NumericalError(f"the tensor {where} holds NaN or Inf.")


def check_bond(first: Tensor, second: Tensor, direction: int, where: tuple[str, str]) -> None:
    """The leg of `first` in a direction against the opposite one of `second`; LegError where they do not fit."""
    opposite = (direction + 2) % 4
    a, b = first.legs[direction], second.legs[opposite]
    if a.dual is not b:
        raise LegError(
            f"the {DIRECTIONS[direction]} leg of the tensor {where[0]} does not fit the {DIRECTIONS[opposite]} leg of "
            f"the tensor {where[1]}: {a!r} against {b!r}."
        )


def check_dimension(D: int) -> None:
    """SettingsError unless D is a whole number of at least 1."""
    if isinstance(D, bool) or not isinstance(D, int | np.integer) or D < 1:
        raise SettingsError(f"a bond dimension D is a whole number of at least 1, found {D!r}.")


def product_tensor(site: Site, state: State, where: str, dtype: Any, backend: str | Backend | None) -> Tensor:
    """A site in one state (of one charge, which the tensor carries), with bonds of dimension 1."""
    vector = local_vector(site, state, where)
    charge = charge_of(site, vector, where)
    legs = [Leg(site.group, [site.group.identity], [1], flow) for flow in FLOWS]
    dtype = np.dtype(dtype or np.result_type(np.float64, vector.dtype))
    library = default_backend() if backend is None else get_backend(backend)
    return from_dense(vector.astype(dtype)[None, None, None, None], [*legs, site.leg], charge).to(library)


def charge_of(site: Site, vector: np.ndarray, where: str) -> Charge:
    """The charge of a local vector; ChargeError where it mixes several."""
    found = {site.charges[k] for k in np.flatnonzero(vector).tolist()}
    if len(found) != 1:
        raise ChargeError(f"the local vector of site {where} mixes the charges {sorted(found)}: conserve less.")
    return found.pop()


def bond_leg(first: Site, second: Site, charges: tuple[Charge, Charge], D: int, flow: int, old: Leg | None) -> Leg:
    """The leg of a bond from `first` to its neighbour east or south, of dimension D; it keeps the sectors of `old`.

    charges: of the two tensors. Sectors are what can flow from first to second: nothing, then what both can exchange,
    in turn until there are D. A bond to a place with a single state carries nothing, and does not grow.
    """
    group = first.group
    D = D if min(first.dim, second.dim) > 1 else max(1, old.dim if old is not None else 1)
    held = dict(zip(old.charges, old.dims, strict=True)) if old is not None else {}
    if sum(held.values()) > D:
        raise ShapeError(f"a bond of dimension {sum(held.values())} cannot grow to D = {D}.")
    candidates = exchanged(first, second, charges)
    for charge, wanted in ((charge, n) for n in count(1) for charge in candidates):
        if sum(held.values()) == D:
            break
        held[charge] = max(held.get(charge, 0), wanted)
    sectors = sorted(held)
    return Leg(group, sectors, [held[charge] for charge in sectors], flow)


def exchanged(first: Site, second: Site, charges: tuple[Charge, Charge]) -> list[Charge]:
    """What can flow from first to second, nothing first: what remains of their charges is that of a state of theirs."""
    group = first.group
    differences = {group.fuse(q, group.dual(charges[0]))[0] for q in first.charges}
    taken = {group.fuse(charges[1], group.dual(q))[0] for q in second.charges}
    both = (differences & taken) - {group.identity}
    return [group.identity, *sorted(both, key=lambda q: (sum(map(abs, q)), q))]


def embedded(tensor: Tensor, legs: Sequence[Leg], noise: float, seed: Seed) -> Tensor:
    """The tensor with larger bonds, and random numbers of size noise (times its root mean square) everywhere."""
    rms = tensor.norm() / np.sqrt(max(1, tensor.size))
    wider = random_tensor([*legs, tensor.legs[4]], tensor.charge, dtype=tensor.dtype, seed=seed, backend=tensor.backend)
    wider = wider * float(noise * rms)
    blocks = {_charges(wider, places): block for places, block in wider.blocks()}
    for places, block in tensor.blocks():
        blocks[_charges(tensor, places)][tuple(slice(0, size) for size in block.shape)] += block
    return wider


def _charges(tensor: Tensor, places: Sequence[int]) -> tuple[Charge, ...]:
    return tuple(leg.charges[n] for leg, n in zip(tensor.legs, places, strict=True))
