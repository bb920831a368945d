"""Effective Hamiltonians of one site and of one bond on the infinite chain, and the gradient that they give.

bl.--.  s'  .--.br         bl.--.      .--.br
ol| L |--W--| R |or        ol| L |------| R |o
kl'--'  s   '--'kr         kl'--'      '--'kr
"""

from collections.abc import Callable

from tnsim.backend import Array
from tnsim.linalg.lanczos import Krylov, Ritz, lanczos
from tnsim.networks.infinite_environments import InfiniteEnvironments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.tensor import Tensor, contract

Action = Callable[[Tensor], Tensor]


def site_hamiltonian(left: Tensor, operator: Tensor, right: Tensor) -> Action:
    """What acts on a site tensor (left, phys, right); cost O(chi^3 d^2 w) an application.

    The operator is joined to the left environment once, in an order in which no product needs a copy: at the bond
    dimensions of infinite states this is faster than one factor d less.
    """
    joined = contract("b o k, o t s p -> b t p k s", left, operator)
    right = contract("c p r -> p r c", right)

    def apply(site: Tensor) -> Tensor:
        return contract("b t p r, p r c -> b t c", contract("b t p k s, k s r -> b t p r", joined, site), right)

    return apply


def bond_hamiltonian(left: Tensor, right: Tensor) -> Action:
    """What acts on a bond matrix (left, right); cost O(chi^3 w) an application."""
    right = contract("c o r -> o r c", right)

    def apply(bond: Tensor) -> Tensor:
        return contract("b o r, o r c -> b c", contract("b o k, k r -> b o r", left, bond), right)

    return apply


class UniformHamiltonian:
    """All effective Hamiltonians of a cell: `site(i)` acts on AC_i, `bond(i)` on C_i."""

    def __init__(self, H: InfiniteMPO, environments: InfiniteEnvironments, psi: InfiniteMPS) -> None:
        self.H, self.environments, self.psi = H, environments, psi

    def site(self, i: int) -> Action:
        return site_hamiltonian(self.environments.lefts[i], self.H.tensors[i], self.environments.rights[i])

    def bond(self, i: int) -> Action:
        following = (i + 1) % self.psi.L
        left = self.environments.lefts[following]
        return bond_hamiltonian(left, self.environments.rights[i])

    def gradient(self, i: int) -> Tensor:
        """H AC_i - AL_i (H C_i): the energy's derivative by AL_i, which vanishes at a variational optimum."""
        psi = self.psi
        change = self.site(i)(psi.AC(i))
        kept = contract("l s m, l s r -> m r", psi.AL[i].conj(), change)
        return change - contract("l s m, m r -> l s r", psi.AL[i], kept)


def lowest(action: Action, start: Tensor, krylov: Krylov) -> tuple[Tensor, Ritz]:
    """The lowest eigenvector near `start`, and what Lanczos says about it."""
    legs, charge = start.legs, start.charge

    def matvec(flat: Array) -> Array:
        return action(Tensor(legs, flat, charge)).data

    ritz = lanczos(matvec, start.data, start.backend, krylov)
    return Tensor(legs, ritz.vector, charge), ritz
