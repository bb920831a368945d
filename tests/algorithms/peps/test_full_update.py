"""Full update: energies of known states, lower than simple update, and what it does with bad environments."""

import numpy as np
import pytest

from tests.algorithms.peps.test_simple_update import infinite
from tnsim.algorithms.peps.cooling import Cooling
from tnsim.algorithms.peps.corner_metric import CornerMetric
from tnsim.algorithms.peps.full_update import FullUpdate
from tnsim.algorithms.peps.simple_update import SimpleUpdate
from tnsim.errors import SettingsError
from tnsim.linalg import Truncation
from tnsim.tensor import contract, eye


def cooled(D, conserve="Sz"):
    terms, psi = infinite(conserve)
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=D, svd_min=1e-10), imaginary=True)
    return terms, Cooling(update=update, dts=(0.1, 0.03, 0.01)).solve(terms, psi).state


def full(D, chi, **changes):
    settings = {"dt": 0.05, "truncation": Truncation(chi_max=D), "environment": Truncation(chi_max=chi)}
    return FullUpdate(**(settings | {"imaginary": True} | changes))


@pytest.mark.parametrize("conserve", [None, "Sz"])
def test_it_measures_and_improves_simple_update(conserve):
    """Simple update at D = 2: -0.65923 (a NumPy program), -0.6594 (P. Corboz, Phys. Rev. B 94, 035133 (2016))."""
    terms, state = cooled(2, conserve)
    found = full(2, 12, every=10).run(terms, state, time=1.0)
    energies = [report.energy for report in found.history]
    assert energies[0] == pytest.approx(-0.65923, abs=5e-5)
    assert energies[-1] < energies[0] - 2e-4 and np.all(np.diff(energies) < 0)
    assert energies[-1] > -0.66024  # the optimum at D = 2, -0.66023109
    assert found.history[-1].clipped < 1e-6 and found.status.converged
    again = full(2, 24, projector="full").propagator(terms, found.state).energy(0.0)
    assert again == pytest.approx(energies[-1], abs=2e-5)


def test_a_bad_environment_stops_the_run(monkeypatch):
    terms, state = cooled(2)
    exact = CornerMetric.metric

    def bent(self, frame):
        metric = exact(self, frame)
        a, b = (eye(leg) for leg in metric.legs[:2])
        return metric - contract("a c, b d -> a b c d", a, b) * (0.1 * metric.norm())

    monkeypatch.setattr(CornerMetric, "metric", bent)
    found = full(2, 12).run(terms, state, time=1.0)
    assert found.status.name == "environment not positive" and "raise chi_max" in found.status.advice
    assert found.history[-1].clipped > 0.05 and found.history[-1].time < 1.0


def test_settings_are_checked():
    with pytest.raises(SettingsError, match="env_steps"):
        full(2, 12, env_steps=0)
    with pytest.raises(SettingsError, match="projector"):
        full(2, 12, projector="quarter")
    with pytest.raises(SettingsError, match="step_tol"):
        full(2, 12, step_tol=1e-3)


def test_on_the_device():
    terms, state = cooled(2)
    update = full(2, 6, env_tol=1e-3)
    expected = update.run(terms, state, time=0.05)
    found = update.run(terms, state.to("strict"), time=0.05)
    assert found.state.backend.name == "strict" and found.energy == pytest.approx(expected.energy, abs=1e-8)
