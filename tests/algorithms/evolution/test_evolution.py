"""The loop that all time evolutions share, driven by a propagator whose answers are known."""

from dataclasses import dataclass

import numpy as np
import pytest

import tnsim as tn
from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.errors import NumericalError, OperatorError, SettingsError, StateError
from tnsim.models import Heisenberg

CUT = tn.Truncation(chi_max=4)


@dataclass
class Clockwork:
    """A state that counts: every unit of time discards a weight and adds to the energy."""

    weight: float = 0.0
    drift: float = 0.0
    conserves: bool = True
    clock: float = 0.0

    def __post_init__(self) -> None:
        self.calls: list[tuple[float, float, int]] = []
        self.bond_dimensions = (1, 3, 1)

    @property
    def state(self):
        return self

    def advance(self, time, dt, steps):
        self.calls.append((time, dt, steps))
        self.clock += dt * steps
        return self.weight * abs(dt) * steps, np.log1p(-self.weight * abs(dt) * steps) / 2

    def energy(self, time):
        return 1.0 + self.drift * abs(time)

    def entropy(self):
        return abs(self.clock)


class Ticking(Evolution):
    def propagator(self, H, psi):
        return psi


def ticking(**settings) -> Ticking:
    return Ticking(**{"dt": 0.1, "truncation": CUT, **settings})


def test_times_and_records():
    clockwork = Clockwork()
    evolved = ticking().run(
        None, clockwork, time=0.35, observe={"clock": lambda psi: psi.clock, "row": lambda _: [1, 2]}
    )
    np.testing.assert_array_equal(evolved.times, [0.0, 0.1, 0.2, 0.1 * 3, 0.35])
    np.testing.assert_allclose(evolved["clock"], evolved.times, atol=1e-15)
    assert evolved["row"].shape == (5, 2) and evolved.status.converged and evolved.energy == 1.0
    assert [dt for _, dt, _ in clockwork.calls] == pytest.approx([0.1, 0.1, 0.1, 0.05])
    assert "Evolved(finished): time = 0.35 after 4 steps" in repr(evolved)
    with pytest.raises(StateError, match="nothing was recorded as 'Sz'"):
        evolved["Sz"]


def test_backwards_and_reports_every_few_steps():
    clockwork = Clockwork()
    evolved = ticking(every=4).run(None, clockwork, time=-1.0)
    assert [steps for *_, steps in clockwork.calls] == [4, 4, 2]
    assert evolved.times[-1] == pytest.approx(-1.0) and evolved.history[-1].step == 10


def test_resumed_evolution_has_the_same_history():
    observe = {"clock": lambda psi: psi.clock}
    whole = ticking().run(None, Clockwork(weight=1e-3), time=1.0, observe=observe)
    clockwork = Clockwork(weight=1e-3)
    half = ticking().run(None, clockwork, time=0.5, observe=observe)
    again = ticking().run(None, clockwork, time=1.0, observe=observe, resume=half)
    np.testing.assert_array_equal(again.times, whole.times)
    np.testing.assert_array_equal(again["clock"], whole["clock"])
    assert again.sum_trunc_err == whole.sum_trunc_err == pytest.approx(1e-3)
    assert again.history[-1].norm_drift == pytest.approx(-5e-4, rel=1e-3)
    with pytest.raises(SettingsError, match="goes on with the same records"):
        ticking().run(None, clockwork, time=2.0, resume=half)


@pytest.mark.parametrize(
    ("settings", "clockwork", "name", "advice"),
    [
        ({"norm_budget": 0.0125}, Clockwork(weight=0.1), "norm budget spent", "raise chi_max = 4"),
        ({"energy_budget": 0.025}, Clockwork(drift=0.1), "energy budget spent", "lower dt = 0.1"),
        ({}, Clockwork(weight=0.1), "finished, heavily truncated", "raise chi_max = 4"),
    ],
)
def test_budgets(settings, clockwork, name, advice):
    evolved = ticking(**settings).run(None, clockwork, time=1.0)
    assert evolved.status.name == name and advice in evolved.status.advice and not evolved.status.converged
    assert evolved.times[-1] == pytest.approx(0.3 if settings else 1.0) and advice in repr(evolved)


def test_an_energy_that_is_not_conserved_has_no_drift():
    evolved = ticking(energy_budget=0.01).run(None, Clockwork(drift=0.1, conserves=False), time=1.0)
    assert (
        evolved.status.converged and evolved.history[-1].energy_drift is None and evolved.energy == pytest.approx(1.1)
    )


class Stopper:
    def step(self, report, run):
        if report.step == 2:
            run.request_stop("enough")


