"""Open chains that map to free fermions: the transverse-field Ising and the XX chain.

Both become H = (i/2) sum a_j M_jk b_k (Majoranas) or a hopping matrix; sources: E. Lieb, T. Schultz, D. Mattis,
Ann. Phys. 16, 407 (1961); P. Pfeuty, Ann. Phys. 57, 79 (1970); entropies from the covariance matrix:
G. Vidal, J. I. Latorre, E. Rico, A. Kitaev, Phys. Rev. Lett. 90, 227902 (2003).
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad


@dataclass(frozen=True, eq=False)
class IsingGround:
    """Ground state of -J sum X X - h sum Z (Pauli matrices) on an open chain, from free fermions.

    energy: its energy; covariance: G[j, k] = <i b_j a_k> of the Majoranas a_j = (prod_{l<j} Z_l) X_j,
    b_j = (prod_{l<j} Z_l) Y_j; the state is the one with the fermion vacuum filled (all |h| > 0).
    """

    energy: float
    covariance: np.ndarray

    def magnetization(self) -> np.ndarray:
        """<Z_i> of every site."""
        return np.diag(self.covariance).copy()

    def bond_correlation(self) -> np.ndarray:
        """<X_i X_{i+1}> of every bond."""
        return np.diag(self.covariance, 1).copy()

    def entropy(self, sites: int) -> float:
        """Von Neumann entropy (natural logarithm) of the first `sites` sites."""
        values = np.linalg.svd(self.covariance[:sites, :sites], compute_uv=False)
        return float(sum(_binary_entropy((1 + nu) / 2) for nu in np.minimum(values, 1.0)))


def open_ising(L: int, J: float = 1.0, h: float = 1.0) -> IsingGround:
    """Exact ground state of the open transverse-field Ising chain; cost O(L^3), error about 1e-13 L.

    >>> round(open_ising(20).energy, 10)
    -25.1077971116
    """
    # H = -i h sum b_j a_j (from Z) ...: a real L x L matrix whose singular values are the excitations / 2
    matrix = h * np.eye(L) + J * np.eye(L, k=1)
    u, s, vh = np.linalg.svd(matrix)
    return IsingGround(float(-s.sum()), u @ vh)


def open_xx_energy(L: int) -> float:
    """Ground-state energy of sum (Sx Sx + Sy Sy) on an open chain: cos bands filled below zero.

    >>> round(open_xx_energy(20), 10)
    -6.1907449998
    """
    energies = np.cos(np.pi * np.arange(1, L + 1) / (L + 1))
    return float(energies[energies < 0].sum())


def open_xx_entropy(L: int, sites: int) -> float:
    """Von Neumann entropy of the first `sites` sites of the XX ground state (even L)."""
    k = np.pi * np.arange(1, L + 1) / (L + 1)
    waves = np.sqrt(2 / (L + 1)) * np.sin(np.outer(np.arange(1, L + 1), k))
    filled = waves[:, np.cos(k) < 0]
    occupations = np.linalg.eigvalsh((filled @ filled.T)[:sites, :sites])
    return float(sum(_binary_entropy(n) for n in np.clip(occupations, 0.0, 1.0)))


def _binary_entropy(p: float) -> float:
    return float(-sum(x * np.log(x) for x in (p, 1 - p) if x > 1e-15))


def infinite_ising_energy(J: float, h: float) -> float:
    """Energy per site of the infinite chain -J sum XX - h sum Z."""
    value, _ = quad(lambda k: np.sqrt(J**2 + h**2 + 2 * J * h * np.cos(k)), 0, np.pi, epsabs=1e-13)
    return -value / np.pi
