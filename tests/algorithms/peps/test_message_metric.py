"""The metric of messages: exact on a chain, symmetric and positive for any kind of state."""

import numpy as np
import pytest

from tests.exact.plane import dense_state
from tnsim import models
from tnsim.algorithms.peps.variational.message_metric import inverse_messages, messages_of
from tnsim.algorithms.peps.variational.norm_metric import HOLD
from tnsim.models import Heisenberg, Lattice
from tnsim.networks.peps import PEPS, PlaneTerms
from tnsim.networks.peps.bond_graph import bond_graph
from tnsim.tensor import Tensor, inner, random_tensor


def metrics(psi):
    around = messages_of(psi.tensors, bond_graph(psi.pattern, psi.closed))
    return [inverse_messages(messages, tensor) for messages, tensor in zip(around, psi.tensors, strict=True)]


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_on_a_chain_it_is_the_inverse_of_the_norm(shape, dtype):
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", *shape[::-1]), conserve=None))
    psi = PEPS.random(terms.sites, 3, seed=1, dtype=dtype)
    for number, (apply, site) in enumerate(zip(metrics(psi), psi.tensors, strict=True)):
        tensors, columns = list(psi.tensors), []
        for unit in np.eye(site.size):
            tensors[number] = Tensor(site.legs, unit.astype(dtype))
            columns.append(dense_state(psi.with_tensors(tensors)))
        norm = np.array(columns).conj() @ np.array(columns).T
        held = norm / np.linalg.eigvalsh(norm)[-1] + HOLD * np.eye(site.size)
        x = random_tensor(site.legs, site.charge, dtype=dtype, seed=number)
        assert np.abs(held @ apply(x).data - x.data).max() < 1e-10


KINDS = {
    "dense": (Heisenberg(lattice=Lattice("square", 3, 3), conserve=None), "D"),
    "U(1)": (Heisenberg(lattice=Lattice("square", 3, 3)), "d"),
    "fermions": (models.SpinlessFermions(lattice=Lattice("square", 3, 3), V=0.8), "D"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_symmetric_and_positive(kind):
    model, dtype = KINDS[kind]
    terms = PlaneTerms.of(model)
    names = ("up", "down") if isinstance(model, Heisenberg) else ("full", "empty")
    psi = PEPS.random(
        terms.sites, 2, states=[[names[(i + j) % 2] for j in range(3)] for i in range(3)], seed=2, dtype=dtype
    )
    for apply, site in zip(metrics(psi), psi.tensors, strict=True):
        x, y = (random_tensor(site.legs, site.charge, dtype=dtype, seed=n) for n in (1, 2))
        assert abs(inner(x, apply(y)) - inner(y, apply(x)).conjugate()) < 1e-12 * x.norm() * apply(y).norm()
        assert 0 < inner(x, apply(x)).real <= inner(x, x).real / HOLD
