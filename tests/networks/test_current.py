"""Currents against commutators of dense matrices."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact.dense import hamiltonian, place
from tests.networks.test_evolution_mpo import random_sum
from tnsim.errors import OperatorError, ShapeError
from tnsim.models import XXZ

CASES = {
    "spins": (tn.spin_sites(4), ("S+", "S-"), "Sz"),
    "spins that conserve nothing": (tn.spin_sites(4, conserve=None), ("S+", "S-"), "Sz"),
    "fermions": ([tn.fermion_site()] * 4, ("Cdag", "C"), "N"),
    "electrons": ([tn.electron_site(conserve="N,Sz")] * 3, ("Cdag_up", "C_up"), "N"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_current_is_the_commutator_with_what_lies_left(name):
    sites, ladder, density = CASES[name]
    H = random_sum(len(sites), ladder=ladder, local="Sz" if density == "Sz" else "N")
    matrix = hamiltonian(H, sites)
    for bond in range(len(sites) - 1):
        left = sum(place(sites, [(density, i)]) for i in range(bond + 1))
        found = tn.current(H, density, bond, sites).mpo(sites)
        np.testing.assert_allclose(found.to_dense(), -1j * (matrix @ left - left @ matrix), atol=1e-12)
        assert found.is_hermitian


def test_exponentials_and_products_of_names():
    sites, H = tn.spin_sites(5, conserve=None), tn.OperatorSum()
    H.add_exponential(0.7, "Sx", "Sx", 0.5).add_exponential(0.7, "Sy", "Sy", 0.5)
    H += 0.3, "Sz Sz", 0, "Sz", 2
    matrix, left = hamiltonian(H, sites), sum(place(sites, [("Sz", i)]) for i in range(3))
    found = tn.current(H, "Sz", 2, sites).mpo(sites).to_dense()
    np.testing.assert_allclose(found, -1j * (matrix @ left - left @ matrix), atol=1e-12)


def test_continuity_along_an_evolution():
    """The current over a bond is what the sites left of it lose, recorded as an observable of the evolution."""
    chain, bond = XXZ(L=8, delta=0.5), 3
    J = tn.current(chain.operator_sum(), "Sz", bond, chain.sites).mpo(chain.sites)
    observe = {
        "left": lambda psi: tn.expect(psi, "Sz")[: bond + 1].sum(),
        "current": lambda psi: tn.expect(psi, J),
    }
    evolution = tn.TEBD(dt=0.02, truncation=tn.Truncation(chi_max=16))
    start = chain.product(["up"] * 4 + ["down"] * 4)
    evolved = evolution.run(chain.operator_sum(), start, time=1.0, observe=observe)
    lost = -np.gradient(evolved["left"], evolved.times, edge_order=2)
    np.testing.assert_allclose(evolved["current"][1:-1], lost[1:-1], atol=2e-4)
    assert evolved["current"].max() > 0.2


def test_bad_input():
    chain = XXZ(L=4, conserve=None)
    with pytest.raises(ShapeError, match="bonds 0 to 2, found 3"):
        tn.current(chain.operator_sum(), "Sz", 3, chain.sites)
    with pytest.raises(OperatorError, match="terms of an OperatorSum, found MPO"):
        tn.current(chain.mpo(), "Sz", 1, chain.sites)
    with pytest.raises(OperatorError, match="density is diagonal and real, 'Sx'"):
        tn.current(chain.operator_sum(), "Sx", 1, chain.sites)
    H = chain.operator_sum().add(0.5, "Sx", 2)
    with pytest.raises(OperatorError, match="does not conserve the sum of 'Sz': a term on the sites .2. changes it"):
        tn.current(H, "Sz", 1, chain.sites)
