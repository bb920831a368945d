"""Line searches: conditions that hold at what is found, noise in the values, and functions that change their branch."""

import numpy as np
import pytest

from tnsim.errors import NumericalError
from tnsim.linalg.line_search import accepted, line_search, trial


def on_line(f, slope):
    return lambda x: (float(f(x[0])), np.array([slope(x[0])]))


WAY, ORIGIN = np.array([1.0]), np.array([0.0])


@pytest.mark.parametrize("scale", [1e-3, 0.03, 1.0, 30.0, 300.0])
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: (x - 1) ** 2, lambda x: 2 * (x - 1)),
        (lambda x: -x / (x**2 + 2), lambda x: (x**2 - 2) / (x**2 + 2) ** 2),
        (lambda x: (x - 1) ** 4, lambda x: 4 * (x - 1) ** 3),
        (lambda x: np.exp(x - 2) - x, lambda x: np.exp(x - 2) - 1),
    ],
)
def test_a_wolfe_point_is_found_from_any_first_length(f, slope, scale):
    """More-Thuente's second function among them; the first length is scale times the place of the minimum."""
    function = on_line(lambda x: f(x * scale), lambda x: scale * slope(x * scale))
    start = trial(function, ORIGIN, WAY, 0.0)
    made = line_search(function, start, WAY, 1e-12, tries=25)
    assert made.found is not None and accepted(made.found, start, 1e-12)
    assert made.found.value < start.value and made.count <= 20


def test_slopes_lead_below_the_noise_of_the_values():
    """Values that are known to 1e-6 only: the slope still falls by far, which no condition on values would allow."""
    rng = np.random.default_rng(0)
    function = on_line(lambda x: 1e-9 * (x - 1.4) ** 2 + 1e-6 * rng.uniform(-1, 0), lambda x: 2e-9 * (x - 1.4))
    start = trial(function, ORIGIN, WAY, 0.0)
    made = line_search(function, start, WAY, 1e-6)
    assert made.found is not None and abs(made.found.slope) <= 0.9 * abs(start.slope)


def test_a_function_on_another_branch_is_followed_from_there():
    """Once it has been asked anywhere else, all its values are higher by one."""
    asked = []

    def jump(x):
        asked.append(x[0])
        return float((x[0] - 0.5) ** 2 + (len(asked) > 1)), 2 * (x - 0.5)

    made = line_search(jump, trial(jump, ORIGIN, WAY, 0.0), WAY, 1e-12)
    assert made.found is not None and made.start.value == 1.25 and 1 <= made.found.value < 1.25


def test_what_only_rises_is_told():
    rising = on_line(lambda x: x, lambda x: -1.0)
    made = line_search(rising, trial(rising, ORIGIN, WAY, 0.0), WAY, 1e-12)
    assert made.found is None and made.count == 12
    with pytest.raises(NumericalError, match="NaN or Inf"):
        trial(on_line(lambda x: np.nan, lambda x: 1.0), ORIGIN, WAY, 0.0)


def test_steps_to_where_there_is_no_number_are_shortened():
    """-log of the distance to a wall, with nothing behind it; the first step goes far behind it."""
    asked = []

    def wall(x):
        asked.append(x[0])
        with np.errstate(invalid="ignore"):
            return float(-np.log(1e-3 - x[0]) - 2e3 * x[0]), np.array([1 / (1e-3 - x[0]) - 2e3])

    start = trial(wall, ORIGIN, WAY, 0.0)
    made = line_search(wall, start, WAY, 0.0)
    assert made.found is not None and accepted(made.found, start, 0.0)
    assert made.found.value < start.value and 0 < made.found.point[0] < 1e-3
    assert made.count == len(asked) - 1 and asked[1] > 1e-3


def test_a_wall_on_all_sides_is_told():
    inside = on_line(lambda x: 0.0 if x == 0 else np.nan, lambda x: -1.0)
    assert line_search(inside, trial(inside, ORIGIN, WAY, 0.0), WAY, 0.0).found is None
    asked = []

    def lost(x):
        asked.append(x[0])
        return float("nan" if len(asked) > 1 else 0.0), np.array([-1.0])

    with pytest.raises(NumericalError, match="NaN or Inf"):
        line_search(lost, trial(lost, ORIGIN, WAY, 0.0), WAY, 0.0)


def test_a_branch_on_which_the_way_leads_up_ends_the_search():
    """The slopes at the start and at a trial are the same then: no line through them has a zero."""
    asked = []

    def turned(x):
        asked.append(x[0])
        return float(x[0]), np.array([1.0 if len(asked) > 1 else -1.0])

    made = line_search(turned, trial(turned, ORIGIN, WAY, 0.0), WAY, 0.0)
    assert made.found is None and made.start.slope == 1.0 and made.count == len(asked) - 1


def test_a_plateau_below_the_noise_is_crossed():
    """Values that are a little too high everywhere but at the start, and a slope that flattens far away."""
    asked = []

    def plateau(x):
        asked.append(x[0])
        return float(1e-12 * (x[0] - 1e3) ** 2 + (1e-5 if len(asked) > 1 else 0.0)), 2e-12 * (x - 1e3)

    start = trial(plateau, ORIGIN, WAY, 0.0)
    made = line_search(plateau, start, WAY, 2e-5)
    assert made.found is not None and abs(made.found.slope) < 0.9 * abs(start.slope)
    assert made.count == len(asked) - 1
