"""Where minimisations by gradient begin, how often, and what is said of those that lead nowhere."""

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.peps.minimizations import HEISENBERG, NARROW, OPTIMUM, SQUARE, Stop
from tnsim.algorithms.peps.ground_state import PEPSGroundState
from tnsim.algorithms.peps.variational.growing import lowest_known
from tnsim.algorithms.peps.variational.minimization import (
    Attempt,
    MinimizedState,
    certificate,
    certified,
)
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.variational.symmetric_environment import symmetrised
from tnsim.algorithms.peps.variational.symmetric_problem import SymmetricProblem
from tnsim.algorithms.peps.variational.symmetric_start import common_tensor
from tnsim.algorithms.peps.variational.symmetric_variational import half_turn
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.watched_run import RUNNING
from tnsim.errors import NumericalError, SettingsError
from tnsim.linalg import Truncation
from tnsim.linalg.lbfgs import LBFGS
from tnsim.linalg.truncation import wider_chi
from tnsim.models import Heisenberg, KitaevHoneycomb, Lattice, TransverseIsing
from tnsim.networks.peps import InfinitePEPS, PlaneTerms


def cooling(D):
    update = tn.SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=D), imaginary=True)
    return tn.Cooling(update=update, dts=(0.1, 0.03), tol=1e-4)


@pytest.mark.parametrize("D", [2, 3])
def test_bases_of_bonds_are_found(D):
    """A symmetric tensor on both sublattices, with any basis on each of the four bonds."""
    (tensor,) = InfinitePEPS.random(HEISENBERG.sites[:1], D, [[0]], seed=5).tensors
    site = symmetrised(tensor).to_dense()
    rng = np.random.default_rng(1)
    n, e, s, w = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(4))
    a = np.einsum("neswp,Nn,Ee,Ss,Ww->NESWp", site, n, e, s, w)
    b = np.einsum("neswp,Nn,Ee,Ss,Ww->NESWp", site, s, w, n, e)
    found = common_tensor(a, b)
    assert abs(np.linalg.norm(found) - 1) < 1e-8
    assert np.allclose(found, found.transpose(1, 2, 3, 0, 4)) and np.allclose(found, found.transpose(0, 3, 2, 1, 4))
    # what no basis changes: two neighbours, traced over all other bonds
    pair = [np.einsum("neswp,nEsep->Ew", x, x) for x in (site / np.linalg.norm(site), found)]
    assert abs(np.trace(pair[0]) - np.trace(pair[1])) < 1e-6


@pytest.mark.parametrize(
    ("model", "energy", "turned"),
    [(HEISENBERG, OPTIMUM, True), (TransverseIsing(lattice=SQUARE, conserve=None, h=2.0), -2.51130578, False)],
    ids=["heisenberg", "ising"],
)
def test_simple_update_leads_near_the_minimum(model, energy, turned):
    solver = tn.SymmetricVariationalPEPS(
        D=2, cooling=cooling(2), antiferromagnetic=turned, environment=tn.EnvironmentSettings(chi_max=16)
    )
    found = solver.solve(model)
    assert found.status.converged and abs(found.energy - energy) < 1e-8
    assert {report.D for report in found.history} == {2}
    assert found.history[0].energy - energy < 2e-3


