"""Time steps and bonds that follow an error budget, against exact states of eight sites."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.exact.dense import hamiltonian
from tnsim.algorithms.evolution.adaptive_steps import distance
from tnsim.errors import SettingsError
from tnsim.measure.transfer_spectrum import infidelity
from tnsim.models import XXZ, Heisenberg
from tnsim.networks.operator_sum import OperatorSum

CHAIN = XXZ(L=8, delta=0.5)
CUT = tn.Truncation(chi_max=16, svd_min=1e-13)
TIME = 1.5


def error_of(evolved, *, imaginary: bool = False) -> float:
    """Distance from the exact state, both of norm 1."""
    start = CHAIN.product("neel")
    exact = expm((-1.0 if imaginary else -1j) * TIME * CHAIN.mpo().to_dense()) @ start.to_dense()
    return float(np.linalg.norm(evolved.state.to_dense() / evolved.state.norm() - exact / np.linalg.norm(exact)))


@pytest.mark.parametrize(
    ("scheme", "settings", "tolerance"),
    [
        (tn.TEBD, {"order": 2}, 1e-4),
        (tn.TEBD, {"order": 4}, 1e-6),
        (tn.TEBD, {"order": 4, "imaginary": True}, 1e-6),
        (tn.MPOEvolution, {"order": 2, "apply": "svd"}, 1e-3),
    ],
)
def test_the_error_is_within_the_budget_and_not_far_below(scheme, settings, tolerance):
    H = CHAIN.operator_sum() if scheme is tn.TEBD else CHAIN.mpo()
    adaptive = scheme(dt=0.5, truncation=CUT, step_tol=tolerance, **settings)
    evolved = adaptive.run(H, CHAIN.product("neel"), time=TIME)
    last = evolved.history[-1]
    assert evolved.status.converged and last.time == TIME and len(evolved.history) == 4
    assert 0 < last.dt < 0.5 and last.sum_step_err <= tolerance * TIME
    error = error_of(evolved, imaginary=settings.get("imaginary", False))
    assert 0.02 * tolerance * TIME < error < tolerance * TIME
    assert "steps          error of" in repr(evolved)


def test_the_splitting_of_sweeps_is_within_the_budget():
    """With all states kept sweeps are exact: at a small bond dimension, against far shorter steps with the same."""
    cut, tolerance = tn.Truncation(chi_max=6), 5e-5
    start = tn.TDVP(dt=0.02, truncation=cut).run(CHAIN.mpo(), CHAIN.product("neel"), time=1.0).state
    fine = tn.TDVP(dt=0.02, truncation=cut, scheme="one-site").run(CHAIN.mpo(), start, time=TIME)
    adaptive = tn.TDVP(dt=0.5, truncation=cut, scheme="one-site", step_tol=tolerance)
    evolved = adaptive.run(CHAIN.mpo(), start, time=TIME)
    assert 0.02 * tolerance * TIME < distance(evolved.state, fine.state) < tolerance * TIME
    assert max(report.dt for report in evolved.history[1:]) < 0.5 and abs(evolved.history[-1].energy_drift) < 1e-9


@pytest.mark.parametrize("order", [2, 4])
def test_steps_scale_with_the_root_of_the_order(order):
    lengths = []
    loose = {2: 1e-3, 4: 1e-7}[order]
    for tolerance in (loose, loose / 4**order):
        adaptive = tn.TEBD(dt=1.0, truncation=CUT, order=order, step_tol=tolerance)
        lengths.append(adaptive.run(CHAIN.operator_sum(), CHAIN.product("neel"), time=TIME).history[-1].dt)
    assert lengths[0] / lengths[1] == pytest.approx(4, rel=0.25)


def test_cuts_do_not_shorten_steps():
    """With few states kept, the distance of both ways is that of the cuts, which shorter steps would only add to."""
    adaptive = tn.TEBD(dt=0.2, truncation=tn.Truncation(chi_max=3), order=4, step_tol=1e-4)
    evolved = adaptive.run(CHAIN.operator_sum(), CHAIN.product("neel"), time=1.4)
    assert evolved.sum_trunc_err > 1e-3 and {report.dt for report in evolved.history} == {0.2}


def test_a_pulse_shortens_steps_and_lets_them_grow_again():
    sites = tn.spin_sites(4, conserve=None)

    def pulsed(time):
        H = OperatorSum()
        for i in range(3):
            H += 0.3, "Sz", i, "Sz", i + 1
        for i in range(4):
            H += 0.3 + 6 * np.exp(-(((time - 1) / 0.1) ** 2)), "Sx", i
        return H

    adaptive = tn.TEBD(dt=0.5, truncation=CUT, order=2, step_tol=1e-4)
    psi = tn.MPS.product(sites, ["up"] * 4)
    evolved = adaptive.run(pulsed, psi, time=2.5)
    lengths = {report.time: report.dt for report in evolved.history}
    assert lengths[0.5] > 4 * lengths[1.0] and lengths[2.5] > 4 * lengths[1.0]
    still, at_peak = (hamiltonian(pulsed(time), sites) for time in (-9.0, 1.0))
    exact, dt = psi.to_dense(), 2e-3  # of the midpoint rule, which is off by 3e-7
    for time in np.arange(0, 2.5, dt) + dt / 2:
        exact = expm(-1j * dt * (still + np.exp(-(((time - 1) / 0.1) ** 2)) * (at_peak - still))) @ exact
    assert np.linalg.norm(evolved.state.to_dense() - exact) < 4e-4


@pytest.mark.parametrize("scheme", [tn.TEBD, tn.TDVP])
def test_resume_gives_the_same_numbers_also_from_a_file(scheme, tmp_path):
    H = CHAIN.operator_sum() if scheme is tn.TEBD else CHAIN.mpo()
    adaptive = scheme(dt=0.3, truncation=tn.Truncation(chi_max=16, trunc_err=1e-12), step_tol=1e-4)
    whole = adaptive.run(H, CHAIN.product("neel"), time=1.2)
    tn.save(tmp_path / "half.h5", adaptive.run(H, CHAIN.product("neel"), time=0.6))
    half = tn.load(tmp_path / "half.h5")
    again = adaptive.run(H, half.state, time=1.2, resume=half)
    for one, other in zip(again.history, whole.history, strict=True):
        assert one.dt == pytest.approx(other.dt, rel=1e-6) and one.energy == pytest.approx(other.energy, abs=1e-12)
        assert one.sum_step_err == pytest.approx(other.sum_step_err, rel=1e-3) and one.chi == other.chi
    assert distance(again.state, whole.state) < 1e-10


def test_bonds_follow_the_budget_of_cuts():
    """trunc_err lets chi grow with the entanglement; the summed weight stays within cuts times what one may lose."""
    errors = {}
    for allowed in (1e-6, 1e-9):
        cut = tn.Truncation(chi_max=16, svd_min=0.0, trunc_err=allowed)
        evolved = tn.TEBD(dt=0.1, truncation=cut, order=2).run(CHAIN.operator_sum(), CHAIN.product("neel"), time=TIME)
        bonds = [report.chi for report in evolved.history]
        assert bonds == sorted(bonds) and bonds[0] == 1 and evolved.sum_trunc_err < allowed * 15 * 11
        errors[allowed] = bonds[-1], evolved.sum_trunc_err
    assert errors[1e-6][0] < errors[1e-9][0] and errors[1e-6][1] > 10 * errors[1e-9][1] > 0


def test_steps_below_the_least_end_the_run_with_what_was_reached():
    adaptive = tn.TEBD(dt=0.2, truncation=CUT, order=1, step_tol=1e-8, dt_min=1e-3)
    evolved = adaptive.run(CHAIN.operator_sum(), CHAIN.product("neel"), time=TIME)
    assert evolved.status.name == "time step too small" and not evolved.status.converged
    assert "raise step_tol or the order" in evolved.status.advice
    assert evolved.times[-1] < 0.01 and evolved.state.norm() == pytest.approx(1)


def test_infinite_states_adapt_too():
    model = Heisenberg(L=2)
    results = []
    for settings in ({"dt": 0.2, "step_tol": 1e-3}, {"dt": 0.01}):
        run = tn.TEBD(truncation=tn.Truncation(chi_max=24), order=2, **settings)
        results.append(run.run(model.infinite_sum(), model.infinite_product("neel"), time=0.6))
    assert 0 < results[0].history[-1].dt < 0.2
    assert abs(tn.expect(results[0].state, "Sz", 0) - tn.expect(results[1].state, "Sz", 0)) < 1e-3


@pytest.mark.parametrize("angle", [0.3, 1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("cell", [1, 2])
def test_distances_of_infinite_states_are_seen_below_rounding(angle, cell):
    """Spins that are turned by an angle: 1 - cos(angle / 2)^cell, also through bonds that are larger than needed."""
    sites = tn.spin_sites(cell, conserve=None)
    turned = [np.cos(angle / 2), np.sin(angle / 2)]
    states = [tn.InfiniteMPS.product(sites, [vector] * cell) for vector in ([1.0, 0.0], turned)]
    expected = -np.expm1(cell * np.log1p(-2 * np.sin(angle / 4) ** 2))
    assert infidelity(*states) == pytest.approx(expected, rel=1e-5)
    assert distance(*states) == pytest.approx((2 * expected) ** 0.5, rel=1e-5)
    assert infidelity(states[0], states[0]) < 1e-30


def test_infinite_states_adapt_to_small_tolerances():
    """Far below the root of rounding, with every state kept, against steps a tenth as long."""
    model, cut, states = Heisenberg(L=2), tn.Truncation(chi_max=64, svd_min=1e-13), []
    for settings in ({"dt": 0.1, "step_tol": 1e-9}, {"dt": 0.0025}):
        run = tn.TEBD(truncation=cut, order=4, split="svd", every=1000, **settings)
        states.append(run.run(model.infinite_sum(), model.infinite_product("neel"), time=0.2))
    assert states[0].status.converged and 0 < states[0].history[-1].dt < 0.1
    assert distance(states[0].state, states[1].state) < 2e-9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_tol": -1.0}, "step_tol lies between 0"),
        ({"step_tol": float("nan")}, "step_tol lies between 0"),
        ({"step_tol": 1e-3, "dt_min": 0.0}, "dt_min lies between 0 and dt = 0.1"),
        ({"step_tol": 1e-3, "dt_min": 1.0}, "dt_min lies between 0 and dt = 0.1"),
        ({"norm_budget": 0.0}, "norm_budget must be positive"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(SettingsError, match=message):
        tn.TEBD(dt=0.1, truncation=CUT, **settings)
    with pytest.raises(SettingsError, match="its error is krylov_tol"):
        tn.KrylovEvolution(dt=0.1, truncation=CUT, step_tol=1e-3)


def test_a_norm_that_leaves_its_budget_ends_the_run():
    """W-I is not unitary: its norm drifts although nothing is cut."""
    evolution = tn.MPOEvolution(dt=0.2, truncation=CUT, order=1, method="W-I", norm_budget=0.05)
    evolved = evolution.run(CHAIN.mpo(), CHAIN.product("neel"), time=TIME)
    assert evolved.status.name == "norm budget spent" and "raise the order" in evolved.status.advice
    assert abs(evolved.history[-1].norm_drift) > 0.05 and evolved.times[-1] < TIME
