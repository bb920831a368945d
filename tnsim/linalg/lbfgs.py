"""L-BFGS, one iteration at a time: all that it knows is in a frozen state, so that a run can be stopped and resumed.

Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tnsim.linalg.line_search import Function, Trial, line_search, trial

# applies a positive matrix
Metric = Callable[[np.ndarray], np.ndarray]
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
        found = trial(function, point, point, 0.0)
        return cls(point, found.value, found.gradient)

    @property
    def slope(self) -> float:
        """The norm of the gradient."""
        return float(np.linalg.norm(self.gradient))

    def forgotten(self) -> "LBFGS":
        """Without what earlier steps told about the curvature."""
        return replace(self, steps=(), changes=(), stuck=False)

    def moved(self, function: Function) -> "LBFGS":
        """The same point of a function that has changed a little."""
        found = trial(function, self.point, self.point, 0.0)
        count = self.evaluations + 1
        return replace(self, value=found.value, gradient=found.gradient, evaluations=count, stuck=False)

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
        self,
        function: Function,
        *,
        memory: int = 20,
        first_step: float = 0.1,
        metric: Metric = np.copy,
        noise: float = 0.0,
    ) -> "LBFGS":
        """One iteration: a line search along the direction; the first step has the length first_step times the point's.

        metric: applies a positive inverse Hessian that is known beforehand, up to a factor; noise: what values are
        uncertain by. Where the search fails, first the memory is forgotten; if that does not help either, `stuck` says
        so.
        """
        state, count = self, self.evaluations
        for _ in range(2 if self.steps else 1):
            way = state._way(metric, first_step)
            if way is not None:
                start = Trial(0.0, state.point, state.value, state.gradient, float(way @ state.gradient))
                made = line_search(function, start, way, noise)
                count += made.count
                state = replace(state, value=made.start.value, gradient=made.start.gradient)
                if made.found is not None:
                    return state._at(made.found, count, memory)
            state = state.forgotten()
        return replace(state, iteration=self.iteration + 1, evaluations=count, stuck=True)

    def _way(self, metric: Metric, first_step: float) -> np.ndarray | None:
        """The direction, of a length that is worth trying; None where it does not lead down."""
        way = self.direction(metric)
        size = float(np.linalg.norm(way))
        if not way @ self.gradient < -1e-12 * size * self.slope:
            return None
        if self.steps:
            return way
        longest = first_step * max(1.0, float(np.linalg.norm(self.point)))
        return way * min(1.0, longest / max(size, 1e-300))

    def _at(self, found: Trial, count: int, memory: int) -> "LBFGS":
        step, change = found.point - self.point, found.gradient - self.gradient
        steps, changes = self.steps, self.changes
        if step @ change > _CURVED * np.linalg.norm(step) * np.linalg.norm(change):
            steps, changes = (*steps, step)[-memory:], (*changes, change)[-memory:]
        return LBFGS(found.point, found.value, found.gradient, steps, changes, self.iteration + 1, count)
