"""Evolution in Krylov spaces of whole states: exact answers, shorter steps, cuts, every device, and what is refused."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.devices import BACKENDS
from tests.suites.evolutions import chain, check_decay, check_place, check_refused, distance
from tnsim.errors import SettingsError

ALL = tn.Truncation(chi_max=8, svd_min=1e-13)


def krylov(**settings) -> tn.KrylovEvolution:
    return tn.KrylovEvolution(**{"dt": 0.3, "truncation": ALL, **settings})


@pytest.mark.parametrize("conserve", ["Sz", None])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
def test_the_error_is_the_tolerance(conserve, tolerance):
    H, psi, matrix = chain(6, conserve=conserve, chi=3)
    start = (psi * 1.5).to_dense()
    real = krylov(krylov_tol=tolerance).run(H, psi * 1.5, time=0.6)
    assert distance(real.state, expm(-0.6j * matrix) @ start) < 5 * tolerance
    assert real.status.converged and abs(real.history[-1].energy_drift) < tolerance
    imaginary = krylov(krylov_tol=tolerance, imaginary=True).run(H, psi, time=0.3)
    exact = expm(-0.3 * matrix) @ psi.to_dense()
    assert distance(imaginary.state, exact / np.linalg.norm(exact)) < 10 * tolerance
    assert imaginary.history[-1].log_norm == pytest.approx(np.log(np.linalg.norm(exact)), abs=10 * tolerance)


def test_a_small_space_takes_shorter_steps_and_time_goes_back():
    H, psi, matrix = chain(5, chi=4)
    settings = krylov(dt=0.5, krylov_max=5, krylov_tol=1e-6)
    evolved = settings.run(H, psi, time=0.5)
    assert distance(evolved.state, expm(-0.5j * matrix) @ psi.to_dense()) < 1e-5
    back = settings.run(H, evolved.state, time=-0.5)
    assert distance(back.state, psi.to_dense()) < 2e-5


def test_cuts_are_reported_and_set_the_error():
    H, psi, matrix = chain(6, chi=4)
    evolved = krylov(dt=0.1, truncation=tn.Truncation(chi_max=5)).run(H, psi, time=0.1)
    error = distance(evolved.state, expm(-0.1j * matrix) @ psi.to_dense())
    assert evolved.history[-1].chi == 5
    assert evolved.sum_trunc_err > 0.1 * error**2 > 1e-9


def test_an_eigenstate_turns_its_phase_only():
    sites = tn.spin_sites(4)
    H = tn.OperatorSum().add(0.7, "Sz", 1).add(1.0, "Sz", 0, "Sz", 3)
    psi = tn.MPS.product(sites, ["up", "up", "down", "down"])
    evolved = krylov(dt=1.0).run(H.mpo(sites), psi, time=2.0)
    assert tn.overlap(psi, evolved.state) == pytest.approx(np.exp(-2j * (0.35 - 0.25)), abs=1e-12)


def test_an_operator_that_is_not_hermitian_needs_to_be_said():
    check_decay(krylov(), krylov(non_hermitian=True), time=0.3, tolerance=1e-6)


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_every_backend_and_precision(place, kind):
    if place == "cuda-host":
        pytest.skip("its kernels are slow to compile, and those of products of states are tested with other schemes")
    check_place(krylov(krylov_tol=1e-5, dt=0.1), place, kind, L=4, chi=2, time=0.1, tolerance=1e-4)


@pytest.mark.parametrize("L", [1, 2])
def test_short_chains(L):
    H, psi, matrix = chain(L, conserve=None, chi=2)
    evolved = krylov().run(H, psi, time=0.5)
    assert distance(evolved.state, expm(-0.5j * matrix) @ psi.to_dense()) < 1e-7


def test_bad_input():
    for settings in ({"krylov_tol": 0.0}, {"krylov_max": 1}):
        with pytest.raises(SettingsError, match="krylov_max is at least 2"):
            krylov(**settings)
    with pytest.raises(SettingsError, match='Did you mean "zip-up"'):
        krylov(apply="zipup")
    check_refused(krylov())
