"""Signs of fermions: sums with operators in any order against Jordan-Wigner matrices written out."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import tnsim as tn
from tests.exact import dense
from tests.networks.test_operator_sum import check
from tnsim.errors import ChargeError, OperatorError, SettingsError, StateError
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import (
    Site,
    boson_site,
    custom_site,
    electron_site,
    fermion_site,
    kondo_site,
    spin_site,
    tj_site,
)
from tnsim.symmetry import TRIVIAL, FermionParity

FERMIONIC = {
    "spinless": (fermion_site, ["N", "parity", None], ["C", "Cdag"], ["N", "F"]),
    "electron": (
        electron_site,
        ["N,Sz", "N", "Sz", "parity", "parity,Sz", None],
        ["C_up", "Cdag_up", "C_down", "Cdag_down"],
        ["N", "Sz", "N_up N_down", "F"],
    ),
    "t-J": (tj_site, ["N,Sz", "N", "parity", None], ["C_up", "Cdag_up", "C_down", "Cdag_down"], ["N", "Sz"]),
    "Kondo": (kondo_site, ["N,Sz", None], ["C_up", "Cdag_up", "C_down", "Cdag_down"], ["N", "Sz_f", "Sz_c"]),
}


# -- the algebra -------------------------------------------------------------------------------------------


def full_modes(modes):
    """Annihilation operators of independent modes, written out as Kronecker products."""
    z, a, one = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [0.0, 0.0]]), np.eye(2)
    return [dense.kron([z] * k + [a] + [one] * (modes - k - 1)) for k in range(modes)]


def test_canonical_anticommutators_on_electron_sites():
    sites = [electron_site(None)] * 2
    modes = [dense.place(sites, [(name, i)]) for i in range(2) for name in ("C_up", "C_down")]
    for (n, a), (m, b) in product(enumerate(modes), repeat=2):
        assert not (a @ b + b @ a).any()
        np.testing.assert_allclose(a @ b.T + b.T @ a, np.eye(16) * (n == m), atol=1e-15)
    for mine, expected in zip(modes, full_modes(4), strict=True):
        np.testing.assert_array_equal(mine, expected)  # empty, down, up, full is the Kronecker order of (up, down)


def test_electron_operators():
    site = electron_site(None)
    up, down = site.op("C_up"), site.op("C_down")
    np.testing.assert_array_equal(site.op("F"), np.diag((-1.0) ** site.op("N").diagonal()))
    np.testing.assert_array_equal(site.op("S+"), up.T @ down)
    x, y, z = (site.op(name) for name in ("Sx", "Sy", "Sz"))
    np.testing.assert_allclose(x @ y - y @ x, 1j * z)
    vacuum = np.eye(4)[site.state("empty")]
    np.testing.assert_array_equal(up.T @ down.T @ vacuum, np.eye(4)[site.state("full")])


def test_tj_operators_are_projected():
    site, electron = tj_site(None), electron_site(None)
    kept = [electron.state(name) for name in site.states]
    for name in ("C_up", "Cdag_down", "N", "Sz", "S+", "Sy"):
        np.testing.assert_array_equal(site.op(name), electron.op(name)[np.ix_(kept, kept)])
    occupied = site.op("C_up") @ site.op("Cdag_up")
    np.testing.assert_array_equal(occupied, np.diag([1.0, 0.0, 0.0]))  # 1 - n: no room on "down"


def test_kondo_operators():
    for S, conserve in ((0.5, None), (1, "N,Sz")):
        site = kondo_site(S, conserve)
        np.testing.assert_allclose(
            sum(site.op(f"{n}_f") @ site.op(f"{n}_f") for n in ("Sx", "Sy", "Sz")), S * (S + 1) * np.eye(site.dim)
        )
        np.testing.assert_allclose(site.op("S+_c"), site.op("Cdag_up") @ site.op("C_down"))
        for name in ("S+_f", "Sz_f"):
            np.testing.assert_allclose(site.op(name) @ site.op("C_up"), site.op("C_up") @ site.op(name))
        singlet = sum(site.op(f"{n}_f") @ site.op(f"{n}_c") for n in ("Sx", "Sy", "Sz"))
        assert np.linalg.eigvalsh(singlet)[0] == pytest.approx(-(S + 1) / 2)


@pytest.mark.parametrize("n_max", [1, 2, 5])
@pytest.mark.parametrize("conserve", ["N", "parity", None])
def test_bosons(n_max, conserve):
    site = boson_site(n_max, conserve)
    assert site.dim == n_max + 1 and not site.is_fermionic
    commutator = site.op("B Bdag") - site.op("Bdag B")
    top = site.state(str(n_max))
    expected = np.eye(n_max + 1)
    expected[top, top] = -n_max
    np.testing.assert_allclose(commutator, expected, atol=1e-14)
    np.testing.assert_allclose(site.op("Bdag B"), site.op("N"), atol=1e-14)
    assert site.charge_of("Bdag") == {"N": (1,), "parity": (1,), None: ()}[conserve]


@pytest.mark.parametrize("kind", FERMIONIC)
def test_charges_of_every_conserved_quantity(kind):
    make, conserves, ladder, neutral = FERMIONIC[kind]
    for conserve in conserves:
        site = make(conserve=conserve)
        numbers, spins = site.op("N").diagonal(), (site.op("Sz").diagonal() if "Sz" in site.operators else None)
        values = {"N": numbers, "parity": numbers % 2, "Sz": None if spins is None else 2 * spins}
        names = [] if conserve is None else conserve.split(",")
        expected = [tuple(round(float(values[name][k])) for name in names) for k in range(site.dim)]
        assert list(site.charges) == expected == sorted(expected)
        assert [site.by_parity(site.op(name))[0][0] for name in ladder] == [1] * len(ladder)
        assert [site.by_parity(site.op(name))[0][0] for name in neutral] == [0] * len(neutral)
        assert site.parities == tuple(numbers.astype(int) % 2)


# -- sums --------------------------------------------------------------------------------------------------


def test_every_order_of_four_operators():
    """Written in 24 orders on four sites: the sign is that of the permutation."""
    factors = [("Cdag_up", 0), ("Cdag_down", 1), ("C_down", 2), ("C_up", 3)]
    sites = [tj_site()] * 4
    reference = dense.place(sites, factors)
    for order in permutations(range(4)):
        H = OperatorSum().add(1.0, *(part for k in order for part in factors[k]))
        sign = np.linalg.det(np.eye(4)[list(order)])
        np.testing.assert_allclose(H.mpo(sites).to_dense(), sign * reference, atol=1e-13)


def test_several_operators_on_one_site():
    sites = [electron_site()] * 3
    for factors in [
        ("Cdag_up", 1, "C_down", 1, "Cdag_down", 2, "C_up", 0),
        ("C_up", 0, "N", 1, "Cdag_up", 1, "N_down", 0, "C_down", 2, "Cdag_down", 2),
        ("Cdag_up", 2, "Cdag_down", 2, "C_down", 0, "C_up", 0),
        ("Cdag_up C_down", 0, "Cdag_down", 1, "N", 1, "C_up", 1),
    ]:
        H = OperatorSum().add(1.7, *factors)
        H += plus_hc(0.3 - 0.4j, *factors)
        check(H, sites)


def random_fermion_sum(rng, L, ladder, neutral, conserve, *, terms):
    """Terms with zero, two or four fermionic operators among even ones, in any order."""
    H = OperatorSum()
    for _ in range(terms):
        chosen = []
        for _ in range(int(rng.integers(0, 3))):
            kind = ladder[int(rng.integers(0, len(ladder)))]
            partner = kind.replace("Cdag", "C") if "dag" in kind else kind.replace("C", "Cdag")
            if conserve is None or conserve.startswith("parity") and "Sz" not in conserve:
                partner = ladder[int(rng.integers(0, len(ladder)))]
            chosen += [kind, partner]
        chosen += [neutral[int(rng.integers(0, len(neutral)))] for _ in range(int(rng.integers(not chosen, 3)))]
        rng.shuffle(chosen)
        factors = [part for name in chosen for part in (str(name), int(rng.integers(0, L)))]
        value = rng.normal() if rng.random() < 0.5 else complex(*rng.integers(-2, 3, size=2))
        H += plus_hc(value, *factors) if rng.random() < 0.5 else (value, *factors)
    return H


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("kind", "conserve"), [(kind, conserve) for kind, entry in FERMIONIC.items() for conserve in entry[1]]
)
def test_random_sums(kind, conserve, seed):
    rng = np.random.default_rng(seed)
    make, _, ladder, neutral = FERMIONIC[kind]
    L = int(rng.integers(2, {"spinless": 7, "electron": 5, "t-J": 5, "Kondo": 4}[kind]))
    H = random_fermion_sum(rng, L, ladder, neutral, conserve, terms=int(rng.integers(1, 25)))
    check(H, [make(conserve=conserve)] * L)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_product_of_fermions(data):
    L = data.draw(st.integers(2, 5))
    names = st.sampled_from(["C", "Cdag", "N", "F"])
    terms = data.draw(st.lists(st.lists(st.tuples(names, st.integers(0, L - 1)), min_size=1, max_size=6), max_size=6))
    H = OperatorSum()
    for k, term in enumerate(terms):
        if sum(name.startswith("C") for name, _ in term) % 2 == 0:
            H += k + 0.5, *(part for factor in term for part in factor)
    check(H, [fermion_site(None)] * L)


def test_chains_of_several_kinds_of_sites():
    """Strings pass over spins and bosons; fermions of unlike sites anticommute."""
    sites = [fermion_site(None), spin_site(conserve=None), electron_site(None), boson_site(2, None), fermion_site(None)]
    rng = np.random.default_rng(0)
    H = OperatorSum()
    H += plus_hc(0.7, "C", 4, "Cdag", 0)
    H += plus_hc(0.3, "C_up", 2, "S+", 1, "Cdag", 0, "B", 3)
    H += plus_hc(rng.normal(), "Cdag", 4, "N", 3, "C_down", 2, "Sz", 1)
    check(H, sites)


def test_mixed_parity_operators_work_where_the_odd_part_cancels():
    majorana = np.array([[0.0, 1.0], [1.0, 0.0]])
    sites = [fermion_site(None)] * 4
    H = OperatorSum()
    for i in range(3):
        H += 1j, majorana, i + 1, 1j * np.array([[0.0, 1.0], [-1.0, 0.0]]), i
    check(H, sites)
    mixed = majorana + np.diag([0.0, 1.0])
    H = OperatorSum().add(1.0, mixed, 0, mixed, 2).add(-1.0, majorana, 0, "N", 2).add(-1.0, "N", 0, majorana, 2)
    assert check(H, sites).is_hermitian is False  # (i c d)^dagger = -i d c: Majorana pairs need the i


def test_exponential_hopping_carries_its_string():
    H = OperatorSum().add_exponential(0.7, "Cdag", "C", 0.6).add_exponential(-0.7, "C", "Cdag", 0.6)
    sites = [fermion_site()] * 6
    W = check(H, sites)
    assert W.is_hermitian is True and max(W.bond_dimensions) == 4
    written = OperatorSum()
    for i in range(6):
        for j in range(i + 1, 6):
            written += plus_hc(0.7 * 0.6 ** (j - i), "C", j, "Cdag", i) * -1.0
    np.testing.assert_allclose(W.to_dense(), written.mpo(sites).to_dense(), atol=1e-13)
    assert OperatorSum().add_exponential(0.7, "Cdag", "C", 0.6).is_hermitian(sites) is False
    mixed = [fermion_site(None), electron_site(None), fermion_site(None)]
    check(OperatorSum().add_exponential(0.7, "F", "F", 0.6), mixed)


@pytest.mark.parametrize("conserve", ["N,Sz", "N", "parity", None])
def test_hubbard_chain_has_six_channels(conserve):
    H = OperatorSum()
    L = 20
    for i in range(L):
        H += 4.0, "N_up N_down", i
        for spin in ("up", "down") if i else ():
            H += plus_hc(-1.0, f"Cdag_{spin}", i, f"C_{spin}", i - 1)
    W = H.mpo([electron_site(conserve)] * L)
    assert set(W.bond_dimensions[2:-2]) == {6}
    operators = W.site_operators
    assert all(op.unit_left[0] >= 0 for op in operators[:-2]) and all(op.unit_right[1] >= 0 for op in operators[2:])


def test_the_order_of_writing_changes_signs_only():
    sites = [fermion_site()] * 5
    rng = np.random.default_rng(3)
    forward, backward = OperatorSum(), OperatorSum()
    for i, j in permutations(range(5), 2):
        value = rng.normal()
        forward += value, "Cdag", i, "C", j
        backward += -value, "C", j, "Cdag", i
    np.testing.assert_allclose(forward.mpo(sites).to_dense(), backward.mpo(sites).to_dense(), atol=1e-13)
    assert forward.mpo(sites).bond_dimensions == backward.mpo(sites).bond_dimensions


def test_gates_of_fermions():
    """A hop on two sites in the middle is that of the whole chain; a single fermion is no gate."""
    sites = [electron_site()] * 4
    psi = tn.MPS.random(sites, chi=16, charge=(4, 0), seed=0, dtype=np.complex128)
    bond = OperatorSum([plus_hc(-1.0, "Cdag_down", 1, "C_down", 0), plus_hc(0.4, "Cdag_up", 0, "C_up", 1)])
    gate = expm(-0.3j * bond.mpo(sites[:2]).to_dense())
    H = OperatorSum([plus_hc(-1.0, "Cdag_down", 2, "C_down", 1), plus_hc(0.4, "Cdag_up", 1, "C_up", 2)])
    evolved, _ = tn.apply_gate(psi, gate, 1)
    expected = expm(-0.3j * dense.hamiltonian(H, sites)) @ psi.to_dense()
    np.testing.assert_allclose(evolved.to_dense(), expected, atol=1e-12)
    with pytest.raises(OperatorError, match="changes the fermion parity"):
        tn.apply_gate(tn.MPS.product([fermion_site(None)] * 3, ["full"] * 3), fermion_site().op("C"), 1)


# -- own sites, files, errors ------------------------------------------------------------------------------


def test_own_sites_with_and_without_fermions():
    matrix = np.array([[0.0, 0.0], [1.0, 0.0]])
    fermion = custom_site("mode", ["full", "empty"], FermionParity(), [1, 0], {"A": matrix}, parities=[1, 0])
    assert fermion.states == ("empty", "full") and fermion == fermion.with_operator("A", matrix.T)
    plain = custom_site("qubit", ["0", "1"], TRIVIAL, [(), ()], {"A": matrix})
    assert "F" not in plain.operators and fermion.op("F").tolist() == [[1, 0], [0, -1]]
    for site, conserve in ((fermion, True), (plain, False)):
        H = OperatorSum()
        for i, j in [(2, 0), (1, 2), (0, 1)]:
            H += plus_hc(1.0, "A", i, site.op("A").T, j)
        check(H, [site] * 3)
        assert site.is_fermionic is conserve
    reference = [fermion_site("parity")] * 3
    hopping = OperatorSum().add(1.0, "C", 2, "Cdag", 0)
    np.testing.assert_array_equal(
        OperatorSum().add(1.0, "A", 2, matrix, 0).mpo([fermion] * 3).to_dense(), hopping.mpo(reference).to_dense()
    )


def test_parities_survive_files_and_the_loss_of_symmetry(tmp_path):
    sites = [electron_site()] * 3
    psi = tn.MPS.product(sites, ["up", "full", "empty"])
    loaded = tn.load(tn.save(tmp_path / "psi.h5", psi))
    assert loaded.sites == psi.sites and loaded.sites[0].parities == (0, 1, 1, 0)
    assert psi.without_symmetry().sites[0].parities == (0, 1, 1, 0)


@pytest.mark.parametrize("conserve", ["N", "parity", None])
def test_odd_terms_are_refused(conserve):
    sites = [fermion_site(conserve)] * 3
    for factors in (("C", 0), ("Cdag", 0, "C", 1, "C", 2), ("C", 1, "N", 0), (np.ones((2, 2)), 1)):
        with pytest.raises(OperatorError, match="odd number of fermionic operators"):
            OperatorSum().add(1.0, *factors).mpo(sites)
    with pytest.raises(OperatorError, match="odd number of fermionic operators"):
        OperatorSum().add_exponential(1.0, "Cdag", "N", 0.5).mpo(sites)
    with pytest.raises(OperatorError, match="odd number of fermionic operators"):
        OperatorSum().add_exponential(1.0, "Cdag", "C", 0.5, string="C").mpo(sites)


def test_charge_breaking_pairs_are_named():
    with pytest.raises(ChargeError, match=r"changes the conserved charge \(U\(1\) N\) by \(2,\)"):
        OperatorSum().add(1.0, "Cdag", 0, "Cdag", 1).mpo([fermion_site()] * 2)
    check(OperatorSum() + OperatorSum([plus_hc(1.0, "Cdag", 1, "Cdag", 0)]), [fermion_site("parity")] * 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fermion_site("Sz"), "fermion site conserves 'N', 'parity' or None, found 'Sz'"),
        (lambda: electron_site("N,sz"), 'several with a comma.*Did you mean "Sz"'),
        (lambda: electron_site("N,N"), "found 'N,N'"),
        (lambda: tj_site(""), "found ''"),
        (lambda: boson_site(0), "at least one boson, found n_max = 0"),
        (lambda: boson_site(2.5), "n_max = 2.5"),
        (lambda: kondo_site(S=0.3), "positive multiple of 1/2"),
        (lambda: custom_site("x", ["a", "b"], TRIVIAL, [()], {}), "one charge and one parity"),
        (lambda: custom_site("x", ["a", "b"], TRIVIAL, [(), ()], {}, parities=[1]), "one charge and one parity"),
        (lambda: custom_site("x", ["a", "b"], TRIVIAL, [(), ()], {"A": np.eye(3)}), r"shape \(2, 2\), found \(3, 3\)"),
        (lambda: Site("x", ("a", "b"), TRIVIAL, ((), ()), {}, parities=(0, 2)), "fermion parity of 0 or 1"),
    ],
)
def test_bad_sites(make, message):
    with pytest.raises((OperatorError, SettingsError, StateError), match=message):
        make()
