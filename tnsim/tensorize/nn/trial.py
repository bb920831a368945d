"""A copy of a network whose layers are exchanged and whose loss is measured; what it cost, and the best so far."""

import copy
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Any

import torch
from torch import nn

from tnsim.errors import NumericalError
from tnsim.tensorize.nn.collect import evaluation
from tnsim.tensorize.nn.ladder import Ladder, Rung
from tnsim.tensorize.nn.replace import replace_layers

_LOG = logging.getLogger("tnsim.tensorize")
# calls of evaluate that a time in a report is the median of, unless they take longer together
_WARM_CALLS, _WARM_SECONDS = 5, 1.0

# by the names of layers; None is the dense one
Choice = dict[str, Rung | None]


class EvaluationFailed(NumericalError):
    """evaluate raised, returned no finite number, or was interrupted; what there was before is kept."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One trial. what: the change that was tried; numbers: of all layers that take part."""

    what: str
    numbers: int
    loss: float
    accepted: bool

    def __str__(self) -> str:
        return f"{'accepted' if self.accepted else 'rejected'}: {self.what}, {self.numbers} numbers, {self.loss:.5g}"


def measured_loss(model: nn.Module, evaluate: Callable[[Any], Any]) -> float:
    """What evaluate says of a model in evaluation mode, without gradients."""
    with evaluation(model), torch.no_grad():
        return float(evaluate(model))


def warm_seconds(act: Callable[[], Any]) -> float:
    """Median time of a few calls; one where that alone takes a second."""
    times: list[float] = []
    while not times or (len(times) < _WARM_CALLS and sum(times) < _WARM_SECONDS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return median(times)


class Trial:
    """evaluate is called on one copy of the model, in evaluation mode; a loss above `line` is never accepted."""

    def __init__(
        self,
        model: nn.Module,
        ladders: Mapping[str, Ladder],
        evaluate: Callable[[Any], Any] | None,
        accept: float | None,
    ) -> None:
        self.ladders, self.evaluate = ladders, evaluate
        self._work = copy.deepcopy(model)
        modules = dict(self._work.named_modules())
        self._dense = {name: modules[name] for name in ladders}
        self._placed: Choice = dict.fromkeys(ladders)
        self.best: Choice = dict.fromkeys(ladders)
        self.steps: list[Step] = []
        self.dense_loss = self.loss({}) if evaluate is not None else float("nan")
        self.best_loss = self.dense_loss
        self.line = float("inf") if accept is None or evaluate is None else self.dense_loss + accept

    def numbers(self, choice: Mapping[str, Rung | None]) -> int:
        """Of all layers that take part."""
        return sum(
            ladder.layer.numbers if (rung := choice.get(name)) is None else rung.numbers
            for name, ladder in self.ladders.items()
        )

    def loss(self, choice: Mapping[str, Rung | None]) -> float:
        """What evaluate says of the model with these chains, the other layers dense."""
        return self.loss_of(self.placed(choice))

    def loss_of(self, model: nn.Module) -> float:
        """What evaluate says of a model; EvaluationFailed where that is no finite number."""
        if self.evaluate is None:
            raise EvaluationFailed("there is no function evaluate.")
        try:
            loss = measured_loss(model, self.evaluate)
        except KeyboardInterrupt as error:
            raise EvaluationFailed("evaluate was interrupted.") from error
        except Exception as error:
            raise EvaluationFailed(f"evaluate raised {type(error).__name__}: {error}") from error
        if not isfinite(loss):
            raise EvaluationFailed(f"evaluate returned {loss}.")
        return loss

    def seconds_of(self, model: nn.Module) -> float | None:
        """Median time of further calls of evaluate (the first one prepares what others find); None where one fails."""
        try:
            return warm_seconds(lambda: self.loss_of(model))
        except EvaluationFailed as error:
            _LOG.warning("no time can be told: %s", error)
            return None

    def placed(self, choice: Mapping[str, Rung | None]) -> nn.Module:
        """The working copy with these chains; it changes with the next call."""
        wanted = {name: choice.get(name) for name in self._placed}
        changed = {
            name: self._dense[name] if rung is None else self.ladders[name].module(rung)
            for name, rung in wanted.items()
            if rung is not self._placed[name]
        }
        replace_layers(self._work, changed)
        self._placed = wanted
        return self._work

    def attempt(self, what: str, choice: Mapping[str, Rung | None]) -> bool:
        """Measure a choice, and keep it as the best so far where its loss is not above the line."""
        loss = self.loss(choice) if self.evaluate is not None else float("nan")
        accepted = not loss > self.line
        self.steps.append(Step(what=what, numbers=self.numbers(choice), loss=loss, accepted=accepted))
        _LOG.info("%s", self.steps[-1])
        if accepted:
            self.best, self.best_loss = dict(choice), loss
        return accepted
