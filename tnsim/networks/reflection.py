"""Reflections of a chain: one operator on every site, such as a spin flip, that takes charges to charges.

A state that is even or odd under a reflection is written in bases where half of its numbers follow from the others: a
bond state of one charge goes to the state at the same place of the reflected charge, and where a charge is its own
reflection every state is even or odd, the even ones first. DMRG then does half of the work.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tnsim.errors import LegError, OperatorError
from tnsim.networks.site_operator import SiteOperator, channel_images
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Leg


@dataclass(frozen=True, eq=False)
class SiteReflection:
    """A reflection of one site: the image of every state, with a sign, and the factor of every charge."""

    place: np.ndarray
    sign: np.ndarray
    factors: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ChannelImages:
    """Images of an operator's channels: of its right bond, as seen from the left, and of its left bond."""

    right: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class Mirror:
    """What plans for two sites know of a reflection: that of the sites, of their channels, and how many states of
    every sector of the outer bonds are even (all, where a sector has another image)."""

    sites: tuple[SiteReflection, ...]
    channels: tuple[ChannelImages, ...]
    even: tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(eq=False)
class ChainMirror:
    """A reflection of a chain, of an operator that it leaves alone, and how many states of every bond are even."""

    sites: tuple[SiteReflection, ...]
    channels: tuple[ChannelImages, ...]
    even: list[tuple[int, ...]]

    def around(self, bond: int) -> Mirror:
        """What an update of the sites bond, bond + 1 knows of it."""
        pair = slice(bond, bond + 2)
        return Mirror(self.sites[pair], self.channels[pair], (self.even[bond], self.even[bond + 2]))


@lru_cache(maxsize=256)
def site_reflection(site: Site, name: str) -> tuple[np.ndarray, np.ndarray, tuple[tuple[int, ...], ...]]:
    """The image of every state under an operator of a site, its sign, and which factors fit each kind of charge.

    Raises OperatorError unless the matrix takes every state to one state with a factor of 1 or -1, twice makes 1, and
    multiplies every kind of charge by 1 or by -1 throughout (by either, where all are zero).
    """
    matrix = site.op(name)
    place, states = np.abs(matrix).argmax(axis=0), np.arange(site.dim)
    sign = np.sign(matrix[place, states].real)
    rebuilt = np.zeros(matrix.shape)
    rebuilt[place, states] = sign
    if not np.array_equal(matrix, rebuilt) or not np.array_equal(matrix @ matrix, np.eye(site.dim)):
        raise OperatorError(
            f"operator {name!r} of site {site.name!r} is no reflection: it must take every state to one state, times 1 "
            "or -1, and back."
        )
    charges = np.array(site.charges, dtype=np.int64).reshape(site.dim, -1)
    factors = []
    for moved, kept, modulus in zip(charges[place].T, charges.T, site.group.moduli, strict=True):
        apart = {factor: moved - factor * kept for factor in (1, -1)}
        fits = tuple(f for f, gap in apart.items() if not (gap % modulus if modulus else gap).any())
        if not fits:
            raise OperatorError(
                f"operator {name!r} of site {site.name!r} takes charges {site.charges} to {charges[place].tolist()}: "
                "it must keep each kind of charge or change its sign."
            )
        factors.append(fits)
    return place.astype(np.int64), sign.astype(np.int64), tuple(factors)


@lru_cache(maxsize=256)
def _with_factors(site: Site, name: str, factors: tuple[int, ...]) -> SiteReflection:
    place, sign, _ = site_reflection(site, name)
    return SiteReflection(place, sign, factors)


@lru_cache(maxsize=64)
def site_reflections(sites: tuple[Site, ...], name: str) -> tuple[SiteReflection, ...]:
    """The reflections of all sites; OperatorError where no factors of charges fit all of them."""
    fitting = [[set(fits) for fits in site_reflection(site, name)[2]] for site in sites]
    common = [set.intersection(*kind) for kind in zip(*fitting, strict=True)]
    if not all(common):
        kind = next(n for n, factors in enumerate(common) if not factors)
        other = next(i for i, fits in enumerate(fitting) if not fits[kind] & fitting[0][kind])
        raise OperatorError(
            f"{name!r} multiplies charge {kind} ({sites[0].group!r}) of site 0 by {fitting[0][kind].pop()} and that of "
            f"site {other} by {fitting[other][kind].pop()}: a reflection does the same to all."
        )
    factors = tuple(max(factors) for factors in common)
    return tuple(_with_factors(site, name, factors) for site in sites)


def reflected_charge(leg: Leg, charge: Charge, factors: tuple[int, ...]) -> Charge:
    """The charge that a reflection makes of one."""
    return leg.group.charge(tuple(factor * q for factor, q in zip(factors, charge, strict=True)))


@lru_cache(maxsize=4096)
def images(leg: Leg, factors: tuple[int, ...]) -> np.ndarray:
    """The sector that a reflection makes of every sector of a leg; LegError where there is none of the same size."""
    place = {charge: number for number, charge in enumerate(leg.charges)}
    found = [place.get(reflected_charge(leg, charge, factors), -1) for charge in leg.charges]
    result = np.array(found, dtype=np.int64)
    if (result < 0).any() or (leg.dims_array[result] != leg.dims_array).any():
        raise LegError(f"{leg!r} is not its own reflection: charges times {factors} have other dimensions.")
    return result


@lru_cache(maxsize=64)
def reflected_channels(
    operators: tuple[SiteOperator, ...], reflections: tuple[SiteReflection, ...]
) -> tuple[ChannelImages, ...]:
    """The images of all channels of an operator; OperatorError where it is not its own reflection."""
    lefts, rights = channel_images(operators, [(reflection.place, reflection.sign) for reflection in reflections])
    if lefts[-1].tolist() != [1]:
        raise OperatorError(
            "this operator is not its own reflection, so its eigenstates need not be: leave the reflection out, or "
            "check for terms that break it, such as fields (an operator of many fitted channels may hide it)."
        )
    return tuple(ChannelImages(lefts[i + 1], rights[i]) for i in range(len(operators)))
