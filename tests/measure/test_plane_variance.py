"""Finite PEPS as exact MPS, and the energy variance that this gives, against dense vectors and Fock space."""

import numpy as np
import pytest

import tnsim as tn
import tnsim.models as models
from tests.devices import backend_or_skip
from tests.exact.fock import fock_state
from tests.exact.plane import dense_hamiltonian
from tnsim.errors import ShapeError
from tnsim.models import Lattice

RECTANGLE = Lattice("square", 3, 2)
CASES = {
    "U(1)": (models.Heisenberg(lattice=RECTANGLE), 3, "d"),
    "complex": (models.XXZ(lattice=Lattice("square", 2, 3), conserve=None, D=0.4), 2, "D"),
    "kagome": (models.TransverseIsing(lattice=Lattice("kagome", 1, 2), h=0.7), 2, "d"),
    "t-V": (models.SpinlessFermions(lattice=RECTANGLE, V=0.8), 3, "d"),
    "Hubbard": (models.Hubbard(lattice=Lattice("square", 2, 2), U=3.0), 4, "D"),
    "t-J": (models.TJ(lattice=Lattice("triangular", 2, 2)), 3, "d"),
}


def random_state(terms, D, dtype, shape=tn.PEPS):
    names = [[site.states[(i + j) % site.dim] for j, site in enumerate(row)] for i, row in enumerate(terms.sites)]
    return shape.random(terms.sites, D, states=names, seed=2, dtype=dtype)


def variance_of(vector, H):
    vector = vector / np.linalg.norm(vector)
    energy = np.vdot(vector, H @ vector).real
    return np.linalg.norm(H @ vector - energy * vector) ** 2


@pytest.mark.parametrize("name", CASES)
def test_chains_and_variances_are_those_of_vectors(name):
    model, D, dtype = CASES[name]
    terms = tn.PlaneTerms.of(model)
    psi = random_state(terms, D, dtype)
    exact, chain = fock_state(psi), tn.peps_to_mps(psi).to_dense().reshape(-1)
    sign = np.sign(np.vdot(chain, exact).real)
    assert sign * chain == pytest.approx(exact, abs=1e-12 * np.abs(exact).max())
    H, sites = tn.chain_terms(terms)
    dense = dense_hamiltonian(terms)
    assert np.abs(H.mpo(sites).to_matrix() - dense).max() < 1e-12
    assert tn.plane_variance(terms, psi) == pytest.approx(variance_of(exact, dense), rel=1e-10)


def test_cylinders():
    terms = tn.PlaneTerms.of(models.SpinlessFermions(lattice=Lattice("square", 2, 3, bc_y="periodic"), V=0.8))
    psi = random_state(terms, 2, "d", tn.CylinderPEPS)
    exact = variance_of(fock_state(psi.opened()), dense_hamiltonian(terms.opened()))
    assert exact > 0.1
    assert tn.plane_variance(terms, psi) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("device", ["strict", "cupy"])
def test_devices(device):
    terms = tn.PlaneTerms.of(models.TransverseIsing(lattice=Lattice("square", 2, 2), h=0.7))
    psi = random_state(terms, 2, "d")
    on_device = psi.to(backend_or_skip(device))
    assert tn.plane_variance(terms, on_device) == pytest.approx(tn.plane_variance(terms, psi), rel=1e-12)


def test_a_ground_state_has_none():
    terms = tn.PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 2, 1)))
    values, vectors = np.linalg.eigh(dense_hamiltonian(terms))
    psi = tn.SimpleUpdate(dt=0.1, truncation=tn.Truncation(chi_max=2), imaginary=True).run(
        terms, tn.PEPS.product(terms.sites, [["up", "down"]]), time=20.0
    ).state.psi  # fmt: skip
    assert tn.plane_variance(terms, psi) < 1e-12 < values[1] - values[0]
    assert abs(np.vdot(vectors[:, 0], fock_state(psi))) == pytest.approx(np.linalg.norm(fock_state(psi)), rel=1e-12)


def test_what_does_not_fit_is_refused():
    terms = tn.PlaneTerms.of(models.Heisenberg(lattice=RECTANGLE))
    wide = tn.PEPS.random([[terms.sites[0][0]] * 12] * 12, D=2, states=[["up", "down"] * 6] * 12, seed=0)
    with pytest.raises(ShapeError, match="do not stand on one finite lattice"):
        tn.plane_variance(terms, wide)
    with pytest.raises(ShapeError, match="12 x 12 sites with D = 2 as an exact MPS takes tensors of .*fewer columns"):
        tn.peps_to_mps(wide)
    with pytest.raises(ShapeError, match="take the terms of a finite lattice"):
        tn.chain_terms(tn.PlaneTerms.infinite_of(models.Heisenberg(lattice=RECTANGLE), [[0, 1], [1, 0]]))
