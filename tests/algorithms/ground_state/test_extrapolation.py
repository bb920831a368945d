"""Extrapolated energies: lines with known answers, and chains with known energies."""

import numpy as np
import pytest

import tnsim as tn
from tnsim.errors import SettingsError, StateError
from tnsim.models import Heisenberg, TransverseIsing


def solutions(model, chis) -> list[tn.Solution]:
    H, psi = model.mpo(), model.product()
    result = []
    for chi in chis:
        result.append(tn.DMRG(truncation=tn.Truncation(chi_max=chi)).solve(H, psi))
        psi = result[-1].state
    return result


@pytest.fixture(scope="module")
def heisenberg() -> tuple[float, list[tn.Solution]]:
    model = Heisenberg(L=100)
    return model.facts.energy, solutions(model, (20, 24, 32, 40, 48))


@pytest.mark.parametrize("by", ["trunc_err", "variance"])
def test_the_bethe_energy_lies_inside_the_error_bar(heisenberg, by):
    exact, runs = heisenberg
    found = tn.extrapolate(runs, by=by)
    assert abs(found.energy - exact) < found.error
    # an honest bar is no excuse for a wide one
    best = runs[-1].energy - exact
    assert found.error < 0.5 * best
    assert abs(found.energy - exact) < 0.3 * best
    assert found.slope > 0


def test_reports_of_stages_give_the_line_of_the_solutions():
    model = TransverseIsing(L=40)
    stages = [tn.DMRG(truncation=tn.Truncation(chi_max=chi), max_sweeps=6, noise_sweeps=1) for chi in (4, 6, 8, 10)]
    history = tn.run_stages(stages, model.mpo(), model.product()).history
    assert len(history) > 4
    found = tn.extrapolate(history)
    assert len(found.x) == 4
    assert abs(found.energy - model.facts.energy) < found.error
    kept = {report.chi_max: report for report in history if report.noise == 0}.values()
    np.testing.assert_array_equal(found.energies, [report.energy for report in kept])


@pytest.mark.parametrize("by", ["trunc_err", "variance"])
def test_a_line_is_taken_to_its_end(by):
    x = np.array([3e-5, 1e-3, 2e-4, 7e-6])
    found = tn.extrapolate(list(zip(x, -44.125 + 3.5 * x, strict=True)), by=by)
    assert found.energy == pytest.approx(-44.125, abs=1e-13)
    assert found.slope == pytest.approx(3.5, rel=1e-9)
    assert found.x.tolist() == sorted(x, reverse=True)
    assert found.distance == pytest.approx(3.5 * 7e-6, rel=1e-6)
    assert found.error == pytest.approx(0.2 * found.distance, rel=1e-3)
    assert f"by {by}" in repr(found)


def test_the_error_bar_covers_lines_with_scatter():
    """Of relative scatter in x, known to the fit: about two of three lie within the standard error."""
    rng = np.random.default_rng(3)
    x = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 13.0]) * 1e-4
    inside_fit, inside = 0, 0
    for _ in range(400):
        found = tn.extrapolate(list(zip(x, -1 + x * (2 + 0.3 * rng.normal(size=len(x))), strict=True)))
        inside_fit += abs(found.energy + 1) < found.fit_error
        inside += abs(found.energy + 1) < found.error
    assert 0.55 < inside_fit / 400 < 0.72
    assert inside > inside_fit


def test_one_line_of_text_shows_the_digits_that_count():
    found = tn.extrapolate([(1e-4, -0.9998), (2e-4, -0.9996), (4e-4, -0.9992)])
    assert repr(found).startswith("Extrapolation(-1.000000 +- 4.0e-05 from 3 points by trunc_err")
    assert "\n" not in repr(found)


def test_points_that_make_no_line_are_refused(heisenberg):
    _, runs = heisenberg
    with pytest.raises(StateError, match=r"at least 3 points.*found 2 \(of 2\)"):
        tn.extrapolate(runs[:2])
    with pytest.raises(StateError, match=r"found 2 \(of 3\)"):
        tn.extrapolate([*runs[:2], runs[0]])
    with pytest.raises(StateError, match=r"found 0 \(of 0\)"):
        tn.extrapolate([])
    with pytest.raises(StateError, match="exact already"):
        tn.extrapolate([(0.0, -1.0), (1e-3, -0.9), (2e-3, -0.8)])
    with pytest.raises(StateError, match="not finite"):
        tn.extrapolate([(1e-3, np.nan), (2e-3, -0.9), (3e-3, -0.8)])
    with pytest.raises(StateError, match="no variance"):
        tn.extrapolate(runs[0].history, by="variance")
    with pytest.raises(StateError, match="found float"):
        tn.extrapolate([1.0, 2.0, 3.0])
    with pytest.raises(SettingsError, match='Did you mean "variance"'):
        tn.extrapolate(runs, by="varience")
