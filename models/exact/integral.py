"""Integrals of exact answers, by SciPy's adaptive quadrature."""

from collections.abc import Callable, Sequence


def integral(
    function: Callable[[float], float],
    lower: float,
    upper: float,
    *,
    epsabs: float = 1e-13,
    epsrel: float = 1.5e-8,
    limit: int = 50,
    points: Sequence[float] | None = None,
) -> float:
    """The integral of a function of one number; bounds of its error and pieces as in `scipy.integrate.quad`.

    >>> round(integral(lambda x: x * x, 0.0, 3.0), 12)
    9.0
    """
    from scipy.integrate import quad

    return float(quad(function, lower, upper, epsabs=epsabs, epsrel=epsrel, limit=limit, points=points)[0])
