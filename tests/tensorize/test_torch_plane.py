"""States in the plane as torch tensors: there and back, and energies that torch finds by itself."""

import numpy as np
import pytest

import tnsim as tn
from tnsim.errors import ChargeError, ShapeError, StateError
from tnsim.models import Heisenberg, Hubbard, Lattice
from tnsim.networks.peps import finite_start

torch = pytest.importorskip("torch")
MODEL, DENSE = (Heisenberg(lattice=Lattice("square", 2, 2), conserve=conserve) for conserve in ("Sz", None))


def test_states_come_back_as_they_were():
    """With charges, real and complex, on the plane and on a lattice."""
    finite = tn.grown(finite_start(MODEL), 2, noise=0.5, seed=1)
    plane = tn.InfinitePEPS.random(DENSE.sites[:1], 2, [[0]], seed=1, dtype="complex128")
    for psi in (finite, plane):
        back = tn.from_torch(tn.to_torch(psi), psi)
        assert type(back) is type(psi) and back.pattern == psi.pattern
        for a, b in zip(back.tensors, psi.tensors, strict=True):
            assert np.array_equal(a.data, b.data) and a.legs == b.legs


def test_torch_finds_the_same_energy_and_a_gradient_that_vanishes_along_the_tensor():
    """2 x 2 sites by torch.einsum and a dense Hamiltonian, against boundaries."""
    terms = tn.PlaneTerms.of(DENSE)
    psi = tn.PEPS.random(terms.sites, 2, seed=3)
    wide = tn.to_torch(psi)
    wide[0].requires_grad_(True)
    a, b, c, d = (x.reshape([n for n in x.shape if n > 1]) for x in wide)
    #   a -e- b
    #   s     f
    #   c -g- d
    state = torch.einsum("esp,feq,sgr,fgt->pqrt", a, b, c, d)
    energy = 0.0
    for term in terms.bonds:
        k, m = (2 * i + j for i, j in (term.first, term.second))
        matrix = torch.from_numpy(np.ascontiguousarray(term.matrix)).reshape(2, 2, 2, 2)
        acted = torch.movedim(torch.tensordot(matrix, state, ([2, 3], [k, m])), (0, 1), (k, m))
        energy = energy + (state * acted).sum()
    energy = energy / (state * state).sum()
    measured = tn.BoundaryMeasurement(truncation=tn.Truncation(chi_max=16)).measure(psi, terms).energy
    assert abs(energy.item() - measured) < 1e-10
    energy.backward()
    assert abs((wide[0].grad * wide[0]).sum().item()) < 1e-10 < wide[0].grad.norm().item()
    assert np.array_equal(tn.from_torch(wide, psi).tensors[0].data, psi.tensors[0].data)


def test_what_does_not_fit_is_refused():
    psi = tn.grown(finite_start(MODEL), 2, noise=0.5, seed=1)
    wide = tn.to_torch(psi)
    with pytest.raises(ShapeError, match="tensors of the shapes"):
        tn.from_torch(wide[:3], psi)
    with pytest.raises(ChargeError):
        tn.from_torch([torch.ones_like(x) for x in wide], psi)
    with pytest.raises(StateError, match="torch knows no signs"):
        tn.to_torch(finite_start(Hubbard(lattice=Lattice("square", 2, 2), U=4.0)))
