"""Finite PEPS by gradient: energy and gradient against dense contractions, minima against exact diagonalisation."""

import numpy as np
import pytest

from tests.suites.gradients import check
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.finite_energy import FiniteTerms
from tnsim.algorithms.peps.variational.finite_problem import FiniteProblem
from tnsim.algorithms.peps.variational.minimization import MinimizationSettings
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.errors import OperatorError
from tnsim.linalg import Truncation
from tnsim.models import J1J2, XXZ, Heisenberg, Lattice, TransverseIsing
from tnsim.networks.peps import PEPS, PlaneTerms, grown

ISING = TransverseIsing(lattice=Lattice("square", 3, 3), h=2.0)
WHOLE = Truncation(chi_max=64, svd_min=1e-12)


def vector_of(psi):
    """The dense state, one axis a site, row by row."""
    m, n = psi.shape
    names, operands = {}, []
    for i in range(m):
        for j in range(n):
            labels = (("v", i, j), ("h", i, j + 1), ("v", i + 1, j), ("h", i, j), ("p", i, j))
            operands += [psi.tensor(i, j).to_dense(), [names.setdefault(label, len(names)) for label in labels]]
    ends = [k for (kind, i, j), k in names.items() if (kind == "v" and i in (0, m)) or (kind == "h" and j in (0, n))]
    sites = [names["p", i, j] for i in range(m) for j in range(n)]
    whole = np.einsum(*operands, sites + ends, optimize=True)
    return whole.reshape(whole.shape[: m * n])


def applied(terms, vector):
    """The Hamiltonian on a dense state."""
    n, total = terms.shape[1], 0.0
    for term in terms.bonds:
        a, b = (i * n + j for i, j in (term.first, term.second))
        d1, d2 = vector.shape[a], vector.shape[b]
        image = np.tensordot(term.matrix.reshape(d1, d2, d1, d2), vector, ([2, 3], [a, b]))
        total = total + np.moveaxis(image, [0, 1], [a, b])
    return total


def energy_of(terms, psi, truncation=WHOLE):
    return FiniteTerms(terms, truncation).energy(psi.rows)


@pytest.mark.parametrize(
    ("model", "dtype", "states"),
    [
        (ISING, "d", None),
        (XXZ(lattice=Lattice("square", 4, 2), conserve=None, D=0.4), "D", None),
        (Heisenberg(lattice=Lattice("square", 2, 3)), "d", [["up", "down"], ["down", "up"], ["up", "down"]]),
    ],
    ids=["ising", "complex", "U(1)"],
)
def test_energies_and_gradients(model, dtype, states, backend):
    terms = PlaneTerms.of(model)
    psi = PEPS.random(terms.sites, 2, states=states, seed=1, dtype=dtype)
    vector = vector_of(psi)
    expected = np.vdot(vector, applied(terms, vector)) / np.vdot(vector, vector)
    psi = psi.to(backend)
    assert abs(energy_of(terms, psi).item() - expected) < 1e-10 * abs(expected)
    if backend.name == "numpy":

        def energy(*tensors):
            return FiniteTerms(terms, WHOLE).energy([[tensors[n] for n in row] for row in psi.pattern])

        check(energy, *psi.tensors, tolerance=1e-7)


def test_narrow_boundaries_are_nearly_as_good_where_bonds_are_weak():
    terms = PlaneTerms.of(ISING)
    psi = grown(PEPS.product(terms.sites, [["up"] * 3] * 3), 3, noise=0.1, seed=2)
    exact = energy_of(terms, psi, Truncation(chi_max=81, svd_min=1e-12)).item()
    errors = [abs(energy_of(terms, psi, Truncation(chi_max=chi)).item() - exact) for chi in (2, 4, 12)]
    assert errors[2] < errors[0] and errors[2] < 1e-4 * abs(exact)


@pytest.mark.parametrize("model", [ISING, Heisenberg(lattice=Lattice("square", 3, 3))], ids=["dense", "U(1)"])
def test_gradients_through_narrow_boundaries_are_those_of_the_energy(model):
    """What cutting bonds does to the energy is differentiated as well."""
    terms, cut = PlaneTerms.of(model), Truncation(chi_max=3)
    psi = PEPS.random(
        terms.sites, 2, states=[["up", "down", "up"], ["down", "up", "down"], ["up", "down", "up"]], seed=2
    )

    def energy(*tensors):
        return FiniteTerms(terms, cut).energy([[tensors[n] for n in row] for row in psi.pattern])

    assert abs(energy_of(terms, psi, cut).item() - energy_of(terms, psi).item()) > 1e-6, "nothing is cut"
    check(energy, *psi.tensors, tolerance=1e-7)


def test_ising_comes_near_exact_diagonalisation():
    """The minimum lies above the exact energy, by less than two parts in ten thousand at D = 2."""
    terms = PlaneTerms.of(ISING)
    basis = np.eye(512).reshape(512, *(2,) * 9)
    exact = np.linalg.eigvalsh(np.array([applied(terms, state).ravel() for state in basis]))[0]
    solver = VariationalPEPS(
        D=2, noise=0.2, seed=1, environment=EnvironmentSettings(chi_max=16),
        minimization=MinimizationSettings(max_iterations=30),
    )  # fmt: skip
    found = solver.solve(ISING, PEPS.random(terms.sites, 1, seed=1))
    assert exact <= found.energy < exact * (1 - 2e-4)
    assert abs(found.certificate.energy_larger - found.certificate.energy) < 1e-8


def test_a_resumed_minimisation_takes_the_same_steps():
    """The metric follows from the point alone."""
    terms = PlaneTerms.of(TransverseIsing(lattice=Lattice("square", 2, 2), h=2.0))
    psi = PEPS.random(terms.sites, 2, seed=1)

    def found(iterations, before=None):
        limits = MinimizationSettings(max_iterations=iterations)
        around = EnvironmentSettings(chi_max=4)
        solver = VariationalPEPS(D=2, environment=around, restarts=0, minimization=limits)
        return solver.solve(terms, psi, resume=before)

    whole, parts = found(6), found(6, found(3))
    assert [report.energy for report in parts.history] == [report.energy for report in whole.history]
    assert np.array_equal(parts.optimizer.point, whole.optimizer.point)


def test_what_does_not_fit_is_refused():
    model = J1J2(lattice=Lattice("square", 3, 3), conserve=None, J2=0.5)
    with pytest.raises(OperatorError, match="terms of neighbours"):
        FiniteTerms(PlaneTerms.of(model), WHOLE)
    with pytest.raises(OperatorError, match="do not fit the state"):
        psi = PEPS.random([[ISING.sites[0]] * 2] * 2, 2, seed=1)
        FiniteProblem(PlaneTerms.of(ISING), psi, EnvironmentSettings(chi_max=4))
