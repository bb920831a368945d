"""Bond legs of a chain that explore one charge sector."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.errors import ChargeError
from tnsim.kernels.cpu.sectors import fused_keys
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Group, Leg

# number of states of every charge; charges as packed keys, which keep the order of the charges
Dims = dict[int, int]


def sector_bonds(sites: Sequence[Site], total: Charge, chi: int) -> list[Leg]:
    """L + 1 bond legs (flow +1) of at most chi states, from the identity charge to `total`.

    Every charge that is reachable from both ends takes part, with its full dimension where chi suffices,
    else in proportion to it; where there are more charges than chi, the largest stay, and one path through
    the chain always does. Raises ChargeError where no state has the charge.
    """
    return list(_sector_bonds(tuple(sites), total, chi))


@lru_cache(maxsize=16)
def _sector_bonds(sites: tuple[Site, ...], total: Charge, chi: int) -> tuple[Leg, ...]:
    group = sites[0].group
    lefts, rights = [{group.key(group.identity): 1}], [{group.key(total): 1}]
    for site in sites:
        lefts.append(_reach(lefts[-1], site, 1))
    for site, known in zip(reversed(sites), reversed(lefts[:-1]), strict=True):
        rights.append({q: dim for q, dim in _reach(rights[-1], site, -1).items() if q in known})
    both = _smaller(lefts, rights)
    if not all(both):
        raise ChargeError(
            f"no state of these {len(sites)} sites has the total charge {total} ({group!r}): reachable are "
            f"{list(group.charges(sorted(lefts[-1])[:8]))}{' ...' if len(lefts[-1]) > 8 else ''}."
        )
    paths = zip(both, _path(both, sites), strict=True)
    return tuple(_leg(group, _share(dims, through, chi)) for dims, through in paths)


def cell_bonds(sites: Sequence[Site], chi: int, first: Leg | None = None) -> list[Leg]:
    """Bond legs (flow +1) of a unit cell that repeats, the last equal to the first, of at most chi states each.

    Without `first` its charges are those in the middle of a long chain. Every sector fits into what the
    sites beside it offer. Raises ChargeError where no cell is neutral, or nothing connects its ends.
    """
    group = sites[0].group
    if first is None:
        if not sector_size(sites, group.identity):
            raise ChargeError(
                f"no state of this unit cell of {len(sites)} site{'s' * (len(sites) != 1)} is neutral ({group!r}), so "
                "it cannot repeat: take more sites, or neutral_cell(sites, charge) for another filling."
            )
        cells = 2 + 2 * chi.bit_length()
        first = sector_bonds(tuple(sites) * cells, group.identity, chi)[cells // 2 * len(sites)]
    if first.group != group:
        raise ChargeError(f"the bond conserves {first.group!r}, the sites {group!r}: they must conserve the same.")
    start = dict(zip(first.keys.tolist(), first.dims, strict=True))
    lefts, rights = [start], [start]
    for site in sites:
        lefts.append(_reach(lefts[-1], site, 1))
    for site in reversed(sites):
        rights.append(_reach(rights[-1], site, -1))
    bonds = _smaller(lefts, rights)
    inner = [_share(dims, max(dims, key=lambda q: (dims[q], q)), chi) if dims else {} for dims in bonds[1:-1]]
    bonds = _supported([start, *inner, start], sites)
    if not all(bonds):
        raise ChargeError(f"the sites of this unit cell do not lead from the bond {first!r} back to it.")
    return [_leg(group, dims) for dims in bonds]


def _leg(group: Group, dims: Dims) -> Leg:
    keys = sorted(dims)
    return Leg(group, group.charges(keys), [dims[q] for q in keys])


def _smaller(lefts: Sequence[Dims], rights: Sequence[Dims]) -> list[Dims]:
    """Of every bond the charges reached from both ends, with the smaller dimension; `rights` from the last bond on."""
    return [{q: min(a[q], b[q]) for q in a if q in b} for a, b in zip(lefts, reversed(rights), strict=True)]


def _supported(bonds: list[Dims], sites: Sequence[Site]) -> list[Dims]:
    """The bonds of a cell cut down until every sector fits into what the sites on both sides offer."""
    while True:
        before = [dict(dims) for dims in bonds]
        for i, site in enumerate(sites):
            reached = _reach(bonds[i], site, 1)
            bonds[i + 1] = {q: min(d, reached[q]) for q, d in bonds[i + 1].items() if q in reached}
        bonds[0] = bonds[-1]
        for i in range(len(sites) - 1, -1, -1):
            reached = _reach(bonds[i + 1], sites[i], -1)
            bonds[i] = {q: min(d, reached[q]) for q, d in bonds[i].items() if q in reached}
        bonds[-1] = bonds[0]
        if bonds == before:
            return bonds


def sector_size(sites: Sequence[Site], charge: Charge) -> int:
    """Number of product states of a total charge."""
    group = sites[0].group
    counts: Dims = {group.key(group.identity): 1}
    for site in sites:
        counts = _reach(counts, site, 1)
    return counts.get(group.key(charge), 0)


def _fused(charges: Sequence[int], site: Site, sign: int) -> list[list[int]]:
    """Every charge with every sector of a site added, or taken away."""
    leg = site.leg
    return fused_keys(np.array(charges, dtype=np.int64), leg.keys, sign, leg.group.moduli_array).tolist()


def _reach(dims: Dims, site: Site, sign: int) -> Dims:
    """How many states one more site makes of each charge."""
    result: Dims = {}
    for dim, row in zip(dims.values(), _fused(list(dims), site, sign), strict=True):
        for new, states in zip(row, site.leg.dims, strict=True):
            result[new] = result.get(new, 0) + dim * states
    return result


def _path(both: Sequence[Dims], sites: Sequence[Site]) -> list[int]:
    """One charge a bond, connected by the sites, each the largest that its left neighbour reaches."""
    path = list(both[0])
    for dims, site in zip(both[1:], sites, strict=True):
        (reached,) = _fused(path[-1:], site, 1)
        path.append(max((q for q in reached if q in dims), key=lambda q: (dims[q], q)))
    return path


def _share(dims: Dims, through: int, chi: int) -> Dims:
    """Dimensions of at most chi in total, in proportion to `dims`."""
    by_size = sorted(dims, key=lambda q: (q != through, -dims[q], q))[:chi]
    kept = dict.fromkeys(by_size, 1)
    spare, weight = chi - len(kept), sum(dims[q] for q in kept)
    for q in kept:
        kept[q] += min(dims[q] - 1, spare * dims[q] // weight)
    left = chi - sum(kept.values())
    for q in by_size:
        more = min(left, dims[q] - kept[q])
        kept[q], left = kept[q] + more, left - more
    return kept
