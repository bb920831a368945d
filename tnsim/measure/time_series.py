"""From numbers in time to spectra: linear prediction, windows, the Fourier integral."""

from typing import Any

import numpy as np

from tnsim.errors import SettingsError, ShapeError, finite_numbers, suggest

WINDOWS = ("gauss", "hann", "none")
# a Gaussian window falls to exp(-_WIDTH / 2) at the last time
_WIDTH = 9.0
# singular values of the normal equations below this (relative) are noise
_NOISE = 1e-7


def linear_prediction(values: Any, count: int, *, order: int = 0) -> np.ndarray:
    """The series with `count` more numbers, each a fixed combination of the `order` before it; last axis is time.

    Coefficients are fitted to the second half of the numbers; those modes that would grow are put on the unit circle.
    Exact for sums of `order` exponentials that do not grow. order = 0: a third of the numbers. Raises SettingsError
    for an order that they cannot fix.

    Source: S. R. White, I. Affleck, Phys. Rev. B 77, 134437 (2008); T. Barthel, U. Schollwoeck, S. R. White, Phys.
    Rev. B 79, 245101 (2009).

    >>> series = np.exp(-0.1 * np.arange(20)) * np.cos(np.arange(20))
    >>> bool(np.allclose(linear_prediction(series[:12], 8, order=2), series))
    True
    """
    series = np.asarray(values)
    if series.dtype.kind not in "iufc" or not series.ndim or not np.isfinite(series).all():
        raise ShapeError(f"a prediction takes finite numbers, at least one axis of them, found {values!r}.")
    if not isinstance(count, (int, np.integer)) or not isinstance(order, (int, np.integer)):
        raise SettingsError(f"count and order of a prediction are whole numbers, found {count!r} and {order!r}.")
    if series.ndim > 1:
        each = [linear_prediction(row, count, order=order) for row in series.reshape(-1, series.shape[-1])]
        return np.array(each).reshape(*series.shape[:-1], -1)
    order = order or len(series) // 3
    begin = max(order, len(series) // 2)
    if not 1 <= order <= len(series) - begin or count < 0:
        raise SettingsError(
            f"{len(series)} numbers fix linear predictions of order 1 to {max(1, len(series) // 2)} and of a count not "
            f"below 0, found order {order} and count {count}."
        )
    rows = np.array([series[n - order : n][::-1] for n in range(begin, len(series))])
    coefficients = np.linalg.lstsq(rows, series[begin:], rcond=_NOISE)[0]
    companion = np.diag(np.ones(order - 1, dtype=complex), -1)
    companion[0] = coefficients
    modes, vectors = np.linalg.eig(companion)
    modes = modes / np.maximum(1, np.abs(modes))
    amplitudes = np.linalg.lstsq(vectors, series[-order:][::-1].astype(complex), rcond=None)[0]
    later = np.array([vectors[0] @ (modes**n * amplitudes) for n in range(1, count + 1)], dtype=complex)
    return np.concatenate([series, later if np.iscomplexobj(series) else later.real])


def window_of(name: str, times: np.ndarray) -> np.ndarray:
    """Factors that let a series fall towards its last time: "gauss", "hann" or "none"."""
    x = times / times[-1]
    if name == "gauss":
        return np.exp(-_WIDTH / 2 * x**2)
    if name == "hann":
        return np.cos(np.pi / 2 * x) ** 2
    if name == "none":
        return np.ones_like(x)
    raise SettingsError(f"unknown window {name!r}. {suggest(name, WINDOWS)}")


def spectrum_of(times: np.ndarray, values: np.ndarray, frequencies: Any, *, window: str = "gauss") -> np.ndarray:
    """(1 / pi) Re int_0^T dt exp(i omega t) w(t) C(t): the spectrum of C(-t) = C(t)*, its integral C(0).

    times: equally spaced from 0, forwards or backwards; values: last axis is time; the result has the frequencies
    there. A level becomes a peak of the window's transform: with "gauss" a Gaussian of width 3 / T. Trapezoidal rule,
    error O(dt^2).

    >>> t = np.linspace(0, 40, 801)
    >>> w = np.linspace(-3, 3, 601)
    >>> peak = spectrum_of(t, np.exp(-1j * t), w)
    >>> round(float(w[peak.argmax()]), 2), round(float(peak.sum() * 0.01), 3)
    (1.0, 1.0)
    """
    times, values = np.asarray(times, dtype=float), np.asarray(values)
    check_equal_spacing(times, values)
    weights = np.full(len(times), abs(times[1] - times[0]))
    weights[[0, -1]] /= 2
    phases = np.exp(1j * np.multiply.outer(times, finite_numbers("frequencies", frequencies)))
    return ((values * (weights * window_of(window, times))) @ phases).real / np.pi


def check_equal_spacing(times: np.ndarray, values: np.ndarray) -> None:
    """ShapeError unless there are two or more equally spaced times, and a value on the last axis for each."""
    if len(times) < 2 or values.shape[-1] != len(times) or not np.allclose(np.diff(times), times[1] - times[0]):
        raise ShapeError(
            f"a spectrum needs two or more equally spaced times and as many values, found {len(times)} times and "
            f"values of shape {values.shape}."
        )
