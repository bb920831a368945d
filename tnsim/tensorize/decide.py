"""Whether to compress a network at all, and how: four questions, and "do not build this" among the answers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from tnsim.errors import SettingsError, check_fields

# formats whose products the hardware does itself, the smallest that keeps accuracy without training first; by patterns:
# an RTX 5000 is of Turing or Ada, an RTX 5090 of Blackwell
_FORMATS = {
    "v100": ("fp16",),
    "t4": ("int8",),
    "a10": ("int8",),
    "a100": ("int8",),
    "l4": ("int8", "fp8"),
    "l40": ("int8", "fp8"),
    "rtx 40[5-9]0": ("int8", "fp8"),
    "ada": ("int8", "fp8"),
    "hopper": ("fp8", "int8"),
    "h100": ("fp8", "int8"),
    "h200": ("fp8", "int8"),
    "blackwell": ("fp4", "fp8"),
    "b100": ("fp4", "fp8"),
    "b200": ("fp4", "fp8"),
    "gb200": ("fp4", "fp8"),
    "rtx 50[5-9]0": ("fp4", "fp8"),
}
DO_NOT_BUILD = "do not build this"


def quantization_for(hardware: str) -> tuple[str, ...]:
    """Formats for a device by its name, the first one preferred; INT8, which runs everywhere, where it is unknown.

    >>> quantization_for("NVIDIA A100-SXM4-80GB"), quantization_for("H100 PCIe"), quantization_for("abacus")
    (('int8',), ('fp8', 'int8'), ('int8',))
    """
    words = hardware.lower().replace("-", " ").replace("geforce ", "")
    for name in sorted(_FORMATS, key=len, reverse=True):
        if re.search(name, words):
            return _FORMATS[name]
    return ("int8",)


@dataclass(frozen=True, kw_only=True)
class KVCache:
    """Keys and values of a language model: two vectors of `width` numbers a layer, token and sequence.

    >>> cache = KVCache(layers=32, tokens=128_000, sequences=8, width=4096)
    >>> round(cache.bytes() / 1e9, 1), round(cache.bytes(share=0.1, bits=8) / 1e9, 1)
    (536.9, 26.8)
    """

    layers: int
    tokens: int
    width: int = field(metadata={"help": "numbers of a key: heads that have keys of their own times their size"})
    sequences: int = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.layers, self.tokens, self.width, self.sequences) < 1:
            raise SettingsError(f"a cache has at least one of everything, found {self}.")

    def bytes(self, *, share: float = 1.0, bits: int = 16) -> float:
        """Memory when a share of the tokens is kept, in so many bits a number."""
        return 2 * self.layers * self.tokens * self.sequences * self.width * share * bits / 8


def kv_placement(cache: KVCache, memory: float, *, attended_share: float = 1.0, bits: int = 16) -> tuple[str, str]:
    """(where keys and values go, why). memory: bytes that are free for them on the device.

    attended_share: of the tokens that attention really reads (measure it; 1.0 where unknown). The four branches: all
    on the device; the attended ones on the device, the rest on the host; in 8 bits on the device; on several devices.
    """
    if not 0 < attended_share <= 1:
        raise SettingsError(f"attended_share lies in (0, 1], found {attended_share!r}.")
    whole, attended = cache.bytes(bits=bits), cache.bytes(share=attended_share, bits=bits)
    if whole <= memory:
        return "device", f"all of it, {whole / 1e9:.3g} GB, fits"
    if attended_share < 1 and attended <= memory:
        return "device and host", f"{attended / 1e9:.3g} GB are read often and fit, the rest waits on the host"
    small = cache.bytes(share=attended_share, bits=8)
    if small <= memory:
        return "device, 8 bits", f"{small / 1e9:.3g} GB fit in 8 bits; measure what that costs"
    return "several devices", f"even {small / 1e9:.3g} GB in 8 bits do not fit into {memory / 1e9:.3g} GB"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a compressed network has to fulfil. accept: rise of the loss; bytes and seconds: at most, 0 where free."""

    accept: float
    bytes: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not all(value >= 0 for value in (self.accept, self.bytes, self.seconds)):
            raise SettingsError(f"needs are not negative, found {self}.")


