"""Networks on states: the same as on vectors up to what is cut, never beyond the bond dimension, in any gauge."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tnsim.errors import SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.elementwise import constant_state, elementwise_product
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.sites import spin_sites
from tnsim.tensor import contract, from_dense
from tnsim.tensorize import CoreActivation, PolynomialActivation, StateLayer, StateNetwork, fixed_gauge
from tnsim.tensorize.vector_state import row_norms, rows_of_state, state_of_rows

FACTORS = (4, 4, 4)
FULL = Truncation(chi_max=200, svd_min=1e-14)


def layers(seed=0, *, ranks=4, activation=None, normalise=False, pad=False):
    """Two layers 64 -> 64 (or 61, filled up), smooth weights and inputs so that cutting makes sense."""
    rng = np.random.default_rng(seed)
    size = 61 if pad else 64
    found = []
    for _ in range(2):
        x = np.arange(size) / size
        W = np.cos(3 * x[:, None] * rng.uniform(0.5, 1.5) + 2 * x[None, :]) / 8 + 0.02 * rng.standard_normal(
            (size, size)
        )
        mpo = MPO.from_matrix(W, FACTORS, FACTORS, ranks, index=IndexOrder(pad=pad))
        found.append(StateLayer(mpo=mpo, bias=-0.1 - 0.1 * np.sin(5 * x), normalise=normalise, activation=activation))
    return found


def inputs(count=5, size=64, seed=1):
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(size) / size * rng.uniform(1, 6, (count, 1)) + rng.uniform(0, 3, (count, 1)))


@pytest.mark.parametrize("shape", [(64,), (1, 64), (7, 64)])
def test_vectors_become_states_and_come_back(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    axis = layers()[0].mpo.axes.columns
    psi = state_of_rows(x, axis)
    np.testing.assert_allclose(rows_of_state(psi, axis), x.reshape(-1, 64), atol=1e-13)
    np.testing.assert_allclose(row_norms(psi), np.linalg.norm(x.reshape(-1, 64), axis=1), rtol=1e-12)
    with pytest.raises(ShapeError, match="64 features"):
        state_of_rows(x[..., :63], axis)


@pytest.mark.parametrize("method", ["src", "zip-up"])
@pytest.mark.parametrize("case", [{}, {"pad": True}, {"normalise": True}])
def test_without_cutting_states_give_what_vectors_give(method, case):
    tanh = PolynomialActivation.near(np.tanh, degree=3, scale=3.0)
    network = StateNetwork(layers=layers(activation=tanh, **case), truncation=FULL, method=method)
    x = inputs(size=61 if "pad" in case else 64)
    np.testing.assert_allclose(network.rows(x), network.dense(x), atol=1e-8)


def test_a_vector_of_zeros_stays_zero_under_the_norm():
    W = np.random.default_rng(0).standard_normal((64, 64))
    layer = StateLayer(mpo=MPO.from_matrix(W, FACTORS, FACTORS), normalise=True)
    network = StateNetwork(layers=[layer], truncation=FULL)
    x = inputs()
    x[2] = 0
    for found in (network.rows(x), network.dense(x)):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.sqrt((found**2).mean(axis=1)), [1, 1, 0, 1, 1], atol=1e-6)


def test_b18_a_forward_pass_keeps_its_bond_dimension_and_its_error_falls_with_it():
    tanh, x, errors = PolynomialActivation.near(np.tanh, degree=3, scale=3.0), inputs(), {}
    for method in ("src", "zip-up"):
        for chi in (3, 6, 12):
            network = StateNetwork(layers=layers(activation=tanh), truncation=Truncation(chi_max=chi), method=method)
            found, exact = network.rows(x), network.dense(x)
            errors[method, chi] = np.linalg.norm(found - exact) / np.linalg.norm(exact)
            assert max(step.bond for step in network.steps) <= chi
            assert [step.what for step in network.steps] == ["matrix", "bias", "activation"] * 2
        assert errors[method, 12] < 0.3 * errors[method, 3] and errors[method, 12] < 0.02
    assert errors["src", 6] < 1.5 * errors["zip-up", 6]


def regauged(psi, seed=0):
    """The same state, random orthogonal matrices and their inverses on its bonds."""
    rng, tensors = np.random.default_rng(seed), list(psi.tensors)
    for k in range(psi.L - 1):
        leg = tensors[k].legs[2]
        q = from_dense(np.linalg.qr(rng.standard_normal((leg.dim, leg.dim)))[0], (leg.dual, leg))
        tensors[k] = contract("l s m, m n -> l s n", tensors[k], q)
        back = from_dense(q.array.T.copy(), (leg.dual, leg))
        tensors[k + 1] = contract("m n, n s r -> m s r", back, tensors[k + 1])
    return MPS(tensors, psi.sites)


def test_functions_of_tensors_do_not_depend_on_the_gauge_of_the_state():
    psi = state_of_rows(inputs(), layers()[0].mpo.axes.columns, Truncation(chi_max=6))
    other = regauged(psi)
    np.testing.assert_allclose(other.to_dense(), psi.to_dense(), atol=1e-12)
    act = CoreActivation(coefficients=((1.0, -0.3),))
    np.testing.assert_allclose(act(other).to_dense(), act(psi).to_dense(), atol=1e-10)

    def naive(state):
        tensors = [t.backend.copy(t.data) for t in state.tensors]
        return MPS([type(t)(t.legs, d - 0.3 * d**3) for t, d in zip(state.tensors, tensors, strict=True)], state.sites)

    # without a fixed gauge the same function gives something else
    size = np.linalg.norm(naive(psi).to_dense())
    assert np.linalg.norm(naive(other).to_dense() - naive(psi).to_dense()) > 0.05 * size
    np.testing.assert_allclose(fixed_gauge(psi).to_dense(), psi.to_dense(), atol=1e-12)
    np.testing.assert_allclose(CoreActivation()(psi).to_dense(), psi.to_dense(), atol=1e-12)


@pytest.mark.parametrize("kind", ["polynomial", "cores"])
def test_activations_can_be_trained_through_the_states(kind):
    x, rule = inputs(4), Truncation(chi_max=16)
    right = (
        PolynomialActivation(coefficients=(0.1, 0.8, -0.2))
        if kind == "polynomial"
        else CoreActivation(coefficients=((0.9, -0.2),))
    )
    start = (
        PolynomialActivation(coefficients=(0.0, 1.0, 0.0))
        if kind == "polynomial"
        else CoreActivation(coefficients=((1.0, 0.0),))
    )
    first = layers()[0]

    def network(activation):
        layer = StateLayer(mpo=first.mpo, bias=first.bias, activation=activation)
        return StateNetwork(layers=[layer], truncation=rule)

    targets = network(right).rows(x)
    before = np.linalg.norm(network(start).rows(x) - targets)
    fitted = network(start).fitted(x, targets)
    assert np.linalg.norm(fitted.rows(x) - targets) < 1e-3 * before


def test_products_and_constants():
    sites = spin_sites(6, conserve=None)
    a, b = (MPS.random(sites, chi=4, seed=seed) for seed in (0, 1))
    np.testing.assert_allclose(elementwise_product(a, b).to_dense(), a.to_dense() * b.to_dense(), atol=1e-14)
    cut = elementwise_product(a, b, Truncation(chi_max=8))
    np.testing.assert_allclose(cut.to_dense(), a.to_dense() * b.to_dense(), atol=1e-12)
    np.testing.assert_allclose(constant_state(a, 2.5).to_dense(), 2.5)
    with pytest.raises(ShapeError, match="without_symmetry"):
        elementwise_product(*(MPS.random(spin_sites(4), chi=4, charge=0, seed=seed) for seed in (0, 1)))


def test_on_a_device():
    strict = backend_or_skip("strict")
    tanh = PolynomialActivation.near(np.tanh, degree=3, scale=3.0)
    network = StateNetwork(layers=layers(activation=tanh, normalise=True), truncation=Truncation(chi_max=6))
    there = StateNetwork(
        layers=[
            StateLayer(mpo=k.mpo.to(strict), bias=strict.asarray(k.bias), normalise=True, activation=tanh)
            for k in network.layers
        ],
        truncation=network.truncation,
    )
    x = inputs()
    np.testing.assert_allclose(strict.to_host(there.rows(strict.asarray(x))), network.rows(x), atol=1e-7)


def test_bad_input():
    with pytest.raises(ShapeError, match="factor the rows"):
        other = MPO.from_matrix(np.eye(64), (8, 8), (8, 8))
        StateNetwork(layers=[layers()[0], StateLayer(mpo=other)], truncation=FULL)
    with pytest.raises(SettingsError, match='Did you mean "zip-up"'):
        StateNetwork(layers=layers(), truncation=FULL, method="zipup")
    with pytest.raises(SettingsError, match="coefficients"):
        PolynomialActivation(coefficients=(np.nan, 1.0))
    with pytest.raises(ShapeError, match="a bias of 64"):
        StateLayer(mpo=layers()[0].mpo, bias=np.zeros(3))
    with pytest.raises(SettingsError, match="at least one layer"):
        StateNetwork(layers=[], truncation=Truncation(chi_max=4))
    with pytest.raises(ShapeError, match="a batch of none"):
        state_of_rows(np.zeros((0, 64)), MPO.from_matrix(np.eye(64), (8, 8), (8, 8)).axes.columns)


def test_complex_numbers_have_the_norm_of_their_sizes():
    rng = np.random.default_rng(0)
    W, x = (rng.standard_normal((n, 16)) + 1j * rng.standard_normal((n, 16)) for n in (16, 3))
    layer = StateLayer(mpo=MPO.from_matrix(W, (4, 4), (4, 4)), normalise=True)
    network = StateNetwork(layers=[layer], truncation=Truncation(chi_max=64))
    expected = x @ W.T
    expected /= np.sqrt((np.abs(expected) ** 2).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(network.dense(x), expected, atol=1e-12)
    np.testing.assert_allclose(network.rows(x), expected, atol=1e-12)
