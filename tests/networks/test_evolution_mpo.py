"""MPOs of exp(z H) against matrix exponentials: exact blocks, fitted orders, long range, fermions, every device."""

import numpy as np
import pytest
from scipy.linalg import expm

from tests.exact.dense import hamiltonian
from tnsim.errors import OperatorError, SettingsError
from tnsim.linalg import Truncation
from tnsim.models import HaldaneShastry
from tnsim.networks.apply import apply, apply_with_weight
from tnsim.networks.evolution_mpo import METHODS, ORDERS, complex_steps, evolution_mpos
from tnsim.networks.jordan_form import jordan_sites
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import electron_site, fermion_site, spin_sites


def random_sum(L: int, *, ladder: tuple[str, str] = ("S+", "S-"), local: str = "Sz", seed: int = 0) -> OperatorSum:
    """A complex sum over all pairs that conserves its charge."""
    rng = np.random.default_rng(seed)
    H = OperatorSum()
    for i in range(L):
        H += rng.normal(), local, i
        for j in range(i + 1, L):
            H += plus_hc(complex(*rng.normal(size=2)) / 2, ladder[0], i, ladder[1], j)
            H += rng.normal(), local, i, local, j
    return H


SUMS = {
    "spins": (random_sum(5), spin_sites(5)),
    "no symmetry": (random_sum(5).add(0.7, "Sx", 2), spin_sites(5, conserve=None)),
    "spin 1": (random_sum(4), spin_sites(4, S=1)),
    "fermions": (random_sum(5, ladder=("Cdag", "C"), local="N"), [fermion_site()] * 5),
    "electrons": (random_sum(3, ladder=("Cdag_up", "C_up"), local="Sz"), [electron_site(conserve="N,Sz")] * 3),
}


def product_of(mpos: tuple[MPO, ...]) -> np.ndarray:
    result = np.eye(1)
    for W in mpos:
        result = W.to_dense() @ (result if len(result) > 1 else np.eye(len(W.to_dense())))
    return result


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_blocks_give_the_operator_back(name, compressed):
    H, sites = SUMS[name]
    W = H.mpo(sites)
    W = W.compress(Truncation(chi_max=100, svd_min=1e-13)) if compressed else W
    # W-I to first order in z is 1 + z H, exactly
    z = 1e-6
    (first,) = evolution_mpos(W, z, order=1, method="W-I")
    found = (first.to_dense() - np.eye(len(first.to_dense()))) / z
    np.testing.assert_allclose(found, hamiltonian(H, sites), atol=1e-3 * np.abs(hamiltonian(H, sites)).max())
    assert all(len(site.left) == dim - 1 for site, dim in zip(jordan_sites(W), first.bond_dimensions, strict=False))


@pytest.mark.parametrize("name", SUMS)
def test_the_error_of_the_second_kind_is_of_second_order_per_step(name):
    H, sites = SUMS[name]
    exact, errors = hamiltonian(H, sites), []
    for z in (-0.02j, -0.01j):
        errors.append(np.linalg.norm(product_of(evolution_mpos(H.mpo(sites), z, order=1)) - expm(z * exact), 2))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("z", [-1.0j, -1.0])
def test_orders(order, method, z):
    H, sites = SUMS["spins"]
    W, exact, errors = H.mpo(sites), hamiltonian(H, sites), []
    steps = (0.04, 0.02)
    for dt in steps:
        errors.append(
            np.linalg.norm(product_of(evolution_mpos(W, z * dt, order=order, method=method)) - expm(z * dt * exact), 2)
        )
    # one step: the local error is of one order more
    assert np.log2(errors[0] / errors[1]) - 1 == pytest.approx(order, abs=0.15)


def test_steps_of_every_order_add_up():
    for order in ORDERS:
        steps = complex_steps(order)
        assert sum(steps) == pytest.approx(1) and len(steps) == 2 ** (order - 1)
        if order > 1:
            assert abs(sum(np.array(steps) ** 2)) < 1e-15


