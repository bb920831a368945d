"""What gradients take is known before anything starts."""

import tracemalloc

import numpy as np
import pytest

from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.ground_state import PEPSGroundState
from tnsim.algorithms.peps.variational.cell_problem import CellProblem
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.finite_problem import FiniteProblem
from tnsim.algorithms.peps.variational.one_place import of_one_place
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.variational.symmetric_problem import SymmetricProblem
from tnsim.algorithms.peps.variational.symmetric_variational import half_turn
from tnsim.algorithms.peps.variational.tape_memory import share_of, tape_memory
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.errors import SettingsError
from tnsim.linalg import Truncation
from tnsim.models import J1J2, Heisenberg, Lattice
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms

AB = [[0, 1], [1, 0]]


def settings(chi):
    return EnvironmentSettings(chi_max=chi, svd_min=0.0, max_steps=2)


def peak_of(problem, tensors):
    point = problem.point(tensors)
    problem(point)  # plans
    tracemalloc.start()
    problem(point)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def bounds(needed, peak):
    return peak < needed < 2.5 * peak


def test_of_a_finite_state():
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 4, 3), conserve=None))
    psi = PEPS.random(terms.sites, D=3, seed=0)
    assert bounds(tape_memory(psi, terms, 6, 3), peak_of(FiniteProblem(terms, psi, settings(6)), psi.tensors))
    assert tape_memory(psi, terms, 10**9, 3) == tape_memory(psi, terms, 3**8, 3)  # no boundary has more


def test_of_a_cell():
    terms = of_one_place(PlaneTerms.infinite_of(J1J2(lattice=Lattice("square", 2, 2), conserve=None), AB))
    psi = InfinitePEPS.random([terms.site(0, 0)], 2, [[0]], seed=0)
    assert bounds(tape_memory(psi, terms, 12, 2), peak_of(CellProblem(terms, psi, settings(12)), psi.tensors))


@pytest.mark.parametrize("model", [Heisenberg, J1J2])
def test_of_a_symmetric_tensor(model):
    terms = of_one_place(PlaneTerms.infinite_of(model(lattice=Lattice("square", 2, 2), conserve=None), AB))
    psi = InfinitePEPS.random([terms.site(0, 0)], 3, [[0]], seed=0)
    own = SymmetricTerms.of(terms, half_turn(terms.site(0, 0)))
    problem = SymmetricProblem(own, psi.tensors[0], terms.site(0, 0), settings(16))
    assert bounds(tape_memory(psi, terms, 16, 3, symmetric=True), peak_of(problem, psi.tensors))


def test_charges_leave_a_share_of_it():
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 3)))
    psi = PEPS.product(terms.sites, [["up", "down", "up"], ["down", "up", "down"], ["up", "down", "up"]])
    assert share_of(psi, 1) == np.mean([1 / 2] * 9) and share_of(psi, 2) == 0.5


def test_gradients_that_will_not_fit_are_refused():
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 4, 4)))
    psi = PEPS.product(terms.sites, [["up", "down"] * 2, ["down", "up"] * 2] * 2)
    search = PEPSGroundState(
        preparation=VariationalPEPS(D=6, environment=EnvironmentSettings(chi_max=36)),
        contraction=BoundaryMeasurement(truncation=Truncation(chi_max=8)),
        memory_gib=1.0,
    )
    with pytest.raises(SettingsError, match="a gradient takes about .* GiB at chi = 36 and bonds of 6, above"):
        search.solve(terms, psi)
