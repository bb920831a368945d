"""Bosons, with a largest number on a site."""

from functools import lru_cache

import numpy as np

from tnsim.errors import SettingsError
from tnsim.networks.sites.conserved import conserved
from tnsim.networks.sites.site import Site, custom_site
from tnsim.symmetry import U1, Zn


@lru_cache(maxsize=64)
def boson_site(n_max: int = 1, conserve: str | None = "N") -> Site:
    """Up to n_max bosons (1: hard-core), states "0", "1", ...; operators B, Bdag, N.

    Bdag gives zero on the last state, so B Bdag differs from N + 1 there. conserve: "N" (U(1)), "parity" (the
    number modulo 2), or None.

    >>> site = boson_site(n_max=3)
    >>> site.states, site.op("Bdag B").diagonal().round(12).tolist()
    (('0', '1', '2', '3'), [0.0, 1.0, 2.0, 3.0])
    """
    if isinstance(n_max, bool) or not isinstance(n_max, (int, np.integer)) or n_max < 1:
        raise SettingsError(f"a boson site holds at least one boson, found n_max = {n_max!r}.")
    numbers = range(n_max + 1)
    group, charges = conserved(
        "boson", conserve, {"N": (U1("N"), numbers), "parity": (Zn(2, "parity"), [n % 2 for n in numbers])}
    )
    lowering = np.diag(np.sqrt(np.arange(1.0, n_max + 1)), 1)
    operators = {"B": lowering, "Bdag": lowering.T, "N": np.diag(np.arange(n_max + 1.0))}
    return custom_site(f"boson-{n_max}", tuple(map(str, numbers)), group, charges, operators)
