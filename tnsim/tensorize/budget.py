"""How small a network has to become."""

from dataclasses import dataclass, field
from math import inf

from tnsim.errors import SettingsError, check_fields


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One of ratio, params, bytes, for the weights of all layers that take part, as they are stored in their type.

    >>> Budget(ratio=3).numbers(3000, itemsize=4), Budget(bytes=4000).numbers(3000, itemsize=4)
    (1000, 1000)
    """

    ratio: float = field(default=0.0, metadata={"help": "the numbers of these layers, divided by this"})
    params: int = field(default=0, metadata={"help": "so many numbers"})
    bytes: int = field(default=0, metadata={"help": "so many bytes"})

    def __post_init__(self) -> None:
        check_fields(self)
        given = [name for name in ("ratio", "params", "bytes") if getattr(self, name)]
        if len(given) != 1:
            raise SettingsError(f"a budget is one of ratio, params, bytes, found {' and '.join(given) or 'none'}.")
        if min(self.params, self.bytes) < 0 or (self.ratio and not 1 < self.ratio < inf):
            raise SettingsError(f"a budget has a ratio above 1, or a positive number of params or bytes, found {self}.")

    def numbers(self, dense: int, *, itemsize: int) -> int:
        """Numbers that may be kept of `dense`."""
        if self.ratio:
            return int(dense / self.ratio)
        return self.params or self.bytes // itemsize
