"""Symmetric tensors that a third of a turn of the spins leaves alone, near one that has smaller bonds and keeps it too.

Around the axis of its order a minimum with bonds of 2 is unchanged by all rotations of the spins (the two sublattices
are turned opposite ways): the states of its bonds carry the charges 0 and 1. The lowest minimum with bonds of 3 that
is known of the Heisenberg model is unchanged by a third of a turn: its bonds carry 0, 1 and 2, modulo 3. Searches that
keep this come there; without it they mostly leave the way at a saddle, to minima that no rotation leaves alone. With
bonds of 4 (charges 0, 0, 1 and 2) those that keep it come to rest in a third of the iterations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tnsim.algorithms.peps.variational.symmetric_environment import symmetrised
from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, contract, from_dense

# steps of the symmetry, and the part of a tensor (of its squared norm) that does not keep it at most
_STEPS, _LOST = 3, 1e-3
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class CyclicSymmetry:
    """Which elements of a tensor are allowed, in a basis of its site.

    psi: the state that is embedded; small: its tensor (bonds, site) where the weights of bonds and site are diagonal,
    largest first: at a minimum that a rotation leaves alone these are the bases of the charges. basis: (old, new) of
    the site; charges: of its states; allowed: whether those of the bonds, which are one larger, add up to these, modulo
    3.
    """

    psi: InfinitePEPS
    small: np.ndarray
    basis: np.ndarray
    charges: np.ndarray
    allowed: np.ndarray

    @classmethod
    def of(cls, psi: InfinitePEPS) -> "CyclicSymmetry | None":
        """Of one tensor with bonds of 2 or more that keeps it; None for others, or where its site conserves something.

        >>> from tnsim.networks.sites import spin_site
        >>> CyclicSymmetry.of(InfinitePEPS.random([spin_site(conserve=None)], 2, [[0]], seed=1)) is None
        True
        """
        if psi.bond_dimension < 2 or psi.kinds[0].group.names:
            return None
        (tensor,) = psi.tensors
        array = tensor.to("numpy").to_dense()
        bond, site = _principal(array.reshape(len(array), -1)), _principal(array.reshape(-1, array.shape[-1]).T)
        small = np.einsum("neswp,nN,eE,sS,wW,pP->NESWP", array, bond, bond, bond, bond, site, optimize=True)
        lost, charges, of_site = _charges(small**2 / np.sum(small**2))
        if lost > _LOST:
            return None
        # of those that fewest states have, that of the largest weight
        counts = [charges.count(charge) for charge in range(_STEPS)]
        new = min((*charges, *range(_STEPS)), key=counts.__getitem__)
        return cls(psi, small, site, of_site, _total((*charges, new))[..., None] == of_site)

    def leaves(self, matrix: np.ndarray, *, opposite: bool) -> bool:
        """Whether a matrix on two sites is unchanged where both are turned, the second one the opposite way or not."""
        turn = self.basis @ np.diag(np.exp(2j * np.pi / _STEPS * self.charges)) @ self.basis.T
        both = np.kron(turn, turn.conj() if opposite else turn)
        return bool(np.abs(both @ matrix - matrix @ both).max() <= _ROUNDING * max(1.0, np.abs(matrix).max()))

    def start(self, noise: float, rng: np.random.Generator) -> InfinitePEPS:
        """The small tensor with larger bonds and random numbers in all allowed elements.

        noise: their size in units of the root mean square of the elements of the small one.
        """
        (tensor,) = self.psi.tensors
        rms = float(np.linalg.norm(self.small)) / np.sqrt(self.small.size)
        wide, D = noise * rms * self.allowed * rng.normal(size=self.allowed.shape), len(self.small)
        wide[:D, :D, :D, :D] += self.small
        legs = [*(trivial_leg(D + 1, flow) for flow in FLOWS), tensor.legs[4]]
        array = np.tensordot(wide, self.basis.T, 1).astype(tensor.dtype)
        return self.psi.with_tensors([from_dense(array, legs).to(tensor.backend)])

    def project(self, site: Tensor) -> Tensor:
        """What the symmetries of the square and this one leave of a tensor with the larger bonds."""
        leg, backend = site.legs[4], site.backend
        basis, back = (
            from_dense(np.ascontiguousarray(matrix).astype(site.dtype), (leg.dual, leg)).to(backend)
            for matrix in (self.basis, self.basis.T)
        )
        turned = contract("n e s w p, p q -> n e s w q", symmetrised(site), basis)
        kept = turned.data * backend.asarray(self.allowed.ravel().astype(site.dtype))
        return contract("n e s w q, q p -> n e s w p", Tensor(turned.legs, kept, turned.charge), back)


def _principal(rows: np.ndarray) -> np.ndarray:
    """Eigenvectors of the weights of rows, that of the largest first."""
    return np.linalg.eigh(rows @ rows.T)[1][:, ::-1]


def _charges(weights: np.ndarray) -> tuple[float, tuple[int, ...], np.ndarray]:
    """The weight that is lost with the best charges of the bonds, 0 first and not all alike; these; the site's."""
    tried = []
    for others in product(range(_STEPS), repeat=len(weights) - 1):
        if any(others):
            total = _total((0, *others))
            kept = np.array([np.sum(weights[total == charge], axis=0) for charge in range(_STEPS)])
            tried.append((1 - float(np.sum(kept.max(axis=0))), (0, *others), kept.argmax(axis=0)))
    # with all charges of the other sign as much is kept: rounding does not choose
    return min(tried, key=lambda found: round(found[0], 9))


def _total(charges: Sequence[int]) -> np.ndarray:
    """Of four bonds together, by the states of each."""
    return np.add.outer(np.add.outer(charges, charges), np.add.outer(charges, charges)) % _STEPS
