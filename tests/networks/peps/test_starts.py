"""Product states of models as PEPS."""

import numpy as np
import pytest

import tnsim.models as models
from tests.exact.plane import dense_hamiltonian, dense_state
from tnsim.errors import StateError
from tnsim.models import Lattice
from tnsim.networks.peps import PlaneTerms, finite_start, infinite_start


@pytest.mark.parametrize(
    "model",
    [
        models.Heisenberg(lattice=Lattice("square", 3, 2)),
        models.Heisenberg(lattice=Lattice("honeycomb", 2, 2)),
        models.Heisenberg(lattice=Lattice("kagome", 2, 1)),
        models.BoseHubbard(lattice=Lattice("square", 2, 2), n_max=2, V=0.3),
        models.SSH(L=4),
    ],
    ids=repr,
)
def test_finite_starts_have_the_energy_of_the_product_state(model):
    psi, terms = finite_start(model), PlaneTerms.of(model)
    vector = dense_state(psi)
    product = model.product().to_dense()
    expected = product.conj() @ model.mpo().to_dense() @ product
    assert vector.conj() @ dense_hamiltonian(terms) @ vector == pytest.approx(expected, abs=1e-12)
    assert np.linalg.norm(vector) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("kind", "pattern", "energy"),
    [("square", [[0, 1], [1, 0]], -0.5), ("honeycomb", [[0, 1], [1, 0]], -0.375)],
)
def test_infinite_neel_states_repeat(kind, pattern, energy):
    psi = infinite_start(models.Heisenberg(lattice=Lattice(kind, 2, 2)), pattern)
    vectors = [tensor.to_dense().reshape(-1) for tensor in psi.tensors]
    assert abs(vectors[0] @ vectors[1]) < 1e-12
    assert psi.tensors[0].charge[0] == -psi.tensors[1].charge[0] != 0


def test_a_state_that_does_not_repeat_is_refused():
    model = models.Heisenberg(lattice=Lattice("square", 2, 2))
    with pytest.raises(StateError, match="does not repeat with the cell"):
        infinite_start(model, [[0]])
    assert infinite_start(model, [[0]], "up").shape == (1, 1)


def test_other_starts_of_a_cell():
    model = models.Heisenberg(lattice=Lattice("kagome", 2, 2), conserve=None)
    with pytest.raises(StateError, match="random, or a state such as up"):
        infinite_start(model, [[0]])
    named = infinite_start(model, [[0]], ["up|down|up"])
    assert np.flatnonzero(named.tensors[0].data).tolist() == [named.sites[0].state("up|down|up")]
    first, second = (infinite_start(model, [[0, 1]], "random") for _ in range(2))
    np.testing.assert_array_equal(first.tensors[1].data, second.tensors[1].data)
    assert np.count_nonzero(first.tensors[0].data) == 8
