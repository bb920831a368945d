"""Sites of fermions for states in the plane, where legs anticommute in place of Jordan-Wigner strings."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, combinations

from tnsim.errors import ChargeError
from tnsim.networks.sites import Site
from tnsim.symmetry import Group

Rows = tuple[tuple[Site, ...], ...]


def graded_sites(rows: Sequence[Sequence[Site]], *, strict: bool = True) -> Rows:
    """The same sites with the group that counts their fermions; sites without fermions as they are.

    Raises ChargeError for fermions whose parity is no sum of charges (unless not strict, which leaves them alone).

    >>> from tnsim.networks.sites import electron_site
    >>> graded_sites([[electron_site()]])[0][0].group
    U(1) N of fermions x U(1) 2Sz
    """
    sites = set(chain.from_iterable(rows))
    if not any(site.is_fermionic for site in sites) or all(site.group.fermionic for site in sites):
        return tuple(map(tuple, rows))
    group = next(site for site in sites if site.is_fermionic).group
    counting = _counting(group, list(sites))
    if counting is None and strict:
        raise ChargeError(
            f"fermions in the plane need their number or its parity among the charges, found {group!r}: take "
            'conserve = "N" or "parity".'
        )
    if counting is None:
        return tuple(map(tuple, rows))
    made = {site: replace(site, group=counting) for site in sites}
    return tuple(tuple(made[site] for site in row) for row in rows)


def _counting(group: Group, sites: Sequence[Site]) -> Group | None:
    """The group with the fewest components marked whose sum is the parity of every state of the sites."""
    able = [k for k, modulus in enumerate(group.moduli) if modulus % 2 == 0]
    for fermionic in chain.from_iterable(combinations(able, count) for count in range(1, len(able) + 1)):
        marked = replace(group, fermionic=fermionic)
        if all(marked.parity(q) == p for site in sites for q, p in zip(site.charges, site.parities, strict=True)):
            return marked
    return None
