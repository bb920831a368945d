"""MPOs applied to states, exactly and truncated, against dense vectors."""

import numpy as np
import pytest

from tests.exact.dense import hamiltonian
from tnsim.errors import LegError, OperatorError, SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.apply import apply
from tnsim.networks.canonical import isometry_error
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import spin_sites

METHODS = ["zip-up", "variational", "density-matrix", "svd", "src"]
SECTORS = [("Sz", 0.5, (2,)), ("parity", 0.5, (1,)), (None, 0.5, ()), ("Sz", 1, (-2,))]


def problem(conserve, S, charge, *, L=6, chi=6, dtype=np.float64):
    """A sum with its MPO, and a random state, as tensors and dense."""
    rng = np.random.default_rng(0)
    H = OperatorSum()
    for i in range(L):
        H += rng.normal(), "Sz", i
        for j in range(i + 1, L):
            H += plus_hc(rng.normal() + (0.3j if np.dtype(dtype).kind == "c" else 0.0), "S+", i, "S-", j)
    sites = spin_sites(L, S, conserve)
    psi = MPS.random(sites, chi=chi, charge=charge, seed=1, dtype=np.float64)
    return H.mpo(sites), psi, hamiltonian(H, sites) @ psi.to_dense()


@pytest.fixture(params=SECTORS, ids=str)
def sector(request):
    conserve, S, charge = request.param
    return problem(conserve, S, charge, L=6 if S == 0.5 else 4)


def vector(psi):
    return psi.backend.to_host(psi.to_dense())


def test_exact(sector):
    W, psi, expected = sector
    result = apply(W, psi)
    np.testing.assert_allclose(vector(result), expected, atol=1e-12)
    assert result.charge == psi.charge
    assert result.bond_dimensions == tuple(a * b for a, b in zip(W.bond_dimensions, psi.bond_dimensions, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_without_loss(sector, method):
    W, psi, expected = sector
    result = apply(W, psi, Truncation(chi_max=100, svd_min=1e-12), method=method)
    np.testing.assert_allclose(vector(result), expected, atol=1e-6 if method == "density-matrix" else 1e-11)
    assert max(result.bond_dimensions) <= (8 if len(psi.sites) == 6 else 9)
    assert result.center == 0
    assert all(isometry_error(tensor, left=False) < 1e-12 for tensor in result.tensors[1:])


@pytest.mark.parametrize("method", METHODS)
def test_truncation_is_nearly_optimal(sector, method):
    W, psi, expected = sector
    rule = Truncation(chi_max=4)
    result = apply(W, psi, rule, method=method)
    error = np.linalg.norm(vector(result) - expected)
    best = np.linalg.norm(vector(apply(W, psi, rule, method="svd")) - expected)
    assert max(result.bond_dimensions) <= 4
    assert error <= best * (2.0 if method == "zip-up" else 1.1)


def test_variational_is_the_best(sector):
    W, psi, expected = sector
    errors = {m: np.linalg.norm(vector(apply(W, psi, Truncation(chi_max=4), method=m)) - expected) for m in METHODS}
    assert errors["variational"] <= min(errors["zip-up"], errors["svd"]) * (1 + 1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [1, 2])
def test_short_chains(length, method):
    H = OperatorSum().add(2.0, "Sz", 0)
    if length == 2:
        H += plus_hc(0.7, "S+", 0, "S-", 1)
    sites = spin_sites(length)
    psi = MPS.random(sites, chi=2, charge=(length % 2,), seed=0)
    expected = hamiltonian(H, sites) @ psi.to_dense()
    np.testing.assert_allclose(
        vector(apply(H.mpo(sites), psi, Truncation(chi_max=4), method=method)), expected, atol=1e-7
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_zero_operator(method):
    sites = spin_sites(4)
    psi = MPS.product(sites, ["up", "down"] * 2)
    result = apply(OperatorSum().mpo(sites), psi, Truncation(chi_max=4), method=method)
    assert result.charge == psi.charge and result.norm() == 0


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("kind", [np.float64, np.complex64])
def test_on_every_backend(backend, kind, method):
    W, psi, expected = problem("Sz", 0.5, (0,), dtype=kind)
    W = W if np.dtype(kind).kind == "f" else W.astype(kind)
    psi = psi.astype(kind).to(backend)
    truncation = None if method is None else Truncation(chi_max=30)
    result = apply(W.to(backend), psi, truncation, method=method or "zip-up")
    assert result.backend is backend and result.dtype == kind
    tolerance = 1e-2 if kind == np.complex64 and method == "density-matrix" else 3e-5 if kind == np.complex64 else 1e-6
    np.testing.assert_allclose(vector(result), expected, atol=tolerance)


def test_a_complex_operator_on_a_real_state():
    sites = spin_sites(4)
    H = OperatorSum()
    for i in range(3):
        H += plus_hc(1j, "S+", i, "S-", i + 1)
    psi = MPS.random(sites, chi=4, charge=0, seed=3)
    expected = hamiltonian(H, sites) @ psi.to_dense()
    for method in METHODS:
        result = apply(H.mpo(sites), psi, Truncation(chi_max=20), method=method)
        assert result.dtype == np.complex128
        np.testing.assert_allclose(vector(result), expected, atol=1e-6)


def test_a_long_chain_keeps_its_norm():
    L = 60
    sites = spin_sites(L)
    H = OperatorSum()
    for i in range(L - 1):
        H += plus_hc(0.5, "S+", i, "S-", i + 1)
        H += 1.0, "Sz", i, "Sz", i + 1
    psi = MPS.product(sites, ["up", "down"] * (L // 2))
    # <H^2> of the Neel state: (L - 1)^2 / 16 + (L - 1) / 4
    for method in METHODS:
        result = apply(H.mpo(sites), psi, Truncation(chi_max=10), method=method)
        assert abs(result.norm() ** 2 - ((L - 1) ** 2 / 16 + (L - 1) / 4)) < 1e-8
        assert max(result.bond_dimensions) <= 3 + (method == "density-matrix")


def test_bad_input(sector):
    W, psi, _ = sector
    with pytest.raises(SettingsError, match='Did you mean "zip-up"'):
        apply(W, psi, Truncation(chi_max=4), method="zipup")
    with pytest.raises(ShapeError, match="sites"):
        apply(MPO.identity(spin_sites(psi.L + 1)), psi)
    with pytest.raises(LegError, match="make both from the same sites"):
        apply(MPO.identity(spin_sites(psi.L, S=1.5)), psi)
    with pytest.raises(OperatorError, match=r"H\.mpo\(sites\)"):
        apply(psi, W)
