"""The order of the orbitals on the chain: strongly exchanging ones side by side."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from tnsim.models.chemistry.integrals import Integrals

# exchange integrals below this (relative to the largest) tie no orbitals together
_NEGLIGIBLE = 1e-12


def fiedler_order(integrals: Integrals) -> list[int]:
    """Orbitals sorted by the Fiedler vector of the exchange matrix |(ij|ji)|, which keeps large elements near the
    diagonal; orbitals that no exchange connects (of different symmetry, far apart) stay in groups of their own.

    Source: R. Olivares-Amaya, W. Hu, N. Nakatani, S. Sharma, J. Yang, G. K.-L. Chan, J. Chem. Phys. 142, 034102
    (2015), section on orbital ordering; G. Barcza, O. Legeza, K. H. Marti, M. Reiher, Phys. Rev. A 83, 012508 (2011).

    >>> eri = np.zeros((3, 3, 3, 3))
    >>> for i, j in [(0, 2), (2, 1)]:
    ...     eri[i, j, j, i] = eri[j, i, i, j] = eri[i, j, i, j] = eri[j, i, j, i] = 0.1
    >>> fiedler_order(Integrals.from_arrays(np.zeros((3, 3)), eri))
    [0, 2, 1]
    """
    exchange = sum(np.abs(np.einsum("ijji->ij", integrals.two_body[k])) for k in (0, 2)) / 2
    exchange = exchange - np.diag(np.diag(exchange))
    tied = csr_array(exchange > _NEGLIGIBLE * exchange.max(initial=0.0))
    count, label = connected_components(tied, directed=False)
    return [int(i) for group in range(count) for i in _sorted(exchange, np.flatnonzero(label == group))]


def _sorted(exchange: np.ndarray, members: np.ndarray) -> np.ndarray:
    """One connected group along its Fiedler vector, beginning with the end where the lower numbers are."""
    part = exchange[np.ix_(members, members)]
    vector = np.linalg.eigh(np.diag(part.sum(axis=0)) - part)[1][:, min(1, len(members) - 1)]
    order = np.argsort(vector, kind="stable")
    return members[order if order[0] <= order[-1] else order[::-1]]
