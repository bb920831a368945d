"""Spin-1/2 Heisenberg chains and rings: the ground state from the Bethe equations.

Sources: F. C. Alcaraz, M. N. Barber, M. T. Batchelor, R. J. Baxter, G. R. W. Quispel, J. Phys. A 20, 6397 (1987) for
open ends; H. Bethe, Z. Phys. 71, 205 (1931) for the ring.
"""

from functools import lru_cache

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.exact.integral import integral
from tnsim.models.exact.newton import damped_newton


@lru_cache(maxsize=128)
def open_heisenberg_energy(L: int) -> float:
    """Ground-state energy of sum_i S_i . S_{i+1} on an open chain of even length L, to about 1e-13 L.

    Roots l_j > 0 (j = 1..L/2) of
    4 L atan(2 l_j) = 2 pi j + sum_{k != j} [2 atan(l_j - l_k) + 2 atan(l_j + l_k)],
    E = (L - 1)/4 - sum_j 1 / (2 (l_j^2 + 1/4)). Damped Newton, cost O(L^3).

    >>> round(open_heisenberg_energy(2), 12)
    -0.75
    """
    numbers = np.arange(1, _spin_pairs(L) + 1)
    roots = 0.5 * np.tan(0.98 * np.pi * numbers / (2 * L + 2))
    roots = damped_newton(
        roots,
        lambda roots: _residual(roots, L, numbers),
        lambda roots: _jacobian(roots, L),
        tolerance=1e-12 * L,
        what=f"the Bethe equations of L = {L}",
    )
    return float((L - 1) / 4 - (1 / (2 * (roots**2 + 0.25))).sum())


@lru_cache(maxsize=128)
def ring_heisenberg_energy(L: int) -> float:
    """Ground-state energy of sum_i S_i . S_{i+1} on a ring of even length L, to about 1e-13 L.

    Roots l_j with I_j = -(M - 1)/2 ... (M - 1)/2, M = L/2, of 2 L atan(2 l_j) = 2 pi I_j + sum_k 2 atan(l_j - l_k);
    E = L/4 - sum_j 2 / (4 l_j^2 + 1). They come in pairs +-l, and 0 where M is odd. Damped Newton, cost O(L^3).

    >>> round(ring_heisenberg_energy(4), 12)
    -2.0
    """
    M = _spin_pairs(L)
    numbers = np.arange(1, M // 2 + 1) - (0.0 if M % 2 else 0.5)

    def residual(roots: np.ndarray) -> np.ndarray:
        minus, plus = roots[:, None] - roots[None, :], roots[:, None] + roots[None, :]
        scattering = (2 * np.arctan(minus) + 2 * np.arctan(plus)).sum(axis=1) + M % 2 * 2 * np.arctan(roots)
        return 2 * L * np.arctan(2 * roots) - 2 * np.pi * numbers - scattering

    def jacobian(roots: np.ndarray) -> np.ndarray:
        a, b = (2 / (1 + (roots[:, None] + sign * roots[None, :]) ** 2) for sign in (-1, 1))
        slope = 4 * L / (1 + 4 * roots**2) - (a + b).sum(axis=1) - M % 2 * 2 / (1 + roots**2)
        return np.diag(slope) + a - b

    start = np.arcsinh(np.tan(2 * np.pi * numbers / L)) / np.pi
    what = f"the Bethe equations of a ring of {L} sites"
    roots = damped_newton(start, residual, jacobian, tolerance=1e-12 * L, what=what) if M > 1 else start
    return float(L / 4 - 2 * (M % 2) - (4 / (4 * roots**2 + 1)).sum())


def heisenberg_energy(L: int, *, ring: bool) -> float:
    """Ground-state energy of sum_i S_i . S_{i+1} on a ring or an open chain of even length."""
    return ring_heisenberg_energy(L) if ring else open_heisenberg_energy(L)


def _spin_pairs(L: int) -> int:
    if L < 2 or L % 2:
        raise SettingsError(f"the Bethe solution is for even chains of at least 2 sites, found L = {L}.")
    return L // 2


def _residual(roots: np.ndarray, L: int, numbers: np.ndarray) -> np.ndarray:
    plus, minus = roots[:, None] + roots[None, :], roots[:, None] - roots[None, :]
    scattering = 2 * np.arctan(minus) + 2 * np.arctan(plus)
    np.fill_diagonal(scattering, 0.0)
    return 4 * L * np.arctan(2 * roots) - 2 * np.pi * numbers - scattering.sum(axis=1)


def _jacobian(roots: np.ndarray, L: int) -> np.ndarray:
    plus, minus = roots[:, None] + roots[None, :], roots[:, None] - roots[None, :]
    a, b = 2 / (1 + minus**2), 2 / (1 + plus**2)
    np.fill_diagonal(a, 0.0)
    np.fill_diagonal(b, 0.0)
    return np.diag(8 * L / (1 + 4 * roots**2) - (a + b).sum(axis=1)) + a - b


BULK_HEISENBERG = float(0.25 - np.log(2))
"""Energy per site of the infinite chain (Hulthen 1938)."""

# arccosh(delta) below this: the sum of the gapped phase is too long, and the isotropic value good to 1e-10
_ISOTROPIC = 1e-5


@lru_cache(maxsize=128)
def bulk_xxz_energy(delta: float) -> float:
    """Energy per site of Sx Sx + Sy Sy + delta Sz Sz on the infinite chain, delta > -1, to 1e-10.

    Sources: C. N. Yang, C. P. Yang, Phys. Rev. 150, 327 (1966), for -1 < delta = cos(gamma) < 1; J. des Cloizeaux,
    M. Gaudin, J. Math. Phys. 7, 1384 (1966), for delta = cosh(phi) > 1. Raises SettingsError for delta <= -1.

    >>> round(bulk_xxz_energy(1.0), 12), round(bulk_xxz_energy(0.0) * np.pi, 12)
    (-0.44314718056, -1.0)
    """
    if not delta > -1:
        raise SettingsError(f"below delta = -1 the XXZ chain is a ferromagnet, found delta = {delta}.")
    if delta > 1:
        phi = float(np.arccosh(delta))
        if phi < _ISOTROPIC:
            return BULK_HEISENBERG
        terms = np.arange(1, int(20 / phi) + 2)
        return float(delta / 4 - np.sinh(phi) * (0.5 + 2 * (1 / (1 + np.exp(2 * phi * terms))).sum()))
    gamma = float(np.arccos(delta))
    if gamma < _ISOTROPIC:
        return BULK_HEISENBERG

    def weight(s: float) -> float:
        """sinh((pi - gamma) s / gamma) / (sinh(pi s / gamma) cosh(s)), written in decaying exponentials."""
        inner = np.expm1(-2 * (np.pi - gamma) * s / gamma) / np.expm1(-2 * np.pi * s / gamma)
        return 2 * np.exp(-2 * s) * inner / (1 + np.exp(-2 * s))

    layer = min(6 * gamma, 10.0)  # where `inner` rises to 1
    area = integral(weight, 1e-300, layer, epsrel=1e-12) + integral(weight, layer, 20.0, epsrel=1e-12)
    return float(delta / 4 - np.sin(gamma) / gamma * area)
