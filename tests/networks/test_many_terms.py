"""Terms given as arrays: the same sums as term by term, whatever the order of sites and operators."""

import time
from itertools import product

import numpy as np
import pytest

from tests.exact.dense import hamiltonian, schmidt_ranks
from tnsim.errors import ChargeError, OperatorError
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_strings import Strings
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.operator_terms import expand
from tnsim.networks.sites import electron_site, fermion_site, kondo_site, spin_site, spin_sites, tj_site


def check(H, sites):
    """The MPO of a sum with many terms equals the Kronecker sum of its terms, one by one, at the least dimension."""
    W, dense = H.mpo(sites), hamiltonian(H, sites)
    np.testing.assert_allclose(W.to_dense(), dense, atol=1e-12 * max(1.0, np.abs(dense).max()))
    assert W.bond_dimensions == schmidt_ranks(dense, sites)
    assert W.is_hermitian == np.allclose(dense, dense.conj().T, atol=1e-12) == H.is_hermitian(sites)
    return W


@pytest.mark.parametrize("names", [("Cdag", "C"), ("Cdag", "C", "Cdag", "C"), ("C", "N", "C", "Cdag", "Cdag")])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_orders_of_fermions(names, seed):
    """Any order of the sites, several operators on one site: signs as term by term."""
    rng = np.random.default_rng(seed)
    sites = [fermion_site()] * 5
    places = rng.integers(0, 5, size=(len(names), 40))
    factors = [part for name, where in zip(names, places, strict=True) for part in (name, where)]
    check(OperatorSum().add_many(rng.standard_normal(40), *factors), sites)


def test_every_order_of_four_operators_on_three_electron_sites():
    sites = [electron_site()] * 3
    places = np.array(list(product(range(3), repeat=4))).T
    values = np.random.default_rng(2).standard_normal(places.shape[1])
    H = OperatorSum().add_many(
        values, "Cdag_up", places[0], "Cdag_down", places[1], "C_down", places[2], "C_up", places[3]
    )
    check(H, sites)
    check(H + OperatorSum().add(0.7, "N", 0, "N", 2) - 0.3 * H, sites)


def test_sites_of_several_kinds_and_matrices():
    sites = [electron_site("N"), tj_site("N"), electron_site("N"), kondo_site(0.5, "N")]
    rng = np.random.default_rng(3)
    i, j = rng.integers(0, 4, size=(2, 30))
    H = OperatorSum().add_many(rng.standard_normal(30) + 1j * rng.standard_normal(30), "Cdag_up", i, "C_down", j)
    check(H, sites)
    sites = [spin_site(0.5, None)] * 4
    H = OperatorSum().add_many(rng.standard_normal(9), np.array([[0.3, 1.0], [0.2, -0.4]]), rng.integers(0, 4, 9))
    check(H.add_many([0.5, 0.5], "Sx", [0, 3], "Sy", [2, 3]), sites)


def test_terms_of_both_kinds_merge():
    sites = spin_sites(4)
    H = OperatorSum().add_many([1.0, 1.0], "Sz", [0, 1], "Sz", [2, 3]).add(-1.0, "Sz", 2, "Sz", 0)
    assert expand(H.terms, (), sites, H.many).coefficients == {((1, 1), (3, 1)): 0.25}
    H += plus_hc(0.5, "S+", 0, "S-", 1)
    check(H.add_exponential(0.2, "Sz", "Sz", 0.5), sites)
    check(OperatorSum().add_many([2.0, 1.0], "Id", [0, 2]), sites)
    assert len(OperatorSum().add_many([], "Sz", []).mpo(sites).bond_dimensions) == 5


def test_infinite_sums_take_many_terms():
    sites = spin_sites(2)
    one = OperatorSum().add(1.0, "Sz", 0, "Sz", 1).add(0.5, "Sz", 1, "Sz", 2)
    many = OperatorSum().add_many([1.0, 0.5], "Sz", [0, 1], "Sz", [1, 2])
    a, b = (InfiniteMPO.from_sum(H, sites).open_chain(3).to_dense() for H in (one, many))
    np.testing.assert_array_equal(a, b)


def test_strings_are_sorted_and_merged():
    parts = {((1, 2), (3, 1)): 1.0, ((0, 1),): 2.0, (): 0.5, ((1, 2),): -1.0}
    strings = Strings.of(parts)
    assert [key for key, _ in strings.items()] == sorted(parts) and dict(strings.items()) == parts
    twice = Strings.merged([(strings.codes, strings.values), (strings.codes[:2], -strings.values[:2])])
    assert dict(twice.items()) == {key: parts[key] for key in sorted(parts)[2:]}


def test_adjoints_of_operators_that_are_several_in_the_basis():
    """Spin-1 matrices whose adjoints need two basis operators and the identity."""
    sites = [spin_site(1, None)] * 3
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 3, 3)) + 1j * rng.standard_normal((2, 3, 3))
    H = OperatorSum().add_many([1.0, 0.3], a, [0, 1], b, [1, 2])
    assert not check(H, sites).is_hermitian
    adjoint = OperatorSum().add_many([1.0, 0.3], a.conj().T, [0, 1], b.conj().T, [1, 2])
    assert check(H + adjoint, sites).is_hermitian


def test_a_hundred_thousand_terms_take_seconds():
    L, rng = 14, np.random.default_rng(5)
    i, j, k, m = (axis.ravel() for axis in np.indices((L,) * 4))
    once = (i < j) & (k < m)
    values = rng.standard_normal(once.sum())
    begun = time.perf_counter()
    H = OperatorSum()
    for a, b in (("up", "up"), ("up", "down"), ("down", "up"), ("down", "down")):
        H.add_many(values, f"Cdag_{a}", i[once], f"Cdag_{b}", j[once], f"C_{b}", k[once], f"C_{a}", m[once])
    expansion = expand(H.terms, (), [electron_site()] * L, H.many)
    assert len(expansion.strings) > 25_000 and time.perf_counter() - begun < 10


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda H: H.add_many([1.0, 2.0], "Sz", [0]), OperatorError, "2 terms need as many sites"),
        (lambda H: H.add_many([1.0], "Sz", [0.5]), OperatorError, "whole numbers"),
        (lambda H: H.add_many([1.0], "Sz"), OperatorError, "many terms read"),
        (lambda H: H.add_many(["a"], "Sz", [0]), OperatorError, "many terms read"),
        (lambda H: H.add_many([1.0, np.nan], "Sz", [0, 1]), OperatorError, "coefficient 1 .* is not finite"),
        (lambda H: H.add_many([1.0], 3, [0]), OperatorError, "a name or a matrix"),
        (lambda H: H.add_many([1.0, 1.0], "Sz", [0, 7]), OperatorError, r"'1 Sz\[7\]' names site 7"),
        (lambda H: H.add_many([1.0], "Sz", [-1]), OperatorError, "names site -1"),
        (lambda H: H.add_many([1.0], "Szz", [0]), OperatorError, r"in the term '1 Szz\[0\]'.*Did you mean"),
        (lambda H: H.add_many([1.0, 2.0], "S+", [0, 1]), ChargeError, r"'1 S\+\[0\]' changes the conserved charge"),
    ],
)
def test_bad_many_terms(make, error, message):
    with pytest.raises(error, match=message):
        make(OperatorSum()).mpo(spin_sites(3))


def test_an_odd_number_of_fermions_is_refused():
    H = OperatorSum().add_many([0.5], "Cdag", [1], "N", [0])
    with pytest.raises(OperatorError, match=r"'0.5 Cdag\[1\] N\[0\]' has an odd number of fermionic"):
        H.mpo([fermion_site()] * 2)
