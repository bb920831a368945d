"""Sites for orbitals whose irreps are conserved."""

from functools import lru_cache

from tnsim.networks.sites import Site, custom_site
from tnsim.networks.sites.conserved import conserved
from tnsim.networks.sites.fermion import ELECTRON_STATES, electron_matrices, electron_quantities
from tnsim.symmetry import Zn


@lru_cache(maxsize=64)
def orbital_site(conserve: str | None, irrep: int) -> Site:
    """An electron site whose single electrons have an irrep (1 to 8, of D2h or a subgroup, in Molpro's order).

    conserve: any of "N", "Sz", "parity" and "irrep" with commas. The irrep is a charge of three components modulo 2,
    the binary digits of its number from 0: products of irreps are sums of charges.

    >>> orbital_site("N,Sz,irrep", 5).charges
    ((0, 0, 0, 0, 0), (1, -1, 1, 0, 0), (1, 1, 1, 0, 0), (2, 0, 0, 0, 0))
    """
    digits = irrep_charge(irrep)
    group = Zn(2, "irrep 4") * Zn(2, "irrep 2") * Zn(2, "irrep 1")
    quantities = {**electron_quantities(4), "irrep": (group, [(0, 0, 0), digits, digits, (0, 0, 0)])}
    whole, charges = conserved("orbital", conserve, quantities)  # type: ignore[arg-type]
    return custom_site("orbital", ELECTRON_STATES, whole, charges, electron_matrices(), parities=(0, 1, 1, 0))


def irrep_charge(irrep: int) -> tuple[int, int, int]:
    """The charge of an irrep from 1 to 8.

    >>> irrep_charge(1), irrep_charge(7)
    ((0, 0, 0), (1, 1, 0))
    """
    return (irrep - 1) >> 2 & 1, (irrep - 1) >> 1 & 1, (irrep - 1) & 1
