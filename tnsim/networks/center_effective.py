"""The effective Hamiltonians of one site and of one bond of an open chain.

bl.--.  s'  .--.br         bl.--.      .--.br
ol| L |--W--| R |or        ol| L |------| R |o
kl'--'  s   '--'kr         kl'--'      '--'kr

Both are those of two sites, of which one or both are a bond: sites of one state, on which every channel goes on. So
they take the compiled products of two sites, and cost nothing for identity channels.
"""

from collections.abc import Sequence

from tnsim.backend import Array
from tnsim.networks.effective import TwoSiteHamiltonian
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.environments import Environments
from tnsim.networks.site_operator import bond_operator
from tnsim.symmetry import Leg, fuse_legs
from tnsim.tensor import Tensor, fuse, split


class SiteHamiltonian:
    """H_eff of one site between its environments; acts on flat arrays, cost O(chi^3 d w) over the terms there are.

    The flat array is the site as a matrix, rows (left, phys), one block a charge of the right bond.
    """

    def __init__(self, environments: Environments, site: int) -> None:
        operator = environments.operators[site]
        left, right = environments.left(site), environments.right(site)
        self._pair = TwoSiteHamiltonian(left, operator, bond_operator(operator, RIGHT), right)

    def flat(self, site: Tensor) -> Array:
        """A site tensor (left, phys, right) as `apply` takes it."""
        return fuse(site, [(0, 1), (2,)], [1, -1]).data

    def tensor(self, flat: Array, legs: Sequence[Leg]) -> Tensor:
        """Back to a site tensor of these legs."""
        rows = fuse_legs(tuple(legs[:2]), 1).leg
        return split(Tensor((rows, legs[2]), flat), 0, legs[:2])

    def apply(self, flat: Array) -> Array:
        """H_eff on the site."""
        return self._pair.apply(flat)


class BondHamiltonian:
    """H_eff of the matrix (left, right) between two sites; acts on its data, cost O(chi^3 w)."""

    def __init__(self, environments: Environments, bond: int) -> None:
        first, second = environments.operators[bond : bond + 2]
        left, right = environments.left(bond + 1), environments.right(bond)
        self._pair = TwoSiteHamiltonian(left, bond_operator(second, LEFT), bond_operator(first, RIGHT), right)

    def apply(self, flat: Array) -> Array:
        """H_eff on the bond."""
        return self._pair.apply(flat)
