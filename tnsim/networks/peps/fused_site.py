"""Several sites as one: the cells of lattices that have more than one site in them."""

from functools import lru_cache
from itertools import product

import numpy as np

from tnsim.networks.sites import Site, custom_site
from tnsim.symmetry import Group


@lru_cache(maxsize=256)
def fused_site(parts: tuple[Site, ...]) -> tuple[Site, np.ndarray]:
    """One site for several, and the order of its states: state n is number order[n] of the Kronecker basis.

    States are named "up|down|up". Fermions of the first part stand before those of the second.

    >>> from tnsim.networks.sites import spin_site
    >>> site, order = fused_site((spin_site(),) * 2)
    >>> site.states, order.tolist()
    (('down|down', 'down|up', 'up|down', 'up|up'), [0, 1, 2, 3])
    """
    if len(parts) == 1:
        return parts[0], np.arange(parts[0].dim)
    group = parts[0].group
    states = list(product(*(range(part.dim) for part in parts)))
    charges = [
        group.total([part.charges[k] for part, k in zip(parts, state, strict=True)], [1] * len(parts))
        for state in states
    ]
    parities = [sum(part.parities[k] for part, k in zip(parts, state, strict=True)) % 2 for state in states]
    order = sorted(range(len(states)), key=lambda n: charges[n])
    names = ["|".join(part.states[k] for part, k in zip(parts, states[n], strict=True)) for n in order]
    name = f"({' '.join(part.name for part in parts)})"
    sorted_charges, sorted_parities = [charges[n] for n in order], [parities[n] for n in order]
    return custom_site(name, names, group, sorted_charges, {}, parities=sorted_parities), np.array(order)


@lru_cache(maxsize=16)
def empty_site(group: Group) -> Site:
    """A place without anything in it: one state, without a charge."""
    return custom_site("empty", ("none",), group, [group.identity], {})
