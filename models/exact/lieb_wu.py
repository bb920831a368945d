"""The Hubbard chain: open boundaries from the Bethe equations, the infinite chain from Lieb and Wu's integrals.

Units: hopping -t with t = 1, U n_up n_down. Sources: H. Schulz, J. Phys. C 18, 581 (1985) for open ends (with the
equations as in H. Asakawa, M. Suzuki, J. Phys. A 29, 225 (1996)); E. H. Lieb, F. Y. Wu, Phys. Rev. Lett. 20, 1445
(1968); A. A. Ovchinnikov, Sov. Phys. JETP 30, 1160 (1970) for the gap.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import j0, j1

from tnsim.errors import SettingsError
from tnsim.models.exact.integral import integral
from tnsim.models.exact.newton import damped_newton

# the equations are followed from strong coupling down, in steps of this factor
_START, _STEP = 30.0, 0.6


@lru_cache(maxsize=128)
def open_hubbard_energy(L: int, U: float, N: int | None = None) -> float:
    """Ground-state energy of N electrons (even; L at half filling) of spin 0 on an open chain, to about 1e-12.

    Momenta 0 < k_j < pi (j = 1..N) and l_m > 0 (m = 1..N/2) with u = U/4:
    2 (L + 1) k_j = 2 pi j - sum_m [2 atan((sin k_j - l_m)/u) + 2 atan((sin k_j + l_m)/u)],
    sum_j [2 atan((l_m - sin k_j)/u) + 2 atan((l_m + sin k_j)/u)]
        = 2 pi m + sum_{n != m} [2 atan((l_m - l_n)/2u) + 2 atan((l_m + l_n)/2u)],
    E = -2 sum cos k_j. Damped Newton, cost O(N^3). Raises SettingsError for odd N, N > L or U <= 0.

    >>> round(open_hubbard_energy(16, 4.0), 12)
    -8.818767454812
    """
    N = L if N is None else N
    if L < 2 or N % 2 or not 0 <= N <= L or not 0.05 <= U < np.inf:
        raise SettingsError(
            f"the Bethe solution is for an even number of electrons N <= L and U >= 0.05, found N = {N}, L = {L}, "
            f"U = {U}."
        )
    if N == 0:
        return 0.0
    momenta = np.pi * np.arange(1, N + 1) / (L + 1)
    rapidities = np.tan(0.98 * np.pi * np.arange(1, N // 2 + 1) / (2 * N + 2))
    coupling = max(U, _START)
    roots = np.concatenate([momenta, coupling / 4 * rapidities])
    while True:
        roots = _solve(roots, L, N, coupling)
        if coupling == U:
            return float(-2 * np.cos(roots[:N]).sum())
        coupling = max(U, _STEP * coupling)


def _solve(roots: np.ndarray, L: int, N: int, U: float) -> np.ndarray:
    return damped_newton(
        roots,
        lambda roots: _residual(roots, L, N, U / 4),
        lambda roots: _jacobian(roots, L, N, U / 4),
        tolerance=1e-11 * L,
        what=f"the Bethe equations of the Hubbard chain with L = {L}, N = {N}, U = {U}",
    )


def _residual(roots: np.ndarray, L: int, N: int, u: float) -> np.ndarray:
    k, rapidities = roots[:N], roots[N:]
    s, x = np.sin(k)[:, None], rapidities[None, :]
    charge = 2 * (L + 1) * k - 2 * np.pi * np.arange(1, N + 1)
    charge += (2 * np.arctan((s - x) / u) + 2 * np.arctan((s + x) / u)).sum(axis=1)
    spin = (2 * np.arctan((x - s) / u) + 2 * np.arctan((x + s) / u)).sum(axis=0)
    minus, plus = rapidities[:, None] - x, rapidities[:, None] + x
    scattering = 2 * np.arctan(minus / (2 * u)) + 2 * np.arctan(plus / (2 * u))
    np.fill_diagonal(scattering, 0.0)
    spin -= 2 * np.pi * np.arange(1, len(rapidities) + 1) + scattering.sum(axis=1)
    return np.concatenate([charge, spin])


def _jacobian(roots: np.ndarray, L: int, N: int, u: float) -> np.ndarray:
    k, rapidities = roots[:N], roots[N:]
    s, c, x = np.sin(k)[:, None], np.cos(k)[:, None], rapidities[None, :]
    minus, plus = _slope(s - x, u), _slope(s + x, u)
    result = np.zeros((len(roots), len(roots)))
    result[:N, :N] = np.diag(2 * (L + 1) + (c * (minus + plus)).sum(axis=1))
    result[:N, N:] = plus - minus
    result[N:, :N] = (c * (plus - minus)).T
    a = _slope(rapidities[:, None] - x, 2 * u)
    b = _slope(rapidities[:, None] + x, 2 * u)
    np.fill_diagonal(a, 0.0)
    np.fill_diagonal(b, 0.0)
    result[N:, N:] = np.diag((minus + plus).sum(axis=0) - (a + b).sum(axis=1)) + a - b
    return result


def _slope(y: np.ndarray, u: float) -> np.ndarray:
    """The derivative of 2 atan(y / u)."""
    return 2 * u / (u**2 + y**2)


def bulk_hubbard_energy(U: float) -> float:
    """Energy per site of the infinite half-filled chain: -4 int_0^inf J0(w) J1(w) / (w (1 + exp(w U / 2))) dw.

    >>> round(bulk_hubbard_energy(4.0), 12)
    -0.573729367898
    """
    return -4 * _damped_integral(lambda w: j0(w) * j1(w) / w, U)


def bulk_charge_gap(U: float) -> float:
    """E(N + 1) + E(N - 1) - 2 E(N) of the infinite half-filled chain.

    U - 4 + 8 int_0^inf J1(w) / (w (1 + exp(w U / 2))) dw.

    >>> round(bulk_charge_gap(4.0), 6)
    1.286727
    """
    return U - 4 + 8 * _damped_integral(lambda w: j1(w) / w, U)


def _damped_integral(numerator: Callable[[float], float], U: float) -> float:
    """int_0^inf numerator(w) / (1 + exp(w U / 2)) dw; what lies beyond w = 80 / U is below exp(-40)."""
    return integral(lambda w: numerator(w) / (1 + np.exp(w * U / 2)), 1e-300, 80 / U, epsabs=1e-14, limit=1000)
