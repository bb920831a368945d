"""Training after the cut: the compressed model learns to give what the dense one gives."""

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tnsim.errors import NumericalError, SettingsError, ShapeError, check_fields, suggest
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.collect import call_model, evaluation
from tnsim.tensorize.nn.trial import measured_loss

_LOG = logging.getLogger("tnsim.tensorize")
_DISTANCES = ("kl", "mse")


@dataclass(frozen=True, kw_only=True)
class Healing:
    """Adam with a warm-up and a rate that falls to zero, towards the outputs of the dense model (distillation).

    distance: "kl" between softmax of logits on the last axis, or "mse" of outputs. loss(model, batch): a loss of the
    task that is added, `task_share` of the whole. only_chains: leave the other parameters of the model as they are.
    Source: G. Hinton, O. Vinyals, J. Dean, arXiv:1503.02531 (2015).
    """

    rate: float = field(default=1e-3, metadata={"help": "highest learning rate"})
    distance: str = field(default="kl", metadata={"help": "kl (logits) or mse"})
    temperature: float = field(default=1.0, metadata={"help": "of the softmax in kl"})
    loss: Callable[[Any, Any], Any] | None = field(
        default=None, metadata={"help": "loss of the task, of (model, batch)"}
    )
    task_share: float = field(default=0.5, metadata={"help": "of the task's loss where there is one"})
    only_chains: bool = field(default=False, metadata={"help": "train the cores alone"})
    decay: float = field(default=0.0, metadata={"help": "strength of the sum of squares of all numbers of the cores"})
    clip: float = field(default=1.0, metadata={"help": "largest norm of the gradient"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.distance not in _DISTANCES:
            raise SettingsError(f"unknown distance {self.distance!r}. {suggest(self.distance, _DISTANCES)}")
        if min(self.rate, self.temperature, self.clip) <= 0 or self.decay < 0 or not 0 <= self.task_share <= 1:
            raise SettingsError(f"rate, temperature, clip > 0, decay >= 0 and task_share in [0, 1], found {self}.")


def heal_(
    model: nn.Module,
    dense: nn.Module,
    batches: Iterable[Any],
    *,
    steps: int = 80,
    healing: Healing | None = None,
    evaluate: Callable[[Any], Any] | None = None,
) -> list[float]:
    """Train `model` in place on batches (taken again from the start where they end); the loss of every step.

    With `evaluate` the parameters are put back where training made it worse. Raises NumericalError on NaN or Inf in a
    loss; then, and on any other failure or interrupt, they are put back as well.
    """
    rule = healing or Healing()
    if steps < 1:
        raise SettingsError(f"healing takes at least one step, found {steps}.")
    trained = _trained(model, rule.only_chains)
    before = copy.deepcopy(model.state_dict())
    start = None if evaluate is None else measured_loss(model, evaluate)
    losses: list[float] = []
    optimizer = torch.optim.Adam(trained, lr=rule.rate)
    try:
        with evaluation(dense), evaluation(model):
            model.train()
            for number, batch in enumerate(_cycle(batches, steps)):
                _set_rate(optimizer, rule.rate, number, steps)
                loss = _loss(model, dense, batch, rule)
                losses.append(loss.item())
                if not isfinite(losses[-1]):
                    raise NumericalError(f"the loss became {losses[-1]} in step {number}: lower rate = {rule.rate:g}.")
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(trained, rule.clip)
                optimizer.step()
        end = None if evaluate is None else measured_loss(model, evaluate)
    except BaseException:
        model.load_state_dict(before)
        raise
    if start is not None and end is not None and not end <= start:
        _LOG.warning("healing raised the loss from %.5g to %.5g: the model is put back", start, end)
        model.load_state_dict(before)
    return losses


def _trained(model: nn.Module, only_chains: bool) -> list[nn.Parameter]:
    modules = [m for m in model.modules() if isinstance(m, ChainModule)] if only_chains else [model]
    found = [p for module in modules for p in module.parameters() if p.requires_grad]
    if not found:
        where = "chains of the model have" if only_chains else "model has"
        raise ShapeError(f"the {where} no parameters to train: cores in few bits have none, so heal before quantize.")
    return found


def _cycle(batches: Iterable[Any], steps: int) -> Iterator[Any]:
    source = first_batches(batches, steps)
    if not source:
        raise ShapeError("no batch was given to train on.")
    for number in range(steps):
        yield source[number % len(source)]


def first_batches(batches: Iterable[Any], count: int) -> Sequence[Any]:
    """Batches that can be gone through again: as they are, or the first so many of an iterator."""
    return batches if isinstance(batches, (list, tuple)) else list(islice(batches, count))


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, number: int, steps: int) -> None:
    """Up over the first tenth, then down along a straight line."""
    warm = max(1, steps // 10)
    share = (number + 1) / warm if number < warm else (steps - number) / (steps - warm)
    for group in optimizer.param_groups:
        group["lr"] = rate * min(1.0, share)


def _loss(model: nn.Module, dense: nn.Module, batch: Any, rule: Healing) -> torch.Tensor:
    with torch.no_grad():
        wanted = call_model(dense, batch)
    found = call_model(model, batch)
    if rule.distance == "kl":
        student, teacher = (functional.log_softmax(y.flatten(0, -2) / rule.temperature, -1) for y in (found, wanted))
        total = functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * rule.temperature**2
    else:
        total = functional.mse_loss(found, wanted)
    if rule.loss is not None:
        total = (1 - rule.task_share) * total + rule.task_share * rule.loss(model, batch)
    return total + rule.decay * core_penalty(model) if rule.decay else total


def core_penalty(model: nn.Module) -> torch.Tensor:
    """Sum of squares of all numbers of the cores of a model's chains; it is not that of the matrices."""
    cores = [core for m in model.modules() if isinstance(m, ChainModule) for core in m.chain_cores()]
    return torch.stack([core.pow(2).sum() for core in cores]).sum() if cores else torch.zeros(())
