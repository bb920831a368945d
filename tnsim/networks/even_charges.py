"""Sites of a cell that measure charges from different origins, seen from one origin: what turning a cylinder needs."""

from dataclasses import replace

import numpy as np

from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.sites import Site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor


def evenly_charged(psi: InfiniteMPS, period: int) -> tuple[InfiniteMPS, np.ndarray] | None:
    """The same state with other names for its charges, in which sites `period` apart are equal.

    `neutral_cell` shifts charges of sites by whole numbers, which differ where the density is none. In units of 1/L,
    with L sites a cell, all sites can have the same share. Returns the state, and the factor on every component of its
    charges: L, or 1 for Z_n and where all sites are equal already; those on the bond between two cells are multiples of
    it. None where sites differ by more than whole numbers of U(1). No element of a tensor changes; cost O(L) legs.

    >>> from tnsim.networks.infinite_mps import neutral_cell
    >>> from tnsim.networks.sites import fermion_site
    >>> psi = InfiniteMPS.product(neutral_cell([fermion_site()] * 3, 1), ["full", "empty", "empty"])
    >>> even, factor = evenly_charged(psi, 1)
    >>> [site.charges for site in even.sites], int(factor[0])
    ([((-1,), (2,)), ((-1,), (2,)), ((-1,), (2,))], 3)
    """
    first = psi.sites[:period]
    shifts = [_shift(first[i % period], site) for i, site in enumerate(psi.sites)]
    if any(shift is None for shift in shifts):
        return None
    moves = np.array(shifts, dtype=np.int64)
    moduli = psi.sites[0].group.moduli
    if not moves.any():
        return psi, np.ones(len(moduli), dtype=np.int64)
    factor = np.array([1 if n else psi.L for n in moduli], dtype=np.int64)
    total = moves.sum(axis=0)
    # left of every site, and after the last one: zero again
    bonds = np.concatenate([np.zeros_like(moves[:1]), np.cumsum(total - psi.L * moves, axis=0)])
    sites = [replace(site, charges=_scaled(site.charges, factor, total)) for site in first]
    AL: list[Tensor] = []
    AR: list[Tensor] = []
    C: list[Tensor] = []
    for i in range(psi.L):
        phys = sites[i % period].leg
        for chain, tensor in ((AL, psi.AL[i]), (AR, psi.AR[i])):
            left, _, right = tensor.legs
            legs = (_renamed(left, factor, bonds[i]), phys, _renamed(right, factor, bonds[i + 1]))
            chain.append(Tensor(legs, tensor.data))
        C.append(Tensor([_renamed(leg, factor, bonds[i + 1]) for leg in psi.C[i].legs], psi.C[i].data))
    return InfiniteMPS(AL, AR, C, [sites[i % period] for i in range(psi.L)]), factor


def _shift(base: Site, site: Site) -> np.ndarray | None:
    """What the charges of a site lie above those of an otherwise equal one; None where there is no such number."""
    if site.group != base.group or site.states != base.states or site.parities != base.parities:
        return None
    if site.operators.keys() != base.operators.keys() or not all(
        np.array_equal(site.operators[name], base.operators[name]) for name in base.operators
    ):
        return None
    moves = np.array(site.charges, dtype=np.int64) - np.array(base.charges, dtype=np.int64)
    finite = np.array([n > 0 for n in base.group.moduli], dtype=bool)
    return None if (moves != moves[0]).any() or moves[0][finite].any() else moves[0]


def _scaled(charges, factor: np.ndarray, offset: np.ndarray) -> tuple:
    """factor * charge + offset, which keeps their order."""
    return tuple(map(tuple, (np.array(charges, dtype=np.int64) * factor + offset).tolist()))


def _renamed(leg: Leg, factor: np.ndarray, offset: np.ndarray) -> Leg:
    return Leg(leg.group, _scaled(leg.charges, factor, offset), leg.dims, leg.flow)
