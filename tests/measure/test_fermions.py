"""Correlations and products of fermionic operators: Jordan-Wigner strings against matrices written out."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense
from tests.suites.chains import relative
from tnsim.errors import OperatorError

CHAINS = {
    "spinless": ([tn.fermion_site()] * 6, (3,)),
    "spinless-none": ([tn.fermion_site(None)] * 6, ()),
    "electrons-parity": ([tn.electron_site("parity")] * 4, (0,)),
    "electrons-none": ([tn.electron_site(None)] * 4, ()),
    "t-J": ([tn.tj_site()] * 5, (3, 1)),
    "Kondo": ([tn.kondo_site()] * 3, (3, 2)),
}
MIXED = [tn.fermion_site(None), tn.spin_site(conserve=None), tn.electron_site(None), tn.fermion_site(None)]


def state(sites, charge):
    return tn.MPS.random(sites, chi=9, charge=charge, seed=1, dtype=np.complex128) * 1.3


@pytest.fixture(params=CHAINS)
def psi(request):
    return state(*CHAINS[request.param])


def names_of(site):
    return [name for name in ("C", "Cdag", "C_up", "Cdag_down", "C_down", "N", "Sx", "Sz_f") if name in site.operators]


def value(psi, factors):
    v = relative(psi)
    return np.vdot(v, dense.place(psi.sites, factors) @ v)


def test_all_pairs(psi):
    """Every pair of operators, among them even beside odd ones, whose value is zero by fermion parity."""
    for a in names_of(psi.sites[0]):
        for b in names_of(psi.sites[0]):
            parities = {psi.sites[0].by_parity(psi.sites[0].op(name))[0][0] for name in (a, b)}
            expected = np.zeros((psi.L, psi.L), complex)
            if len(parities) == 1:
                expected = dense.pair_table(psi.sites, relative(psi), a, b)
            np.testing.assert_allclose(tn.correlation(psi, a, b), expected, atol=1e-12, err_msg=f"{a} {b}")


def test_mixed_operators(psi):
    """Matrices that are even and odd at once: both parts, each with its own sign."""
    rng = np.random.default_rng(0)
    site = psi.sites[0]
    a, b = rng.normal(size=(2, site.dim, site.dim))
    for x, y in ((a, b), (a, a), (a, a.T)):
        parts = [dict(site.by_parity(matrix)) for matrix in (x, y)]
        expected = sum(dense.pair_table(psi.sites, relative(psi), parts[0][p], parts[1][p]) for p in (0, 1))
        np.testing.assert_allclose(tn.correlation(psi, x, y), expected, atol=1e-11)


def test_density_matrix_of_one_particle(psi):
    """<Cdag_i C_j> is Hermitian, between 0 and 1, and its trace is the number of particles."""
    suffix = {"C": ("",), "C_up": ("_up", "_down")}
    kinds = [suffix[name] for name in suffix if name in psi.sites[0].operators]
    total = 0.0
    for end in kinds[0]:
        rho = tn.correlation(psi, f"Cdag{end}", f"C{end}")
        np.testing.assert_allclose(rho, rho.conj().T, atol=1e-12)
        assert np.linalg.eigvalsh(rho)[0] > -1e-12 and np.linalg.eigvalsh(rho)[-1] < 1 + 1e-12
        total += np.trace(rho).real
    assert total == pytest.approx(tn.expect(psi, "N").sum(), abs=1e-11)


@pytest.mark.parametrize("sites", [*CHAINS, "mixed"])
def test_random_products_in_any_order(sites):
    psi = state(*CHAINS.get(sites, (MIXED, ())))
    rng = np.random.default_rng(2)
    for _ in range(60):
        factors = []
        for i in rng.integers(0, psi.L, size=rng.integers(1, 6)).tolist():
            names = [*names_of(psi.sites[i]), "Id"]
            factors.append((names[int(rng.integers(len(names)))], i))
        odd = sum(psi.sites[i].by_parity(psi.sites[i].op(name))[0][0] for name, i in factors)
        expected = 0.0 if odd % 2 else value(psi, factors)
        assert tn.expect(psi, factors) == pytest.approx(expected, abs=1e-12), factors
        if odd % 2 == 0 and psi.sites[0].group.identity == ():
            H = tn.OperatorSum().add(1.0, *(part for factor in factors for part in factor))
            assert tn.expect(psi, H.mpo(psi.sites)) == pytest.approx(expected, abs=1e-11)


def test_density_matrices_know_the_strings():
    """<Cdag_i C_j> from the state of two modes far apart."""
    psi = tn.MPS.random([tn.electron_site()] * 5, chi=20, charge=(5, 1), seed=4, dtype=np.complex128)
    table = tn.correlation(psi, "Cdag_up", "C_up")
    for sites in ([0, 4], [1, 3], [0, 2, 4], [0, 1, 3]):
        rho = tn.reduced_density_matrix(psi, sites)
        local = [psi.sites[0]] * len(sites)
        for a, b in ((0, 1), (0, len(sites) - 1), (len(sites) - 1, 0)):
            value = np.trace(rho @ dense.place(local, [("Cdag_up", a), ("C_up", b)]))
            assert value == pytest.approx(table[sites[a], sites[b]], abs=1e-12)


def test_local_values_of_odd_operators_vanish(psi):
    for name in ("C", "C_up"):
        if all(name in site.operators for site in psi.sites):
            np.testing.assert_array_equal(tn.expect(psi, name), 0)
            assert not tn.correlation(psi, name, "Id").any()


def test_majorana_pairs_are_imaginary():
    psi = tn.MPS.random([tn.fermion_site("parity")] * 5, chi=8, charge=0, seed=2, dtype=np.complex128)
    majorana = np.array([[0.0, 1.0], [1.0, 0.0]])
    table = tn.correlation(psi, majorana, majorana)
    np.testing.assert_allclose(table + table.T, 2 * np.eye(5), atol=1e-12)
    np.testing.assert_allclose((table - np.eye(5)).real, 0, atol=1e-12)
    assert abs(table[0, 3]) > 1e-3
    assert tn.expect(psi, [(majorana, 3), (majorana, 0)]) == pytest.approx(table[3, 0], abs=1e-12)
    np.testing.assert_allclose(tn.correlation(psi, majorana, majorana, [3, 0]), table[np.ix_([3, 0], [3, 0])])


def test_free_fermions_on_a_chain():
    """<Cdag_i C_j> of a filled band, from DMRG."""
    L, N = 12, 6
    H = tn.OperatorSum()
    for i in range(L - 1):
        H += tn.plus_hc(-1.0, "Cdag", i + 1, "C", i)
    sites = [tn.fermion_site()] * L
    psi = tn.MPS.product(sites, ["full", "empty"] * N)
    result = tn.DMRG(truncation=tn.Truncation(chi_max=64, svd_min=1e-11), energy_tol=1e-12).solve(H.mpo(sites), psi)
    energies, waves = np.linalg.eigh(-np.eye(L, k=1) - np.eye(L, k=-1))
    assert result.energy == pytest.approx(energies[:N].sum(), abs=1e-10)
    np.testing.assert_allclose(tn.correlation(result.state, "Cdag", "C"), waves[:, :N] @ waves[:, :N].T, atol=1e-6)


def test_sampling_electrons():
    """Occupations follow their expectation values, spins of singly filled sites can be measured along x."""
    psi = tn.MPS.random([tn.electron_site()] * 3, chi=9, charge=(3, 1), seed=5)
    outcomes = tn.sample(psi, 4000, seed=1)
    numbers = psi.sites[0].op("N").diagonal()[outcomes]
    assert (numbers.sum(axis=1) == 3).all()
    np.testing.assert_allclose(numbers.mean(axis=0), tn.expect(psi, "N"), atol=0.05)
    single = tn.sample(psi, 4000, seed=1, basis="Sx")
    expected = [tn.expect(psi, "N", i) - 2 * tn.expect(psi, "N_up N_down", i) for i in range(3)]
    np.testing.assert_allclose(np.isin(single, (0, 3)).mean(axis=0), expected, atol=0.05)
    turn = np.array([[1.0, 1.0, 0, 0], [1.0, -1.0, 0, 0], [0, 0, np.sqrt(2), 0], [0, 0, 0, np.sqrt(2)]]) / np.sqrt(2)
    with pytest.raises(OperatorError, match="row of the basis of site 1 mixes"):
        tn.sample(psi, 10, basis={1: turn})
    majorana = tn.fermion_site(None).with_operator("A", np.array([[0.0, 1.0], [1.0, 0.0]]))
    with pytest.raises(OperatorError, match="'A' at site 0 changes the fermion parity"):
        tn.sample(tn.MPS.product([majorana] * 2, ["full", "empty"]), 10, basis="A")
