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
# the same for long chains: keys in ascending order, and the logarithms of the numbers to base 2
Counts = tuple[np.ndarray, np.ndarray]
# numbers from here on are rounded
_LARGE = 2.0**50


def sector_bonds(sites: Sequence[Site], total: Charge, chi: int) -> list[Leg]:
    """L + 1 bond legs (flow +1) of at most chi states, from the identity charge to `total`.

    Every charge that is reachable from both ends takes part, with its full dimension where chi suffices,
    else in proportion to it; where there are more charges than chi, the largest stay, and one path through
    the chain always does. Raises ChargeError where no state has the charge.
    """
    return list(_sector_bonds(tuple(sites), total, chi))


@lru_cache(maxsize=16)
def _sector_bonds(sites: tuple[Site, ...], total: Charge, chi: int) -> tuple[Leg, ...]:
    counts, path = _counts_of_bonds(sites, total)
    group = sites[0].group
    return tuple(
        Leg.from_keys(group, keys, _share(keys, logs, through, chi))
        for (keys, logs), through in zip(counts, path, strict=True)
    )


@lru_cache(maxsize=16)
def _counts_of_bonds(sites: tuple[Site, ...], total: Charge) -> tuple[list[Counts], list[int]]:
    """Charges of every bond that both ends reach, with the smaller of the numbers of states, and a path."""
    group = sites[0].group
    lefts = [(np.array([group.key(group.identity)]), np.zeros(1))]
    rights = [(np.array([group.key(total)]), np.zeros(1))]
    for site in sites:
        lefts.append(_count_on(lefts[-1], site, 1))
    for site, known in zip(reversed(sites), reversed(lefts[:-1]), strict=True):
        keys, logs = _count_on(rights[-1], site, -1)
        there = np.isin(keys, known[0], assume_unique=True)
        rights.append((keys[there], logs[there]))
    both = []
    for (keys, logs), (right_keys, right_logs) in zip(lefts, reversed(rights), strict=True):
        common, a, b = np.intersect1d(keys, right_keys, assume_unique=True, return_indices=True)
        # rounding may not decide which of two equal numbers is the larger
        both.append((common, np.minimum(logs[a], right_logs[b]).round(9)))
    if not all(len(keys) for keys, _ in both):
        keys = lefts[-1][0]
        raise ChargeError(
            f"no state of these {len(sites)} sites has the total charge {total} ({group!r}): reachable are "
            f"{list(group.charges(keys[:8]))}{' ...' if len(keys) > 8 else ''}."
        )
    return both, _path(both, sites)


def _count_on(counts: Counts, site: Site, sign: int) -> Counts:
    """How many states one more site makes of each charge, or takes away."""
    (keys, logs), leg = counts, site.leg
    table = fused_keys(keys, leg.keys, sign, leg.group.moduli_array)
    reached, places = np.unique(table, return_inverse=True)
    places, found = places.reshape(table.shape), np.full(len(reached), -np.inf)
    for s, dim in enumerate(leg.dims):  # one charge of the site leads to no charge twice
        found[places[:, s]] = np.logaddexp2(found[places[:, s]], logs + np.log2(dim))
    return reached, found


def _path(both: Sequence[Counts], sites: Sequence[Site]) -> list[int]:
    """One charge a bond, connected by the sites, each the largest that its left neighbour reaches."""
    path = both[0][0].tolist()
    for (keys, logs), site in zip(both[1:], sites, strict=True):
        leg = site.leg
        reached = fused_keys(np.array(path[-1:]), leg.keys, 1, leg.group.moduli_array)
        there = np.flatnonzero(np.isin(keys, reached))
        largest = there[logs[there] == logs[there].max()][-1]
        path.append(int(keys[largest]))
    return path


def _share(keys: np.ndarray, logs: np.ndarray, through: int, chi: int) -> np.ndarray:
    """Dimensions of at most chi in all, in proportion to the numbers of states, and 1 or more of `through`."""
    sizes, weights = np.rint(np.exp2(np.minimum(logs, np.log2(_LARGE)))).astype(np.int64), np.exp2(logs - logs.max())
    order = np.lexsort((keys, -logs, keys != through))[:chi]
    spare, kept = chi - len(order), np.zeros(len(keys), dtype=np.int64)
    more = np.floor(spare * (weights[order] / weights[order].sum()) + 1e-9).astype(np.int64)
    kept[order] = 1 + np.minimum(sizes[order] - 1, more)
    room = sizes[order] - kept[order]
    before = np.cumsum(room) - room
    kept[order] += np.clip(chi - kept.sum() - before, 0, room)
    return kept


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
    inner = [_cut(dims, chi) if dims else {} for dims in bonds[1:-1]]
    bonds = _supported([start, *inner, start], sites)
    if not all(bonds):
        raise ChargeError(f"the sites of this unit cell do not lead from the bond {first!r} back to it.")
    return [_leg(group, dims) for dims in bonds]


def _leg(group: Group, dims: Dims) -> Leg:
    keys = sorted(dims)
    return Leg.from_keys(group, np.array(keys, dtype=np.int64), np.array([dims[q] for q in keys]))


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
    """Number of product states of a total charge (from 2^50 on rounded)."""
    group = sites[0].group
    counts = np.array([group.key(group.identity)]), np.zeros(1)
    for site in sites:
        counts = _count_on(counts, site, 1)
    found = counts[1][counts[0] == group.key(charge)]
    return round(2.0 ** min(float(found[0]), 1000.0)) if len(found) else 0


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


def _cut(dims: Dims, chi: int) -> Dims:
    """At most chi states in all, in proportion to `dims`."""
    keys = np.array(sorted(dims))
    through = max(dims, key=lambda q: (dims[q], q))
    kept = _share(keys, np.log2([dims[q] for q in keys.tolist()]), through, chi)
    return {q: d for q, d in zip(keys.tolist(), kept.tolist(), strict=True) if d}
