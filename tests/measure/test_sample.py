"""Sampling: frequencies against exact probabilities, in any basis, repeatable everywhere."""

import numpy as np
import pytest
import scipy.linalg

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.strict_device import sync_budget
from tests.suites.chains import CHAINS, PLACES, Chain, random_state, relative
from tnsim.errors import ChargeError, OperatorError, ShapeError

on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
SHOTS = 20_000


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


def frequencies(psi: tn.MPS, outcomes: np.ndarray) -> np.ndarray:
    dims = [site.dim for site in psi.sites]
    return np.bincount(np.ravel_multi_index(outcomes.T, dims), minlength=int(np.prod(dims))) / len(outcomes)


def assert_follows(psi: tn.MPS, outcomes: np.ndarray, rotation: np.ndarray) -> None:
    """Five standard deviations for every outcome, and no outcome of probability zero."""
    chances = np.abs(rotation @ relative(psi)) ** 2
    found = frequencies(psi, outcomes)
    assert (found[chances < 1e-12] == 0).all()
    spread = np.sqrt(chances * (1 - chances) / len(outcomes))
    assert (np.abs(found - chances) <= 5 * spread + 2 / len(outcomes)).all()


def random_unitary(site: tn.Site, seed: int) -> np.ndarray:
    """exp(i h) that mixes all states of equal fermion parity."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((site.dim, site.dim)) + 1j * rng.standard_normal((site.dim, site.dim))
    return scipy.linalg.expm(1j * dict(site.by_parity(h + h.conj().T))[0])


def test_outcomes_follow_the_amplitudes(chain):
    psi = random_state(chain, np.complex128)
    outcomes = tn.sample(psi, SHOTS, seed=1)
    assert outcomes.shape == (SHOTS, psi.L) and outcomes.dtype == np.int64
    assert_follows(psi, outcomes, np.eye(len(relative(psi))))
    names = [[site.charges[k] for site, k in zip(psi.sites, row, strict=True)] for row in outcomes[:20].tolist()]
    assert all(psi.sites[0].group.total(row, [1] * psi.L) == psi.charge for row in names)


def test_any_basis_even_one_that_breaks_the_charge(chain):
    psi = random_state(chain, np.complex128)
    basis = {i: random_unitary(psi.sites[i], seed=i) for i in range(0, psi.L, 2)}
    rotation = dense.kron([basis.get(i, np.eye(site.dim)) for i, site in enumerate(psi.sites)])
    assert_follows(psi, tn.sample(psi, SHOTS, seed=2, basis=basis), rotation)


def test_an_operator_by_name_counts_its_eigenvalues_upwards():
    sites = tn.spin_sites(3)
    psi = tn.MPS.random(sites, chi=4, charge=1, seed=2, dtype=np.float32)
    rows = np.linalg.eigh(sites[0].op("Sy"))[1].conj().T
    assert_follows(psi, tn.sample(psi, SHOTS, seed=3, basis="Sy"), dense.kron([rows] * 3))
    up = tn.MPS.product(tn.spin_sites(2, conserve=None), [[1, 1], [1, -1]])
    assert tn.sample(up, 3, seed=0, basis="Sx").tolist() == [[1, 0]] * 3
    assert tn.sample(up, 3, seed=0, basis={0: "Sx", 1: "Sx"}).tolist() == [[1, 0]] * 3


@on_every_device
def test_the_same_seed_gives_the_same_outcomes_everywhere(device, dtype):
    psi = random_state(CHAINS[1], dtype)
    moved = psi.to(backend_or_skip(device))
    for basis in (None, "Sx", {2: random_unitary(tn.spin_site(), seed=4)}):
        expected = tn.sample(psi.astype(np.result_type(dtype, np.float64)), 200, seed=7, basis=basis)
        # single precision may round one draw in many across an edge
        assert (tn.sample(moved, 200, seed=7, basis=basis) != expected).any(axis=1).mean() < 0.02


def test_fewer_shots_are_the_first_of_many():
    psi = random_state(CHAINS[1], np.float64)
    many = tn.sample(psi, 5000, seed=3)
    np.testing.assert_array_equal(tn.sample(psi, 50, seed=3), many[:50])
    np.testing.assert_array_equal(tn.sample(psi, 4500, seed=3), many[:4500])
    assert (tn.sample(psi, 50, seed=4) != many[:50]).any()
    rng = np.random.default_rng(0)
    assert (tn.sample(psi, 50, seed=rng) != tn.sample(psi, 50, seed=rng)).any()


def test_averages_agree_with_expectation_values():
    sites = tn.spin_sites(10)
    psi = tn.MPS.random(sites, chi=8, charge=2, seed=6)
    values = np.diag(sites[0].op("Sz"))[tn.sample(psi, 4000, seed=8)]
    np.testing.assert_allclose(values.mean(axis=0), tn.expect(psi, "Sz"), atol=0.04)
    np.testing.assert_allclose(values.sum(axis=1), 1)


def test_one_read_a_site():
    psi = tn.canonicalize(tn.MPS.random(tn.spin_sites(10), chi=4, seed=0).to("strict"), 0)
    with sync_budget(11):
        tn.sample(psi, 100, seed=0)


@pytest.mark.parametrize(
    ("shots", "basis", "error", "words"),
    [
        (0, None, ShapeError, "at least one shot"),
        (1, "Szz", OperatorError, "Did you mean"),
        (1, "S+", OperatorError, "not Hermitian"),
        (1, {7: np.eye(2)}, OperatorError, "found 7"),
        (1, {0: np.eye(3)}, ShapeError, r"shape \(3, 3\)"),
        (1, {0: np.ones((2, 2))}, ShapeError, "not unitary"),
    ],
)
def test_bad_requests_are_refused(shots, basis, error, words):
    with pytest.raises(error, match=words):
        tn.sample(tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2), shots, basis=basis)


@pytest.mark.parametrize("basis", [None, "Sx"])
def test_collapse_leaves_the_product_state_of_the_outcome(basis):
    sites = tn.spin_sites(2, conserve=None)
    psi = tn.MPS.from_dense(np.array([0.1, 0.5j, 0.7, -0.5]), sites)
    turn = np.eye(2) if basis is None else np.linalg.eigh(sites[0].op("Sx"))[1].T
    rotation, rng, count = np.kron(turn, turn), np.random.default_rng(4), 600
    chances = np.abs(rotation @ relative(psi)) ** 2 / psi.norm() ** 2
    found = np.zeros(4)
    for _ in range(count):
        state = tn.collapse(psi, seed=rng, basis=basis)
        weights = np.abs(rotation @ relative(state)) ** 2
        assert weights.max() == pytest.approx(1) and state.bond_dimensions == (1, 1, 1)
        found += weights
    assert (np.abs(found / count - chances) < 4 * np.sqrt(chances * (1 - chances) / count)).all()


def test_collapse_keeps_the_charge_precision_and_outcomes(chain):
    psi = random_state(chain, np.float32)
    state = tn.collapse(psi, seed=7)
    assert state.charge == psi.charge and state.dtype == np.float32
    np.testing.assert_array_equal(tn.sample(state, 1, seed=0), tn.sample(psi, 1, seed=7))


def test_collapse_refuses_to_mix_charges():
    psi = tn.MPS.product(tn.spin_sites(2), ["up", "down"])
    with pytest.raises(ChargeError, match="site 0 mixes the charges"):
        tn.collapse(psi, basis="Sx")
    assert tn.collapse(psi, basis="Sz").charge == (0,)
