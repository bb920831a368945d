"""Streaming statistics of activations against those of all samples at once."""

import warnings

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import NumericalError, ShapeError
from tnsim.tensorize import Gram


def samples(count, features, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, features)) @ rng.standard_normal((features, features)) + rng.standard_normal(
        features
    )
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal((count, features)) * np.arange(features)
    return x.astype(dtype)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_batches_add_up_to_the_statistics_of_all_samples(device, dtype):
    backend = backend_or_skip(device)
    x = samples(60, 5, dtype)
    parts = [x[:1], x[1:30].reshape(29, 1, 5), x[30:30], x[30:]]
    gram = Gram.collect([backend.asarray(part) for part in parts])
    assert gram.count == 60
    wide = x.astype(np.complex128 if dtype.kind == "c" else np.float64)
    expected = np.cov(wide.T, bias=True)
    np.testing.assert_allclose(backend.to_host(gram.mean), wide.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(backend.to_host(gram.covariance), expected, atol=1e-11)
    second = np.einsum("bi,bj->ij", wide, wide.conj()) / 60
    np.testing.assert_allclose(backend.to_host(gram.second_moment), second, atol=1e-11)


def test_two_grams_add_up_and_a_large_mean_costs_no_digits():
    x = samples(40, 4) + 1e6
    both = Gram.collect([x[:10]]) + Gram.collect([x[10:]])
    np.testing.assert_allclose(both.covariance, np.cov(x.T, bias=True), rtol=1e-8)
    assert (Gram(4) + both).count == 40
    with pytest.raises(ShapeError, match="4 and 5 features"):
        both + Gram(5)


def test_few_samples_are_shrunk_with_a_warning_and_that_helps():
    rng = np.random.default_rng(0)
    true = np.diag(np.linspace(0.5, 1.5, 30))
    gram = Gram.collect([rng.standard_normal((12, 30)) @ np.sqrt(true)], name="fc")
    with pytest.warns(UserWarning, match="'fc' have 12 samples of 30 features"):
        shrunk = gram.shrunk_covariance()
    assert np.linalg.eigvalsh(shrunk).min() > 0 and np.trace(shrunk) == pytest.approx(np.trace(gram.covariance))
    assert np.linalg.norm(shrunk - true) < 0.5 * np.linalg.norm(gram.covariance - true)
    enough = Gram.collect([rng.standard_normal((31, 30))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(enough.shrunk_covariance(), enough.covariance)


def test_wrong_widths_and_nan_are_refused_and_nothing_is_lost():
    gram = Gram.collect([samples(6, 4)], name="blocks.1.fc")
    before = gram.covariance
    with pytest.raises(ShapeError, match=r"'blocks.1.fc' have 4 features, found a batch of shape \(2, 5\)"):
        gram.update_(samples(2, 5))
    bad = samples(3, 4)
    bad[1, 1] = np.nan
    with pytest.raises(NumericalError, match="'blocks.1.fc' hold NaN"):
        gram.update_(bad)
    assert gram.count == 6 and (gram.covariance == before).all()
    with pytest.raises(ShapeError, match="no samples yet"):
        Gram(3).mean  # noqa: B018
    with pytest.raises(ShapeError, match="no batch"):
        Gram.collect([])
    with pytest.raises(ShapeError, match="at least one feature"):
        Gram(0)
