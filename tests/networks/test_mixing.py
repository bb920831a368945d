"""The mixing sum: Hermitian, of the symmetry of the sites, and with a path between all product states of a sector."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

import tnsim as tn
from tests.exact import dense
from tnsim.networks.mixing import mixing_sum
from tnsim.symmetry import Zn

SITES = {
    "spins": [tn.spin_site(1, "Sz")] * 3,
    "mixed spins": [tn.spin_site(1, "Sz"), tn.spin_site(0.5, "Sz"), tn.spin_site(1.5, "Sz")],
    "parity": [tn.spin_site(0.5, "parity")] * 4,
    "no symmetry": [tn.spin_site(1, None)] * 2,
    "electrons": [tn.electron_site("N,Sz")] * 3,
    "electrons by number": [tn.electron_site("N")] * 3,
    "electrons without symmetry": [tn.electron_site(None)] * 2,
    "fermions": [tn.fermion_site("N")] * 4,
    "bosons": [tn.boson_site(2, "N")] * 3,
    "Z3": [tn.custom_site("clock", ["a", "b", "c"], Zn(3, "q"), [0, 1, 2], {"N": np.diag([0.0, 1, 2])})] * 3,
}


@pytest.mark.parametrize("name", SITES)
def test_every_state_of_a_sector_is_reached_and_no_other(name):
    sites = SITES[name]
    H = mixing_sum(sites)
    matrix = dense.hamiltonian(H, sites)
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-14)
    np.testing.assert_allclose(H.mpo(sites).to_dense(), matrix, atol=1e-12)
    # the fermion parity is kept also where no charge tells it
    sectors = np.column_stack([dense.charges(sites), parities(sites)])
    found, labels = connected_components(np.abs(matrix) > 0)
    assert found == len(np.unique(sectors, axis=0))
    assert all(len(np.unique(sectors[labels == k], axis=0)) == 1 for k in range(found))


def parities(sites) -> list[int]:
    """Fermion parity of every Kronecker basis state."""
    table = [0]
    for site in sites:
        table = [(a + b) % 2 for a in table for b in site.parities]
    return table
