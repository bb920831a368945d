"""Thermal states by purified PEPS against exact diagonalisation."""

import numpy as np
import pytest

from tests.exact.plane import dense_hamiltonian, dense_state, energy
from tnsim.algorithms.peps.updates.neighbourhood_update import NeighbourhoodUpdate
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.errors import ShapeError
from tnsim.linalg import Truncation
from tnsim.models import Heisenberg, Lattice, TransverseIsing
from tnsim.networks.peps import PlaneTerms
from tnsim.networks.peps.purified import infinitely_hot, purified_terms


def exact(H, beta):
    values = np.linalg.eigvalsh(dense_hamiltonian(H))
    weights = np.exp(-beta * (values - values[0]))
    return float((weights * values).sum() / weights.sum())


@pytest.mark.parametrize("kind", [NeighbourhoodUpdate, SimpleUpdate])
def test_energies_of_a_ladder(kind):
    """2 x 3 sites down to temperature 1; the tree of simple update is good enough there, too."""
    H = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 2)))
    psi, wide = infinitely_hot(H), purified_terms(H)
    assert energy(wide, dense_state(psi)) == pytest.approx(0, abs=1e-12)
    resume, tolerance = None, {NeighbourhoodUpdate: 1e-3, SimpleUpdate: 2e-3}[kind]
    update = kind(dt=0.125, truncation=Truncation(chi_max=6), imaginary=True, every=5)
    for beta in (0.5, 1.0):
        resume = update.run(H, psi, time=beta / 2, resume=resume)
        psi = resume.state
        assert energy(wide, dense_state(psi.psi)) / 6 == pytest.approx(exact(H, beta) / 6, abs=tolerance)


def test_the_ising_model_to_low_temperature():
    H = PlaneTerms.of(TransverseIsing(lattice=Lattice("square", 2, 2), h=1.5, conserve="parity"))
    wide = purified_terms(H)
    update = NeighbourhoodUpdate(dt=0.1, truncation=Truncation(chi_max=4), imaginary=True, every=20)
    found = update.run(H, infinitely_hot(H), time=1.0).state
    assert energy(wide, dense_state(found.psi)) / 4 == pytest.approx(exact(H, 2.0) / 4, abs=1e-3)


def test_the_infinite_lattice_at_high_temperature():
    """Two bonds a site with -(3/16) beta - (3/64) beta^2 each, by the cumulants of one: no loop adds to these."""
    H = PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 2)), [[0, 1], [1, 0]])
    psi = infinitely_hot(H, [[0, 1], [1, 0]])
    update = SimpleUpdate(dt=0.01, truncation=Truncation(chi_max=6), imaginary=True, every=100)
    found = update.run(H, psi, time=0.05)
    beta = 0.1
    assert found.energy == pytest.approx(-3 / 8 * beta - 3 / 32 * beta**2, abs=2e-4)
    with pytest.raises(ShapeError, match="pattern"):
        infinitely_hot(H)
