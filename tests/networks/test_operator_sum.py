"""Operator sums and the MPOs made of them, against Kronecker sums and their operator Schmidt ranks."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exact.dense import hamiltonian, schmidt_ranks
from tnsim.errors import ChargeError, OperatorError, ShapeError
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.operator_terms import expand
from tnsim.networks.sites import spin_site, spin_sites


def add_exchange(H, i, j, strength=1.0):
    H += 0.5 * strength, "S+", i, "S-", j
    H += 0.5 * strength, "S-", i, "S+", j
    H += strength, "Sz", i, "Sz", j


def heisenberg(L, *ranges):
    H = OperatorSum()
    for distance in ranges or (1,):
        for i in range(L - distance):
            add_exchange(H, i, i + distance)
    return H


def check(H, sites):
    """The MPO equals the Kronecker sum, has the least bond dimensions, and knows whether it is Hermitian."""
    W, dense = H.mpo(sites), hamiltonian(H, sites)
    np.testing.assert_allclose(W.to_dense(), dense, atol=1e-12 * max(1.0, np.abs(dense).max()))
    assert W.bond_dimensions == schmidt_ranks(dense, sites)
    assert W.is_hermitian == np.allclose(dense, dense.conj().T, atol=1e-12) == H.is_hermitian(sites)
    return W


# -- known bond dimensions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize("S", [0.5, 1])
def test_heisenberg_chain_has_five_channels(S, conserve):
    sites = spin_sites(5 if S == 1 else 7, S, conserve)
    assert max(check(heisenberg(len(sites)), sites).bond_dimensions) == 5
    assert set(heisenberg(40).mpo(spin_sites(40, S, conserve)).bond_dimensions[2:-2]) == {5}


def test_sx_sy_sz_give_the_same_five_channels():
    H = OperatorSum()
    for i in range(5):
        for name in ("Sx", "Sy", "Sz"):
            H += 1.0, name, i, name, i + 1
    W = check(H, spin_sites(6))
    assert W.bond_dimensions == (1, 4, 5, 5, 5, 4, 1) and W.dtype == np.float64


@pytest.mark.parametrize("conserve", ["parity", None])
def test_transverse_ising_has_three_channels(conserve):
    H = OperatorSum()
    for i in range(6):
        H += -1.0, "X", i, "X", i + 1
    for i in range(7):
        H += -0.7, "Z", i
    assert check(H, spin_sites(7, conserve=conserve)).bond_dimensions == (1, 3, 3, 3, 3, 3, 3, 1)


def test_next_nearest_neighbours_have_eight_channels():
    assert check(heisenberg(7, 1, 2), spin_sites(7)).bond_dimensions == (1, 4, 8, 8, 8, 8, 4, 1)


def test_total_spin_squared_has_five_channels():
    H = OperatorSum()
    for i in range(6):
        for j in range(6):
            add_exchange(H, i, j)
    assert check(H, spin_sites(6)).bond_dimensions == (1, 4, 5, 5, 5, 4, 1)


def test_a_product_of_sums_has_one_channel():
    H = OperatorSum()
    for k in range(6):
        for places in combinations(range(5), k):
            H += 0.3**k, *(part for i in places or (0,) for part in ("Z" if places else "Id", i))
    assert check(H, spin_sites(5)).bond_dimensions == (1,) * 6


def test_power_law_has_the_numerical_rank():
    L = 100
    H = OperatorSum()
    for i in range(L):
        for j in range(i + 1, L):
            H += (j - i) ** -3.0, "Sz", i, "Sz", j
    W = H.mpo(spin_sites(L))
    couplings = np.array([[(j - i) ** -3.0 for j in range(50, L)] for i in range(50)])
    values = np.linalg.svd(couplings, compute_uv=False)
    assert W.bond_dimensions[50] <= 2 + np.count_nonzero(values > 1e-15 * values[0])
    assert W.bond_dimensions[50] >= 2 + np.count_nonzero(values > 1e-12 * values[0])
    # all spins up: the sum of all couplings
    vector = np.ones((1, 1))
    for tensor in W.tensors:
        vector = vector @ tensor.to_dense()[:, 1, 1, :]
    assert abs(vector.item() - sum((L - d) * d**-3.0 / 4 for d in range(1, L))) < 1e-11


# -- exponentials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_exponentials_take_one_channel_each(conserve):
    H = heisenberg(8).add_exponential(0.7, "Sz", "Sz", 0.5)
    assert max(check(H, spin_sites(8, conserve=conserve)).bond_dimensions) == 6
    for decay in (0.9, -0.3):
        H.add_exponential(0.2, "Sz", "Sz", decay)
    assert max(check(H, spin_sites(8, conserve=conserve)).bond_dimensions) == 8


def test_many_exponentials_close_to_an_end():
    H = OperatorSum()
    for k, decay in enumerate((0.3, 0.5, 0.7, 0.9)):
        H.add_exponential(1.0 + k, "Sz", "Sz", decay)
    assert check(H, spin_sites(6)).bond_dimensions == (1, 2, 4, 5, 4, 2, 1)


@pytest.mark.parametrize("L", [4, 7])
def test_many_exponentials_of_several_charges(L):
    """Those of one charge are combined near an end without a trace of the others."""
    H = OperatorSum()
    for decay in (0.9, 0.8, 0.7, 0.6):
        for first, second in (("S+", "S-"), ("S-", "S+"), ("Sz", "Sz")):
            H.add_exponential(1.0, first, second, decay)
    check(H, spin_sites(L))


def test_exponentials_with_a_string_and_charged_operators():
    H = OperatorSum().add_exponential(1.0, "S+", "S-", 0.4, string="Z")
    assert check(H, spin_sites(5)).is_hermitian is False
    H.add_exponential(1.0, "S-", "S+", 0.4, string="Z")
    assert check(H, spin_sites(5)).is_hermitian is True
    H = OperatorSum().add_exponential(1.0, "Sx", "Sx", 0.5).add_exponential(1.0, "Sy", "Sy", 0.5)
    assert check(H, spin_sites(6)).bond_dimensions == (1, 3, 4, 4, 4, 3, 1)
    H = OperatorSum().add_exponential(1.0, "S+", "S-", 0.4 + 0.2j) + OperatorSum().add_exponential(
        1.0, "S-", "S+", 0.4 - 0.2j
    )
    assert check(H, spin_sites(5)).is_hermitian is True


def test_hermitian_only_together_with_plain_terms():
    H = OperatorSum().add_exponential(1.0, "S+", "S-", 0.5)
    for i in range(4):
        for j in range(i + 1, 4):
            H += 0.5 ** (j - i), "S-", i, "S+", j
    assert check(H, spin_sites(4)).is_hermitian is True


def test_exponentials_on_sites_of_several_kinds():
    sites = [spin_site(0.5 if i % 2 else 1) for i in range(5)]
    check(OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5), sites)


def test_a_long_exponential_stays_one_channel():
    H = OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.1)
    assert set(H.mpo(spin_sites(200)).bond_dimensions[3:-3]) == {3}


def test_written_out_exponentials_are_found_again():
    H = OperatorSum()
    for i in range(120):
        for j in range(i + 1, 120):
            H += 0.1 ** (j - i), "Sz", i, "Sz", j
    assert set(H.mpo(spin_sites(120)).bond_dimensions[3:-3]) == {3}


@pytest.mark.parametrize("decay", [0, 1.5, np.nan, "0.5"])
def test_wrong_decay(decay):
    with pytest.raises(OperatorError, match="0 < |decay| <= 1"):
        OperatorSum().add_exponential(1.0, "Sz", "Sz", decay)


# -- random sums -------------------------------------------------------------------------------------------

NAMES = {
    None: ["Sz", "S+", "S-", "Sx", "Sy", "S+ S-"],
    "parity": ["Sz", "S+ S-", "Sx Sx"],
    "Sz": ["Sz", "S+ S-"],
}


def random_sum(rng, L, conserve, *, terms):
    """Terms on up to four sites, in any order and with repeats; ladder pairs where a charge is conserved."""
    H = OperatorSum()
    for _ in range(terms):
        places = rng.integers(0, L, size=rng.integers(1, 5)).tolist()
        names = rng.choice(NAMES[conserve], size=len(places)).tolist()
        if conserve is not None and len(places) > 1:
            names[:2] = ["S+", "S-"] if conserve == "Sz" or rng.random() < 0.5 else ["S+", "Sx"]
        factors = [part for pair in zip(names, places, strict=True) for part in pair]
        value = rng.normal() if rng.random() < 0.5 else complex(*rng.integers(-2, 3, size=2))
        H += plus_hc(value, *factors) if rng.random() < 0.5 else (value, *factors)
    return H


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize("seed", range(20))
def test_random_sums(seed, conserve):
    rng = np.random.default_rng(seed)
    S = 1 if seed % 5 == 0 else 0.5
    L = int(rng.integers(2, 5 if S == 1 else 7))
    check(random_sum(rng, L, conserve, terms=int(rng.integers(1, 30))), spin_sites(L, S, conserve))


@pytest.mark.parametrize("seed", range(3))
def test_random_long_range_couplings(seed):
    rng, L = np.random.default_rng(seed), 6
    H = OperatorSum()
    for i in range(L):
        H += rng.normal(), "Sz", i
        for j in range(i + 1, L):
            add_exchange(H, i, j, rng.normal())
    assert check(H, spin_sites(L)).bond_dimensions == (1, 4, 8, 11, 8, 4, 1)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_sum_of_diagonal_strings(data):
    L = data.draw(st.integers(1, 5))
    places = st.lists(st.integers(0, L - 1), min_size=1, max_size=4)
    terms = data.draw(st.lists(st.tuples(st.integers(-3, 3), places), max_size=12))
    H = OperatorSum()
    for value, sites in terms:
        H += value, *(part for i in sites for part in ("Z", i))
    check(H, spin_sites(L))


def test_mixed_spins_and_matrices():
    sites = [spin_site(1 if i % 2 else 0.5, None) for i in range(4)]
    rng = np.random.default_rng(0)
    H = OperatorSum()
    for i in range(3):
        H += rng.normal(), rng.normal(size=(sites[i].dim,) * 2), i, rng.normal(size=(sites[i + 1].dim,) * 2), i + 1
    check(H, sites)


def test_the_scale_of_an_operator_does_not_matter():
    H = OperatorSum()
    for i in range(5):
        H += 1e9, 1e-9 * np.diag([-0.5, 0.5]), i, "Sz", i + 1
        H += 1.0, "Z", i
    W = H.mpo(spin_sites(6))
    assert max(W.bond_dimensions) == 3
    np.testing.assert_allclose(W.to_dense(), hamiltonian(H, spin_sites(6)), rtol=1e-14)
    nearly = np.diag([-1.0, 1.0]) + 1e-7 * np.array([[0.3, 0], [0, 0.1]])
    H += 1.0, nearly, 0, nearly, 3
    np.testing.assert_allclose(H.mpo(spin_sites(6)).to_dense(), hamiltonian(H, spin_sites(6)), atol=1e-13)


# -- structure ---------------------------------------------------------------------------------------------


def test_identity_channels_stand_alone_wherever_they_cost_nothing():
    operators = heisenberg(12, 1, 2).mpo(spin_sites(12)).site_operators
    assert all(op.unit_left[0] >= 0 for op in operators[:-2])
    assert all(op.unit_right[1] >= 0 for op in operators[2:])


def test_entries_are_sparse_and_equal_sites_share_a_tensor():
    W = heisenberg(20).mpo(spin_sites(20))
    assert all(tensor is W.tensors[5] for tensor in W.tensors[5:15])
    # two identities (2 elements each), Sz twice (2 each), S+ and S- twice (1 each)
    assert len(W.site_operators[8].entries) == 12


def test_deterministic():
    first, second = (heisenberg(10, 1, 3).mpo(spin_sites(10)) for _ in range(2))
    for a, b in zip(first.tensors, second.tensors, strict=True):
        assert a.legs == b.legs and (a.data == b.data).all()


def test_site_tensors_conserve_charge():
    for tensor in heisenberg(6).mpo(spin_sites(6)).tensors:
        assert [leg.flow for leg in tensor.legs] == [1, 1, -1, -1]
        assert tensor.charge == (0,)


# -- the sum as a value ------------------------------------------------------------------------------------


def test_arithmetic():
    sites = spin_sites(4)
    A, B = heisenberg(4), OperatorSum()
    B += plus_hc(0.3 + 0.2j, "S+", 0, "S-", 2)
    B.add_exponential(0.4, "Sz", "Sz", 0.5)
    a, b = hamiltonian(A, sites), hamiltonian(B, sites)
    for H, dense in [
        (A + B, a + b),
        (A - B, a - b),
        (2 * A, 2 * a),
        (np.float64(2) * B, 2 * b),
        (B * 1j, 1j * b),
        (-B / 2, -b / 2),
    ]:
        np.testing.assert_allclose(H.mpo(sites).to_dense(), dense, atol=1e-13)
    before = len(A)
    A += B
    assert len(A) == before + 2 == len(list(A))
    assert (1j * B).is_hermitian(sites) is False and B.is_hermitian(sites) is True


def test_order_on_a_site_is_that_of_writing():
    sites = spin_sites(2, conserve=None)
    H = OperatorSum().add(1.0, "S+", 0, "Sz", 1, "S-", 0, "Sz", 0)
    np.testing.assert_allclose(H.mpo(sites).to_dense(), np.kron(sites[0].op("S+ S- Sz"), sites[1].op("Sz")))


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_products_on_a_site_that_cancel_are_no_operators(conserve):
    # Sx Sy Sx of a spin 1 is zero; in floating point 3e-17 is left of it, which breaks Sz
    sites = spin_sites(3, 1, conserve)
    H = OperatorSum()
    H += 1.0, "Sz", 0, "Sz", 1
    H += 1.0, "Sx Sy Sx", 0
    H += 1.0, "Sx", 0, "Sy", 0, "Sx", 0
    assert H.mpo(sites).bond_dimensions == (1, 1, 1, 1)
    assert H.mpo(sites).is_hermitian


def test_equal_operators_merge():
    H = OperatorSum()
    H += 1.0, "Z", 0, "Z", 1
    H += -4.0, "Sz", 0, "Sz", 1
    sites = spin_sites(2)
    assert expand(H.terms, (), sites).coefficients == {}
    assert H.mpo(sites).bond_dimensions == (1, 1, 1) and not H.mpo(sites).to_dense().any()


def test_empty_constant_and_single_site():
    sites = spin_sites(3)
    check(OperatorSum(), sites)
    check(OperatorSum().add(2.5, "Id", 1), sites)
    check(OperatorSum().add(2.5, "Id", 1).add(1.0, "Sz", 2), sites)
    check(OperatorSum().add(1.0, "Sz", 0), spin_sites(1))


def test_representation():
    H = heisenberg(4)
    assert repr(H).startswith("OperatorSum with 9 terms: 0.5 S+[0] S-[1] + 0.5 S-[0] S+[1]") and repr(H).endswith("...")
    assert repr(OperatorSum()) == "OperatorSum with 0 terms: 0"
    exponential = OperatorSum().add_exponential(1.0, "Sz", np.eye(2), 0.5, "Z")
    assert "sum_i<j 0.5**(j-i) Sz[i] Z.. matrix[j]" in repr(exponential)
    assert "^dagger" in str(plus_hc(1j, "S+", 0) * 1j)


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term",
    [(1.0,), (1.0, "Sz"), (1.0, "Sz", 0, "Sz"), ("Sz", 0, 1.0), (1.0, 0, "Sz"), (1.0, "Sz", 0.5), (1.0, "Sz", True)],
)
def test_ill_formed_terms(term):
    with pytest.raises(OperatorError):
        OperatorSum().add(*term)


def test_what_cannot_be_added():
    H = OperatorSum()
    with pytest.raises(OperatorError, match="takes"):
        H += 3.0
    with pytest.raises(TypeError):
        H + 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, np.nan)])
def test_coefficients_must_be_finite(value):
    with pytest.raises(OperatorError, match="must be a finite number"):
        OperatorSum().add(value, "Sz", 0)
    with pytest.raises(OperatorError, match="must be a finite number"):
        OperatorSum().add_exponential(value, "Sz", "Sz", 0.5)
    with pytest.raises(OperatorError, match="must be a finite number"):
        value * heisenberg(2)


@pytest.mark.parametrize("site", [-1, 4])
def test_site_out_of_range(site):
    with pytest.raises(OperatorError, match=rf"'1 Sz\[{site}\]' names site {site}, but the chain has sites 0 to 3"):
        OperatorSum().add(1.0, "Sz", site).mpo(spin_sites(4))


def test_unknown_operator_names_the_nearest():
    with pytest.raises(OperatorError, match=r"in the term '1 Szz\[2\]'.*Did you mean \"Sz\""):
        OperatorSum().add(1.0, "Szz", 2).mpo(spin_sites(4))
    with pytest.raises(OperatorError, match="Did you mean"):
        OperatorSum().add_exponential(1.0, "Sz", "S_z", 0.5).mpo(spin_sites(4))


def test_charge_breaking_terms_are_named():
    H = heisenberg(4)
    H += 0.3, "Sx", 2
    with pytest.raises(ChargeError, match=r"'0.3 Sx\[2\]' changes the conserved charge \(U\(1\) 2Sz\) by \(-?2,\)"):
        H.mpo(spin_sites(4))
    check(H, spin_sites(4, conserve=None))
    with pytest.raises(ChargeError, match="Z_2 parity"):
        H.mpo(spin_sites(4, conserve="parity"))
    with pytest.raises(ChargeError, match="sum_i<j"):
        OperatorSum().add_exponential(1.0, "S+", "S+", 0.5).mpo(spin_sites(4))


def test_sites_of_one_group_and_at_least_one():
    with pytest.raises(ChargeError, match="site 1 conserves"):
        heisenberg(2).mpo([spin_site(), spin_site(conserve=None)])
    with pytest.raises(ShapeError, match="at least one site"):
        OperatorSum().mpo([])
