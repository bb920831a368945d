"""L-BFGS: known minima, stopping and going on, and what cannot be lowered."""

import numpy as np
import pytest

from tnsim.errors import NumericalError
from tnsim.linalg.lbfgs import LBFGS


def rosenbrock(x):
    """Its minimum is 0 at (1, ..., 1), at the end of a bent valley."""
    left, right = x[:-1], x[1:]
    slope = np.zeros_like(x)
    slope[:-1] += -400 * left * (right - left**2) - 2 * (1 - left)
    slope[1:] += 200 * (right - left**2)
    return float((100 * (right - left**2) ** 2 + (1 - left) ** 2).sum()), slope


def run(state, count=500):
    values = [state.value]
    while state.slope > 1e-9 and state.iteration < count and not state.stuck:
        state = state.advanced(rosenbrock)
        values.append(state.value)
    return state, values


def test_a_bent_valley_is_followed_to_its_end():
    state, values = run(LBFGS.start(rosenbrock, np.full(8, -0.5)))
    assert np.abs(state.point - 1).max() < 1e-8
    assert all(b <= a for a, b in zip(values, values[1:], strict=False))
    assert state.evaluations < 150


def test_a_state_holds_all_that_going_on_needs():
    start = LBFGS.start(rosenbrock, np.linspace(-1, 1, 6))
    whole, values = run(start)
    half, _ = run(start, 12)
    again, rest = run(half)
    assert rest == values[12:]
    assert np.array_equal(again.point, whole.point)


def test_quadratic_functions_take_as_many_iterations_as_they_have_directions():
    scales = np.array([1.0, 10.0, 100.0, 1000.0])

    def bowl(x):
        return float(scales @ x**2) / 2, scales * x

    state = LBFGS.start(bowl, np.ones(4))
    while state.slope > 1e-8:
        state = state.advanced(bowl)
    assert state.iteration <= 20


def test_a_function_that_nothing_lowers_is_stuck():
    def wrong(x):
        return float(x @ x), -2 * x

    state = LBFGS.start(wrong, np.ones(3))
    state = state.advanced(wrong)
    assert state.stuck and state.iteration == 1


def test_numbers_that_are_none_are_refused():
    with pytest.raises(NumericalError, match="to be minimised"):
        LBFGS.start(lambda x: (float("nan"), x), np.ones(2))
