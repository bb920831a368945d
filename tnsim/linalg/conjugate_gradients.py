"""Conjugate gradients: positive linear systems whose matrix is known by its products, on the device of the data."""

from collections.abc import Callable

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.errors import NumericalError
from tnsim.linalg.gmres import LinearSolution


def conjugate_gradients(
    matvec: Callable[[Array], Array],
    right: Array,
    start: Array,
    backend: Backend,
    *,
    tolerance: float = 1e-10,
    products_max: int = 200,
    check_every: int = 8,
) -> LinearSolution:
    """Solve A x = b for a Hermitian A without negative eigenvalues, from `start`; arrays of any one shape.

    Every step lowers <x|A|x> / 2 - Re <x|b>, also where A is singular and where the loop ends early; stops at a
    residual norm of `tolerance` times that of b. One read of the device every `check_every` products. Not converging
    is a result. Raises NumericalError on NaN or Inf. Source: M. R. Hestenes, E. Stiefel, J. Res. NBS 49, 409 (1952).

    >>> from tnsim.backend import get_backend
    >>> A, b = np.diag([1.0, 2.0, 4.0]), np.ones(3)
    >>> conjugate_gradients(lambda x: A @ x, b, 0 * b, get_backend("numpy")).vector.round(12).tolist()
    [1.0, 0.5, 0.25]
    """
    tiny = 1e-300 if right.dtype.itemsize // (1 + (right.dtype.kind == "c")) > 4 else 1e-30
    goal = tolerance * _checked(float(backend.read(backend.norm(right))))
    x, residual = start, right - matvec(start)
    size = _checked(float(backend.read(backend.norm(residual))))
    direction, square, spent = residual, backend.real(backend.vdot(residual, residual)), 1
    while size > goal and spent < products_max:
        image = matvec(direction)
        # where A has no part along the direction nothing is left to gain, and the step is zero
        step = square / (backend.real(backend.vdot(direction, image)) + tiny)
        x, residual = x + direction * step, residual - image * step
        before, square, spent = square, backend.real(backend.vdot(residual, residual)), spent + 1
        direction = residual + direction * (square / (before + tiny))
        if spent % check_every == 0 or spent == products_max:
            size = _checked(float(np.sqrt(backend.read(square))))
    return LinearSolution(x, size, spent, size <= goal)


def _checked(size: float) -> float:
    if not np.isfinite(size):
        raise NumericalError("NaN or Inf in the residual of a linear system: check what its operator was made from.")
    return size
