"""Exactly solved lattice models: six-vertex, dimers, critical Potts, and constants of hard squares.

Sources: E. H. Lieb, Phys. Rev. 162, 162 (1967); B. Sutherland, Phys. Rev. Lett. 19, 103 (1967); R. J. Baxter, Exactly
Solved Models in Statistical Mechanics (1982), sections 8.8-8.9 (six-vertex) and 12.5 (Potts); P. W. Kasteleyn,
Physica 27, 1209 (1961) (dimers); R. J. Baxter, Ann. Comb. 3, 191 (1999) (hard squares).
"""

from collections.abc import Callable

import numpy as np

from tnsim.models.exact.integral import integral

# weights of hard squares at activity 1 per site (transfer matrices and series, all digits certain)
HARD_SQUARES = 1.50304808247533226432


def six_vertex_log_z(a: float, b: float, c: float) -> float:
    """ln Z per vertex of the infinite six-vertex model, weights a, b, c > 0 of the three pairs of vertices.

    >>> round(six_vertex_log_z(1.0, 1.0, 1.0), 12), round(1.5 * float(np.log(4 / 3)), 12)
    (0.431523108678, 0.431523108678)
    """
    if b > a:
        a, b = b, a
    delta = (a * a + b * b - c * c) / (2 * a * b)
    if delta >= 1:
        return float(np.log(a))
    if delta <= -1:
        return _antiferroelectric(a, b, c, delta)
    mu = float(np.arccos(-delta))
    # a : b : c = sin((mu - w) / 2) : sin((mu + w) / 2) : sin mu
    w = 2 * float(np.arctan2((b - a) * np.tan(mu / 2), a + b))

    def integrand(x: float) -> float:
        return _ratio((mu + w) * x, (np.pi - mu) * x, np.pi * x, mu * x) / x

    return float(np.log(a)) + _half_line(integrand)


def _ratio(p: float, q: float, r: float, s: float) -> float:
    """sinh p sinh q / (sinh r cosh s) for positive arguments, without overflow."""
    numerator = -np.expm1(-2 * p) * -np.expm1(-2 * q)
    return float(np.exp(p + q - r - s) * numerator / (-np.expm1(-2 * r) * (1 + np.exp(-2 * s))))


def _half_line(function: Callable[[float], float]) -> float:
    return integral(function, 0.0, np.inf, epsabs=1e-13, epsrel=1e-12, limit=400)


def _antiferroelectric(a: float, b: float, c: float, delta: float) -> float:
    """A series in exp(-lambda), Delta = -cosh lambda; the point Delta = -1 is the limit of both sides."""
    if delta > -1 - 1e-9:
        delta = -1 - 1e-9
    lam = float(np.arccosh(-delta))
    v = 2 * float(np.arctanh((b - a) / (a + b) * np.tanh(lam / 2)))
    m = np.arange(1, int(40 / lam) + 40)
    # e^(-m lambda) sinh(m (lambda + v)) / (m cosh(m lambda))
    terms = np.exp(m * (v - lam)) * -np.expm1(-2 * m * (lam + v)) / (m * (1 + np.exp(-2 * m * lam)))
    return float(np.log(a) + (lam + v) / 2 + terms.sum())


def dimers_log_z(x: float, y: float) -> float:
    """ln Z per site of close-packed dimers on the infinite square lattice, weights x (horizontal) and y (vertical).

    >>> round(dimers_log_z(1.0, 1.0), 12)
    0.291560904031
    """

    def over_other(p: float) -> float:
        return float(np.log(x * np.cos(p) + np.sqrt((x * np.cos(p)) ** 2 + y * y)))

    value = integral(over_other, 0.0, np.pi / 2, epsabs=1e-14, epsrel=1e-13, limit=400)
    return value / np.pi


def dimers_finite(rows: int, columns: int, x: float = 1.0, y: float = 1.0) -> float:
    """ln Z of close-packed dimers on an open rows x columns lattice; -inf where its number of sites is odd.

    >>> round(float(np.exp(dimers_finite(8, 8))))
    12988816
    """
    if rows * columns % 2:
        return float("-inf")
    p = np.pi * np.arange(1, rows + 1) / (rows + 1)
    q = np.pi * np.arange(1, columns + 1) / (columns + 1)
    return float(0.25 * np.log((2 * y * np.cos(p[:, None])) ** 2 + (2 * x * np.cos(q)) ** 2).sum())


def critical_potts_log_z(q: int) -> float:
    """ln Z per spin of the q-state Potts model (q = 2, 3, 4; energy -delta) at exp(beta) = 1 + sqrt(q).

    >>> round(critical_potts_log_z(2), 9)  # ln Z of the Ising model and beta_c for two bonds
    1.811068985
    """
    if q == 4:
        return float(np.log(2) + 2 * _half_line(lambda x: np.exp(-x) * np.tanh(x) / x))
    mu = float(np.arccos(np.sqrt(q) / 2))
    return float(0.5 * np.log(q) + 2 * _half_line(lambda x: _ratio(mu * x, (np.pi - mu) * x, np.pi * x, mu * x) / x))
