"""The vector of a finite PEPS of fermions, in the basis of occupations in the order of the places, row by row."""

import numpy as np

from tnsim.networks.peps import PEPS
from tnsim.tensor import contract


def fock_state(psi: PEPS) -> np.ndarray:
    """All amplitudes, by one graded contraction of all tensors; exponential cost."""
    total, words = None, []
    for i, j in psi.places():
        own = [f"v{i}_{j}", f"h{i}_{j + 1}", f"v{i + 1}_{j}", f"h{i}_{j}", f"p{i}_{j}"]
        if total is None:
            total, words = psi.tensor(i, j), own
            continue
        out = [word for word in words if word not in own] + [word for word in own if word not in words]
        total = contract(f"{' '.join(words)}, {' '.join(own)} -> {' '.join(out)}", total, psi.tensor(i, j))
        words = out
    outer = [word for word in words if word[0] != "p"]
    total = contract(f"{' '.join(words)} -> {' '.join(outer + [f'p{i}_{j}' for i, j in psi.places()])}", total)
    return np.asarray(psi.backend.to_host(total.to_dense())).reshape(-1)