def test_observers_may_stop():
    evolved = ticking().run(None, Clockwork(), time=1.0, observers=[Stopper()])
    assert evolved.status.name == "interrupted" and evolved.times[-1] == pytest.approx(0.2)


def test_a_run_that_has_not_begun():
    so_far = ticking().start(None, Clockwork(), time=1.0).so_far()
    assert so_far.status.name == "not started" and "call steps()" in repr(so_far)


def test_steps_can_be_left_early():
    reports = ticking().steps(None, Clockwork(), time=1.0)
    assert [next(reports).step for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dt": 0.0}, "dt must be positive"),
        ({"dt": float("nan")}, "dt must be positive"),
        ({"dt": -0.1}, "a negative `time` goes backwards"),
        ({"every": 0}, "every must be at least 1"),
        ({"norm_budget": 0.0}, "norm_budget must be positive"),
        ({"energy_budget": float("nan")}, "energy_budget must be positive"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(SettingsError, match=message):
        ticking(**settings)


def test_bad_times():
    with pytest.raises(SettingsError, match="not negative in imaginary time, found -1"):
        ticking(imaginary=True).run(None, Clockwork(), time=-1.0)
    with pytest.raises(SettingsError, match="time must be finite"):
        ticking().run(None, Clockwork(), time=float("inf"))


def test_nan_is_noticed():
    with pytest.raises(NumericalError, match="no longer finite at time 0.1"):
        ticking().run(None, Clockwork(weight=float("nan")), time=1.0)


def test_time_cannot_be_turned_back_in_imaginary_time():
    cold = ticking(imaginary=True).run(None, Clockwork(), time=0.5)
    with pytest.raises(SettingsError, match="0.5 is reached, found time = 0.2"):
        ticking(imaginary=True).run(None, Clockwork(), time=0.2, resume=cold)
    assert len(ticking(imaginary=True).run(None, Clockwork(), time=0.5, resume=cold).times) == len(cold.times)


def test_what_is_no_time_and_no_function():
    for time in ("1", 1j, None):
        with pytest.raises(SettingsError, match="time must be finite, found"):
            ticking().run(None, Clockwork(), time=time)
    with pytest.raises(SettingsError, match="observed as 'Sz' must be a function of the state, found 3"):
        ticking().run(None, Clockwork(), time=1.0, observe={"Sz": 3})
    with pytest.raises(SettingsError, match="observe takes functions of the state by name, .* found .<built-in"):
        ticking().run(None, Clockwork(), time=1.0, observe=[len])
    with pytest.raises(SettingsError, match="resume takes what `run` returned .* found 'run.h5'"):
        ticking().run(None, Clockwork(), time=1.0, resume="run.h5")


@pytest.mark.parametrize("scheme", [tn.TDVP, tn.MPOEvolution, tn.KrylovEvolution])
def test_decay_that_was_added_to_a_hermitian_operator_has_to_be_said(scheme):
    chain = Heisenberg(L=4)
    decay = tn.OperatorSum().add(1.0, "Sz", 0).mpo(chain.sites) * -0.1j
    for H in (decay, chain.mpo() + decay, chain.mpo() - decay):
        with pytest.raises(OperatorError, match="not equal to its adjoint"):
            scheme(dt=0.1, truncation=CUT).run(H, chain.product("neel"), time=0.1)


@pytest.mark.parametrize("scheme", [tn.TEBD, tn.TDVP, tn.KrylovEvolution])
def test_a_step_far_too_long_is_named(scheme):
    chain = Heisenberg(L=4)
    H = chain.operator_sum() if scheme is tn.TEBD else chain.mpo()
    with np.errstate(all="ignore"), pytest.raises(NumericalError, match="overflow"):
        scheme(dt=1e3, truncation=CUT, imaginary=True).run(H, chain.product("neel"), time=2e3)


def test_figure():
    pytest.importorskip("matplotlib")
    evolved = ticking().run(
        None, Clockwork(weight=1e-6, drift=1e-3), time=1.0,
        observe={"clock": lambda psi: psi.clock, "row": lambda psi: np.arange(3.0), "echo": lambda psi: 1j},
    )  # fmt: skip
    errors, entropy, clock, row = evolved.plot().axes[:4]
    assert [axis.get_title() for axis in (errors, clock, row)] == ["errors", "clock", "row"]
    np.testing.assert_allclose(entropy.get_lines()[0].get_ydata(), evolved.times, atol=1e-12)
    drift = {line.get_label(): line.get_ydata() for line in errors.get_lines()}["energy drift"]
    np.testing.assert_allclose(drift, 1e-3 * evolved.times[1:], rtol=1e-6)