def test_simple_update_is_the_start_of_cells_and_of_finite_lattices():
    rough = tn.MinimizationSettings(max_iterations=4)
    cell = tn.InfinitePEPS.product(HEISENBERG.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
    wide = tn.EnvironmentSettings(chi_max=8, tol=1e-8, svd_min=1e-4, gradient_tol=1e-4)
    found = tn.VariationalPEPS(D=2, cooling=cooling(2), environment=wide, minimization=rough).solve(HEISENBERG, cell)
    assert {report.D for report in found.history} == {2} and -0.6626 < found.energy < -0.659
    model = TransverseIsing(lattice=Lattice("square", 3, 3), h=2.0)
    terms = PlaneTerms.of(model)
    start = tn.PEPS.random(terms.sites, 1, seed=1)
    found = tn.VariationalPEPS(D=2, cooling=cooling(2), environment=NARROW, minimization=rough).solve(terms, start)
    # exact diagonalisation
    assert -19.794136334904 <= found.energy < -19.79


def test_the_lowest_of_several_starts_goes_on():
    solver = tn.SymmetricVariationalPEPS(D=2, attempts=3, compare_after=4, environment=NARROW)
    found = solver.solve(HEISENBERG)
    ends = {r.attempt: r for r in found.history if r.D == 2}
    assert set(ends) == {0, 1, 2, 3}
    assert [ends[n].iteration for n in range(3)] == [4, 4, 4]
    last = [r for r in found.history if (r.D, r.attempt) == (2, 3)]
    assert last[0].iteration == 5
    assert last[0].energy <= min(ends[n].energy for n in range(3))
    assert abs(found.energy - OPTIMUM) < 1e-7 and "from 4 starts at D = 2" in repr(found)


@pytest.mark.parametrize(
    ("D", "attempts", "expected"),
    [(1, 0, {0, 1, 2}), (2, 0, {0}), (1, 1, {0}), (2, 2, {0, 1})],
    ids=["new bonds", "all bonds given", "alone", "told"],
)
def test_starts_are_compared_where_bonds_are_new(D, attempts, expected):
    """The one that goes on has used up its iterations already, and has no report of its own."""
    once = tn.MinimizationSettings(max_iterations=1)
    start = InfinitePEPS.random(HEISENBERG.sites[:1], D, [[0]], seed=3)
    solver = tn.SymmetricVariationalPEPS(D=2, attempts=attempts, environment=NARROW, minimization=once)
    found = solver.solve(HEISENBERG, start)
    starts = {r.attempt: r.energy for r in found.history if r.D == 2}
    assert set(starts) == expected and len(set(starts.values())) == len(starts)
    assert found.optimizer.value == min(starts.values())


def test_wide_environments_come_at_the_end():
    """Iterations in an environment of 16, more of the same attempt in the one asked for."""
    wide = tn.EnvironmentSettings(chi_max=24, svd_min=1e-12)
    found = tn.SymmetricVariationalPEPS(D=2, attempts=1, compare_after=4, environment=wide).solve(HEISENBERG)
    first, last = ([r for r in found.history if (r.D, r.attempt) == (2, n)] for n in (0, 1))
    assert len(first) == 4 and last[0].iteration == 5
    assert max(r.chi for r in first) <= 16 < min(r.chi for r in last)
    assert found.status.converged and abs(found.energy - OPTIMUM) < 1e-8


@pytest.mark.parametrize("place", [(2, 1, 2), (2, 2, 6)], ids=["on trial", "afterwards"])
def test_several_starts_go_on_from_a_file(place, tmp_path):
    solver = tn.SymmetricVariationalPEPS(
        D=2, attempts=2, compare_after=4, environment=tn.EnvironmentSettings(chi_max=8)
    )
    whole = solver.solve(HEISENBERG)
    half = solver.solve(HEISENBERG, observers=[Stop(*place)])
    assert half.status.name == "interrupted"
    again = solver.solve(HEISENBERG, resume=tn.load(tn.save(tmp_path / "half.h5", half)))
    assert [r.energy for r in again.history] == [r.energy for r in whole.history]
    assert again.energy == whole.energy


def problem_of(site):
    terms = SymmetricTerms.of(PlaneTerms.infinite_of(HEISENBERG, [[0]]), half_turn(HEISENBERG.sites[0]))
    return SymmetricProblem(terms, site, HEISENBERG.sites[0], tn.EnvironmentSettings(chi_max=8))


@pytest.mark.parametrize("wild", [np.eye(2), np.full((2, 2), np.nan)], ids=["superposed", "no number"])
def test_a_wild_trial_leaves_no_environment_behind(wild):
    """Around a superposition of all up and all down corners have one state, and steps from there stay astray."""
    (tensor,) = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=2).tensors
    problem, far = problem_of(tensor), np.zeros((2,) * 5)
    for n in range(2):
        far[n, n, n, n] = wild[n]
    point = problem.point((tensor,))
    value, _ = problem(point)
    before = problem.last
    try:
        problem(far.ravel())
    except NumericalError:
        assert np.isnan(wild).any()
    assert problem.last is before
    tried = list(problem._tried)
    assert abs(problem(point * 1.1)[0] - value) < 1e-9
    # of all that was tried only the last one and the lowest can be where the minimisation goes
    assert len(problem._tried) == 1
    if not np.isnan(wild).any():
        astray = tried[0].environment
        problem.settle(point, astray)
        assert abs(problem(point * 1.1)[0] - value) > 1e-5
        # in doubt, the environment is made anew
        problem.settle(point, astray)
        assert abs(problem(point)[0] - value) < 1e-9 and problem.last is not astray


def test_a_minimum_of_another_environment_goes_on_in_this_one():
    start = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=0)
    found = [None, None]
    for n, chi in enumerate((3, 12)):
        wide = tn.EnvironmentSettings(chi_max=chi)
        solver = tn.SymmetricVariationalPEPS(D=2, environment=wide, restarts=0)
        found[n] = solver.solve(HEISENBERG, start, resume=found[0])
    narrow, wide = found
    assert narrow.optimizer.iteration < wide.optimizer.iteration and wide.status.converged
    assert wide.optimizer.value == pytest.approx(-0.6602310934799586, abs=1e-9)
    assert solver.solve(HEISENBERG, start, resume=wide).history == wide.history


