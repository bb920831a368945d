"""The two-dimensional Ising model: free energies, energy, magnetisation, correlation length, and finite tori.

Sources: L. Onsager, Phys. Rev. 65, 117 (1944); B. Kaufman, Phys. Rev. 76, 1232 (1949); C. N. Yang, Phys. Rev. 85, 808
(1952); R. M. F. Houtappel, Physica 16, 425 (1950) (triangular and honeycomb); C. H. Chang, Phys. Rev. 88, 1422 (1952)
(anisotropic magnetisation). Couplings K = beta J; all numbers per spin.
"""

from collections.abc import Callable

import numpy as np

from tnsim.models.exact.integral import integral

CRITICAL = float(np.log(1 + np.sqrt(2)) / 2)  # beta_c of the isotropic square lattice, J = 1


def square_log_z(Kx: float, Ky: float) -> float:
    """ln Z per spin of the infinite square lattice.

    >>> round(square_log_z(CRITICAL, CRITICAL), 12)
    0.929695398342
    """
    return triangular_log_z(Kx, Ky, 0.0)


def triangular_log_z(K1: float, K2: float, K3: float) -> float:
    """ln Z per spin of the infinite triangular lattice; K3 = 0 is the square lattice.

    >>> round(triangular_log_z(*[np.log(3) / 4] * 3), 7)
    0.8795854
    """
    A, B, C = 2 * K1, 2 * K2, 2 * K3
    # cosh A cosh B cosh C + sinh A sinh B sinh C as a sum of positive terms
    powers = np.array([A + B + C, C - A - B, B - A - C, A - B - C])
    shift = float(max(powers.max(), abs(A), abs(B), abs(C)))
    terms = [(np.exp(x - shift) - np.exp(-x - shift)) / 2 for x in (A, B, C)]
    constant = float(np.exp(powers - shift).sum() / 4)
    return float(np.log(2) + (shift + _mean_log(constant, *terms)) / 2)


def honeycomb_log_z(K1: float, K2: float, K3: float) -> float:
    """ln Z per spin of the infinite honeycomb lattice, two spins a cell."""
    K = np.array([K1, K2, K3])
    shift = 2 * np.abs(K)
    c, s = (1 + np.exp(-2 * shift)) / 2, np.sign(K) * -np.expm1(-2 * shift) / 2
    constant = float(c.prod() + np.exp(-shift.sum()))
    products = s[[1, 2, 0]] * s[[2, 0, 1]] * np.exp(-shift)
    return float(0.75 * np.log(2) + (shift.sum() + _mean_log(constant, *products)) / 4)


def _mean_log(constant: float, s1: float, s2: float, s3: float) -> float:
    """Mean over p, q of ln(constant - s1 cos p - s2 cos q - s3 cos(p + q)); the mean over q in closed form."""

    def over_q(p: float) -> float:
        a = constant - s1 * np.cos(p)
        square = a * a - (s2 * s2 + s3 * s3 + 2 * s2 * s3 * np.cos(p))
        return float(np.log((a + np.sqrt(max(0.0, square))) / 2))

    return _mean(over_q)


def _mean(function: Callable[[float], float]) -> float:
    """Mean over an angle of an even function whose kinks lie at 0 and pi."""
    value = integral(function, 0.0, np.pi, epsabs=1e-14, epsrel=1e-13, limit=400)
    return float(value / np.pi)


def square_energy(Kx: float, Ky: float) -> tuple[float, float]:
    """Means of the products of horizontal and of vertical neighbours: derivatives of ln Z by Kx and Ky.

    >>> round(sum(square_energy(CRITICAL, CRITICAL)), 9)
    1.414213562
    """
    return _neighbours(Kx, Ky), _neighbours(Ky, Kx)


def _neighbours(K: float, other: float) -> float:
    """The derivative of ln Z by K; the mean over the other direction's angle in closed form."""
    if other == 0 or K == 0:
        return float(np.tanh(K))
    K, other = np.clip([K, other], -80, 80)  # the means are +-1 there to all digits
    C, S, C2, S2 = np.cosh(2 * K), abs(np.sinh(2 * K)), np.cosh(2 * other), abs(np.sinh(2 * other))
    # a - S2 at angle 0, where it vanishes at the critical point, without cancellation
    least = (S * S2 - 1) ** 2 / (C * C2 + S + S2)

    def over_q(p: float) -> float:
        below = least + 2 * S * np.sin(p / 2) ** 2
        return float(2 * (S * C2 - C * np.cos(p)) / np.sqrt(below * (below + 2 * S2)))

    value = integral(over_q, 0.0, np.pi, epsabs=1e-13, epsrel=1e-12, limit=400, points=[min(1.0, np.sqrt(least))])
    return float(np.sign(K) * value / (2 * np.pi))


def magnetisation(Kx: float, Ky: float) -> float:
    """Spontaneous magnetisation of the square lattice, 0 above the critical temperature.

    >>> round(magnetisation(0.5, 0.5), 12)
    0.911319377877
    """
    product = float(np.sinh(2 * np.minimum(150, np.abs([Kx, Ky]))).prod())
    return float((1 - product**-2) ** 0.125) if product > 1 else 0.0


def triangular_magnetisation(K: float) -> float:
    """Spontaneous magnetisation of the triangular lattice (R. B. Potts, Phys. Rev. 88, 352 (1952)).

    >>> round(triangular_magnetisation(0.35), 12)
    0.952500455948
    """
    y = float(np.exp(-4 * K))
    if np.log(3) / 4 >= K:
        return 0.0
    return float(max(0.0, 1 - 16 * y**3 / ((1 + 3 * y) * (1 - y) ** 3)) ** 0.125)


def correlation_length(K: float) -> float:
    """Of the isotropic square lattice along an axis, in sites; infinite at the critical point.

    Below the critical temperature that of connected correlations, half as long.

    >>> round(correlation_length(0.4), 6), round(correlation_length(0.5), 6)
    (5.962377, 2.192375)
    """
    inverse = float(np.log(1 / np.tanh(K)) - 2 * K)
    if inverse == 0:
        return float("inf")
    return 1 / inverse if inverse > 0 else -0.5 / inverse


def torus_log_z(K: float, rows: int, columns: int) -> float:
    """ln Z of a torus of rows x columns spins (all of it, not per spin), isotropic; no overflow at any size.

    >>> round(float(np.exp(torus_log_z(0.3, 2, 2))), 9)
    34.227788668
    """
    angles = np.pi * np.arange(2 * columns) / columns
    cosh_gamma = np.cosh(2 * K) / np.tanh(2 * K) - np.cos(angles)
    gamma = np.arccosh(np.maximum(cosh_gamma, 1.0))
    gamma[0] = 2 * K + np.log(np.tanh(K))
    half = rows / 2
    total = rows * columns / 2 * np.log(2 * np.sinh(2 * K)) - np.log(2)
    # ln of prod 2 cosh(half gamma) and of prod 2 sinh(half gamma), with the sign of the latter
    logs, signs = [], []
    for parity in (1, 0):
        own = gamma[parity::2]
        logs.append(float(np.sum(half * np.abs(own) + np.log1p(np.exp(-2 * half * np.abs(own))))))
        signs.append(1.0)
        with np.errstate(divide="ignore"):
            logs.append(float(np.sum(half * np.abs(own) + np.log(-np.expm1(-2 * half * np.abs(own))))))
        signs.append(float(np.prod(np.sign(own))))
    largest = max(logs)
    return float(total + largest + np.log(sum(s * np.exp(x - largest) for s, x in zip(signs, logs, strict=True))))
