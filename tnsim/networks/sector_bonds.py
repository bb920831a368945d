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
    start = dict(zip(first.charges, first.dims, strict=True))
    lefts, rights = [start], [start]
    for site in sites:
        lefts.append(_reach(lefts[-1], site, group, 1))
    for site in reversed(sites):
        rights.append(_reach(rights[-1], site, group, -1))
    bonds = [{q: min(a[q], b[q]) for q in a if q in b} for a, b in zip(lefts, reversed(rights), strict=True)]
    inner = [_share(dims, max(dims, key=lambda q: (dims[q], q)), chi) if dims else {} for dims in bonds[1:-1]]
    bonds = _supported([start, *inner, start], sites, group)
    if not all(bonds):
        raise ChargeError(f"the sites of this unit cell do not lead from the bond {first!r} back to it.")
    return [Leg(group, sorted(dims), [dims[q] for q in sorted(dims)]) for dims in bonds]


def _supported(bonds: list[Dims], sites: Sequence[Site], group: Group) -> list[Dims]:
    """The bonds of a cell cut down until every sector fits into what the sites on both sides offer."""
    while True:
        before = [dict(dims) for dims in bonds]
        for i, site in enumerate(sites):
            reached = _reach(bonds[i], site, group, 1)
            bonds[i + 1] = {q: min(d, reached[q]) for q, d in bonds[i + 1].items() if q in reached}
        bonds[0] = bonds[-1]
        for i in range(len(sites) - 1, -1, -1):
            reached = _reach(bonds[i + 1], sites[i], group, -1)
            bonds[i] = {q: min(d, reached[q]) for q, d in bonds[i].items() if q in reached}
        bonds[-1] = bonds[0]
        if bonds == before:
            return bonds


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
