"""Averages of random series whose neighbours are correlated, with error bars.

Source: U. Wolff, Comput. Phys. Commun. 156, 143 (2004), sections 3.1 to 3.3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tnsim.errors import NumericalError, ShapeError

# the sum over the autocorrelation ends at the first time that is this many correlation times long
_WINDOW = 4.0


@dataclass(frozen=True)
class SeriesAverage:
    """mean, error: of one standard deviation, correlations included; correlation_time: integrated, in steps of the
    series, at least 1/2. All of the shape of one entry of the series."""

    mean: np.ndarray
    error: np.ndarray
    correlation_time: np.ndarray

    def __repr__(self) -> str:
        if np.ndim(self.mean):
            return f"SeriesAverage of shape {np.shape(self.mean)}: errors up to {np.max(self.error):.2e}"
        return f"SeriesAverage({self.mean:.8g} +- {self.error:.1e}, correlation time {self.correlation_time:.2g})"


def series_average(values: Any) -> SeriesAverage:
    """The average along the first axis, every other place on its own; complex numbers have one error in the plane.

    The variance of the mean is 2 tau var / n: tau sums the autocorrelation up to a few tau, and is corrected for the
    mean being that of the same n numbers. It is taken as 1/2 where it seems smaller. Correlations longer than the
    series are not seen. Cost O(n log n) a place.
    Raises ShapeError for less than 2 numbers, NumericalError for NaN.

    >>> series_average([1.0, 3.0, 3.0, 1.0, 1.0, 3.0, 3.0, 1.0]).mean.item()
    2.0
    """
    values = np.asarray(values)
    if values.ndim < 1 or len(values) < 2:
        raise ShapeError(f"an error bar takes at least 2 numbers, found shape {values.shape}.")
    if not np.isfinite(values).all():
        raise NumericalError("the series has entries that are not finite.")
    shape = values.shape[1:]
    rows = values.reshape(len(values), -1)
    found = np.array([_spread(column) for column in rows.T]).reshape(-1, 2)
    return SeriesAverage(values.mean(axis=0), found[:, 0].reshape(shape), found[:, 1].reshape(shape))


def _spread(column: np.ndarray) -> tuple[float, float]:
    """Error of the mean and correlation time."""
    n = len(column)
    off = column - column.mean()
    spectrum = np.abs(np.fft.fft(off, 2 * n)) ** 2
    products = np.fft.ifft(spectrum).real[:n] / np.arange(n, 0, -1)
    if products[0] <= (np.finfo(float).eps * np.abs(column).max()) ** 2:
        return 0.0, 0.5
    sums = np.cumsum(products / products[0]) - 0.5
    lags = np.arange(n)
    ends = np.flatnonzero(lags >= _WINDOW * np.maximum(sums, 0.5))
    window = int(ends[0]) if len(ends) else int(sums.argmax())
    tau = max(float(sums[window]) * (1 + (2 * window + 1) / n), 0.5)
    return float(np.sqrt(2 * tau * products[0] / (n - 1))), tau
