"""L-BFGS, one iteration at a time: all that it knows is in a frozen state, so that a run can be stopped and resumed.

Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5; the line search, for the
strong Wolfe conditions, is that of SciPy.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import line_search

from tnsim.errors import NumericalError

# point -> value and gradient
Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
# applies a positive matrix
Metric = Callable[[np.ndarray], np.ndarray]
_ARMIJO, _WOLFE = 1e-4, 0.9
# a step that bends less than this tells nothing about the curvature
_CURVED = 1e-10


@dataclass(frozen=True, eq=False)
class LBFGS:
    """Where a minimisation stands: point, value, gradient, and the last steps with the changes of the gradient.

    stuck: no step along the last direction lowered the value.

    >>> def bowl(x):
    ...     return float(x @ x), 2 * x
    >>> state = LBFGS.start(bowl, np.array([3.0, 4.0]))
    >>> while state.slope > 1e-9:
    ...     state = state.advanced(bowl)
    >>> state.iteration <= 2, state.value < 1e-18
    (True, True)
    """

    point: np.ndarray
    value: float
    gradient: np.ndarray
    steps: tuple[np.ndarray, ...] = ()
    changes: tuple[np.ndarray, ...] = ()
    iteration: int = 0
    evaluations: int = 1
    stuck: bool = False

    @classmethod
    def start(cls, function: Function, point: np.ndarray) -> "LBFGS":
        """Nothing known but the value and the gradient at a point."""
        return cls(point, *_checked(function(point)))

    @property
    def slope(self) -> float:
        """The norm of the gradient."""
        return float(np.linalg.norm(self.gradient))

    def forgotten(self) -> "LBFGS":
        """Without what earlier steps told about the curvature."""
        return replace(self, steps=(), changes=(), stuck=False)

    def moved(self, function: Function) -> "LBFGS":
        """The same point of a function that has changed a little."""
        value, gradient = _checked(function(self.point))
        return replace(self, value=value, gradient=gradient, evaluations=self.evaluations + 1, stuck=False)

    def direction(self, metric: Metric = np.copy) -> np.ndarray:
        """Minus the gradient times the inverse Hessian, as far as the last steps tell it, beyond them a metric."""
        result, weights = -self.gradient, []
        for s, y in zip(reversed(self.steps), reversed(self.changes), strict=True):
            weights.append((s @ result) / (y @ s))
            result = result - weights[-1] * y
        result = metric(result)
        if self.steps:
            s, y = self.steps[-1], self.changes[-1]
            result = result * ((s @ y) / (y @ metric(y)))
        for s, y, weight in zip(self.steps, self.changes, reversed(weights), strict=True):
            result = result + (weight - (y @ result) / (y @ s)) * s
        return result

    def advanced(
        self, function: Function, *, memory: int = 20, first_step: float = 0.1, metric: Metric = np.copy
    ) -> "LBFGS":
        """One iteration: a line search along the direction; the first step has the length first_step times the point's.

        metric: applies a positive inverse Hessian that is known beforehand, up to a factor.

        Where the search fails, first the memory is forgotten; if that does not help either, `stuck` says so.
        """
        way = self.direction(metric)
        if self.steps and way @ self.gradient > -1e-12 * np.linalg.norm(way) * self.slope:
            return self.forgotten().advanced(function, memory=memory, first_step=first_step, metric=metric)
        if not self.steps:
            longest = first_step * max(1.0, float(np.linalg.norm(self.point)))
            way = way * min(1.0, longest / max(float(np.linalg.norm(way)), 1e-300))
        seen = _Seen(function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = line_search(
                seen.value, seen.gradient, self.point, way, self.gradient, self.value, c1=_ARMIJO, c2=_WOLFE, maxiter=12
            )
        length = found[0] if found[0] is not None else seen.lower_than(self, way)
        count = self.evaluations + seen.count
        if length is None:
            if self.steps:
                state = replace(self.forgotten(), evaluations=count)
                return state.advanced(function, memory=memory, first_step=first_step, metric=metric)
            return replace(self, iteration=self.iteration + 1, evaluations=count, stuck=True)
        point = self.point + length * way
        value, gradient = seen(point)
        step, change = point - self.point, gradient - self.gradient
        steps, changes = self.steps, self.changes
        if step @ change > _CURVED * np.linalg.norm(step) * np.linalg.norm(change):
            steps, changes = (*steps, step)[-memory:], (*changes, change)[-memory:]
        return LBFGS(point, value, gradient, steps, changes, self.iteration + 1, self.evaluations + seen.count)


class _Seen:
    """A function that is asked for value and gradient apart, and evaluated once a point."""

    def __init__(self, function: Function) -> None:
        self._function, self._known = function, {}  # type: ignore[var-annotated]
        self.count = 0

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        key = point.tobytes()
        if key not in self._known:
            self._known[key] = _checked(self._function(point))
            self.count += 1
        return self._known[key]

    def value(self, point: np.ndarray) -> float:
        return self(point)[0]

    def gradient(self, point: np.ndarray) -> np.ndarray:
        return self(point)[1]

    def lower_than(self, state: LBFGS, way: np.ndarray) -> float | None:
        """The best step seen that lowers the value, or a shorter one; None without any."""
        tries = [(self._known[key][0], np.frombuffer(key)) for key in self._known]
        best = min(tries, key=lambda entry: entry[0], default=(np.inf, None))
        if best[1] is not None and best[0] < state.value:
            return float((best[1] - state.point) @ way / (way @ way))
        for length in 0.1 ** np.arange(1, 5):
            if self(state.point + length * way)[0] < state.value:
                return float(length)
        return None


def _checked(found: tuple[float, np.ndarray]) -> tuple[float, np.ndarray]:
    value, gradient = found
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        raise NumericalError("NaN or Inf in a value or gradient that is to be minimised: check the start.")
    return float(value), gradient
