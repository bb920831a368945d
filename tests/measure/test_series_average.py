"""Error bars of correlated series whose correlation time is known."""

import numpy as np
import pytest

import tnsim as tn
from tnsim.errors import NumericalError, ShapeError


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_error_bars_of_a_series_with_memory(memory):
    """x_t = memory x_(t-1) + noise has the integrated time (1 + memory) / (1 - memory) / 2."""
    rng, n, places = np.random.default_rng(0), 4000, 200
    series = np.empty((n, places))
    series[0] = rng.standard_normal(places) / np.sqrt(1 - memory**2)
    for t in range(1, n):
        series[t] = memory * series[t - 1] + rng.standard_normal(places)
    found = tn.series_average(series)
    exact = (1 + memory) / (1 - memory) / 2
    assert found.correlation_time.mean() == pytest.approx(exact, rel=0.08)
    pulls = found.mean / found.error
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=0.12)
    assert np.std(found.mean) == pytest.approx(found.error.mean(), rel=0.12)


def test_shapes_constants_and_complex_numbers():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((500, 2, 3)) + 1j * rng.standard_normal((500, 2, 3))
    found = tn.series_average(values)
    assert found.mean.shape == found.error.shape == found.correlation_time.shape == (2, 3)
    np.testing.assert_allclose(found.error, np.sqrt(2 / 500), rtol=0.4)
    assert "of shape (2, 3)" in repr(found)
    still = tn.series_average([0.1] * 7)
    assert still.error == 0 and still.correlation_time == 0.5 and "0.1 +- 0" in repr(still)
    pair = tn.series_average([1.0, 3.0])
    assert pair.mean == 2 and pair.error >= 1


def test_bad_input():
    for values in (1.0, [1.0], np.ones((1, 3))):
        with pytest.raises(ShapeError, match="at least 2"):
            tn.series_average(values)
    with pytest.raises(NumericalError):
        tn.series_average([1.0, np.nan])
