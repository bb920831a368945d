"""Couplings that may differ from place to place: a number, one number per place, or a function of the place."""

from collections.abc import Callable, Sequence
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from tnsim.errors import SettingsError

if TYPE_CHECKING:  # given in one of these ways, but kept as a number or a tuple of them, which a checker cannot know
    Coupling = Any
else:
    Coupling = float | Sequence[float] | np.ndarray | Callable[[Any], float]
"""One number everywhere, one per site or pair (in the order of the lattice), or a function of the Vertex or Pair."""


def is_uniform(coupling: Coupling) -> bool:
    """Whether a coupling is one number everywhere."""
    return isinstance(coupling, Real)


def resolve(coupling: Coupling, places: Sequence[Any], name: str, what: str) -> float | tuple[float, ...]:
    """A coupling as plain numbers: one, or one per place, so that settings compare, hash and go to files.

    name, what: the setting, and what it varies over, for the message. Raises SettingsError for another count
    of numbers, for what is no number, and for NaN or Inf.

    >>> resolve(lambda k: k / 2, range(3), "J", "pairs")
    (0.0, 0.5, 1.0)
    """
    if is_uniform(coupling):
        return finite_number(coupling, name)
    if callable(coupling):
        _check_takes_a_place(coupling, name)
        return tuple(finite_number(coupling(place), f"{name} at {place}") for place in places)
    if isinstance(coupling, str) or np.ndim(coupling) != 1:
        raise SettingsError(
            f"{name} is a number, one number for each of the {what}, or a function, found {coupling!r}."
        )
    values = tuple(finite_number(value, f"{name}[{k}]") for k, value in enumerate(coupling))
    if len(values) != len(places):
        raise SettingsError(f"{name} needs one number for each of the {len(places)} {what}, found {len(values)}.")
    return values


def _check_takes_a_place(function: Callable[..., Any], name: str) -> None:
    """SettingsError for a function of another number of arguments, such as one of i and j."""
    try:
        parameters = signature(function)
    except ValueError:  # a compiled function that does not tell
        return
    try:
        parameters.bind(None)
    except TypeError:
        raise SettingsError(
            f"{name} is a function of {parameters}, but is asked with one argument, the place: a Vertex (.index, "
            ".position) or a Pair (.i, .j, .vector)."
        ) from None


def spread_out(coupling: Coupling, count: int) -> list[float]:
    """A resolved coupling as one number for each of so many places."""
    return [float(coupling)] * count if isinstance(coupling, Real) else list(coupling)


def finite_number(value: Any, name: str) -> float:
    """A finite real number as a float; SettingsError for anything else."""
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise SettingsError(f"{name} must be a finite real number, found {value!r}.")
    return float(value)
