"""What stalls is started again, what crawls ends, and both go on from results."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.peps.minimizations import HEISENBERG, NARROW, Stop
from tnsim.algorithms.peps.variational.minimization import (
    Attempt,
    MinimizationReport,
    MinimizedState,
    certificate,
)
from tnsim.algorithms.watched_run import RUNNING
from tnsim.linalg.lbfgs import LBFGS
from tnsim.networks.peps import InfinitePEPS


def test_what_stalls_is_started_again_and_told():
    """A test that no minimisation passes: every start is given up while the gradient is large."""
    strict = tn.MinimizationSettings(stall_iterations=3, stall_tol=1.0, stall_slope=1e-9, slope_tol=1e-9)
    solver = tn.SymmetricVariationalPEPS(D=2, restarts=2, environment=NARROW, minimization=strict)
    found = solver.solve(HEISENBERG, InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1))
    assert [r.attempt for r in found.history] == [0] * 4 + [1] * 4 + [2] * 4
    # of any start: whether its end is certified as well is another question
    status = strict.judge(found, replace(found.certificate, problems=()))
    assert strict.stalled(found) and not found.status.converged
    assert status.name == "stalled" and "in 3 iterations, but the gradient" in status.advice
    assert found.optimizer.value == min(r.energy for r in found.history if r.iteration == 4)
    once = tn.SymmetricVariationalPEPS(D=2, attempts=1, restarts=0, environment=NARROW, minimization=strict)
    assert {r.attempt for r in once.solve(HEISENBERG).history} == {0}


def stalls(restarts=2, compare_after=2):
    """Searches that stall after six iterations while the energy still falls: noise puts restarts above that."""
    early = tn.MinimizationSettings(stall_iterations=5, stall_tol=1.0, stall_slope=1e-9, slope_tol=1e-9)
    return tn.SymmetricVariationalPEPS(
        D=2, noise=1.0, restarts=restarts, compare_after=compare_after, environment=NARROW, minimization=early
    )


def test_restarts_that_do_not_come_below_what_stalled_are_given_up():
    start = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1)
    found, once = stalls().solve(HEISENBERG, start), stalls(restarts=0).solve(HEISENBERG, start)
    assert [(r.attempt, r.iteration) for r in found.history] == [(0, n + 1) for n in range(6)] + [
        (1, 1), (1, 2), (2, 1), (2, 2)
    ]  # fmt: skip
    assert min(r.energy for r in found.history if r.attempt) > once.optimizer.value
    # what stalled is the end, with its status, and without what it was compared with
    assert np.array_equal(found.optimizer.point, once.optimizer.point)
    assert found.status == once.status and found.status.name == "stalled" and found.energy == once.energy
    assert found.attempt.best is None
    patient = stalls(compare_after=6).solve(HEISENBERG, start)
    assert [r.iteration for r in patient.history if r.attempt == 1] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("after", [1, 2])
def test_restarts_are_given_up_as_soon_after_a_pause(after, tmp_path):
    """Before their last iteration, and at it."""
    start = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1)
    whole = stalls().solve(HEISENBERG, start)
    half = stalls().solve(HEISENBERG, start, observers=[Stop(2, 1, after)])
    again = stalls().solve(HEISENBERG, resume=tn.load(tn.save(tmp_path / "half.h5", half)))
    assert [r.energy for r in again.history] == [r.energy for r in whole.history]
    assert again.energy == whole.energy and again.status == whole.status


def test_restarts_of_a_resumed_result_are_as_long_as_others():
    """Reports of restarts that were given up before are not theirs."""
    start = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1)
    first = stalls().solve(HEISENBERG, start)
    strict = replace(stalls(), minimization=replace(stalls().minimization, stall_tol=1e-3))
    again = strict.solve(HEISENBERG, start, resume=first)
    assert again.status.name == "stalled" and again.optimizer.iteration > first.optimizer.iteration
    later = [(r.attempt, r.iteration) for r in again.history[len(first.history) :]]
    assert [step for step in later if step[0]] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_restart_below_the_last_bond_dimension_goes_on_from_its_file(tmp_path):
    """In an environment that is narrower than the one of the end."""
    early = tn.MinimizationSettings(stall_iterations=2, stall_tol=1.0, stall_slope=1e-9, slope_tol=1e-9)
    start = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1)
    wide = tn.EnvironmentSettings(chi_max=20)
    solver = tn.SymmetricVariationalPEPS(
        D=3, noise=1.0, compare_after=3, attempts=1, restarts=1, environment=wide, minimization=early
    )
    whole = solver.solve(HEISENBERG, start)
    assert [r.iteration for r in whole.history if (r.D, r.attempt) == (2, 1)] == [1, 2, 3]
    half = solver.solve(HEISENBERG, start, observers=[Stop(2, 1, 2)])
    assert half.attempt.chi == 16
    again = solver.solve(HEISENBERG, start, resume=tn.load(tn.save(tmp_path / "half.h5", half)))
    assert [(r.D, r.attempt, r.energy) for r in again.history] == [(r.D, r.attempt, r.energy) for r in whole.history]


def test_a_restart_stopped_and_resumed_in_another_environment_goes_on_from_the_lowest():
    start = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1)
    half = stalls().solve(HEISENBERG, start, observers=[Stop(2, 1, 1)])
    wide = replace(stalls(), environment=tn.EnvironmentSettings(chi_max=18), minimization=tn.MinimizationSettings())
    found = wide.solve(HEISENBERG, start, resume=half)
    before, after = half.attempt.best.optimizer, found.history[len(half.history)]
    assert half.attempt.number == 1 and after.iteration == before.iteration + 1
    assert found.attempt.chi == 18 and found.certificate.chi == 18 and found.energy < before.value


def crawling(slopes, energies):
    psi = InfinitePEPS.product(HEISENBERG.sites[:1], ["up"], [[0]])
    reports = tuple(
        MinimizationReport(
            iteration=n + 1, D=1, energy=energy, energy_change=0.0 if n == 0 else energy - energies[n - 1], slope=slope,
            chi=8, environment_steps=1, environment_change=0.0, evaluations=n, seconds=0.0,
        )
        for n, (slope, energy) in enumerate(zip(slopes, energies, strict=True))
    )  # fmt: skip
    optimizer = LBFGS(np.ones(2), energies[-1], np.array([slopes[-1], 0.0]), iteration=len(slopes))
    return MinimizedState(psi, energies[-1], RUNNING, reports, None, optimizer, None, Attempt(psi, 1, psi))


@pytest.mark.parametrize(
    ("slopes", "rise", "stuck", "over", "name"),
    [
        # one peak of the gradient, and one valley
        ([5e-5] * 24 + [2e-4], 0.0, False, True, "converged"),
        ([1e-2] * 14 + [9e-5] + [1e-2] * 10, 0.0, False, True, "stalled"),
        ([1e-2] * 14 + [9e-5] + [1e-2] * 10, 0.0, True, True, "stalled"),
        # a new environment at the end, in which the energy is another
        ([9e-5] * 24 + [1e-2], 1e-4, False, False, ""),
    ],
)
def test_what_crawls_is_converged_where_the_gradient_is_mostly_small(slopes, rise, stuck, over, name):
    energies = [-0.66 - 1e-8 * n for n in range(25)]
    energies[-1] += rise
    found, settings = crawling(slopes, energies), tn.MinimizationSettings(check_every=0)
    found = replace(found, optimizer=replace(found.optimizer, stuck=stuck))
    if stuck:
        quiet = [replace(r, energy_change=0.0) for r in found.history]
        found = replace(found, history=tuple(quiet))
    assert settings.is_over(found) == over
    if over:
        made = certificate((-0.66, -0.66), (8, 12), (0.0,), 1e-9, -0.75)
        status = settings.judge(found, made)
        assert status.name == name and status.converged == (name == "converged")
        assert settings.stalled(found) == (name == "stalled")
        assert name == "stalled" or "fell by less than 3.0e-07 in 20 iterations" in status.advice
