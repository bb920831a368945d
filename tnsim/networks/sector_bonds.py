"""Bond legs of a chain that explore one charge sector."""

from collections.abc import Sequence

from tnsim.errors import ChargeError
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Group, Leg

Dims = dict[Charge, int]


def sector_bonds(sites: Sequence[Site], total: Charge, chi: int) -> list[Leg]:
    """L + 1 bond legs (flow +1) of at most chi states, from the identity charge to `total`.

    Every charge that is reachable from both ends takes part, with its full dimension where chi suffices,
    else in proportion to it; where there are more charges than chi, the largest stay, and one path through
    the chain always does. Raises ChargeError where no state has the charge.
    """
    group = sites[0].group
    lefts, rights = [{group.identity: 1}], [{total: 1}]
    for site in sites:
        lefts.append(_reach(lefts[-1], site, group, 1))
    for site in reversed(sites):
        rights.append(_reach(rights[-1], site, group, -1))
    both = [{q: min(a[q], b[q]) for q in a if q in b} for a, b in zip(lefts, reversed(rights), strict=True)]
    if not all(both):
        raise ChargeError(
            f"no state of these {len(sites)} sites has the total charge {total} ({group!r}): reachable are "
            f"{sorted(lefts[-1])[:8]}{' ...' if len(lefts[-1]) > 8 else ''}."
        )
    legs = []
    for dims, through in zip(both, _path(both, sites, group), strict=True):
        kept = _share(dims, through, chi)
        legs.append(Leg(group, sorted(kept), [kept[charge] for charge in sorted(kept)]))
    return legs


def sector_size(sites: Sequence[Site], charge: Charge) -> int:
    """Number of product states of a total charge."""
    counts: Dims = {sites[0].group.identity: 1}
    for site in sites:
        counts = _reach(counts, site, site.group, 1)
    return counts.get(charge, 0)


def _reach(dims: Dims, site: Site, group: Group, sign: int) -> Dims:
    """How many states one more site makes of each charge."""
    result: Dims = {}
    for charge, dim in dims.items():
        for local in site.charges:
            (new,) = group.fuse(charge, local if sign > 0 else group.dual(local))
            result[new] = result.get(new, 0) + dim
    return result


def _path(both: Sequence[Dims], sites: Sequence[Site], group: Group) -> list[Charge]:
    """One charge a bond, connected by the sites, each the largest that its left neighbour reaches."""
    path = [group.identity]
    for dims, site in zip(both[1:], sites, strict=True):
        reached = {group.fuse(path[-1], local)[0] for local in site.charges}
        path.append(max((q for q in reached if q in dims), key=lambda q: (dims[q], q)))
    return path


def _share(dims: Dims, through: Charge, chi: int) -> Dims:
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
