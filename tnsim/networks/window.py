"""A stretch of an infinite state as a finite one, so that everything made for finite states measures it."""

import numpy as np

from tnsim.errors import ShapeError
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, from_dense


def window(psi: InfiniteMPS, first: int, last: int) -> MPS:
    """Sites first..last of the infinite chain (any integers) as a finite state of norm 1.

    Site n of the stretch is site n - first + 1 of the result: the chains on both sides are its first and last
    site, whose states are those of the bond. Reduced density matrices and correlations inside are exact.

    >>> from tnsim.networks.sites import spin_sites
    >>> window(InfiniteMPS.product(spin_sites(2), ["up", "down"]), 0, 3).bond_dimensions
    (1, 1, 1, 1, 1, 1, 1)
    """
    if last < first:
        raise ShapeError(f"a window reaches from its first to its last site, found {first} and {last}.")
    places = [i % psi.L for i in range(first, last + 1)]
    tensors = [psi.AC(places[0]), *(psi.AR[i] for i in places[1:])]
    left, right = tensors[0].legs[0], tensors[-1].legs[2]
    west, east = _bond_site("left", left), _bond_site("right", right.flipped)
    sites = (west, *(psi.sites[i] for i in places), east)
    start = _unit_bond(west, left.dual, psi.AL[0])
    # the last site takes back the charge of the bond: the window is neutral in all
    end = _closing(right, east, psi.AL[0])
    return MPS([start, *tensors, end], sites, 1)


def _bond_site(name: str, leg: Leg) -> Site:
    """A bond's states as those of a site, by ascending charge."""
    charges = [charge for charge, dim in zip(leg.charges, leg.dims, strict=True) for _ in range(dim)]
    return Site(name, tuple(f"{name} {k}" for k in range(leg.dim)), leg.group, tuple(charges), {})


def _unit_bond(site: Site, bond: Leg, like: Tensor) -> Tensor:
    """(nothing, bond as a site, bond)."""
    dense = np.eye(site.dim, dtype=like.dtype)[None]
    one = Leg(bond.group, [bond.group.identity], [1])
    return from_dense(dense, (one, site.leg, bond)).to(like.backend)


def _closing(bond: Leg, site: Site, like: Tensor) -> Tensor:
    """(bond, bond as a site with dual charges, nothing)."""
    group = bond.group
    matrix = np.zeros((bond.dim, site.dim, 1), dtype=like.dtype)
    for n, charge in enumerate(bond.charges):
        start = site.leg.slice_of(group.dual(charge)).start
        for k in range(bond.dims[n]):
            matrix[int(bond.starts[n]) + k, start + k, 0] = 1
    one = Leg(group, [group.identity], [1])
    return from_dense(matrix, (bond.dual, site.leg, one.dual)).to(like.backend)
