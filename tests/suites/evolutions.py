"""What every evolution under an MPO has to pass: backends and precisions, operators that decay, input it refuses."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact.dense import hamiltonian
from tests.networks.test_evolution_mpo import random_sum
from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.errors import LegError, OperatorError, StateError


def chain(L: int = 8, *, conserve="Sz", chi: int = 16, dtype=complex, **place):
    """A random sum over all pairs, its MPO, a random state, and the sum as a matrix."""
    sites, H = tn.spin_sites(L, conserve=conserve), random_sum(L)
    psi = tn.MPS.random(sites, chi=chi, charge=L % 2 if conserve else None, seed=1, dtype=dtype, **place)
    return H.mpo(sites), psi, hamiltonian(H, sites)


def distance(psi: tn.MPS, exact: np.ndarray) -> float:
    """Norm of the difference from a vector."""
    return float(np.linalg.norm(psi.backend.to_host(psi.to_dense()) - exact))


def check_place(
    evolution: Evolution, place: str, kind: str, *, L: int, chi: int, time: float, tolerance: float
) -> None:
    """A random state ends in the exact one, in its precision and on its backend."""
    backend = backend_or_skip(place)
    H, psi, matrix = chain(L, chi=chi, dtype=kind, backend=backend)
    evolved = evolution.run(H.to(backend), psi, time=time)
    assert evolved.state.dtype == kind and evolved.state.backend is backend
    assert distance(evolved.state, expm(-1j * time * matrix) @ backend.to_host(psi.to_dense())) < tolerance


def check_decay(strict: Evolution, lossy: Evolution, *, time: float, tolerance: float) -> None:
    """An operator that is not its own adjoint is refused, or followed exactly where the settings allow it, and its
    energy is not reported."""
    sites, H = tn.spin_sites(4), random_sum(4)
    for i in range(4):
        H += -0.3j * (i + 1), "Sz", i
    psi = tn.MPS.random(sites, chi=4, charge=0, seed=0, dtype=complex)
    with pytest.raises(OperatorError, match="non_hermitian=True"):
        strict.run(H.mpo(sites), psi, time=time)
    evolved = lossy.run(H.mpo(sites), psi, time=time)
    assert distance(evolved.state, expm(-1j * time * hamiltonian(H, sites)) @ psi.to_dense()) < tolerance
    assert evolved.energy is None and evolved.history[-1].energy_drift is None


def check_refused(evolution: Evolution) -> None:
    """A sum instead of an MPO, legs that do not fit, a state of norm zero."""
    H, psi, _ = chain(4)
    with pytest.raises(OperatorError, match=r"H\.mpo\(sites\)"):
        evolution.run(random_sum(4), psi, time=0.1)
    with pytest.raises(LegError, match="make both from the same sites"):
        evolution.run(H, psi.without_symmetry(), time=0.1)
    with pytest.raises(StateError, match="not zero"):
        evolution.run(H, psi * 0.0, time=0.1)
