"""Symmetric tensors with bonds of 3 that a third of a turn of the spins leaves alone, near one with bonds of 2.

Around the axis of its order a minimum with bonds of 2 is unchanged by all rotations of the spins (the two sublattices
are turned opposite ways): the states of its bonds carry the charges 0 and 1. The lowest minimum with bonds of 3 that
is known of the Heisenberg model is unchanged by a third of a turn: its bonds carry 0, 1 and 2, modulo 3. Searches that
keep this come there; without it they mostly leave the way at a saddle, to minima that no rotation leaves alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.algorithms.peps.variational.symmetric_environment import symmetrised
from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, contract, from_dense

# bond dimension of what is embedded, and steps of the symmetry
_SMALL, _STEPS = 2, 3


@dataclass(frozen=True, eq=False)
class CyclicSymmetry:
    """Which elements of a tensor are allowed, in a basis of its site.

    small: a tensor (bonds, site) with bonds of 2 where the weights of bonds and site are diagonal, largest first: at a
    minimum that a rotation leaves alone these are the bases of the charges. basis: (old, new) of the site; allowed:
    whether the charges of the bonds add up to that of the site, modulo 3.
    """

    psi: InfinitePEPS
    small: np.ndarray
    basis: np.ndarray
    allowed: np.ndarray

    @staticmethod
    def fits(psi: InfinitePEPS, D: int) -> bool:
        """Whether a state with bonds of 2 is to be embedded in one with bonds of 3, and its site conserves nothing."""
        return psi.bond_dimension == _SMALL and D == _STEPS and not psi.kinds[0].group.names

    @classmethod
    def near(cls, psi: InfinitePEPS) -> "CyclicSymmetry":
        """Of one tensor with bonds of 2; a state of the site has the charge that bonds mostly bring to it.

        >>> from tnsim.networks.sites import spin_site
        >>> symmetry = CyclicSymmetry.near(InfinitePEPS.random([spin_site(conserve=None)], 2, [[0]], seed=1))
        >>> symmetry.allowed.shape, int(symmetry.allowed.sum())
        ((3, 3, 3, 3, 2), 54)
        """
        (tensor,) = psi.tensors
        array = tensor.to("numpy").to_dense()
        bond, site = _principal(array.reshape(len(array), -1)), _principal(array.reshape(-1, array.shape[-1]).T)
        small = np.einsum("neswp,nN,eE,sS,wW,pP->NESWP", array, bond, bond, bond, bond, site, optimize=True)
        old = _charges(range(_SMALL))
        charges = np.argmax([np.sum(small[old == charge] ** 2, axis=0) for charge in range(_STEPS)], axis=0)
        return cls(psi, small, site, _charges(range(_STEPS))[..., None] == charges)

    def start(self, noise: float, rng: np.random.Generator) -> InfinitePEPS:
        """The small tensor with bonds of 3 and random numbers in all allowed elements.

        noise: their size in units of the root mean square of the elements of the small one.
        """
        (tensor,) = self.psi.tensors
        rms = float(np.linalg.norm(self.small)) / np.sqrt(self.small.size)
        wide = noise * rms * self.allowed * rng.normal(size=self.allowed.shape)
        wide[:_SMALL, :_SMALL, :_SMALL, :_SMALL] += self.small
        legs = [*(trivial_leg(_STEPS, flow) for flow in FLOWS), tensor.legs[4]]
        array = np.tensordot(wide, self.basis.T, 1).astype(tensor.dtype)
        return self.psi.with_tensors([from_dense(array, legs).to(tensor.backend)])

    def project(self, site: Tensor) -> Tensor:
        """What the symmetries of the square and this one leave of a tensor with bonds of 3."""
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


def _charges(own: Sequence[int]) -> np.ndarray:
    """Of four bonds together, by the states of each."""
    return np.add.outer(np.add.outer(own, own), np.add.outer(own, own)) % _STEPS
