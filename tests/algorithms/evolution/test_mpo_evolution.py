"""Evolution by MPOs: fitted orders, long range, imaginary time, every device, and what is refused."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.algorithms.evolution.test_tdvp import chain, distance
from tests.devices import BACKENDS, backend_or_skip
from tests.exact.dense import hamiltonian
from tests.networks.test_evolution_mpo import random_sum
from tnsim.errors import LegError, OperatorError, SettingsError, StateError
from tnsim.models import HaldaneShastry, Heisenberg

ALL = tn.Truncation(chi_max=16, svd_min=1e-13)


def by_mpos(**settings) -> tn.MPOEvolution:
    return tn.MPOEvolution(**{"dt": 0.1, "truncation": ALL, **settings})


@pytest.mark.parametrize(("order", "method"), [(1, "W-II"), (2, "W-I"), (2, "W-II"), (3, "W-II"), (4, "W-II")])
def test_order_on_the_haldane_shastry_chain(order, method):
    model, errors = HaldaneShastry(L=8), []
    H, psi = model.mpo(), model.product() * 1.3
    exact = expm(-0.5j * H.to_dense()) @ psi.to_dense()
    for steps in (5, 10):
        evolved = by_mpos(dt=0.5 / steps, order=order, method=method).run(H, psi, time=0.5)
        errors.append(distance(evolved.state, exact))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)
    drift = evolved.history[-1].norm_drift
    assert abs(drift) < errors[1] and evolved.state.norm() == pytest.approx(1.3 * (1 + drift), rel=1e-10)


@pytest.mark.parametrize("apply", ["zip-up", "variational", "density-matrix"])
def test_ways_to_apply(apply):
    H, psi, matrix = chain(6, chi=2)
    cut = tn.Truncation(chi_max=8, svd_min=1e-7)
    evolved = by_mpos(dt=0.01, order=4, truncation=cut, apply=apply, every=10).run(H, psi, time=0.1)
    assert distance(evolved.state, expm(-0.1j * matrix) @ psi.to_dense()) < (
        1e-5 if apply == "density-matrix" else 1e-6
    )
    small = by_mpos(dt=0.05, truncation=tn.Truncation(chi_max=4), apply=apply).run(H, psi, time=0.1)
    assert small.sum_trunc_err > 1e-6 and small.history[-1].chi == 4


@pytest.mark.parametrize("order", [1, 2])
def test_imaginary_time_leads_near_the_ground_state(order):
    model = Heisenberg(L=8)
    evolved = by_mpos(imaginary=True, dt=0.2, order=order, every=25).run(model.mpo(), model.product(), time=15)
    assert 0 < evolved.energy - model.facts.energy < 1e-4
    assert evolved.state.norm() == pytest.approx(1) and evolved.state.dtype.kind == ("f" if order == 1 else "c")


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_every_backend_and_precision(place, kind):
    if place == "cuda-host" and kind == "complex64":
        pytest.skip("one precision is enough where kernels are compiled for the test")
    backend = backend_or_skip(place)
    H, psi, matrix = chain(4, chi=4, dtype=kind, backend=backend)
    evolved = by_mpos(order=3, dt=0.02).run(H.to(backend), psi, time=0.04)
    assert evolved.state.dtype == kind and evolved.state.backend is backend
    assert distance(evolved.state, expm(-0.04j * matrix) @ backend.to_host(psi.to_dense())) < 2e-5


def test_resumed_is_the_same_and_an_operator_may_decay():
    sites, H = tn.spin_sites(4), random_sum(4)
    for i in range(4):
        H += -0.3j * (i + 1), "Sz", i
    psi = tn.MPS.random(sites, chi=4, charge=0, seed=0, dtype=complex)
    with pytest.raises(OperatorError, match="non_hermitian=True"):
        by_mpos().run(H.mpo(sites), psi, time=0.1)
    settings = by_mpos(non_hermitian=True, dt=0.02, order=4)
    half = settings.run(H.mpo(sites), psi, time=0.1)
    whole = settings.run(H.mpo(sites), half.state, time=0.15, resume=half)
    assert distance(whole.state, expm(-0.15j * hamiltonian(H, sites)) @ psi.to_dense()) < 1e-6
    assert whole.energy is None and whole.history[-1].step == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 5}, r"orders \(1, 2, 3, 4\), found 5"),
        ({"method": "WII"}, 'Did you mean "W-II"'),
        ({"apply": "zipup"}, 'Did you mean "zip-up"'),
        ({"dt": float("nan")}, "dt must be positive"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(SettingsError, match=message):
        by_mpos(**settings)


def test_bad_input():
    H, psi, _ = chain(4)
    with pytest.raises(OperatorError, match=r"H\.mpo\(sites\)"):
        by_mpos().run(random_sum(4), psi, time=0.1)
    with pytest.raises(LegError, match="make both from the same sites"):
        by_mpos().run(H, psi.without_symmetry(), time=0.1)
    with pytest.raises(StateError, match="not zero"):
        by_mpos().run(H, psi * 0.0, time=0.1)
