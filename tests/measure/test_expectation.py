"""Expectation values of local operators, products and MPOs against dense vectors."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.strict_device import sync_budget
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, random_state, relative, tolerance
from tnsim.errors import LegError, OperatorError, ShapeError, StateError
from tnsim.models import Heisenberg

on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


def dense_value(psi: tn.MPS, factors: list) -> complex:
    v = relative(psi)
    return np.vdot(v, dense.place(psi.sites, factors) @ v)


@on_every_device
@few_chains
def test_local_values_on_every_site(chain, device, dtype):
    psi = random_state(chain, dtype).to(backend_or_skip(device))
    for name in (*chain.neutral, *chain.ladder):
        expected = [dense_value(psi, [(name, i)]) for i in range(psi.L)]
        values = tn.expect(psi, name)
        np.testing.assert_allclose(values, expected, atol=10 * tolerance(dtype))
        assert values.dtype.itemsize <= dtype.itemsize * 2 and values.dtype.char.lower() == dtype.char.lower()
        assert tn.expect(psi, name, 2) == pytest.approx(expected[2], abs=10 * tolerance(dtype))


def test_hermitian_operators_have_real_values(chain):
    psi = random_state(chain, np.complex128)
    site = chain.sites[0]
    for name in (*chain.neutral, *chain.ladder):
        hermitian = np.array_equal(site.op(name), site.op(name).conj().T)
        assert (tn.expect(psi, name).dtype.kind == "f") is hermitian
        assert isinstance(tn.expect(psi, name, 0), float if hermitian else complex)


def test_matrices_and_products_of_names(chain):
    psi = random_state(chain, np.complex128)
    rng = np.random.default_rng(0)
    matrices = {site.dim: rng.standard_normal((site.dim,) * 2) for site in chain.sites}
    for i, site in enumerate(chain.sites):
        matrix = matrices[site.dim]
        assert tn.expect(psi, matrix, i) == pytest.approx(dense_value(psi, [(matrix, i)]), abs=1e-12)
    a, b = chain.ladder
    expected = [dense_value(psi, [(a, i), (b, i)]) for i in range(psi.L)]
    np.testing.assert_allclose(tn.expect(psi, f"{a} {b}"), expected, atol=1e-12)


@on_every_device
@few_chains
def test_products_on_every_device(chain, device, dtype):
    psi = random_state(chain, dtype).to(backend_or_skip(device))
    (a, b), n = chain.ladder, chain.neutral[0]
    for factors in ([(a, 3), (b, 1)], [(a, 0), (n, 2), (b, 3)], [(n, 1), (n, 2)]):
        assert tn.expect(psi, factors) == pytest.approx(dense_value(psi, factors), abs=10 * tolerance(dtype))


def test_products_keep_the_order_on_a_site_and_mix_charges(chain):
    psi = random_state(chain, np.complex128)
    a, b = chain.ladder
    n, m = chain.neutral
    cases = [[(a, 1), (b, 1)], [(b, 1), (a, 1)], [(a, 3), (n, 1), (b, 3)], [(a, 0)], [(a, 0), (a, 1)], [(m, 2), (n, 0)]]
    both = "Sx" if "Sx" in chain.sites[0].operators else a
    cases.append([(both, 0), (both, 2)])
    cases.append([(both, 0), (n, 1), (both, 3)])
    for factors in cases:
        assert tn.expect(psi, factors) == pytest.approx(dense_value(psi, factors), abs=1e-12)


def test_a_product_only_touches_the_sites_between_its_ends():
    psi = tn.canonicalize(tn.MPS.random(tn.spin_sites(12), chi=4, seed=0).to("strict"), 10)
    expected = tn.expect(psi.to("numpy"), [("S+", 10), ("S-", 11)])
    with sync_budget(2):
        assert tn.expect(psi, [("S+", 10), ("S-", 11)]) == pytest.approx(expected)


def test_all_sites_are_read_at_once():
    psi = tn.canonicalize(tn.MPS.random(tn.spin_sites(12), chi=4, seed=0).to("strict"), 0)
    with sync_budget(2 + 11):
        # the norm, all values, and a look for NaN at every step of the centre
        tn.expect(psi, "Sz")


@on_every_device
def test_hamiltonians(device, dtype):
    sites = tn.spin_sites(6)
    H = tn.OperatorSum()
    for i in range(5):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
        H += 0.7, "Sz", i, "Sz", i + 1
    psi = (tn.MPS.random(sites, chi=6, charge=2, seed=1, dtype=dtype) * 1.7).to(backend_or_skip(device))
    v = relative(psi)
    value = tn.expect(psi, H.mpo(sites).to(psi.backend))
    assert isinstance(value, float)
    assert value == pytest.approx(np.vdot(v, dense.hamiltonian(H, sites) @ v).real, abs=20 * tolerance(dtype))


def test_operators_without_symmetry_measure_states_without_symmetry():
    """What breaks the charge is measured after the symmetry is dropped."""
    psi = random_state(CHAINS[1], np.complex128)
    assert tn.expect(psi, [("Sx", 0), ("Sx", 3)]) == pytest.approx(
        tn.expect(psi.without_symmetry(), [("Sx", 0), ("Sx", 3)]), abs=1e-12
    )


@pytest.mark.parametrize(
    ("operator", "site", "error", "words"),
    [
        ("Szz", None, OperatorError, 'Did you mean "Sz"'),
        ("Sz", 4, OperatorError, "sites 0 to 3, found 4"),
        ("Sz", -1, OperatorError, "found -1"),
        ([("Sz", 0), ("Sz", 9)], None, OperatorError, "found 9"),
        ([], None, OperatorError, "found \\[\\]"),
        (np.eye(3), None, OperatorError, "shape"),
    ],
)
def test_bad_operators_are_refused(operator, site, error, words):
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(error, match=words):
        tn.expect(psi, operator, site)


def test_nothing_is_measured_in_the_zero_state():
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    for measure in (
        lambda: tn.expect(psi - psi, "Sz"),
        lambda: tn.expect(psi - psi, [("Sz", 0), ("Sz", 1)]),
        lambda: tn.expect(psi * 0.0, tn.MPO.identity(psi.sites)),
        lambda: tn.entropy(psi - psi),
        lambda: tn.correlation(psi - psi, "Sz", "Sz"),
        lambda: tn.sample(psi - psi, 3),
        lambda: tn.reduced_density_matrix(psi * 0.0, [1]),
    ):
        with pytest.raises(StateError, match="finite norm"):
            measure()


def test_a_sum_stands_for_its_mpo():
    model = Heisenberg(L=6)
    psi = tn.MPS.random(model.sites, chi=6, seed=3)
    assert tn.expect(psi, model.operator_sum()) == pytest.approx(tn.expect(psi, model.mpo()), abs=1e-13)
    with pytest.raises(StateError, match="a state first"):
        tn.expect(model.mpo(), psi)


def test_an_operator_of_other_sites_is_refused():
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    for S, conserve in ((1, "Sz"), (2.5, "Sz"), (0.5, None)):
        with pytest.raises(LegError, match="make both from the same sites"):
            tn.expect(psi, Heisenberg(L=4, S=S, conserve=conserve).mpo())
    with pytest.raises(ShapeError, match="6 sites, the state 4"):
        tn.expect(psi, tn.MPO.identity(tn.spin_sites(6)))


@pytest.mark.parametrize("factors", [[("Sz",)], [], ["Sz"], 3, [("Sz", 0, 1)]])
def test_anything_but_pairs_is_refused_as_a_product(factors):
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(OperatorError, match="list of \\(operator, site\\)"):
        tn.expect(psi, factors)


def test_a_matrix_holds_numbers():
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(OperatorError, match="holds numbers, found object"):
        tn.expect(psi, np.array([[1, None], [0, 1]], dtype=object))
