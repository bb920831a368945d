"""Every exception class of tnsim, and the helper that names the nearest valid word."""

from collections.abc import Iterable
from difflib import get_close_matches


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
