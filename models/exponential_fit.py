"""Decaying functions as sums of exponentials, which an MPO holds with one channel each.

Source: B. Pirvu, V. Murg, J. I. Cirac, F. Verstraete, New J. Phys. 12, 025012 (2010), appendix C, with the singular
vectors of the Hankel matrix (R. Roy, T. Kailath, IEEE Trans. ASSP 37, 984 (1989)): fewer terms, and none is spurious.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.errors import NumericalError, SettingsError

_MOST_TERMS = 40


@dataclass(frozen=True)
class ExponentialSum:
    """sum_k coefficients[k] * decays[k]**r; error: the largest difference to the values it was fitted to."""

    coefficients: tuple[float, ...]
    decays: tuple[float, ...]
    error: float

    def __call__(self, r: np.ndarray) -> np.ndarray:
        return np.power.outer(np.array(self.decays), np.asarray(r)).T @ np.array(self.coefficients)


def fit_exponentials(values: Sequence[float], tolerance: float) -> ExponentialSum:
    """The shortest sum found with decays between 0 and 1 for values f(1), f(2), ..., f(N).

    tolerance: largest difference allowed, in units of the largest value; the error reached is in the result.
    The Hankel matrix f(i + j) has the rank of the sum; its leading singular vectors shift by the decays, and the
    coefficients are a least-squares fit. Cost O(N^3). Raises NumericalError where no sum is good enough: where f
    does not decay smoothly, has fewer than about 20 values, or the tolerance is below rounding.

    >>> fit = fit_exponentials([1 / r**2 for r in range(1, 100)], tolerance=1e-4)
    >>> len(fit.decays), fit.error < 1e-4
    (5, True)
    """
    f = np.asarray(values, dtype=float)
    if f.ndim != 1 or len(f) < 2 or not np.isfinite(f).all() or not f.any():
        raise SettingsError("a sum of exponentials is fitted to two or more finite numbers, not all of them zero.")
    if not tolerance > 0:
        raise SettingsError(f"the tolerance of an exponential fit must be positive, found {tolerance}.")
    columns = len(f) // 2
    hankel = f[np.arange(len(f) - columns + 1)[:, None] + np.arange(columns)[None, :]]
    vectors, _, _ = np.linalg.svd(hankel, full_matrices=False)
    best, scale = np.inf, np.abs(f).max()
    for terms in range(1, min(_MOST_TERMS, columns) + 1):
        fit = _fit(f, vectors[:, :terms])
        if fit is not None and fit.error <= tolerance * scale:
            return fit
        best = best if fit is None else min(best, fit.error / scale)
    raise NumericalError(
        f"no sum of decaying exponentials meets the tolerance {tolerance:g} for these {len(f)} values; the best has "
        f"{best:.1e}. Ask for less, or take every pair exactly (in a model: tolerance 0)."
    )


def _fit(f: np.ndarray, space: np.ndarray) -> ExponentialSum | None:
    """The fit with the decays by which a space of sequences shifts; None where one is not between 0 and 1."""
    shift, *_ = np.linalg.lstsq(space[:-1], space[1:], rcond=None)
    decays = np.linalg.eigvals(shift)
    if np.abs(np.imag(decays)).max() > 1e-9 or np.real(decays).min() <= 0 or np.real(decays).max() > 1 + 1e-9:
        return None
    decays = np.minimum(np.sort(np.real(decays))[::-1], 1.0)
    powers = np.power.outer(decays, np.arange(1, len(f) + 1)).T
    norms = np.linalg.norm(powers, axis=0)
    coefficients = np.linalg.lstsq(powers / norms, f, rcond=None)[0] / norms
    error = float(np.abs(powers @ coefficients - f).max())
    return ExponentialSum(tuple(coefficients.tolist()), tuple(decays.tolist()), error)
