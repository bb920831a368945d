"""Sums that change no product state: Ising couplings with random fields, where every product state is an eigenstate."""

from itertools import combinations

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense


def random_field_ising(L: int, seed: int) -> tuple[tn.OperatorSum, np.ndarray]:
    """A random Ising chain in random fields, and the energies of all states with half the spins up, ascending."""
    rng, H = np.random.default_rng(seed), tn.OperatorSum()
    J, h = rng.normal(size=L - 1), rng.normal(size=L)
    for i in range(L):
        H += h[i], "Z", i
        if i:
            H += J[i - 1], "Z", i - 1, "Z", i
    spins = -np.ones((len(places := list(combinations(range(L), L // 2))), L))
    for row, ups in zip(spins, places, strict=True):
        row[list(ups)] = 1
    return H, np.sort((spins[:, 1:] * spins[:, :-1]) @ J + spins @ h)


def search(sites: int, **options) -> tn.DMRG:
    return tn.DMRG(truncation=tn.Truncation(chi_max=16), sites=sites, **options)


@pytest.mark.parametrize(("sites", "seed"), [(1, 5), (1, 21), (2, 7), (2, 12)])
def test_the_lowest_of_all_product_states_is_found(sites, seed):
    H, energies = random_field_ising(8, seed)
    chain = tn.spin_sites(8)
    psi = tn.MPS.product(chain, ["up", "down"] * 4)
    alone = search(sites, second_start=False).solve(H.mpo(chain), psi)
    assert alone.energy > energies[0] + 0.1 and alone.variance < 1e-12
    result = search(sites).solve(H.mpo(chain), psi)
    assert result.energy == pytest.approx(energies[0], abs=1e-9)
    assert result.status.name == "converged after a second start" and max(result.state.bond_dimensions) == 1


def test_the_lowest_product_states_one_by_one():
    H, energies = random_field_ising(8, 12)
    chain = tn.spin_sites(8)
    levels = search(2).excited(H.mpo(chain), tn.MPS.product(chain, ["up", "down"] * 4), n=3)
    np.testing.assert_allclose(levels.energies, energies[:3], rtol=0, atol=1e-9)


@pytest.mark.parametrize("conserve", ["N,Sz", "N", None])
def test_electrons_that_do_not_move(conserve):
    rng, H, L = np.random.default_rng(3), tn.OperatorSum(), 4
    for i in range(L):
        H += rng.normal(), "N_up N_down", i
        H += rng.normal(), "Sz", i
        H += 2 * rng.normal(), "N", i
        for j in range(i):
            H += 2 * rng.normal(), "N", i, "N", j
    sites = [tn.electron_site(conserve)] * L
    psi = tn.MPS.product(sites, ["up", "down", "full", "empty"])
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert search(2).solve(H.mpo(sites), psi).energy == pytest.approx(exact, abs=1e-9)


def test_a_product_state_that_nothing_moves_to_is_taken_as_it_is():
    # H is a number in this sector: there is no spread of energies, and nothing to search for
    sites, H = tn.spin_sites(4), tn.OperatorSum()
    H += 2.0, "Id", 0
    result = search(2).solve(H.mpo(sites), tn.MPS.product(sites, ["up", "down"] * 2))
    assert result.status.converged and result.energy == pytest.approx(2.0, abs=1e-12)
