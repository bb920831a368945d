"""Entropies of samples and of activations, against states and known spectra."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tnsim.errors import NumericalError, ShapeError
from tnsim.measure import entropy
from tnsim.networks.mps import MPS
from tnsim.networks.sites import spin_sites
from tnsim.tensorize import Gram, activation_entropy, rank_samples, sample_entropies


def test_b17_products_come_last_and_cats_before_them():
    rng = np.random.default_rng(0)
    product = np.stack([np.einsum("a,b,c,d->abcd", *rng.standard_normal((4, 2))).ravel() for _ in range(5)])
    cat = np.zeros((5, 16))
    cat[:, 0], cat[:, 15] = 1, rng.uniform(0.8, 1, 5)
    noise = rng.standard_normal((5, 16))
    order, values = rank_samples(np.concatenate([product, cat, noise]), (2, 2, 2, 2))
    assert set(order[-5:]) == set(range(5)) and values[:5].max() < 1e-12
    assert (values[5:10] > 0.98 * np.log(2)).all() and (values <= np.log(4)).all()
    # one bit of a cat at every cut
    np.testing.assert_allclose(sample_entropies(cat, (2, 2, 2, 2)).std(axis=1), 0, atol=1e-12)


def test_entropies_are_those_of_states_on_every_device(backend):
    rng = np.random.default_rng(1)
    rows, sites = rng.standard_normal((3, 32)), spin_sites(5, conserve=None)
    expected = [entropy(MPS.from_dense(row, sites)) for row in rows]
    found = sample_entropies(backend.asarray(rows), (2,) * 5)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(sample_entropies(rows, (32,)), np.zeros((3, 0)))


@pytest.fixture(params=["numpy", "strict"])
def backend(request):
    return backend_or_skip(request.param)


def test_activations_in_few_directions_have_little_entropy(backend):
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((4000, 16))
    few = rows[:, :3] @ rng.standard_normal((3, 16))
    all_, some = (activation_entropy(Gram.collect([backend.asarray(x)])) for x in (rows, few))
    assert some < np.log(3) < np.log(14) < all_ < np.log(16)
    shifted = Gram.collect([backend.asarray(rows + 100)])
    assert activation_entropy(shifted) > 2.6 and activation_entropy(shifted, centered=False) < 0.1
    with pytest.raises(NumericalError, match="do not vary"):
        activation_entropy(Gram.collect([np.ones((3, 4))]))


def test_bad_input():
    with pytest.raises(ShapeError, match="do not multiply"):
        sample_entropies(np.ones((2, 16)), (4, 5))
    with pytest.raises(NumericalError):
        sample_entropies(np.full((2, 16), np.inf), (4, 4))
    assert sample_entropies(np.zeros((1, 4)), (2, 2)).tolist() == [[0.0]]
