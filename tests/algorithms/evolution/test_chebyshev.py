"""Spectral functions by Chebyshev moments: free fermions, exact diagonalisation, kernels, and what is refused."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import BACKENDS, backend_or_skip
from tests.networks.test_evolution_mpo import random_sum
from tests.suites.evolutions import chain
from tnsim.algorithms.evolution.chebyshev import KERNELS, kernel_weights
from tnsim.errors import LegError, NumericalError, OperatorError, SettingsError, StateError


def exact_moments(matrix: np.ndarray, vector: np.ndarray, found: tn.SpectralFunction) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    weights = np.abs(vectors.conj().T @ vector) ** 2
    angles = np.arccos(np.clip((values - found.center) / found.scale, -1, 1))  # but for rounding
    return np.array([weights @ np.cos(n * angles) for n in range(len(found.moments))])


def chebyshev(**settings) -> tn.Chebyshev:
    return tn.Chebyshev(**{"truncation": tn.Truncation(chi_max=16, svd_min=1e-12), "count": 60, **settings})


@pytest.mark.parametrize(("conserve", "apply"), [("Sz", "zip-up"), (None, "svd")])
def test_moments_and_kernels(conserve, apply):
    H, psi, matrix = chain(6, conserve=conserve, chi=4)
    psi = psi * 1.5
    found = chebyshev(apply=apply).run(H, psi, energy=0.3)
    np.testing.assert_allclose(found.moments, exact_moments(matrix, psi.to_dense(), found), atol=1e-8)
    assert found.moments[0] == pytest.approx(2.25) and abs(found.moments).max() <= 2.25 * (1 + 1e-9)
    w, dw = np.linspace(-40, 40, 80001, retstep=True)
    for kernel in KERNELS:
        assert found(w, kernel).sum() * dw == pytest.approx(2.25, rel=5e-3)
        mean = found.scale * kernel_weights(60, kernel)[1] * found.moments[1] + (found.center - 0.3) * 2.25
        assert (w * found(w, kernel)).sum() * dw == pytest.approx(mean, abs=0.02 * found.scale)
    assert found(w).min() > -1e-9  # the kernel of Jackson is positive
    assert found(np.array([1e3])).tolist() == [0.0]


def test_the_local_spectrum_of_the_xx_chain_is_that_of_free_fermions():
    L, site = 10, 5
    H = tn.OperatorSum()
    for i in range(L - 1):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
    sites = tn.spin_sites(L)
    ground = tn.DMRG(truncation=tn.Truncation(chi_max=32)).solve(
        H.mpo(sites), tn.MPS.product(sites, ["up", "down"] * 5)
    )
    psi = tn.apply(tn.OperatorSum().add(1.0, "Sz", site).mpo(sites), ground.state, tn.Truncation(chi_max=32))
    found = chebyshev(count=80, truncation=tn.Truncation(chi_max=28)).run(H.mpo(sites), psi, energy=ground.energy)
    energies, orbitals = np.linalg.eigh((np.eye(L, k=1) + np.eye(L, k=-1)) / 2)
    # Sz_i = n_i - 1/2 makes one particle and one hole
    weights = np.abs(np.outer(orbitals[site, 5:], orbitals[site, :5])) ** 2
    gaps = energies[5:, None] - energies[None, :5]
    angles = np.arccos((gaps + ground.energy - found.center) / found.scale)
    exact = np.array([(weights * np.cos(n * angles)).sum() for n in range(80)])
    np.testing.assert_allclose(found.moments, exact, atol=2e-4)
    assert found.moments[0] == pytest.approx(0.25) and found.chi == 28 and 0 < found.sum_trunc_err < 1e-3
    narrow = found(gaps.min() + np.array([0.0, -4 * found.resolution]))
    assert narrow[1] < 1e-2 * narrow[0]


def test_a_momentum_is_an_operator_with_phases():
    L, sites = 6, tn.spin_sites(6)
    H, Sk = random_sum(L), tn.OperatorSum()
    for i in range(L):
        Sk += np.exp(0.5j * i), "S+", i
    ground = tn.DMRG(truncation=tn.Truncation(chi_max=16)).solve(
        H.mpo(sites), tn.MPS.product(sites, ["up", "down"] * 3)
    )
    free = tn.spin_sites(L, conserve=None)
    image = tn.apply(Sk.mpo(free), tn.MPS.from_dense(ground.state.to_dense(), free))
    found = chebyshev(count=30).run(H.mpo(free), image, energy=ground.energy)
    np.testing.assert_allclose(
        found.moments, exact_moments(H.mpo(free).to_dense(), image.to_dense(), found), atol=1e-8 * found.moments[0]
    )


def test_given_bounds_are_taken_and_checked():
    H, psi, matrix = chain(5, chi=4)
    values = np.linalg.eigvalsh(matrix)
    found = chebyshev().run(H, psi, energy=0.0, bounds=(values[0], values[-1]))
    assert found.scale == pytest.approx((values[-1] - values[0]) / 2)
    np.testing.assert_allclose(found.moments, exact_moments(matrix, psi.to_dense(), found), atol=1e-8)
    with pytest.raises(NumericalError, match="wider bounds"):
        chebyshev().run(H, psi, energy=0.0, bounds=(values[0] / 3, values[-1] / 3))
    for bounds in ((1.0, 1.0), (2.0, -2.0), (0.0, np.nan)):
        with pytest.raises(SettingsError, match="bounds"):
            chebyshev().run(H, psi, energy=0.0, bounds=bounds)


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("kind", ["complex64", "float64"])
def test_every_backend_and_precision(place, kind):
    if place == "cuda-host" and kind == "complex64":
        pytest.skip("one precision is enough where kernels are compiled for the test")
    backend = backend_or_skip(place)
    sites, H = tn.spin_sites(4), tn.OperatorSum()
    for i in range(3):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
    psi = tn.MPS.random(sites, chi=4, charge=0, seed=0, dtype=kind, backend=backend)
    bounds = (-1.5, 1.5)
    found = chebyshev(count=20).run(H.mpo(sites).to(backend), psi, energy=0.0, bounds=bounds)
    exact = exact_moments(H.mpo(sites).to_dense(), backend.to_host(psi.to_dense()), found)
    np.testing.assert_allclose(found.moments, exact, atol=1e-4 if kind == "complex64" else 1e-9)


@pytest.mark.parametrize("L", [1, 2])
def test_short_chains(L):
    H, psi, matrix = chain(L, conserve=None, chi=2)
    found = chebyshev(count=11).run(H, psi, energy=0.0)
    np.testing.assert_allclose(found.moments, exact_moments(matrix, psi.to_dense(), found), atol=1e-9)


def test_bad_input():
    H, psi, _ = chain(4)
    with pytest.raises(SettingsError, match="at least 2 moments"):
        chebyshev(count=1)
    with pytest.raises(SettingsError, match='Did you mean "jackson"'):
        kernel_weights(4, "jakson")
    with pytest.raises(OperatorError, match=r"H\.mpo\(sites\)"):
        chebyshev().run(random_sum(4), psi, energy=0.0)
    with pytest.raises(OperatorError, match="Hermitian"):
        chebyshev().run(tn.OperatorSum().add(1j, "Sz", 0).mpo(psi.sites), psi, energy=0.0)
    with pytest.raises(LegError, match="make both from the same sites"):
        chebyshev().run(H, psi.without_symmetry(), energy=0.0)
    with pytest.raises(StateError, match="not zero"):
        chebyshev().run(H, psi * 0.0, energy=0.0)


def test_energies_bounds_and_frequencies_that_are_none():
    H, psi, _ = chain(4)
    found = chebyshev(count=4).run(H, psi, energy=0.0, bounds=(-8.0, 8.0))
    for energy in ("low", None, 1j, float("inf"), [1.0]):
        with pytest.raises(SettingsError, match="energy must be"):
            chebyshev().run(H, psi, energy=energy)
    for bounds in (3.0, (1.0, 2.0, 3.0), (2.0, 1.0), ("a", "b"), (-1j, 1.0), (float("nan"), 1.0)):
        with pytest.raises(SettingsError, match="bounds "):
            chebyshev().run(H, psi, energy=0.0, bounds=bounds)
    for frequencies in ("all", [float("nan")], 1j, None):
        with pytest.raises(SettingsError, match="frequencies must be real and finite"):
            found(frequencies)
