"""Neighbourhood update: an exact metric on a plaquette, dynamics against exact diagonalisation, lower than simple."""

import numpy as np
import pytest
from scipy.linalg import expm

from tests.algorithms.peps.test_simple_update import heisenberg, infinite
from tests.exact.plane import dense_hamiltonian, dense_state, distance, mean
from tnsim.algorithms.peps.updates.bond_fit import expectation
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.neighbourhood import Neighbourhood, neighbourhood_metric
from tnsim.algorithms.peps.updates.neighbourhood_update import NeighbourhoodUpdate
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.linalg import Truncation
from tnsim.models import J1J2, Lattice
from tnsim.networks.peps import PEPS, PlaneTerms
from tnsim.networks.peps.weighted import WeightedPEPS
from tnsim.tensor import transpose


@pytest.mark.parametrize("link", range(4))
def test_the_metric_of_a_plaquette_is_exact(link):
    psi = PEPS.random(heisenberg(2, 2, None)[0].sites, D=3, seed=2, dtype=np.complex128)
    weighted = WeightedPEPS.plain(psi)
    frame = BondFrame.of(psi.tensors, weighted.graph.links[link])
    metric = neighbourhood_metric(Neighbourhood(psi.tensors, weighted.weights, weighted.graph), frame)
    vector = dense_state(psi)
    assert expectation(metric, frame.theta, frame.theta) == pytest.approx(np.vdot(vector, vector).real, rel=1e-10)
    made = frame.tensors(transpose(frame.left, (0, 2, 1)), transpose(frame.right, (1, 0, 2)))
    again = list(psi.tensors)
    again[frame.link.first], again[frame.link.second] = made
    assert distance(dense_state(psi.with_tensors(again)), vector) < 1e-10


def test_the_metric_is_hermitian_and_positive():
    terms, psi = infinite()
    update = SimpleUpdate(dt=0.2, truncation=Truncation(chi_max=3), imaginary=True)
    state = update.run(terms, psi, time=1.0).state
    for link in state.graph.links:
        frame = BondFrame.of(state.psi.tensors, link)
        metric = neighbourhood_metric(Neighbourhood(state.psi.tensors, state.weights, state.graph), frame)
        k = metric.shape[0] * metric.shape[1]
        matrix = metric.to_dense().reshape(k, k)
        assert np.abs(matrix - matrix.conj().T).max() < 1e-13 * np.abs(matrix).max()
        values = np.linalg.eigvalsh(matrix)
        assert values.min() > -1e-13 * values.max()


def test_real_time_on_a_plaquette():
    """Nothing of note is cut at D = 4, which leaves the splitting."""
    terms, psi = heisenberg(2, 2)
    exact = expm(-0.4j * dense_hamiltonian(terms)) @ dense_state(psi)
    errors = []
    for dt in (0.2, 0.1):
        update = NeighbourhoodUpdate(dt=dt, truncation=Truncation(chi_max=4, svd_min=1e-12), every=10)
        found = update.run(terms, psi, time=0.4)
        errors.append(distance(dense_state(found.state.psi), exact))
        assert abs(found.history[-1].norm_drift) < 1e-4
        assert found.energy == pytest.approx(mean(dense_hamiltonian(terms), dense_state(found.state.psi)), abs=1e-8)
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.3


def test_diagonal_terms_are_cut_bond_by_bond():
    terms = PlaneTerms.of(J1J2(lattice=Lattice("square", 2, 2), J2=0.4))
    psi = PEPS.product(terms.sites, [["up", "down"], ["up", "down"]])
    exact = expm(-0.2j * dense_hamiltonian(terms)) @ dense_state(psi)
    update = NeighbourhoodUpdate(dt=0.1, truncation=Truncation(chi_max=4, svd_min=1e-12))
    found = update.run(terms, psi, time=0.2)
    assert distance(dense_state(found.state.psi), exact) < 2e-3 and found.energy is None
    assert max(found.state.bond_dimensions) <= 4


def test_below_simple_update_in_its_own_cluster():
    """On a plaquette the cluster is everything, so energies are exact: D = 3 comes near the ground state, -2."""
    terms, psi = heisenberg(2, 2)
    energies = {}
    for kind, D in ((SimpleUpdate, 2), (NeighbourhoodUpdate, 2), (NeighbourhoodUpdate, 3)):
        update = kind(dt=0.1, truncation=Truncation(chi_max=D), imaginary=True)
        found = Cooling(update=update, dts=(0.1, 0.05), tol=1e-4).solve(terms, psi)
        energies[kind, D] = mean(dense_hamiltonian(terms), dense_state(found.state.psi))
    assert energies[NeighbourhoodUpdate, 2] < energies[SimpleUpdate, 2]
    assert energies[NeighbourhoodUpdate, 3] == pytest.approx(-2, abs=1e-5)


def test_on_the_device():
    terms, psi = heisenberg(2, 2)
    update = NeighbourhoodUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    expected = update.run(terms, psi, time=0.3)
    found = update.run(terms, psi.to("strict"), time=0.3)
    assert found.state.backend.name == "strict" and found.energy == pytest.approx(expected.energy, abs=1e-10)
