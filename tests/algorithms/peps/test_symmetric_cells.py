"""Cells that begin at the minimum over one symmetric tensor."""

import numpy as np
import pytest

import tnsim as tn
from tests.command_line import call
from tnsim.algorithms.peps.variational.cell_energy import CellTerms
from tnsim.algorithms.peps.variational.cell_pattern import CellPattern
from tnsim.algorithms.peps.variational.cell_problem import converged_cell
from tnsim.algorithms.peps.variational.one_place import check_square, of_one_place, on_cell, sublattices
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.variational.symmetric_problem import SymmetricProblem, converged
from tnsim.algorithms.peps.variational.symmetric_variational import half_turn
from tnsim.errors import OperatorError, SettingsError
from tnsim.io.peps_job import peps_job
from tnsim.models import J1J2, Heisenberg, Lattice, TransverseIsing
from tnsim.networks.peps import InfinitePEPS, PlaneTerms

SQUARE = Lattice("square", 2, 2)
HEISENBERG = Heisenberg(lattice=SQUARE, conserve=None)
ISING = TransverseIsing(lattice=SQUARE, conserve=None, h=2.5)
BOARD = ((0, 1), (1, 0))
SQUARES = ((0, 1), (2, 3))


def cell_of(pattern, model=HEISENBERG):
    count = 1 + max(map(max, pattern))
    return InfinitePEPS.random(model.sites[:1] * count, 1, pattern, seed=1)


def search(D=2, chi=6, iterations=100, turned=True):
    few = tn.MinimizationSettings(max_iterations=iterations)
    symmetric = tn.SymmetricVariationalPEPS(
        D=D, environment=tn.EnvironmentSettings(chi_max=chi), attempts=1, minimization=few, antiferromagnetic=turned
    )
    rough = tn.EnvironmentSettings(chi_max=chi, tol=1e-8, svd_min=1e-5)
    return tn.VariationalPEPS(D=D, environment=rough, minimization=few, symmetric=symmetric)


@pytest.mark.parametrize(
    ("pattern", "model", "turned"),
    [
        (BOARD, HEISENBERG, True),
        (SQUARES, HEISENBERG, True),
        (BOARD, J1J2(lattice=SQUARE, conserve=None, J2=0.5), True),
        (((0, 1, 2),), ISING, False),
    ],
    ids=["heisenberg", "2x2", "diagonals", "ising"],
)
def test_a_cell_has_the_energy_of_its_symmetric_tensor(pattern, model, turned):
    """Corners of one symmetric tensor and those of all tensors are cut alike, by different code."""
    site = model.sites[0]
    one = PlaneTerms.infinite_of(model, [[0]])
    own = SymmetricTerms.of(one, half_turn(site) if turned else None)
    (tensor,) = InfinitePEPS.random([site], 2, [[0]], seed=4).tensors
    problem = SymmetricProblem(own, tensor, site, tn.EnvironmentSettings(chi_max=8, tol=1e-12))
    point = problem.point((tensor,))
    (least,) = problem.tensors(point)
    expected = own.energy(converged(least, None, problem.settings).environment, least).item()
    psi = on_cell(problem.state(point), cell_of(pattern, model))
    assert psi.pattern == pattern
    exact = tn.EnvironmentSettings(chi_max=8, tol=1e-11)
    around = converged_cell(psi.tensors, CellPattern.of(pattern), None, exact).environment
    found = CellTerms(PlaneTerms.infinite_of(model, pattern), pattern).energy(around).item()
    assert abs(found - expected) < 1e-9


def test_all_tensors_are_varied_from_the_symmetric_minimum():
    found = search().solve(HEISENBERG, cell_of(BOARD))
    count = len(found.began)
    assert count and all(report.symmetric == (n < count) for n, report in enumerate(found.history))
    assert not found.attempt.symmetric and not any(report.symmetric for report in found.reports)
    assert found.certificate.energy <= min(report.energy for report in found.began) + 1e-9
    assert found.state.pattern == BOARD and f"over one symmetric tensor, after {count} iterations" in repr(found)


def test_a_state_of_one_tensor_goes_into_any_cell():
    psi = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]], seed=3)
    found = on_cell(psi, cell_of(((0, 1, 2),)).astype("D"))
    assert found.dtype == np.complex128 and len(found.tensors) == 3
    assert all((tensor.to_dense() == psi.tensors[0].to_dense()).all() for tensor in found.tensors)


class Stop:
    """Stops a minimisation after so many iterations of one kind."""

    def __init__(self, symmetric, after):
        self.place = symmetric, after

    def step(self, report, run):
        if (report.symmetric, report.iteration) == self.place:
            run.request_stop("enough")