def test_terms_that_do_not_meet_are_exact():
    H, sites = OperatorSum(), spin_sites(6)
    for i in (0, 2, 4):
        H += plus_hc(0.7 + 0.2j, "S+", i, "S-", i + 1)
    for i in range(6):
        H += 0.3 * i, "Sz", i
    H_local = OperatorSum()
    for i in range(6):
        H_local += 0.3 * i - 1, "Sz", i
    z = -0.4j
    np.testing.assert_allclose(
        product_of(evolution_mpos(H_local.mpo(sites), z, order=1)), expm(z * hamiltonian(H_local, sites)), atol=1e-13
    )
    # the second kind keeps products of terms that share a site, and so is better on a chain of pairs
    exact = expm(z * hamiltonian(H, sites))
    errors = [np.linalg.norm(product_of(evolution_mpos(H.mpo(sites), z, order=1, method=m)) - exact) for m in METHODS]
    assert errors[1] < 0.7 * errors[0]


def test_haldane_shastry_is_evolved_as_exactly_as_the_step_allows():
    model = HaldaneShastry(L=8)
    H, psi = model.mpo(), MPS.product(model.sites, ["up", "down"] * 4).astype(complex)
    exact = expm(-0.5j * H.to_dense()) @ psi.to_dense()
    errors = []
    for steps in (5, 10):
        state = psi
        for W in evolution_mpos(H, -0.5j / steps) * steps:
            state = apply(W, state, Truncation(chi_max=16, svd_min=1e-12))
        errors.append(np.linalg.norm(state.to_dense() - exact))
        assert state.charge == psi.charge
    assert errors[1] < 2e-3 and np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("L", [1, 2])
def test_short_chains(L):
    H, sites = random_sum(L).add(0.5, "Id", 0), spin_sites(L)
    found = product_of(evolution_mpos(H.mpo(sites), -0.01j, order=4))
    np.testing.assert_allclose(found, expm(-0.01j * hamiltonian(H, sites)), atol=1e-11)


@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_on_every_backend(backend, kind):
    H, sites = SUMS["spins"] if kind == np.complex64 else (OperatorSum().add(0.7, "Sz", 0, "Sz", 3), spin_sites(5))
    (W,) = evolution_mpos(H.mpo(sites).astype(kind).to(backend), -0.1, order=1)
    assert W.backend is backend and W.dtype == kind
    psi = MPS.random(sites, chi=4, charge=(1,), seed=0, dtype=kind, backend=backend)
    found = apply(W, psi, Truncation(chi_max=30))
    dense = backend.to_host(W.to_dense()) @ backend.to_host(psi.to_dense())
    np.testing.assert_allclose(backend.to_host(found.to_dense()), dense, atol=1e-5)


@pytest.mark.parametrize("method", ["zip-up", "variational", "density-matrix", "svd"])
def test_the_discarded_weight_is_the_squared_distance(method):
    H, sites = SUMS["spins"]
    (W,) = evolution_mpos(H.mpo(sites), -0.3j, order=1)
    psi = MPS.random(sites, chi=4, charge=(1,), seed=0)
    exact = apply(W, psi).to_dense()
    state, weight = apply_with_weight(W, psi, Truncation(chi_max=2), method)
    distance = (np.linalg.norm(state.to_dense() - exact) / np.linalg.norm(exact)) ** 2
    assert weight > 1e-3 and 0.3 * distance < weight < 3 * distance


def test_bad_input():
    H, sites = SUMS["spins"]
    W = H.mpo(sites)
    for order in (0, 5, 2.5):
        with pytest.raises(SettingsError, match="orders"):
            evolution_mpos(W, -0.1j, order=order)
    with pytest.raises(SettingsError, match='Did you mean "W-II"'):
        evolution_mpos(W, -0.1j, method="WII")
    for factor in (0, np.nan):
        with pytest.raises(SettingsError, match="finite and not zero"):
            evolution_mpos(W, factor)
    with pytest.raises(OperatorError, match=r"H\.mpo\(sites\)"):
        evolution_mpos(H, -0.1j)
