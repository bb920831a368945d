"""The energy variance against dense matrices, and its accuracy near an eigenstate."""

from importlib import import_module

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.suites.chains import PLACES, relative, tolerance
from tnsim.errors import ShapeError
from tnsim.measure.operator import expect_mpo, shifted
from tnsim.measure.variance import energy_and_variance

variance_module = import_module("tnsim.measure.variance")

on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)


def heisenberg(L: int) -> tn.OperatorSum:
    H = tn.OperatorSum()
    for i in range(L - 1):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
        H += 1.0, "Sz", i, "Sz", i + 1
    return H


@on_every_device
@pytest.mark.parametrize("conserve", ["Sz", None])
def test_variances_of_random_states(device, dtype, conserve):
    sites = tn.spin_sites(6, conserve=conserve)
    H = heisenberg(6)
    psi = (tn.MPS.random(sites, chi=6, seed=1, dtype=dtype) * 1.4).to(backend_or_skip(device))
    v, matrix = relative(psi), dense.hamiltonian(H, sites)
    energy = np.vdot(v, matrix @ v).real
    expected = np.linalg.norm(matrix @ v) ** 2 - energy**2
    found, spread = energy_and_variance(H.mpo(sites).to(psi.backend), psi)
    assert found == pytest.approx(energy, abs=50 * tolerance(dtype))
    assert spread == pytest.approx(expected, abs=200 * tolerance(dtype))


def test_large_offsets_do_not_drown_the_variance():
    """<H^2> is 6e9 here, the variance of order 1: a difference of squares would keep five digits."""
    sites, H = tn.spin_sites(8), heisenberg(8)
    psi = tn.MPS.random(sites, chi=8, seed=2)
    plain = tn.variance(H.mpo(sites), psi)
    for i in range(8):
        H += 1e4, "Id", i
    assert tn.variance(H.mpo(sites), psi) == pytest.approx(plain, rel=1e-9)


def test_eigenstates_have_none():
    sites = tn.spin_sites(6)
    matrix = dense.hamiltonian(heisenberg(6), sites).real
    inside = (dense.charges(sites) == 0).all(axis=1)
    values, vectors = np.linalg.eigh(matrix[np.ix_(inside, inside)])
    full = np.zeros(64)
    full[inside] = vectors[:, 0]
    energy, spread = energy_and_variance(heisenberg(6).mpo(sites), tn.MPS.from_dense(full, sites))
    assert energy == pytest.approx(values[0], abs=1e-12) and spread < 1e-13


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_shifted_operators(conserve):
    sites = tn.spin_sites(4, conserve=conserve)
    H = heisenberg(4).mpo(sites)
    for W in (H, H + H, H @ H, tn.MPO.identity(sites), 2.0 * tn.MPO.identity(sites), H + tn.MPO.identity(sites)):
        expected = W.to_dense() - 0.7 * np.eye(16)
        np.testing.assert_allclose(shifted(W, 0.7).to_dense(), expected, atol=1e-13)
    assert max(shifted(H, 0.7).bond_dimensions) == max(H.bond_dimensions)
    assert expect_mpo(tn.MPO.identity(sites), tn.MPS.random(sites, chi=4) * 3.0) == pytest.approx(1)


@on_every_device
def test_wide_operators_act_on_the_state_instead(device, dtype):
    """The norm of (H - E) |psi> where H^2 is the larger thing: the same number."""
    sites = tn.spin_sites(5, conserve=None)
    rng = np.random.default_rng(0)
    matrices = rng.standard_normal((40, 2, 2, 2))
    H = tn.OperatorSum()
    for k, (a, b) in enumerate(matrices):
        H += 1.0, a + a.T, k % 5, b + b.T, (k + 1 + k // 5 % 4) % 5
    psi = (tn.MPS.random(sites, chi=4, seed=3, dtype=dtype) * 1.3).to(backend_or_skip(device))
    W = H.mpo(sites).to(psi.backend)
    assert variance_module._square_size(W) > max(variance_module._product_sizes(W, psi))
    v, matrix = relative(psi), dense.hamiltonian(H, sites)
    energy = np.vdot(v, matrix @ v).real
    found, spread = energy_and_variance(W, psi)
    assert found == pytest.approx(energy, abs=500 * tolerance(dtype))
    assert spread == pytest.approx(np.linalg.norm(matrix @ v) ** 2 - energy**2, rel=500 * tolerance(dtype))


def test_a_variance_that_takes_too_much_memory_is_left_out(monkeypatch):
    monkeypatch.setattr(variance_module, "_LARGEST_SQUARE", 10)
    monkeypatch.setattr(variance_module, "_LARGEST_PRODUCT", 10)
    sites = tn.spin_sites(6)
    psi, H = tn.MPS.product(sites, ["up", "down"] * 3), heisenberg(6).mpo(sites)
    with pytest.raises(ShapeError, match="takes too much memory"):
        tn.variance(H, psi)
    result = tn.DMRG(truncation=tn.Truncation(chi_max=8)).solve(H, psi)
    assert result.variance is None and result.status.converged
    assert result.energy == pytest.approx(-2.4935771338879, abs=1e-10)
