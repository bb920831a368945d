"""Infinite PEPS whose means are known exactly."""

import numpy as np

from tnsim.networks.peps import InfinitePEPS
from tnsim.networks.sites import spin_site
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import trivial_leg
from tnsim.tensor import from_dense

PLAIN = spin_site(conserve=None)


def ising_state(beta: float) -> InfinitePEPS:
    """Square roots of the Boltzmann weights of the Ising model: all means of Sz are those of Onsager and Yang."""
    weights = np.exp(beta / 2 * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    values, vectors = np.linalg.eigh(weights)
    root = vectors * np.sqrt(values) @ vectors.T
    return plain(np.einsum("np,ep,sp,wp->neswp", root, root, root, root))


def plain(array: np.ndarray, pattern=((0,),), site=PLAIN) -> InfinitePEPS:
    """One tensor everywhere, without symmetry."""
    legs = [*(trivial_leg(size, flow) for size, flow in zip(array.shape[:4], FLOWS, strict=True)), site.leg]
    return InfinitePEPS([from_dense(array, legs)], pattern, [site])


def aklt_state() -> InfinitePEPS:
    """The AKLT state of spins 2 on the square lattice: a singlet on every bond, four spins 1/2 in spin 2 on a site."""
    site = spin_site(2, conserve=None)
    project = np.zeros((2, 2, 2, 2, 5))
    for index in np.ndindex(2, 2, 2, 2):
        ups = sum(index)  # state 1 is up; states of the site ascend from Sz = -2
        project[(*index, ups)] = 1 / np.sqrt([1, 4, 6, 4, 1][ups])
    singlet = np.array([[0.0, 1.0], [-1.0, 0.0]])
    array = np.einsum("aesdp,an,dw->neswp", project, singlet, singlet)
    return plain(array, site=site)
