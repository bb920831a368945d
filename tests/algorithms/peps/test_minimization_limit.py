"""Minimisations that make use of what their environment cuts end at the lowest energy that holds at 3/2 chi."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import tnsim as tn
from tnsim.algorithms.peps.ground_state import PEPSGroundState
from tnsim.algorithms.peps.variational.growing import _lower
from tnsim.algorithms.peps.variational.minimization import (
    Attempt,
    MinimizationReport,
    MinimizedState,
    Place,
    _looked,
    certificate,
    certified,
)
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.watched_run import RUNNING
from tnsim.errors import SettingsError
from tnsim.linalg import Truncation
from tnsim.linalg.lbfgs import LBFGS
from tnsim.models import Heisenberg, Lattice, TransverseIsing
from tnsim.networks.peps import InfinitePEPS, PlaneTerms

HEISENBERG = Heisenberg(lattice=Lattice("square", 2, 2), conserve=None)
# two states around a corner are too few: the energy with three is 5e-4 lower on the way than at the end
START = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=1)
LIMITS = tn.MinimizationSettings(check_every=4)


def search(chi=2, limits=LIMITS):
    environment = tn.EnvironmentSettings(chi_max=chi)
    return tn.SymmetricVariationalPEPS(D=2, environment=environment, restarts=0, minimization=limits)


@cache
def whole():
    return search().solve(HEISENBERG, START)


class Stop:
    """Stops a minimisation after so many iterations."""

    def __init__(self, after):
        self.after = after

    def step(self, report, run):
        if report.iteration == self.after:
            run.request_stop("enough")


def test_a_search_ends_at_the_lowest_energy_at_larger_chi():
    blind = search(limits=replace(LIMITS, check_every=0)).solve(HEISENBERG, START)
    assert all(report.energy_larger is None for report in blind.history)
    found = whole()
    seen = {r.iteration: r.energy_larger for r in found.history if r.energy_larger is not None}
    lowest = min(seen, key=seen.get)
    assert sorted(seen) == list(range(4, lowest + 9, 4)) and len(found.history) == lowest + 8
    assert found.optimizer.iteration == lowest and found.optimizer.value == found.history[lowest - 1].energy
    assert found.certificate.energy_larger < blind.certificate.energy_larger - 1e-4
    assert "This is the lowest energy that holds" in found.status.advice
    # steps before it were those of the search that did not look
    assert [r.energy for r in found.history] == [r.energy for r in blind.history[: len(found.history)]]


@pytest.mark.parametrize("after", [6, 8, 16])
def test_what_was_seen_is_kept_in_files(after, tmp_path):
    """Stopped before the lowest look, at it, and where the energy has risen for good."""
    half = search().solve(HEISENBERG, START, observers=[Stop(after)])
    assert half.status.name == "interrupted" and len(half.history) == after
    again = search().solve(HEISENBERG, resume=tn.load(tn.save(tmp_path / "half.h5", half)))
    assert [(r.energy, r.energy_larger) for r in again.history] == [
        (r.energy, r.energy_larger) for r in whole().history
    ]
    assert np.array_equal(again.optimizer.point, whole().optimizer.point)
    assert again.energy == whole().energy and again.status == whole().status


def test_the_lowest_one_goes_on_at_larger_chi():
    found = whole()
    same = search().solve(HEISENBERG, resume=found)
    assert same.history == found.history and same.energy == found.energy
    wide = search(12).solve(HEISENBERG, resume=found)
    assert wide.history[: len(found.history)] == found.history
    assert [r.iteration for r in wide.reports][0] == found.optimizer.iteration + 1
    assert not wide.reports[0].energy_larger and wide.reports[-1].energy_larger == pytest.approx(wide.energy, abs=1e-7)
    assert wide.reports[-1].energy <= wide.reports[0].energy


def test_looks_at_larger_chi_are_those_of_the_certificate():
    """Of one tensor, of a cell and of a finite lattice; the last iteration is looked at whatever its number."""
    few = tn.MinimizationSettings(max_iterations=3, check_every=2)
    wide = tn.EnvironmentSettings(chi_max=4, tol=1e-7, svd_min=1e-4, gradient_tol=1e-3)
    cell = InfinitePEPS.product(HEISENBERG.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    ising = PlaneTerms.of(TransverseIsing(lattice=Lattice("square", 3, 3), h=2.0))
    for found in (
        search(8, few).solve(HEISENBERG, InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=0)),
        tn.VariationalPEPS(D=2, noise=0.3, environment=wide, minimization=few).solve(HEISENBERG, cell),
        tn.VariationalPEPS(D=1, environment=wide, minimization=few).solve(
            ising, tn.PEPS.random(ising.sites, 1, seed=1)
        ),
    ):
        seen = [r for r in found.reports if r.energy_larger is not None]
        assert [r.iteration for r in found.reports] == [1, 2, 3] and [r.iteration for r in seen] == [2, 3]
        assert seen[-1].energy_larger == pytest.approx(found.certificate.energy_larger, abs=1e-6)


class Told:
    """A problem whose energies in new environments are given."""

    def certified(self, point):
        return certificate((-0.66021, -0.66022), (8, 12), (0.0,), 1e-9, -0.75)


@pytest.mark.parametrize("rise", [0.0, 5e-6, 2e-5])
def test_what_rose_is_said_with_advice(rise):
    """By more than energies of environments made anew may differ by."""
    psi = InfinitePEPS.product(HEISENBERG.sites[:1], ["up"], [[0]])
    optimizer = LBFGS(np.ones(2), -0.66021, np.zeros(2), iteration=20)
    report = MinimizationReport(
        iteration=20, D=1, energy=-0.66021, energy_change=-1e-3, slope=1e-3, chi=8, environment_steps=9,
        environment_change=0.0, evaluations=21, seconds=1.0, energy_larger=-0.66022,
    )  # fmt: skip
    after = replace(report, iteration=40, energy=-0.6603, energy_larger=-0.66022 + rise)
    attempt, place = Attempt(psi, 1, psi), Place(optimizer, None, -0.66022)
    running = MinimizedState(psi, -0.66021, RUNNING, (report, after), None, optimizer, None, attempt, place)
    found = certified(running, Told(), tn.MinimizationSettings())
    assert (found.status.name == "environment limit") == (rise > 1e-5) == (not found.status.converged)
    if rise > 1e-5:
        assert "after iteration 20 the energy rose in new environments of chi = 12" in found.status.advice
        assert "larger chi_max" in repr(found)


def test_a_search_that_went_back_does_not_go_on():
    """After one risen look, at its last iteration: with as many iterations as it had, or with more, but not unseen."""
    few = replace(LIMITS, max_iterations=12)
    found = search(limits=few).solve(HEISENBERG, START)
    assert found.optimizer.iteration == 8 and [r.iteration for r in found.history] == list(range(1, 13))
    for limits in (few, replace(few, max_iterations=30)):
        assert search(limits=limits).solve(HEISENBERG, resume=found).history == found.history
    unseen = search(limits=replace(few, check_every=0)).solve(HEISENBERG, resume=found)
    assert unseen.reports[-1].iteration == 12 and unseen.reports[-1].energy < found.optimizer.value


def test_what_was_stopped_goes_on_at_larger_chi():
    """Looks of the environment before do not count: here one that no energy of the other can reach."""
    half = search().solve(HEISENBERG, START, observers=[Stop(8)])
    half = replace(half, lowest=replace(half.lowest, energy_larger=-0.67))
    found = search(12).solve(HEISENBERG, resume=half)
    assert found.attempt.since == 8 and found.status.converged
    assert found.optimizer.value == pytest.approx(-0.6602310934799586, abs=1e-8)


def test_restarts_count_reports_of_their_environment_alone():
    strict = replace(LIMITS, stall_iterations=3, stall_tol=1.0, stall_slope=1e-9, slope_tol=1e-9, check_every=0)
    found = [None, None]
    for n, chi in enumerate((6, 8)):
        wide = tn.EnvironmentSettings(chi_max=chi)
        solver = tn.SymmetricVariationalPEPS(D=2, restarts=2, environment=wide, minimization=strict)
        found[n] = solver.solve(HEISENBERG, START, resume=found[0])
    count = len(found[0].history)
    again = [r.attempt for r in found[1].history[count:]]
    first = found[0].attempt.number
    assert sorted(set(again)) == list(range(first, 3)) and min(again.count(n) for n in set(again)) == 4


def test_of_several_ends_the_lowest_that_holds_counts():
    """Not the one that was minimised furthest: that makes use of its environment."""
    psi = InfinitePEPS.product(HEISENBERG.sites[:1], ["up"], [[0]])
    ends = []
    for value, larger in ((-0.66, -0.6601), (-0.69, -0.58)):
        optimizer = LBFGS(np.ones(2), value, np.zeros(2))
        place = Place(optimizer, None, larger)
        ends.append(MinimizedState(psi, value, RUNNING, (), None, optimizer, None, Attempt(psi, 1, psi), place))
    good, bad = ends
    assert _lower(good, bad).energy == _lower(bad, good).energy == -0.66
    assert _lower(replace(good, lowest=None), bad).energy == -0.69


@pytest.mark.parametrize("chi", [2, 12])
def test_a_whole_search_goes_on_with_another_environment(chi):
    """What the advice says, as the command line does it; with the same one it is measured again only."""
    corners = CTMRG(truncation=Truncation(chi_max=8), symmetric=False, tol=1e-6)
    cell = PlaneTerms.infinite_of(HEISENBERG, [[0, 1], [1, 0]])
    found = PEPSGroundState(preparation=search(), contraction=corners).solve(cell, START)
    assert found.prepared.status.name == "not certified" and "raise chi_max" in found.status.advice
    again = PEPSGroundState(preparation=search(chi), contraction=corners).solve(cell, START, resume=found).prepared
    assert (len(again.history) > len(found.prepared.history)) == (chi == 12) == again.status.converged


class Broken:
    """A problem whose environments of larger chi are what they are."""

    last = None

    def __init__(self, energy):
        self.energy = energy

    def energy_larger(self, point):
        return self.energy


@pytest.mark.parametrize("energy", [None, float("nan"), float("-inf")])
def test_looks_at_no_number_do_not_count(energy):
    optimizer = LBFGS(np.ones(2), -0.66, np.zeros(2))
    place = Place(optimizer, None, -0.66)
    assert _looked(Broken(energy), optimizer, place) == (None, place)
    wide, lower = _looked(Broken(-0.67), optimizer, place)
    assert wide == lower.energy_larger == -0.67 and _looked(Broken(-0.65), optimizer, place) == (-0.65, place)


def test_looks_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match="check_every is not negative, found -1"):
        tn.MinimizationSettings(check_every=-1)