class Told:
    """A problem whose energies in new environments are given."""

    def __init__(self, *energies):
        self.energies = energies

    def certified(self, point):
        return certificate(self.energies, (8, wider_chi(8)), (0.0,), 1e-9, -0.75)


@pytest.mark.parametrize(
    ("value", "energies", "said"),
    [
        (-0.6602, (-0.6602, -0.6602), ""),
        # bonds that are too small put energies too high: nothing is made use of
        (-0.6602, (-0.6602, -0.66021), ""),
        (-0.66024, (-0.6602, -0.6602), "makes use of an error of its environment"),
        (-0.6602, (-0.6602, -0.6604), "changes by -2.0e-04 from chi 8 to 12"),
        # below the published number, but not by more than its error
        (-0.669443, (-0.669443, -0.669443), ""),
        (-0.66945, (-0.66945, -0.66942), "below the known bound -0.6694433"),
        (-0.7501, (-0.7501, -0.7501), "below the exact bound -0.75"),
    ],
)
def test_energies_that_environments_make_too_low_are_flagged(value, energies, said):
    """What is known of the square lattice is a published number of Monte Carlo."""
    psi = InfinitePEPS.product(HEISENBERG.sites[:1], ["up"], [[0]])
    optimizer = LBFGS(np.ones(2), value, np.zeros(2))
    running = MinimizedState(psi, value, RUNNING, (), None, optimizer, None, Attempt(psi, 1, psi))
    known = lowest_known(HEISENBERG, PlaneTerms.infinite_of(HEISENBERG, [[0]]))
    found = certified(running, Told(*energies), tn.MinimizationSettings(), known)
    assert found.energy == energies[1] and found.status.converged == (not said)
    assert said in found.status.advice and bool(found.certificate.problems) == bool(said)


def test_what_no_energy_lies_below_counts_the_sites_of_a_place():
    """Three sites of the kagome lattice are one place; what is published of it is an extrapolation, no bound."""
    honeycomb, kagome = Lattice("honeycomb", 2, 2), Lattice("kagome", 2, 2)
    model = KitaevHoneycomb(lattice=honeycomb)
    exact = model.facts["bulk energy per site"].value
    for fused, sites in ((False, 1), (True, 2)):
        terms = PlaneTerms.infinite_of(model, [[0, 1], [1, 0]], fused=fused)
        assert lowest_known(model, terms) == pytest.approx(sites * exact, abs=1e-12)
    model = Heisenberg(lattice=honeycomb)
    found = lowest_known(model, PlaneTerms.infinite_of(model, [[0, 1], [1, 0]]))
    assert found == pytest.approx(-0.54515, abs=1e-9)  # less three errors
    model = Heisenberg(lattice=kagome)
    assert lowest_known(model, PlaneTerms.infinite_of(model, [[0]])) is None
    terms = PlaneTerms.infinite_of(HEISENBERG, [[0]])
    assert lowest_known(terms, terms) is None and lowest_known(terms, terms, -0.7) == -0.7


@pytest.mark.parametrize("given", ["model", "terms", "search"])
def test_what_no_energy_lies_below_is_known_of_terms_too(given):
    """A search is told the bound of its model and passes it on, as the command line does."""
    terms, bound = PlaneTerms.infinite_of(HEISENBERG, [[0]]), -0.65
    solver = tn.SymmetricVariationalPEPS(D=2, environment=NARROW, restarts=0)
    if given == "search":
        corners = CTMRG(truncation=Truncation(chi_max=8), symmetric=False, tol=1e-6)
        found = PEPSGroundState(preparation=solver, contraction=corners)
        cell = PlaneTerms.infinite_of(HEISENBERG, [[0, 1], [1, 0]])
        found = found.solve(cell, InfinitePEPS.random(HEISENBERG.sites[:1], 1, [[0]]), bound=bound).prepared
    else:
        found = solver.solve(HEISENBERG if given == "model" else terms, bound=bound)
    assert found.status.name == "not certified" and "below the known bound -0.65" in found.status.advice


def test_what_does_not_fit_is_refused():
    with pytest.raises(SettingsError, match="attempts, compare_after and restarts"):
        tn.SymmetricVariationalPEPS(D=2, attempts=-1, environment=NARROW)
    with pytest.raises(SettingsError, match="stall_tol and stall_slope"):
        tn.MinimizationSettings(stall_tol=-1.0)
    with pytest.raises(SettingsError, match="where nothing is conserved"):
        model = TransverseIsing(lattice=SQUARE, h=2.0, conserve="parity")
        start = InfinitePEPS.product(model.sites[:1], [model.sites[0].states[0]], [[0]])
        solver = tn.SymmetricVariationalPEPS(D=2, cooling=cooling(2), antiferromagnetic=False, environment=NARROW)
        solver.solve(model, start)
