"""Damped Newton iteration for Bethe equations."""

from collections.abc import Callable

import numpy as np

from tnsim.errors import NumericalError


def damped_newton(
    start: np.ndarray,
    residual: Callable[[np.ndarray], np.ndarray],
    jacobian: Callable[[np.ndarray], np.ndarray],
    *,
    tolerance: float,
    what: str,
) -> np.ndarray:
    """The positive root near `start`; steps are halved until all numbers stay positive and the residual falls.

    One more step follows once the residual is below `tolerance`. Raises NumericalError naming `what`.

    >>> damped_newton(np.array([1.0]), lambda x: x**2 - 2, lambda x: np.diag(2 * x), tolerance=1e-9, what="x^2 = 2")
    array([1.41421356])
    """
    roots, error = start, residual(start)
    for _ in range(200):
        if np.abs(error).max() < tolerance:
            return roots - np.linalg.solve(jacobian(roots), error)
        step = np.linalg.solve(jacobian(roots), error)
        damping = 1.0
        while damping > 1e-12:
            trial = roots - damping * step
            if (trial > 0).all():
                new = residual(trial)
                if np.abs(new).max() < np.abs(error).max() or damping < 1e-6:
                    break
            damping /= 2
        else:
            break
        roots, error = trial, new
    raise NumericalError(f"{what} did not converge: residual {np.abs(error).max():.1e}.")
