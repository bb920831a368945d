"""Particles that hop between the sites of a lattice: the terms of a sum, and the matrix of free ones."""

from collections.abc import Iterable, Sequence

import numpy as np

from tnsim.models.lattice import Pair
from tnsim.networks.operator_sum import OperatorSum, plus_hc

Steps = Iterable[tuple[Pair, float]]
"""Pairs of sites, each with its amplitude t."""


def add_hopping(
    H: OperatorSum, steps: Steps, species: Sequence[str] = ("",), *, name: str = "C", flux: float = 0.0
) -> None:
    """Add -t (exp(i flux turns) dag_j op_i + h.c.) for every pair and every kind of particle.

    name and species: the operators are name + "dag" + kind, such as "Cdag_up".
    """
    for pair, t in steps:
        for kind in species:
            H += plus_hc(-t * pair.phase(flux), f"{name}dag{kind}", pair.j, f"{name}{kind}", pair.i)


def hopping_matrix(L: int, steps: Steps, *, flux: float = 0.0) -> np.ndarray:
    """The one-particle matrix of `add_hopping`, for free particles.

    >>> from tnsim.models.lattice import Lattice
    >>> hopping_matrix(2, [(pair, 1.0) for pair in Lattice("chain", 2).pairs()]).tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """
    matrix = np.zeros((L, L), dtype=complex if flux else float)
    for pair, t in steps:
        amplitude = -t * pair.phase(flux)
        matrix[pair.j, pair.i] += amplitude
        matrix[pair.i, pair.j] += np.conj(amplitude)
    return matrix
