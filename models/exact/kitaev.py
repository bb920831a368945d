"""Kitaev's honeycomb model as free Majorana fermions in a static Z_2 gauge field.

Source: A. Kitaev, Ann. Phys. 321, 2 (2006): sa_i sa_j = -i u_ij c_i c_j with u_ij = +-1 conserved, so that
H = i c_A . M c_B with M = K u / 4 (spin-1/2 units), and the lowest energy in a gauge is minus the sum of the singular
values of M. The ground state has no vortex in any hexagon (E. H. Lieb, Phys. Rev. Lett. 73, 2158 (1994)).
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ellipe

from tnsim.models.exact.integral import integral
from tnsim.models.lattice import Lattice, Pair


def vortex_free_energy(lattice: Lattice, bonds: Sequence[tuple[Pair, float]]) -> float:
    """Lowest energy without vortices on an open strip or a cylinder of the honeycomb; cost O(sites^3).

    Around a cylinder the fermions are periodic or antiperiodic, whichever is lower. The loose ends of an open
    boundary hold Majorana zero modes, so that some physical state has this energy in every gauge.
    """
    return min(_energy(lattice, bonds, sign) for sign in (1.0, -1.0))


def _energy(lattice: Lattice, bonds: Sequence[tuple[Pair, float]], sign: float) -> float:
    column = {
        vertex.index: n // 2 for n, vertex in enumerate(sorted(lattice.vertices, key=lambda v: (v.cell, v.place)))
    }
    matrix = np.zeros((len(lattice) // 2, len(lattice) // 2))
    for pair, K in bonds:
        a, b = (pair.i, pair.j) if lattice.vertices[pair.i].place == 0 else (pair.j, pair.i)
        matrix[column[a], column[b]] += K / 4 * (sign if pair.turns % 2 else 1.0)
    return float(-np.linalg.svd(matrix, compute_uv=False).sum())


def bulk_energy(Kx: float, Ky: float, Kz: float) -> float:
    """Energy per site of the infinite lattice: the mean of |Kx e^ip + Ky e^iq + Kz| over p, q, times -1/8.

    >>> round(bulk_energy(1.0, 1.0, 1.0), 8)
    -0.19682465
    """

    def over_q(p: float) -> float:
        a, b = abs(Kx * np.exp(1j * p) + Kz), abs(Ky)
        return float(2 / np.pi * (a + b) * ellipe(4 * a * b / (a + b) ** 2)) if a + b else 0.0

    value = integral(over_q, 0, np.pi, epsabs=1e-11, limit=200)
    return -value / np.pi / 8
