"""Cells that repeat: environment and energy against other code, gradients, and minima."""

import numpy as np
import pytest

from tnsim.algorithms.peps.variational.cell_energy import CellTerms, beside_density
from tnsim.algorithms.peps.variational.cell_pattern import CellPattern
from tnsim.algorithms.peps.variational.cell_problem import CellProblem, converged_cell, numbers_of, tensors_of
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.minimization import MinimizationSettings
from tnsim.algorithms.peps.variational.symmetric_energy import nearest_density
from tnsim.algorithms.peps.variational.symmetric_environment import symmetrised
from tnsim.algorithms.peps.variational.symmetric_problem import converged
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.errors import OperatorError, ShapeError
from tnsim.models import J1J2, XXZ, Heisenberg, Lattice
from tnsim.networks.peps import InfinitePEPS, PlaneTerms, grown
from tnsim.tensor import transpose

SQUARE = Lattice("square", 2, 2)
BOARD = [[0, 1], [1, 0]]
SETTINGS = EnvironmentSettings(chi_max=6, tol=1e-10, svd_min=1e-5, gradient_tol=1e-7)


def start_of(model, D=2, dtype="d", noise=0.3, pattern=BOARD):
    count = 1 + max(map(max, pattern))
    states = ["up", "down"] * (count // 2)
    return grown(InfinitePEPS.product(model.sites[:1] * count, states, pattern, dtype=dtype), D, noise, seed=2)


def slopes(problem, point):
    """The slope along a random direction by the gradient and by differences."""
    _, gradient = problem(point)
    way, h = np.random.default_rng(0).normal(size=len(point)) * 0.1, 1e-3
    values = []
    for t in (h, -h, 2 * h, -2 * h):
        found = converged_cell(problem.tensors(point + t * way), problem.pattern, None, problem.settings)
        values.append(float(problem.terms.energy(found.environment).item()))
    return float(gradient @ way), (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (Heisenberg(lattice=SQUARE, conserve=None), "d"),
        (J1J2(lattice=SQUARE, conserve=None, J2=0.5), "d"),
        (XXZ(lattice=SQUARE, conserve=None, delta=0.7, D=0.4), "D"),
        (Heisenberg(lattice=SQUARE), "d"),
    ],
    ids=["heisenberg", "diagonals", "complex", "U(1)"],
)
def test_gradients_agree_with_differences(model, dtype):
    psi = start_of(model, dtype=dtype, noise=0.3 if model.conserve is None else 0.6)
    problem = CellProblem(PlaneTerms.infinite_of(model, BOARD), psi, SETTINGS)
    found, expected = slopes(problem, problem.point(psi.tensors))
    assert abs(expected) > 1e-3
    assert abs(found - expected) <= 1e-5 * max(1.0, abs(expected))


def test_unrolled_gradients_agree_with_those_of_the_fixed_point():
    model = Heisenberg(lattice=SQUARE, conserve=None)
    psi = start_of(model)
    terms = PlaneTerms.infinite_of(model, BOARD)
    point = CellProblem(terms, psi, SETTINGS).point(psi.tensors)
    found = []
    for how in ("fixed point", "unrolled"):
        settings = EnvironmentSettings(chi_max=6, tol=1e-10, svd_min=1e-5, gradient_tol=1e-7, gradient=how, unrolled=12)
        found.append(CellProblem(terms, psi, settings)(point)[1])
    assert np.linalg.norm(found[0] - found[1]) < 1e-4 * np.linalg.norm(found[0])


def test_a_symmetric_tensor_has_the_density_of_the_symmetric_environment():
    model = Heisenberg(lattice=SQUARE, conserve=None)
    (tensor,) = InfinitePEPS.random(model.sites[:1], 2, [[0]], seed=3).tensors
    site = symmetrised(tensor)
    settings = EnvironmentSettings(chi_max=12, tol=1e-10, svd_min=1e-5)
    cell = converged_cell([site], CellPattern.of([[0]]), None, settings).environment
    whole = nearest_density(converged(site, None, EnvironmentSettings(chi_max=12)).environment, site).array
    one = beside_density(cell, 0).array
    trace = [np.einsum("ppqq->", density) for density in (one, whole)]
    assert np.abs(one / trace[0] - whole / trace[1]).max() < 1e-6


def test_both_directions_of_a_turned_state_agree():
    """Rows of A and B alternate: neighbours below are those beside in the turned pattern."""
    model = Heisenberg(lattice=SQUARE, conserve=None)
    rows = start_of(model, pattern=[[0], [1]])
    # a quarter turn counterclockwise: rows become columns, in reverse
    turned = [transpose(x, (1, 2, 3, 0, 4)) for x in rows.tensors]
    energies = []
    for tensors, pattern in ((rows.tensors, ((0,), (1,))), (turned, ((0, 1),))):
        found = converged_cell(tensors, CellPattern.of(pattern), None, SETTINGS)
        terms = CellTerms(PlaneTerms.infinite_of(model, pattern), pattern)
        energies.append(terms.energy(found.environment).item())
    assert abs(energies[0] - energies[1]) < 1e-6


@pytest.mark.slow
def test_two_tensors_come_below_the_symmetric_minimum():
    """The columnar state of PEPSKit.jl's documentation, -0.662514 at D = 2; the symmetric minimum is -0.660231."""
    model = Heisenberg(lattice=SQUARE, conserve=None)
    solver = VariationalPEPS(
        D=2, noise=0.3, environment=EnvironmentSettings(chi_max=8, tol=1e-8, svd_min=1e-4, gradient_tol=1e-4),
        minimization=MinimizationSettings(max_iterations=16),
    )  # fmt: skip
    found = solver.solve(model, InfinitePEPS.product(model.sites[:2], ["up", "down"], BOARD))
    assert found.status.name == "max_iterations reached"
    assert -0.6626 < found.energy < -0.659
    energies = [report.energy for report in found.history]
    assert all(b <= a + 1e-9 for a, b in zip(energies, energies[1:], strict=False))


def test_numbers_and_tensors_are_two_ways_to_write_the_same():
    model = Heisenberg(lattice=SQUARE)
    psi = start_of(model, dtype="D")
    again = tensors_of(numbers_of(psi.tensors), psi.tensors)
    assert all((a - b).norm() == 0 for a, b in zip(again, psi.tensors, strict=True))


def test_devices_give_the_same():
    model = Heisenberg(lattice=SQUARE, conserve=None)
    psi = start_of(model)
    settings = EnvironmentSettings(chi_max=3, tol=1e-8, svd_min=1e-4, gradient_tol=1e-6, grow_steps=3)
    results = []
    for backend in ("numpy", "strict"):
        problem = CellProblem(PlaneTerms.infinite_of(model, BOARD), psi.to(backend), settings)
        results.append(problem(problem.point(psi.tensors)))
    assert abs(results[0][0] - results[1][0]) < 1e-8
    assert np.abs(results[0][1] - results[1][1]).max() < 1e-5


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="a tensor of its own"):
        CellPattern.of([[0, 0], [0, 1]])
    model = Heisenberg(lattice=SQUARE)
    with pytest.raises(OperatorError, match="do not fit a pattern"):
        CellProblem(PlaneTerms.infinite_of(model, [[0, 1]]), start_of(model), SETTINGS)
