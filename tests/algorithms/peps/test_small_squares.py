"""9 and 16 sites from product states to measured energies, against exact diagonalisation."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

from tests.exact.plane import dense_state, energy
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.linalg import Truncation
from tnsim.models import Heisenberg, Lattice, TransverseIsing
from tnsim.networks.peps import PlaneTerms, finite_start

SMALL, SQUARE = Lattice("square", 3, 3), Lattice("square", 4, 4)
# what bonds of 2 leave of the energy, in parts of it
JOBS = [
    (TransverseIsing(lattice=SMALL, h=1.0, conserve="parity"), 3e-3),
    (TransverseIsing(lattice=SMALL, h=2.0, conserve="parity"), 1.5e-3),
    (TransverseIsing(lattice=SMALL, h=3.04438, conserve="parity"), 3e-4),
    (TransverseIsing(lattice=SQUARE, h=1.0, conserve="parity"), 3e-3),
    (TransverseIsing(lattice=SQUARE, h=2.0, conserve="parity"), 1.5e-3),
    (TransverseIsing(lattice=SQUARE, h=3.04438, conserve="parity"), 3e-4),
    (Heisenberg(lattice=SQUARE), 6e-2),
]


IDS = [f"{type(model).__name__}-{model.L}-{getattr(model, 'h', 0)}" for model, _ in JOBS]


def lowest(terms: PlaneTerms, start: np.ndarray) -> float:
    """The least eigenvalue of what a start has a part in."""
    n, sites = terms.shape[1], terms.shape[0] * terms.shape[1]

    def applied(vector: np.ndarray) -> np.ndarray:
        state, total = vector.reshape((2,) * sites), np.zeros((2,) * sites)
        for term in terms.bonds:
            a, b = (n * i + j for i, j in (term.first, term.second))
            moved = np.tensordot(term.matrix.reshape(2, 2, 2, 2), state, axes=([2, 3], [a, b]))
            total += np.moveaxis(moved, [0, 1], [a, b])
        return total.ravel()

    H = LinearOperator((start.size,) * 2, dtype=float, matvec=applied)
    return float(eigsh(H, k=1, which="SA", v0=applied(start) + start, tol=1e-8)[0][0])


@pytest.mark.parametrize(("model", "left"), JOBS, ids=IDS)
def test_simple_update_comes_near_and_is_measured_exactly(model, left):
    terms, psi = PlaneTerms.of(model), finite_start(model)
    exact = lowest(terms, dense_state(psi))
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True, every=20)
    state = update.run(terms, psi, time=2.0).state.psi
    found = BoundaryMeasurement(truncation=Truncation(chi_max=12)).measure(state, terms)
    assert found.energy == pytest.approx(energy(terms, dense_state(state)), rel=1e-6)
    assert exact < found.energy < exact * (1 - left)
