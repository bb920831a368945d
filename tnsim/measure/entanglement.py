"""Entanglement across bonds, and mutual information of sites. Natural logarithms unless a base is given."""

import numpy as np

from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Spectrum
from tnsim.measure.density import reduced_density_matrix
from tnsim.measure.local import checked_site, norm_squared
from tnsim.networks.canonical import schmidt_values
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_gauge import operator_schmidt_values
from tnsim.networks.mps import MPS


def entropy(psi: MPS | InfiniteMPS | MPO, n: float = 1, *, base: float | None = None) -> np.ndarray:
    """Entanglement entropy of the L - 1 inner bonds: von Neumann (n = 1) or Renyi of order n.

    n = inf gives -log of the largest Schmidt weight. Of an infinite state, the bonds right of every site of the
    cell; of an MPO, its singular values as an operator. Exact for what is normalised; cost O(L d chi^3).

    >>> from tnsim.networks.sites import spin_sites
    >>> entropy(MPS.product(spin_sites(3), ["up", "down", "up"])).tolist()
    [0.0, 0.0]
    """
    scale = _log_of(base)
    return np.array([entropy_of_weights(spectrum.values**2, n) / scale for spectrum in _spectra(psi)])


def _spectra(psi: MPS | InfiniteMPS | MPO) -> list[Spectrum]:
    if isinstance(psi, MPO):
        return operator_schmidt_values(psi)
    if isinstance(psi, InfiniteMPS):
        return psi.schmidt_values()
    norm_squared(psi)
    return schmidt_values(psi)


def entropy_of_weights(weights: np.ndarray, n: float = 1) -> float:
    """Renyi entropy of a distribution, which need not add up to 1. Source: A. Renyi (1961).

    >>> round(entropy_of_weights(np.array([0.5, 0.5]), 2), 6)
    0.693147
    """
    if not n >= 0:
        raise SettingsError(f"an entropy has an order n >= 0, found {n}.")
    p = weights[weights > 0] / weights.sum()
    if n == 1:
        return max(0.0, -float((p * np.log(p)).sum()))
    if np.isinf(n):
        return max(0.0, -float(np.log(p.max())))
    return max(0.0, float(np.log((p**n).sum()) / (1 - n)))


def entanglement_spectrum(psi: MPS | InfiniteMPS | MPO, bond: int | None = None) -> "Spectrum | list[Spectrum]":
    """Schmidt values with their charges, of one inner bond (0 to L - 2) or of all; `.by_charge()` sorts them.

    Entanglement energies are -2 log of the values. Charges are those left of the bond.

    >>> from tnsim.networks.sites import spin_sites
    >>> entanglement_spectrum(MPS.product(spin_sites(2), ["up", "down"]), 0).by_charge()
    {(1,): array([1.])}
    """
    spectra = _spectra(psi)
    if bond is None:
        return spectra
    if not 0 <= bond < len(spectra):
        raise ShapeError(f"the state has bonds 0 to {len(spectra) - 1}, found {bond}.")
    return spectra[bond]


def mutual_information(psi: MPS | InfiniteMPS, i: int, j: int, *, base: float | None = None) -> float:
    """I(i : j) = S_i + S_j - S_ij of two sites, von Neumann; cost O(|i - j| d^4 chi^3).

    Sites of an infinite state are any integers.
    """
    if not isinstance(psi, InfiniteMPS):
        i, j = checked_site(psi, i), checked_site(psi, j)
    if i == j:
        raise ShapeError(f"mutual information is of two different sites, found {i} twice.")
    pair = sorted((i, j))
    dims = [psi.sites[k % psi.L].dim for k in pair]
    rho = reduced_density_matrix(psi, pair)
    split = rho.reshape(*dims, *dims)
    parts = [np.einsum("abcb->ac", split), np.einsum("abac->bc", split), rho]
    first, second, both = (entropy_of_weights(np.clip(np.linalg.eigvalsh(part), 0, None)) for part in parts)
    return max(0.0, first + second - both) / _log_of(base)


def _log_of(base: float | None) -> float:
    if base is None:
        return 1.0
    if not base > 1:
        raise SettingsError(f"the base of a logarithm must be larger than 1, found {base}.")
    return float(np.log(base))
