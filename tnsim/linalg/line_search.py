"""Step lengths for functions that are known up to noise: slopes decide where values no longer differ by more than it.

Source: W. W. Hager, H. Zhang, SIAM J. Optim. 16, 170 (2005): the approximate Wolfe conditions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tnsim.errors import NumericalError

# point -> value and gradient
Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
_ARMIJO, _WOLFE = 0.1, 0.9
# longest step from a length to the next one, and how near to an end of a bracket a trial comes
_FARTHEST, _NEAREST = 4.0, 0.1
# the start is looked at again where so many lengths led to nothing lower
_DOUBTS = 4


@dataclass(frozen=True, eq=False)
class Trial:
    """A point on a line, its value and gradient, and the slope along the line."""

    length: float
    point: np.ndarray
    value: float
    gradient: np.ndarray
    slope: float


def trial(function: Function, point: np.ndarray, way: np.ndarray, length: float) -> Trial:
    """What stands at a length. Raises NumericalError where that is no number."""
    found = _reached(function, point, way, length)
    if not np.isfinite(found.value):
        raise NumericalError("NaN or Inf in a value or gradient that is to be minimised: check the start.")
    return found


def _reached(function: Function, point: np.ndarray, way: np.ndarray, length: float) -> Trial:
    """What stands at a length; endlessly high and flat where that is no number."""
    there = point + length * way if length else point
    value, gradient = function(there)
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        return Trial(length, there, float("inf"), np.zeros_like(point), 0.0)
    return Trial(length, there, float(value), gradient, float(way @ gradient))


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search began at, and found (None where nothing is lower), and how often the function was asked."""

    start: Trial
    found: Trial | None
    count: int


def line_search(function: Function, start: Trial, way: np.ndarray, noise: float, tries: int = 10) -> Searched:
    """A point along a way downhill where the value is lower and the slope flatter.

    noise: what values are uncertain by. A function may come to another branch, where all values differ: if short steps
    lead up though the slope leads down, the start is looked at again. Steps to where there is no number are shortened.
    Raises NumericalError where there is none at the start any more.

    >>> def bowl(x):
    ...     return float(x @ x), 2 * x
    >>> way = np.array([-3.0])
    >>> made = line_search(bowl, trial(bowl, np.array([1.0]), way, 0.0), way, 1e-12)
    >>> made.found.point.round(12).tolist(), made.count
    ([0.0], 2)
    """
    low, high, length, best, again = start, None, 1.0, start, 0
    for count in range(1, tries + 1):
        found = _reached(function, start.point, way, length)
        best = min(best, found, key=lambda each: each.value)
        if accepted(found, start, noise):
            return Searched(start, found, count + again)
        if found.value > start.value + noise or found.slope >= 0:
            high = found
        else:
            low = found
        if count % _DOUBTS == 0 and best is start and high is not None:
            start = low = best = trial(function, start.point, way, 0.0)
            again += 1
            if start.slope >= 0:
                return Searched(start, None, count + again)
        length = _next(low, high, start)
    return Searched(start, best if best.value < start.value - noise else None, tries + again)


def accepted(found: Trial, start: Trial, noise: float) -> bool:
    """The Wolfe conditions, or those on slopes alone where values differ by noise."""
    if found.slope < _WOLFE * start.slope:
        return False
    falls = found.value <= start.value + _ARMIJO * found.length * start.slope
    return falls or (found.value <= start.value + noise and found.slope <= (2 * _ARMIJO - 1) * start.slope)


def _next(low: Trial, high: Trial | None, start: Trial) -> float:
    """Where the slope should vanish: beyond all that was seen, or between two lengths."""
    if high is None:
        # a slope that hardly flattens says little about where it ends
        flattened = max(low.slope - start.slope, 1e-300)
        ahead = -low.slope * low.length / flattened
        return low.length + min(max(ahead, _NEAREST * low.length), (_FARTHEST - 1) * low.length)
    width = high.length - low.length
    if high.slope > 0:
        share = low.slope / (low.slope - high.slope)
    else:
        # too high though it still falls: a parabola through both values and the lower slope
        share = -low.slope * width / max(2 * (high.value - low.value - low.slope * width), 1e-300)
    return low.length + width * min(max(share, _NEAREST), 1 - _NEAREST)
