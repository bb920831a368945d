"""Free fermions: seas of filled levels, pairing Hamiltonians, and the spin chains that map to them.

Sources: E. Lieb, T. Schultz, D. Mattis, Ann. Phys. 16, 407 (1961); P. Pfeuty, Ann. Phys. 57, 79 (1970); A. Kitaev,
Phys.-Usp. 44, 131 (2001); entropies from correlation matrices: G. Vidal, J. I. Latorre, E. Rico, A. Kitaev,
Phys. Rev. Lett. 90, 227902 (2003); I. Peschel, J. Phys. A 36, L205 (2003).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.models.exact.integral import integral


@dataclass(frozen=True, eq=False)
class FermiSea:
    """Ground state of N spinless fermions with sum_ij hopping[i, j] Cdag_i C_j; cost O(L^3), error about 1e-14 L.

    >>> round(FermiSea(-np.eye(4, k=1) - np.eye(4, k=-1), 2).energy, 12)
    -2.2360679775
    """

    hopping: np.ndarray
    N: int

    @cached_property
    def _solution(self) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.eigh(self.hopping)

    @property
    def levels(self) -> np.ndarray:
        """All one-particle energies, ascending."""
        return self._solution[0]

    @property
    def energy(self) -> float:
        return float(self.levels[: self.N].sum())

    @property
    def gap(self) -> float:
        """From the highest filled to the lowest empty level; infinite where one of them is missing."""
        return float(self.levels[self.N] - self.levels[self.N - 1]) if 0 < self.N < len(self.levels) else np.inf

    @cached_property
    def correlation(self) -> np.ndarray:
        """<Cdag_i C_j>."""
        filled = self._solution[1][:, : self.N]
        return filled.conj() @ filled.T

    def entropy(self, sites: int) -> float:
        """Von Neumann entropy (natural logarithm) of the first `sites` sites."""
        occupations = np.linalg.eigvalsh(self.correlation[:sites, :sites])
        return float(sum(binary_entropy(n) for n in np.clip(occupations, 0.0, 1.0)))


@dataclass(frozen=True, eq=False)
class PairedGround:
    """Ground state of sum A_ij Cdag_i C_j + sum_ij B_ij (Cdag_i Cdag_j + h.c.) / 2 - tr(A) / 2, A and B real.

    matrix: A + B (A symmetric, B antisymmetric); sector: 0 or 1 for the lowest state of an even or odd number of
    fermions, None for the lowest of all. It has no quasiparticle, or the lowest one where the sector asks for
    it. Cost O(L^3), error about 1e-14 L.

    >>> [round(PairedGround(np.diag([1.0, 3.0]), sector).energy, 12) for sector in (None, 0, 1)]
    [-2.0, -2.0, -1.0]
    """

    matrix: np.ndarray
    sector: int | None = None

    @cached_property
    def _solution(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        u, s, vh = np.linalg.svd(self.matrix)
        excited = self.sector is not None and _parity(u, vh) != self.sector
        if excited:
            u[:, -1] *= -1
        return u, s, vh, excited

    @property
    def levels(self) -> np.ndarray:
        """Energies of the quasiparticles, ascending."""
        return self._solution[1][::-1]

    @property
    def energy(self) -> float:
        _, s, _, excited = self._solution
        return float(-s.sum() / 2 + (s[-1] if excited else 0.0))

    @property
    def parity(self) -> int:
        """0 for an even number of fermions, 1 for an odd one."""
        return _parity(self._solution[0], self._solution[2])

    @property
    def covariance(self) -> np.ndarray:
        """G[j, k] = <i b_j a_k> of the Majoranas a = Cdag + C, b = i (Cdag - C), up to a sign for each kind."""
        return self._solution[0] @ self._solution[2]

    def entropy(self, sites: int) -> float:
        """Von Neumann entropy (natural logarithm) of the first `sites` sites."""
        values = np.linalg.svd(self.covariance[:sites, :sites], compute_uv=False)
        return float(sum(binary_entropy((1 + nu) / 2) for nu in np.minimum(values, 1.0)))


def _parity(u: np.ndarray, vh: np.ndarray) -> int:
    return int(np.linalg.det(u) * np.linalg.det(vh) < 0)


@dataclass(frozen=True, eq=False)
class IsingGround(PairedGround):
    """Ground state of -J sum X X - h sum Z (Pauli matrices) on an open chain: fermions with Z = 2 N - 1.

    covariance: G[j, k] = <i b_j a_k> of a_j = (prod_{l<j} Z_l) X_j and b_j = (prod_{l<j} Z_l) Y_j; the state is
    the one with the fermion vacuum filled (all |h| > 0).
    """

    def magnetization(self) -> np.ndarray:
        """<Z_i> of every site."""
        return np.diag(self.covariance).copy()

    def bond_correlation(self) -> np.ndarray:
        """<X_i X_{i+1}> of every bond."""
        return np.diag(self.covariance, 1).copy()


def open_ising(L: int, J: float = 1.0, h: float = 1.0) -> IsingGround:
    """Exact ground state of the open transverse-field Ising chain.

    >>> round(open_ising(20).energy, 10)
    -25.1077971116
    """
    return IsingGround(2 * h * np.eye(L) + 2 * J * np.eye(L, k=1))


def open_xx(L: int) -> FermiSea:
    """Ground state of sum (Sx Sx + Sy Sy) on an open chain: the levels cos k below zero are filled.

    >>> round(open_xx(20).energy, 10)
    -6.1907449998
    """
    return FermiSea((np.eye(L, k=1) + np.eye(L, k=-1)) / 2, L // 2)


def ring_xx_energy(L: int) -> float:
    """Ground-state energy of sum (Sx Sx + Sy Sy) on a ring of even length; even fillings close antiperiodically.

    >>> round(ring_xx_energy(4), 10)
    -1.4142135624
    """
    shift = 0.5 if L // 2 % 2 == 0 else 0.0
    energies = np.sort(np.cos(2 * np.pi * (np.arange(L) + shift) / L))
    return float(energies[: L // 2].sum())


def ring_ising_energy(L: int, J: float = 1.0, h: float = 1.0) -> float:
    """Ground-state energy of -J sum X X - h sum Z on a ring of even length: antiperiodic fermions of even parity.

    >>> round(ring_ising_energy(4), 10)
    -5.2262518595
    """
    k = np.pi * (2 * np.arange(L) + 1) / L
    return float(-np.sqrt(J**2 + h**2 + 2 * abs(J * h) * np.cos(k)).sum())


def binary_entropy(p: float) -> float:
    """-p log p - (1 - p) log(1 - p)."""
    return float(-sum(x * np.log(x) for x in (p, 1 - p) if x > 1e-15))


def infinite_ising_energy(J: float, h: float) -> float:
    """Energy per site of the infinite chain -J sum XX - h sum Z."""
    value = integral(lambda k: np.sqrt(J**2 + h**2 + 2 * J * h * np.cos(k)), 0, np.pi, epsabs=1e-13)
    return -value / np.pi