@pytest.mark.parametrize("place", [(True, 2), (False, 1)], ids=["before", "afterwards"])
def test_a_stopped_run_goes_on_from_a_file(place, tmp_path):
    solver, start = search(D=1, chi=2, iterations=3, turned=False), cell_of(((0,),))
    whole = solver.solve(ISING, start)
    half = solver.solve(ISING, start, observers=[Stop(*place)])
    assert half.status.name == "interrupted" and half.attempt.symmetric == place[0]
    again = solver.solve(ISING, start, resume=tn.load(tn.save(tmp_path / "half.h5", half)))
    assert [report.energy for report in again.history] == [report.energy for report in whole.history]
    assert again.energy == whole.energy and again.state.pattern == start.pattern
    if half.attempt.symmetric:
        with pytest.raises(SettingsError, match="of a single symmetric tensor"):
            tn.VariationalPEPS(D=1, environment=solver.environment).solve(ISING, start, resume=half)


@pytest.mark.parametrize("pattern", [[[0, 1]], [[0], [1]], [[0, 1, 2], [3, 4, 5]], [[0, 0], [1, 1]]])
def test_cells_whose_sublattices_do_not_repeat_are_refused(pattern):
    with pytest.raises(SettingsError, match="two sublattices of an antiferromagnet do not repeat with the cell"):
        sublattices(pattern)
    with pytest.raises(SettingsError, match="take a checkerboard"):
        search().solve(HEISENBERG, cell_of(pattern))


def test_models_without_the_symmetry_are_refused():
    triangular = Heisenberg(lattice=Lattice("triangular", 2, 2), conserve=None)
    with pytest.raises(OperatorError, match="a quarter turn of the square"):
        check_square(of_one_place(PlaneTerms.infinite_of(triangular, BOARD)))
    with pytest.raises(OperatorError, match="leave symmetric out"):
        search().solve(triangular, cell_of(BOARD))
    honeycomb = Heisenberg(lattice=Lattice("honeycomb", 2, 2), conserve=None)
    with pytest.raises(OperatorError, match="needs the same terms everywhere"):
        search().solve(honeycomb, cell_of(BOARD, honeycomb))
    field = Heisenberg(lattice=SQUARE, conserve=None, field=0.3)
    with pytest.raises(OperatorError, match="differ: take a cell of two"):
        search().solve(field, cell_of(BOARD))
    charged = Heisenberg(lattice=SQUARE)
    start = InfinitePEPS.product(charged.sites[:2], ["up", "down"], BOARD)
    with pytest.raises(SettingsError, match="conserves 2Sz: take conserve = None"):
        search().solve(charged, start)
    finite = PlaneTerms.of(HEISENBERG)
    with pytest.raises(SettingsError, match="start of infinite states"):
        search().solve(finite, tn.PEPS.random(finite.sites, 1, seed=1))


def test_settings_that_do_not_fit_are_refused():
    wide, symmetric = tn.EnvironmentSettings(chi_max=4), search().symmetric
    with pytest.raises(SettingsError, match="has bonds of 2, more than D = 1"):
        tn.VariationalPEPS(D=1, environment=wide, symmetric=symmetric)
    cooling = tn.Cooling(
        update=tn.SimpleUpdate(dt=0.1, truncation=tn.Truncation(chi_max=2), imaginary=True), dts=(0.1,)
    )
    with pytest.raises(SettingsError, match="has its own imaginary time"):
        tn.VariationalPEPS(D=2, environment=wide, symmetric=symmetric, cooling=cooling)


def _table(conserve="none", **changes):
    model = {"name": "heisenberg", "conserve": conserve, "lattice": {"kind": "square", "Lx": 2, "Ly": 2}}
    return {"model": model, "ipeps": {"D": 2, "chi": 4, "update": "gradient", "symmetric": True} | changes}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (_table(update="simple"), "is one of update = gradient"),
        (_table(cell="3x2"), "do not repeat with the cell"),
        (_table(conserve="Sz"), "take conserve = none"),
    ],
)
def test_jobs_that_do_not_fit_are_refused(table, words):
    with pytest.raises(SettingsError, match=words):
        peps_job(table)


def test_the_command_line_says_what_it_begins_with(tmp_path):
    path = tmp_path / "cell.h5"
    words = ("--conserve", "none", "--h", 2.5, "--cell", "1x1", "--D", 1, "--chi", 2, "--update", "gradient")
    done = call("ipeps", "tfim", *words, "--symmetric", "--iterations", 2, "--out", path)
    for said in ("one symmetric tensor, D = 1, start 1", "all tensors, D = 1, start 1", "energy per site"):
        assert said in done.output, done.output
    found = tn.load(path)
    assert found.prepared.began and "from a minimum over one symmetric tensor" in repr(found)
    again = call("resume", path, "--iterations", 3)
    assert again.exit_code in (0, 1), again.output
    more = tn.load(path).prepared
    assert len(more.history) == len(found.prepared.history) + 1 and more.began == found.prepared.began
