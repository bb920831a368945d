"""Evolution by MPOs: fitted orders, long range, imaginary time, every device, and what is refused."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.devices import BACKENDS
from tests.suites.evolutions import chain, check_decay, check_place, check_refused, distance
from tnsim.errors import SettingsError
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
    check_place(by_mpos(order=3, dt=0.02), place, kind, L=4, chi=4, time=0.04, tolerance=2e-5)


def test_an_operator_that_decays_has_to_be_said():
    check_decay(by_mpos(), by_mpos(non_hermitian=True, dt=0.02, order=4), time=0.15, tolerance=1e-6)


def test_resumed_is_the_same():
    H, psi, _ = chain(4, chi=4)
    whole, half = (by_mpos(dt=0.05).run(H, psi, time=time) for time in (0.3, 0.15))
    again = by_mpos(dt=0.05).run(H, half.state, time=0.3, resume=half)
    assert distance(again.state, whole.state.to_dense()) < 1e-12 and again.history[-1].step == 6


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
    check_refused(by_mpos())
