"""Fields of settings with a one-line description, which the command line and the schema show."""

from dataclasses import MISSING, field
from typing import Any


def setting(
    default: Any = MISSING, help: str = "", *, over: int | str | None = None, flag: str | None = None, init: bool = True
) -> Any:
    """A field of a frozen settings dataclass.

    over: of a coupling, what it may vary over: 1, 2, 3 (pairs of neighbours of that order) or "sites"; flag: its
    name on the command line, where that differs from the field's; init: False for what a model fixes.
    """
    return field(default=default, init=init, metadata={"help": help, "over": over, "flag": flag})
