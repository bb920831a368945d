"""Several levels in one basis, against exact diagonalisation and free fermions."""

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.ground_state.test_dmrg import StopAfter, random_sum, start_state, three_site_flips
from tests.algorithms.ground_state.test_excited import exact_levels, search
from tests.devices import ON_DEVICES, backend_or_skip
from tests.exact import dense, sparse
from tnsim.errors import SettingsError, StateError
from tnsim.models import Heisenberg, TransverseIsing
from tnsim.models.exact.free_fermions import open_ising


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_lowest_levels_of_random_hamiltonians(conserve, complex_):
    sites = tn.spin_sites(8, conserve=conserve)
    H = random_sum(8, complex_=complex_, seed=9, conserve=conserve)
    psi = start_state(sites, "float64")
    levels = search(noise=1e-2, noise_sweeps=4).excited(H.mpo(sites), psi, n=5, averaged=True)
    np.testing.assert_allclose(levels.energies, exact_levels(H, sites, psi.charge, 5), rtol=0, atol=1e-9)
    np.testing.assert_allclose(levels.overlaps, np.eye(5), rtol=0, atol=1e-12)
    assert levels.status.converged


@pytest.mark.parametrize(("place", "complex_"), ON_DEVICES)
def test_every_device_finds_the_same_levels(place, complex_):
    backend = backend_or_skip(place)
    sites = tn.spin_sites(6)
    H = random_sum(6, complex_=complex_, seed=2)
    psi = start_state(sites, "float64")
    levels = search(chi=16, noise=1e-2).excited(H.mpo(sites).to(backend), psi.to(backend), n=3, averaged=True)
    np.testing.assert_allclose(levels.energies, exact_levels(H, sites, psi.charge, 3), rtol=0, atol=1e-9)
    assert {state.backend.name for state in levels.states} == {place}


def test_all_states_share_their_tensors_but_one():
    model = Heisenberg(L=10)
    levels = search().excited(model.mpo(), model.product(), n=3, averaged=True)
    centers = {state.center for state in levels.states}
    assert len(centers) == 1
    for i in set(range(10)) - centers:
        assert len({id(state.tensors[i]) for state in levels.states}) == 1
    exact = sparse.ground_energies(model.operator_sum(), model.sites, (0,), 3)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)


def test_degenerate_levels_come_together():
    model = Heisenberg(L=6, conserve="none")
    levels = search(chi=16).excited(model.mpo(), model.product(), n=7, averaged=True)
    exact = np.linalg.eigvalsh(dense.hamiltonian(model.operator_sum(), model.sites))[:7]
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)


def test_all_states_of_a_small_sector():
    model = Heisenberg(L=4)
    levels = search(chi=8).excited(model.mpo(), model.product(), n=6, averaged=True)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 6)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)
    with pytest.raises(StateError, match="holds 6 states, and n = 7"):
        search(chi=8).excited(model.mpo(), model.product(), n=7, averaged=True)


@pytest.mark.parametrize("h", [0.5, 1.0])
def test_free_fermion_excitations_of_the_ising_chain(h):
    model = TransverseIsing(L=40, h=h, conserve="parity")
    fermions = open_ising(40, 1.0, h)
    modes = fermions.levels
    pairs = sorted(a + b for i, a in enumerate(modes[:6]) for b in modes[:i])[:2]
    levels = search(chi=60).excited(model.mpo(), model.product(), n=3, averaged=True)
    np.testing.assert_allclose(levels.energies, fermions.energy + np.array([0, *pairs]), rtol=0, atol=1e-8)


def test_truncated_levels_lie_above_the_exact_ones_and_converge_with_chi():
    model = Heisenberg(L=12)
    exact = sparse.ground_energies(model.operator_sum(), model.sites, (0,), 3)
    errors = []
    for chi in (8, 16, 32):
        levels = search(chi=chi).excited(model.mpo(), model.product(), n=3, averaged=True)
        # orthonormal states: their mean energy is variational
        assert levels.energies.mean() > exact.mean() - 1e-12
        np.testing.assert_allclose(levels.overlaps, np.eye(3), rtol=0, atol=1e-12)
        errors.append(levels.energies.mean() - exact.mean())
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_noise_frees_states_that_the_update_cannot_leave():
    sites, H = three_site_flips()
    psi = tn.MPS.product(sites, ["up"] * 6)
    exact = np.linalg.eigvalsh(dense.hamiltonian(H, sites))[:3]
    levels = search(noise=0.1, noise_sweeps=4).excited(H.mpo(sites), psi, n=3, averaged=True)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)


def test_two_sectors_and_an_interruption():
    model = Heisenberg(L=8)
    start = model.product(), model.product(["up"] * 2 + ["up", "down"] * 3)
    levels = search().excited(model.mpo(), start, n=2, averaged=True)
    exact = np.sort([exact_levels(model.operator_sum(), model.sites, (charge,), 2) for charge in (0, 2)], axis=None)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)
    part = search().excited(model.mpo(), start, 2, [StopAfter(9)], averaged=True)
    assert len(part) == 2
    assert part.status.name == "interrupted"
    assert np.isnan(part.variances).all()


def test_what_an_averaged_run_cannot_do_is_said():
    model = Heisenberg(L=8)
    H, psi = model.mpo(), model.product()
    with pytest.raises(StateError, match="raise chi_max"):
        search(chi=1).excited(H, psi, n=3, averaged=True)
    two = search().excited(H, psi, n=2)
    with pytest.raises(SettingsError, match="leave averaged out"):
        search().excited(H, psi, n=3, averaged=True, found=two)
    with pytest.raises(SettingsError, match="float32_sweeps"):
        search(float32_sweeps=1).excited(H, psi, n=3, averaged=True)