@dataclass(frozen=True, kw_only=True)
class Option:
    """A row of the decision: how it was measured, whether it fulfils the needs, and why not."""

    name: str
    loss: float | None
    bytes: float | None
    seconds: float | None
    fulfils: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """verdict: the option of least effort that fulfils all needs, or "do not build this"; reason: one sentence."""

    verdict: str
    reason: str
    options: tuple[Option, ...] = field(repr=False)

    def __rich__(self) -> Table:
        table = Table("option", "loss", "bytes", "seconds", "fulfils", "why", title=f"{self.verdict}: {self.reason}")
        for row in self.options:
            cells = ("-" if value is None else f"{value:.4g}" for value in (row.loss, row.bytes, row.seconds))
            table.add_row(row.name, *cells, "yes" if row.fulfils else "no", row.why)
        return table


# of least effort first, and the names that `tensorize` gives to their rows
_EFFORT = (
    ("none", "dense"),
    ("quantization only", "INT8 alone"),
    ("smaller dense model", "smaller dense"),
    ("two matrices a layer", "SVD"),
    ("chains", "tensorized"),
    ("chains in 8 bits", "tensorized, INT8"),
)


def decide(alternatives: Sequence[Any], needs: Needs) -> Decision:
    """Which of the measured alternatives (of a `Report`) to build: the first in the order of effort that will do.

    Chains are worth it only where nothing simpler fulfils the needs. Raises SettingsError where dense, INT8 alone or
    a smaller dense model has no row: a decision without them is none.
    """
    rows = {row.name: row for row in alternatives}
    if missing := [name for name in ("dense", "INT8 alone", "smaller dense", "tensorized") if name not in rows]:
        raise SettingsError(f"there is no measured row {missing[0]!r}: let tensorize compare (Allocation.compare).")
    line = rows["dense"].loss + needs.accept
    options = tuple(_judged(name, rows[row], line, needs) for name, row in _EFFORT if row in rows)
    for option in options:
        if not option.fulfils:
            continue
        if option.name.startswith("chains"):
            return Decision(verdict=option.name, reason="nothing simpler fulfils the needs", options=options)
        verdict = option.name if option.name != "none" else DO_NOT_BUILD
        reason = "the dense model fulfils all needs" if option.name == "none" else "it will do, and is simpler"
        return Decision(verdict=verdict, reason=reason, options=options)
    return Decision(verdict=DO_NOT_BUILD, reason="no alternative fulfils the needs", options=options)


def _judged(name: str, row: Any, line: float, needs: Needs) -> Option:
    if row.loss is None:
        return Option(name=name, loss=None, bytes=None, seconds=None, fulfils=False, why=row.how)
    limits: list[tuple[str, float, float]] = [("loss", row.loss, line)]
    limits += [
        (word, getattr(row, word), getattr(needs, word)) for word in ("bytes", "seconds") if getattr(needs, word)
    ]
    over = [f"{word} {value:.4g} above {most:.4g}" for word, value, most in limits if value > most]
    return Option(name=name, loss=row.loss, bytes=row.bytes, seconds=row.seconds, fulfils=not over, why="; ".join(over))


def worth_compressing(
    layers: Sequence[str], error: Callable[[str], float], budget: float
) -> tuple[list[str], list[str]]:
    """Layers within a budget for the functional error and beyond it, each in the order of their errors.

    >>> worth_compressing(["a", "b"], {"a": 0.4, "b": 0.1}.get, 0.2)
    (['b'], ['a'])
    """
    found = sorted(layers, key=error)
    return [name for name in found if error(name) <= budget], [name for name in found if error(name) > budget]
