"""Every exception class of tnsim, the check of settings, and the helper that names the nearest valid word."""

import types
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np


class TnsimError(Exception):
    """Base of all errors that tnsim raises on purpose."""


class LegError(TnsimError, ValueError):
    """Two legs do not fit, or a leg is ill-formed."""


class ChargeError(TnsimError, ValueError):
    """A charge is not conserved, or no block is allowed."""


class ShapeError(TnsimError, ValueError):
    """Sizes or lengths do not fit."""


class OperatorError(TnsimError, ValueError):
    """An operator or a term of a sum is unknown or ill-formed."""


class StateError(TnsimError, ValueError):
    """A state is unknown, or unfit for what was asked."""


class SettingsError(TnsimError, ValueError):
    """A setting is unknown or out of range."""


class BackendError(TnsimError, RuntimeError):
    """The array library or device that was asked for is not there, or arrays of two libraries met."""


class NumericalError(TnsimError, ArithmeticError):
    """NaN or Inf turned up, or a decomposition failed on every route."""


class FileError(TnsimError, OSError):
    """A file cannot be read or written."""


class FileForeignError(FileError):
    """The file is no tnsim file."""


class FileCorruptError(FileError):
    """The file is damaged or cut short."""


class FileTooNewError(FileError):
    """The file has a schema that this version does not know."""


class ServiceFault(TnsimError, RuntimeError):
    """A network in service failed; kind: "out of memory", "accuracy", "not finite", "communication" or "format"."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


def suggest(word: str, choices: Iterable[str]) -> str:
    """A sentence that names the nearest valid word, or all of them if none is near.

    >>> suggest("Szz", ["Sz", "S+", "S-"])
    'Did you mean "Sz"?'
    """
    known = [str(choice) for choice in choices]
    lowered = {choice.lower(): choice for choice in known}
    near = get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f'Did you mean "{lowered[near[0]]}"?'
    return "Known: " + ", ".join(f'"{choice}"' for choice in known) + "."


_NUMBERS: dict[Any, type] = {int: Integral, float: Real}


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def check_fields(settings: Any) -> None:
    """Hold a settings dataclass against its type hints; SettingsError names the first field that does not fit.

    An integer may stand for a float, a list for a tuple (it becomes one).
    """
    cls: Any = type(settings)
    for name, hint in _hints(cls).items():
        value = getattr(settings, name, None)
        if not _fits(value, hint):
            word = getattr(hint, "__name__", str(hint)) if get_origin(hint) is None else str(hint)
            raise SettingsError(f"{cls.__name__}: {name} must be of type {word}, found {value!r}.")
        if isinstance(value, list):
            object.__setattr__(settings, name, tuple(value))


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if origin is tuple:
        return isinstance(value, (tuple, list)) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint in _NUMBERS:
        return isinstance(value, _NUMBERS[hint]) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def finite_numbers(name: str, values: Any) -> np.ndarray:
    """Real, finite numbers as an array of floats; SettingsError names what was given otherwise.

    >>> finite_numbers("frequencies", [1, 2.5])
    array([1. , 2.5])
    """
    found = np.asarray(values)
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise SettingsError(f"{name} must be real and finite, found {values!r}.")
    return found.astype(float)


def finite_number(name: str, value: Any) -> float:
    """One real, finite number; SettingsError otherwise."""
    found = finite_numbers(name, value)
    if found.ndim:
        raise SettingsError(f"{name} must be one number, found {value!r}.")
    return float(found)
