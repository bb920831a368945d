"""Truncation by Schmidt values and variational fitting, against the best that dense vectors allow."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, all_on, random_state, tolerance, vector
from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.canonical import isometry_error
from tnsim.networks.compress import compress, compress_variational, fit
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import spin_sites


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


def distance(psi: MPS, other: MPS) -> float:
    """Squared distance over the squared norm of the second."""
    a, b = vector(psi), vector(other)
    return float((np.linalg.norm(a - b) / np.linalg.norm(b)) ** 2)


def test_sums_compress_back_exactly(chain):
    psi = random_state(chain, np.complex128)
    small, weight = compress(psi + 0.5 * psi, Truncation(chi_max=100, svd_min=1e-10))
    assert weight < 1e-20
    assert small.center == 0
    assert all(isometry_error(tensor, left=False) < 1e-12 for tensor in small.tensors[1:])
    assert max(small.bond_dimensions) <= max(psi.bond_dimensions)
    np.testing.assert_allclose(vector(small), 1.5 * vector(psi), atol=1e-10)


@on_every_device
@few_chains
def test_the_discarded_weight_bounds_the_error(chain, device, dtype):
    backend = backend_or_skip(device)
    psi = random_state(chain, dtype, chi=20).to(backend)
    small, weight = compress(psi, Truncation(chi_max=3))
    assert all_on(small, backend) and small.dtype == dtype
    assert max(small.bond_dimensions) == 3
    lost = distance(small, psi)
    assert 0 < lost <= weight * (1 + 1e-3)
    # what is kept is the projection: norms and distance are the sides of a right triangle
    assert (small.norm() / psi.norm()) ** 2 == pytest.approx(1 - lost, abs=10 * tolerance(dtype))


@on_every_device
@few_chains
def test_fitting_is_never_worse_and_knows_its_distance(chain, device, dtype):
    backend = backend_or_skip(device)
    psi = random_state(chain, dtype, chi=20).to(backend)
    plain, _ = compress(psi, Truncation(chi_max=3))
    fitted, lost = compress_variational(psi, Truncation(chi_max=3), max_sweeps=4)
    assert fitted.bond_dimensions == plain.bond_dimensions and all_on(fitted, backend)
    assert lost == pytest.approx(distance(fitted, psi), abs=20 * tolerance(dtype))
    assert lost <= distance(plain, psi) + 20 * tolerance(dtype)


def test_fitting_finds_the_best_state_at_one_cut():
    sites = spin_sites(4, conserve=None)
    target = MPS.random(sites, chi=4, seed=1)
    start = MPS.random(sites, chi=2, seed=2)
    values = np.linalg.svd(target.to_dense().reshape(4, 4), compute_uv=False)
    fitted, lost = fit(start, target, max_sweeps=60)
    assert lost == pytest.approx((values[2:] ** 2).sum(), abs=1e-8)
    assert distance(fitted, target) == pytest.approx(lost, abs=1e-10)


def test_an_operator_times_a_state_can_be_fitted():
    sites = spin_sites(6)
    H = OperatorSum()
    for i in range(5):
        H += 0.5, "S+", i, "S-", i + 1
        H += 0.5, "S-", i, "S+", i + 1
        H += 1.0, "Sz", i, "Sz", i + 1
    W, psi = H.mpo(sites), MPS.random(sites, chi=4, seed=0)
    fitted, lost = fit(MPS.random(sites, chi=20, seed=3), psi, W, max_sweeps=20)
    assert lost < 1e-12
    np.testing.assert_allclose(fitted.to_dense(), W.to_dense() @ psi.to_dense(), atol=1e-10)
    unchanged, lost = fit(psi, psi, MPO.identity(sites))
    assert lost < 1e-12 and abs(unchanged.norm() - 1) < 1e-12


def test_states_of_other_sectors_cannot_be_fitted():
    sites = spin_sites(4)
    with pytest.raises(ShapeError, match="cannot fit"):
        fit(MPS.random(sites, chi=2, charge=2), MPS.random(sites, chi=2, charge=0))


def test_a_number_is_no_truncation():
    psi = MPS.product(spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(SettingsError, match="Truncation\\(chi_max=64\\), found 8"):
        compress(psi, 8)
