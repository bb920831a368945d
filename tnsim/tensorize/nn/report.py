"""What became of each layer, every step that was tried, and the alternatives that were measured beside it."""

from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tnsim.tensorize.nn.trial import Step


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """form: chain, svd or dense; error: relative, of the outputs; change: of the loss by this layer alone, measured at
    about the ratio of the budget (None without a screening); note: why a layer took no part."""

    name: str
    shape: tuple[int, int]
    form: str
    ranks: tuple[int, ...]
    numbers: int
    error: float
    change: float | None = None
    note: str = ""

    @property
    def dense_numbers(self) -> int:
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """numbers: in the weights of the layers that take part; bytes: of the whole model; loss: what evaluate gave;
    seconds: of a warm call of it (median). None where the alternative cannot be made (`how` says why)."""

    name: str
    how: str
    numbers: int | None
    bytes: int | None
    loss: float | None
    seconds: float | None


class Savings(NamedTuple):
    """Shares of the dense model: memory of the whole model, numbers of the layers that take part, time of a warm call
    of evaluate; rise: of the loss."""

    name: str
    memory: float | None
    numbers: float | None
    time: float | None
    rise: float | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Losses are what evaluate gave; line: the highest that is accepted; joint_change beside the sum of single ones
    shows that errors of layers do not add."""

    budget: int
    dense_numbers: int
    numbers: int
    dense_loss: float
    loss: float
    line: float
    layers: tuple[LayerRow, ...] = field(repr=False)
    steps: tuple[Step, ...] = field(repr=False)
    alternatives: tuple[Alternative, ...] = field(repr=False)

    @property
    def ratio(self) -> float:
        return self.dense_numbers / self.numbers

    @property
    def joint_change(self) -> float:
        return self.loss - self.dense_loss

    @property
    def sum_of_changes(self) -> float:
        """Of single layers, as they were screened."""
        return sum(row.change or 0.0 for row in self.layers)

    def savings(self) -> tuple[Savings, ...]:
        """Of every alternative that could be measured, beside the dense model; empty where none was measured."""
        dense = next((row for row in self.alternatives if row.name == "dense"), None)
        if dense is None:
            return ()
        return tuple(
            Savings(
                name=row.name,
                memory=_saved(row.bytes, dense.bytes),
                numbers=_saved(row.numbers, dense.numbers),
                time=_saved(row.seconds, dense.seconds),
                rise=None if row.loss is None or dense.loss is None else row.loss - dense.loss,
            )
            for row in self.alternatives
            if row.bytes is not None
        )

    def with_row(self, row: Alternative) -> "Report":
        """With one more alternative, in the place of that of the same name."""
        return replace(self, alternatives=(*(old for old in self.alternatives if old.name != row.name), row))

    def __str__(self) -> str:
        return (
            f"{self.numbers} of {self.dense_numbers} numbers ({self.ratio:.2f}x; budget {self.budget}), loss "
            f"{self.dense_loss:.4g} -> {self.loss:.4g} (line {self.line:.4g})"
        )

    def __rich__(self) -> Table:
        names = "model", "how", "numbers", "bytes", "loss", "seconds", "memory saved", "numbers saved"
        table, savings = Table(*names, title=str(self)), {row.name: row for row in self.savings()}
        for row in self.alternatives:
            saved = savings.get(row.name)
            shares = ("-", "-") if saved is None else (_share(saved.memory), _share(saved.numbers))
            table.add_row(row.name, row.how, *map(_cell, (row.numbers, row.bytes, row.loss, row.seconds)), *shares)
        return table

    def layer_table(self) -> Table:
        """One layer a row."""
        table = Table("layer", "shape", "form", "ranks", "numbers", "ratio", "error", "loss, alone", "note")
        for row in self.layers:
            alone = "-" if row.change is None else f"{row.change:+.3g}"
            table.add_row(
                row.name, "x".join(map(str, row.shape)), row.form, " ".join(map(str, row.ranks)), str(row.numbers),
                f"{row.dense_numbers / row.numbers:.2f}", f"{row.error:.3f}", alone, row.note,
            )  # fmt: skip
        return table

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words."""
        savings = [row._asdict() for row in self.savings()]
        return asdict(self) | {"ratio": self.ratio, "sum_of_changes": self.sum_of_changes, "savings": savings}

    def plot(self, path: str | Path | None = None) -> Any:
        """Loss against bytes for all alternatives, and ratio and error of every layer; needs the extra `plot`."""
        return import_module("tnsim.plotting").plot_compression(self, path=path)


def _saved(here: float | None, there: float | None) -> float | None:
    return 1 - here / there if here is not None and there else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def print_table(table: Any, width: int = 120) -> str:
    """A table as text."""
    console = Console(width=width, record=True, quiet=True)
    console.print(table)
    return console.export_text()
