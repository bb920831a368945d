"""Dense oracles of time evolution: random Hamiltonians on neighbours, exponentials, fitted orders."""

from collections.abc import Sequence

import numpy as np

import tnsim as tn
from tests.exact.dense import hamiltonian
from tests.suites.chains import Chain
from tnsim.networks.sites import Site


def random_local(chain: Chain, seed: int = 7, *, real: bool = False) -> tn.OperatorSum:
    """A Hermitian sum on sites and neighbours that conserves the chain's charge, all couplings different."""
    rng, H = np.random.default_rng(seed), tn.OperatorSum()
    first, second = chain.neutral
    raise_, lower = chain.ladder
    for i in range(len(chain.sites)):
        H += rng.normal(), first, i
    for i in range(len(chain.sites) - 1):
        x, y = rng.normal(size=2)
        H += rng.normal(), first, i, second, i + 1
        H += tn.plus_hc(x if real else x + 1j * y, raise_, i, lower, i + 1)
    return H


def evolved(H: tn.OperatorSum, sites: Sequence[Site], vector: np.ndarray, factor: complex) -> np.ndarray:
    """exp(factor H) on a vector, exactly."""
    values, vectors = np.linalg.eigh(hamiltonian(H, sites))
    return vectors @ (np.exp(factor * values) * (vectors.conj().T @ vector))


def fitted_order(steps: Sequence[float], errors: Sequence[float]) -> float:
    """Slope of the errors against the time steps."""
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])
