"""Free fermions after a quench: correlations and entropies at any time, from the start state's correlations.

Sources: P. Calabrese, J. Cardy, J. Stat. Mech. P04010 (2005); I. Peschel, J. Phys. A 36, L205 (2003).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from tnsim.models.exact.free_fermions import binary_entropy


@dataclass(frozen=True, eq=False)
class HoppingState:
    """A Gaussian state of spinless fermions; correlation: <Cdag_i C_j>.

    >>> chain = (np.eye(4, k=1) + np.eye(4, k=-1)) / 2
    >>> neel = HoppingState(np.diag([1.0, 0.0, 1.0, 0.0]))
    >>> later = neel.evolved(chain, 1.0)
    >>> later.occupations().round(4).tolist(), round(later.entropy(2), 6)
    ([0.7884, 0.4045, 0.5955, 0.2116], 0.506416)
    """

    correlation: np.ndarray

    def evolved(self, hopping: np.ndarray, time: float) -> "HoppingState":
        """exp(-i H t) on it, H = sum_ij hopping[i, j] Cdag_i C_j; cost O(L^3), exact to rounding."""
        U = expm(-1j * time * hopping)
        return HoppingState(U.conj() @ self.correlation @ U.T)

    def occupations(self) -> np.ndarray:
        """<N_i>."""
        return self.correlation.diagonal().real.copy()

    def entropy(self, sites: int) -> float:
        """Von Neumann entropy (natural logarithm) of the first `sites` sites."""
        occupations = np.linalg.eigvalsh(self.correlation[:sites, :sites])
        return float(sum(binary_entropy(n) for n in np.clip(occupations, 0.0, 1.0)))


@dataclass(frozen=True, eq=False)
class MajoranaState:
    """A Gaussian state by its Majoranas a and b: covariance[k, l] = i <[g_k, g_l]> / 2 of g = (a_0, ..., b_0, ...).

    In spin chains a_j = (prod_{l<j} Z_l) X_j and b_j = (prod_{l<j} Z_l) Y_j, as for `IsingGround`.
    """

    covariance: np.ndarray

    @classmethod
    def of(cls, mixed: np.ndarray) -> "MajoranaState":
        """From mixed[j, k] = <i b_j a_k>, where a among themselves and b among themselves are uncorrelated.

        >>> MajoranaState.of(np.diag([1.0, -1.0])).magnetization().tolist()
        [1.0, -1.0]
        """
        none = np.zeros_like(mixed)
        return cls(np.block([[none, -mixed.T], [mixed, none]]))

    @property
    def mixed(self) -> np.ndarray:
        """<i b_j a_k>."""
        half = len(self.covariance) // 2
        return self.covariance[half:, :half]

    def evolved(self, matrix: np.ndarray, time: float) -> "MajoranaState":
        """exp(-i H t) on it, H = -(i / 2) sum_jk matrix[j, k] b_j a_k: for the Ising chain 2 h on the diagonal and
        2 J above it. Cost O(L^3), exact to rounding."""
        none = np.zeros_like(matrix)
        rotation = expm(time * np.block([[none, matrix.T], [-matrix, none]]))
        return MajoranaState(rotation @ self.covariance @ rotation.T)

    def magnetization(self) -> np.ndarray:
        """<Z_i> of every site."""
        return np.diag(self.mixed).copy()

    def bond_correlation(self) -> np.ndarray:
        """<X_i X_{i+1}> of every bond."""
        return np.diag(self.mixed, 1).copy()

    def entropy(self, sites: int) -> float:
        """Von Neumann entropy (natural logarithm) of the first `sites` sites."""
        half = len(self.covariance) // 2
        places = [*range(sites), *range(half, half + sites)]
        values = np.linalg.eigvalsh(1j * self.covariance[np.ix_(places, places)])[sites:]
        return float(sum(binary_entropy((1 + nu) / 2) for nu in np.clip(values, 0.0, 1.0)))


def ising_matrix(L: int, J: float, h: float) -> np.ndarray:
    """-J sum X X - h sum Z on an open chain, as `MajoranaState.evolved` takes it.

    >>> ising_matrix(2, 1.0, 0.5).tolist()
    [[1.0, 2.0], [0.0, 1.0]]
    """
    return 2 * h * np.eye(L) + 2 * J * np.eye(L, k=1)
