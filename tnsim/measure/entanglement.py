"""Entanglement across bonds, and mutual information of sites. Natural logarithms unless a base is given."""

import numpy as np

from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Spectrum
from tnsim.measure.density import reduced_density_matrix
from tnsim.networks.canonical import schmidt_values
from tnsim.networks.mps import MPS


def entropy(psi: MPS, n: float = 1, *, base: float | None = None) -> np.ndarray:
    """Entanglement entropy of the L - 1 inner bonds: von Neumann (n = 1) or Renyi of order n.

    n = inf gives -log of the largest Schmidt weight. Cost O(L d chi^3), exact.

    >>> from tnsim.networks.sites import spin_sites
    >>> entropy(MPS.product(spin_sites(3), ["up", "down", "up"])).tolist()
    [0.0, 0.0]
    """
    if n < 0:
        raise SettingsError(f"an entropy has an order n >= 0, found {n}.")
    values = np.array([entropy_of_weights(spectrum.values**2, n) for spectrum in schmidt_values(psi)])
    return values if base is None else values / np.log(base)


def entropy_of_weights(weights: np.ndarray, n: float = 1) -> float:
    """Renyi entropy of a probability distribution."""
    p = weights[weights > 1e-30] / weights.sum()
    if n == 1:
        return abs(float((p * np.log(p)).sum()))
    if np.isinf(n):
        return float(-np.log(p.max()))
    return float(np.log((p**n).sum()) / (1 - n)) + 0.0


def entanglement_spectrum(psi: MPS, bond: int | None = None) -> "Spectrum | list[Spectrum]":
    """Schmidt values with their charges, of one inner bond (0 to L - 2) or of all; `.by_charge()` sorts them.

    Entanglement energies are -2 log of the values.
    """
    spectra = schmidt_values(psi)
    if bond is None:
        return spectra
    if not 0 <= bond < len(spectra):
        raise ShapeError(f"the state has inner bonds 0 to {len(spectra) - 1}, found {bond}.")
    return spectra[bond]


def mutual_information(psi: MPS, i: int, j: int) -> float:
    """I(i : j) = S_i + S_j - S_ij of two sites; cost O(|i - j| d^4 chi^3)."""
    if i == j:
        raise ShapeError(f"mutual information is of two different sites, found {i} twice.")
    entropies = [
        entropy_of_weights(np.clip(np.linalg.eigvalsh(reduced_density_matrix(psi, sites)), 0, None))
        for sites in ((i,), (j,), tuple(sorted((i, j))))
    ]
    return max(0.0, entropies[0] + entropies[1] - entropies[2])
