"""How loss, time and size of a network go together over many sizes, and which sizes no other one beats."""

import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from torch import nn

from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.candidates import ladders_of
from tnsim.tensorize.nn.ladder import LayerFormat
from tnsim.tensorize.nn.trial import EvaluationFailed, Trial

_LOG = logging.getLogger("tnsim.tensorize")


@dataclass(frozen=True, kw_only=True)
class ParetoPoint:
    """All layers at one ratio. error: mean relative error of the outputs; best: no other point has both fewer numbers
    and a lower loss; seconds: of a warm call of evaluate (median), None where none could be timed."""

    ratio: float
    numbers: int
    loss: float
    seconds: float | None
    error: float
    best: bool


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """Points from the dense model on."""

    points: tuple[ParetoPoint, ...] = field(repr=False)

    def __rich__(self) -> Table:
        table = Table(*(entry.name for entry in fields(ParetoPoint)))
        for point in self.points:
            values = asdict(point).values()
            table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
        return table

    def to_csv(self, path: str | Path) -> Path:
        """All points without times, which are of the moment: the same input gives the same file."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ratio", "numbers", "loss", "error", "best"])
            writer.writerows([p.ratio, p.numbers, p.loss, p.error, int(p.best)] for p in self.points)
        return Path(path)

    def plot(self, path: str | Path | None = None) -> Any:
        """Loss over size; needs the extra `plot`."""
        return import_module("tnsim.plotting").plot_pareto(self, path=path)


def pareto(
    model: nn.Module,
    gram: Mapping[str, Gram] | None,
    evaluate: Callable[[Any], Any],
    ratios: Sequence[float] = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0),
    *,
    form: LayerFormat | None = None,
) -> Pareto:
    """Every layer at the same ratio, one after the other, measured as a whole; up to where `evaluate` fails.

    Raises as `tensorize` does, NumericalError where the dense model could not be evaluated.
    """
    ladders, _ = ladders_of(model, gram, form or LayerFormat())
    trial = Trial(model, ladders, evaluate, None)
    rows = [(1.0, trial.numbers({}), trial.dense_loss, trial.seconds_of(model), 0.0)]
    for ratio in ratios:
        choice = {name: ladder.nearest(ratio) for name, ladder in ladders.items()}
        try:
            loss = trial.loss(choice)
        except EvaluationFailed as failure:
            _LOG.warning("at %gx: %s; the points until there are kept", ratio, failure)
            break
        error = float(np.mean([0.0 if rung is None else rung.error for rung in choice.values()]))
        rows.append((float(ratio), trial.numbers(choice), loss, trial.seconds_of(trial.placed(choice)), error))
    points = []
    for ratio, numbers, loss, seconds, error in rows:
        beaten = any(n <= numbers and c <= loss and (n, c) != (numbers, loss) for _, n, c, _, _ in rows)
        points.append(
            ParetoPoint(ratio=ratio, numbers=numbers, loss=loss, seconds=seconds, error=error, best=not beaten)
        )
    return Pareto(points=tuple(points))
