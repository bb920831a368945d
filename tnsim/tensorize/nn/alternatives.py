"""What would do as well as chains, measured by the same function: rows that stand in every report."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.heal import Healing, heal_
from tnsim.tensorize.nn.quantized import quantize_chains_, quantize_dense_, stored_bytes
from tnsim.tensorize.nn.report import Alternative
from tnsim.tensorize.nn.smaller import smaller_dense, weights
from tnsim.tensorize.nn.trial import Choice, EvaluationFailed, Trial, measured_loss, warm_seconds


def alternatives(
    trial: Trial, model: nn.Module, found: nn.Module, gram: Mapping[str, Gram] | None, smaller: nn.Module | None
) -> tuple[Alternative, ...]:
    """The dense model, the tensorized one, plain and activation-aware SVD of its sizes, INT8 alone, INT8 on the chains,
    and a smaller dense model of its size. Where evaluate fails on one of them, the row says so."""
    dense, kept = trial.numbers({}), trial.numbers(trial.best)
    svd = _two_matrices(trial)
    rows = [
        _measured(trial, "dense", "as it is", dense, model),
        _measured(trial, "tensorized", _forms(trial.best), kept, found),
    ]
    how = "activation-aware, of the same sizes" if gram else "of the weights, of the same sizes"
    rows.append(_measured(trial, "SVD", how, trial.numbers(svd), copy.deepcopy(trial.placed(svd))))
    int8 = quantize_dense_(copy.deepcopy(model), list(trial.ladders), "int8")
    rows.append(_measured(trial, "INT8 alone", "nothing cut, a scale a row", dense, int8))
    both = quantize_chains_(copy.deepcopy(found), "int8")
    rows.append(_measured(trial, "tensorized, INT8", "the chains in 8 bits", kept, both))
    rows.append(_smaller_row(trial, model, gram, smaller))
    return tuple(rows)


def healed_dense(
    dense: nn.Module,
    numbers: int,
    batches: Iterable[Any],
    steps: int,
    healing: Healing | None,
    evaluate: Callable[[Any], Any],
) -> Alternative:
    """A copy of the dense model after the same steps of the same training; numbers: of the layers that take part.

    It has no chains: all of its parameters are trained, even where the tensorized model had its cores trained alone.
    """
    model, rule = copy.deepcopy(dense), replace(healing or Healing(), only_chains=False)
    heal_(model, dense, batches, steps=steps, healing=rule, evaluate=evaluate)
    return measured_row("dense, trained on", f"{steps} steps, as the tensorized one had", numbers, model, evaluate)


def measured_row(name: str, how: str, numbers: int, model: nn.Module, evaluate: Callable[[Any], Any]) -> Alternative:
    """What evaluate says of a model, and how long it takes; its errors go on to who called."""
    loss, size = measured_loss(model, evaluate), stored_bytes(model)
    seconds = warm_seconds(lambda: measured_loss(model, evaluate))
    return Alternative(name=name, how=how, numbers=numbers, bytes=size, loss=loss, seconds=seconds)


def _two_matrices(trial: Trial) -> Choice:
    """Every layer as two matrices of no more numbers than its chain has."""
    choice: Choice = {}
    for name, rung in trial.best.items():
        ladder = trial.ladders[name]
        choice[name] = None if rung is None else ladder.at_ratio(ladder.layer.numbers / rung.numbers, ("svd",))
    return choice


def _forms(choice: Choice) -> str:
    forms = ["dense" if rung is None else rung.form for rung in choice.values()]
    return ", ".join(f"{forms.count(form)} {form}" for form in dict.fromkeys(forms))


def _smaller_row(trial: Trial, model: nn.Module, gram: Mapping[str, Gram] | None, given: nn.Module | None) -> Any:
    name = "smaller dense"
    if given is not None:
        return _measured(trial, name, "as given", weights(given), given)
    others = weights(model) - trial.numbers({})
    try:
        made = smaller_dense(model, trial.numbers(trial.best) + others, trial.loss_of, gram)
    except EvaluationFailed as error:
        return _missing(name, str(error))
    if made is None:
        return _missing(name, "no blocks or hidden units were found to leave out: give smaller=")
    return _measured(trial, name, made[1], weights(made[0]) - others, made[0])


def _measured(trial: Trial, name: str, how: str, numbers: int, model: nn.Module) -> Alternative:
    try:
        loss = trial.loss_of(model)
    except EvaluationFailed as error:
        return _missing(name, str(error))
    size, seconds = stored_bytes(model), trial.seconds_of(model)
    return Alternative(name=name, how=how, numbers=numbers, bytes=size, loss=loss, seconds=seconds)


def _missing(name: str, why: str) -> Alternative:
    return Alternative(name=name, how=why, numbers=None, bytes=None, loss=None, seconds=None)
