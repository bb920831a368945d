"""The leading eigenvectors of a density matrix, whose eigenvalues are squares of singular values."""

import numpy as np

from tnsim.linalg.decompose import Spectrum, eigh
from tnsim.linalg.truncation import Truncation, discarded_weight
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, from_dense


def density_vectors(rho: Tensor, truncation: Truncation) -> tuple[Tensor, float]:
    """Eigenvectors (leg, bond) of a density matrix (leg, leg.dual) that survive the truncation, and what is discarded.

    Truncation acts on the roots of the eigenvalues, normalised. Only squares are found, so roots below sqrt(10 eps)
    (5e-8 in double precision) are noise and always dropped. Cost O(n^3) for every block.

    >>> vectors, weight = density_vectors(from_dense(np.diag([0.75, 0.25, 0.0])), Truncation(chi_max=1))
    >>> vectors.shape, round(weight, 12)
    ((3, 1), 0.25)
    """
    vectors, spectrum = eigh(rho)
    kept, weight = kept_vectors(spectrum, truncation, rho)
    return contract("a m, m n -> a n", vectors, kept), weight


def kept_vectors(spectrum: Spectrum, truncation: Truncation, rho: Tensor) -> tuple[Tensor, float]:
    """Which of the eigenvectors of a density matrix survive, as a matrix (all, kept) of ones, and what is discarded."""
    squares = np.maximum(spectrum.values, 0.0)
    values = np.sqrt(squares / squares.sum()) if squares.sum() > 0 else squares
    values[values < np.sqrt(10 * np.finfo(rho.dtype).eps)] = 0.0
    kept = truncation.keep(values)
    kept = kept[values[kept] > 0] if values.any() else kept[:1]
    leg = rho.legs[1]
    bond = Leg.from_keys(leg.group, leg.keys, np.histogram(kept, leg.starts)[0], leg.flow)
    chosen = np.zeros((leg.dim, len(kept)), dtype=rho.dtype)
    chosen[kept, np.arange(len(kept))] = 1
    weight = discarded_weight(np.sqrt(squares), kept)
    return from_dense(chosen, (leg.dual, bond)).to(rho.backend), weight
