"""A network under a budget: its layers as chains, within what is accepted, beside all that would do as well."""

import copy
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from tnsim.algorithms.solution import Status
from tnsim.errors import NumericalError, SettingsError, check_fields, suggest
from tnsim.tensorize.budget import Budget
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.alternatives import alternatives, healed_dense, measured_row
from tnsim.tensorize.nn.candidates import ladders_of
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.heal import Healing, first_batches, heal_
from tnsim.tensorize.nn.ladder import LayerFormat
from tnsim.tensorize.nn.model_file import save_model
from tnsim.tensorize.nn.profile import Profile
from tnsim.tensorize.nn.quantized import quantize_chains_
from tnsim.tensorize.nn.report import LayerRow, Report
from tnsim.tensorize.nn.strategies import by_price, predicted_sizes, screen, step_by_step, uniform
from tnsim.tensorize.nn.trial import EvaluationFailed, Trial, measured_loss
from tnsim.tensorize.quantize import Quantization

_LOG = logging.getLogger("tnsim.tensorize")
_HEALED = "tensorized, healed"
_STRATEGIES = ("lagrange", "greedy", "uniform")


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How a budget is shared between layers.

    lagrange: every layer alone is measured once, and all are made so small that one more number is worth the same in
    each; greedy: from there step by step, the whole measured after each; uniform: all alike, nothing measured alone.
    """

    strategy: str = field(default="lagrange", metadata={"help": "lagrange, greedy or uniform"})
    form: LayerFormat = field(default_factory=LayerFormat, metadata={"help": "forms and sizes that are tried"})
    skip: tuple[str, ...] = field(default=(), metadata={"help": 'layers left dense, such as "head" or "blocks.0.*"'})
    boundary_tries: int = field(default=6, metadata={"help": "sizes tried between one accepted and one rejected"})
    compare: bool = field(default=True, metadata={"help": "measure dense, SVD, INT8 alone and a smaller dense model"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.strategy not in _STRATEGIES:
            raise SettingsError(f"unknown strategy {self.strategy!r}. {suggest(self.strategy, _STRATEGIES)}")
        if self.boundary_tries < 0:
            raise SettingsError(f"boundary_tries is not negative, found {self.boundary_tries}.")


@dataclass(eq=False)
class Tensorized:
    """A compressed copy of a model. dense: the model it was made from, untouched; report: what was tried and measured.

    status: whether the budget was met; with advice where not, or where `evaluate` failed on the way.
    """

    model: nn.Module = field(repr=False)
    dense: nn.Module = field(repr=False)
    report: Report
    status: Status
    evaluate: Callable[[Any], Any] | None = field(default=None, repr=False)

    def chains(self) -> dict[str, ChainModule]:
        """The layers on chains, by name."""
        return {name: module for name, module in self.model.named_modules() if isinstance(module, ChainModule)}

    def heal(
        self, batches: Iterable[Any], *, steps: int = 80, healing: Healing | None = None, control: bool = False
    ) -> list[float]:
        """Train the compressed model, in place, to give what the dense one gives (see `Healing`); losses by step.

        control: give a copy of the dense model the same steps too, as a row of the report: what of the gain is due to
        more training alone. It needs `evaluate`, and doubles the cost.
        """
        if control and self.evaluate is None:
            raise SettingsError("the control is measured by evaluate, which was not given to tensorize.")
        given = first_batches(batches, steps)
        losses = heal_(self.model, self.dense, given, steps=steps, healing=healing, evaluate=self.evaluate)
        if self.evaluate is not None:
            self._note(_HEALED, f"{steps} steps towards the dense model", self.evaluate)
            if control:
                row = healed_dense(self.dense, self.report.dense_numbers, given, steps, healing, self.evaluate)
                self.report = self.report.with_row(row)
        return losses

    def _note(self, name: str, how: str, evaluate: Callable[[Any], Any]) -> None:
        """The loss of the model as it is now in the report, and a row of it beside the alternatives."""
        if not self.report.alternatives:
            self.report = replace(self.report, loss=measured_loss(self.model, evaluate))
            return
        row = measured_row(name, how, self.report.numbers, self.model, evaluate)
        assert row.loss is not None
        self.report = replace(self.report.with_row(row), loss=row.loss)

    def save(self, path: str | Path, *, source: str | Path | None = None, key: bytes | None = None) -> Path:
        """Write the compressed model and its report to one sealed file; `load(path, like=dense)` reads it.

        source: the checkpoint of the dense model, kept as the way back; key: to sign with.
        """
        notes = {"metrics": self.report.to_json(), "status": self.status.name}
        return save_model(path, self.model, dense=self.dense, source=source, notes=notes, key=key)

    def quantize(self, rule: Quantization | str = "int8") -> "Tensorized":
        """Chains in few bits ("int8", "int4", "fp8" or a Quantization), in place.

        With `evaluate` the loss is measured anew; where it is above the line, chains stay as they were, and the status
        says so.
        """
        small = quantize_chains_(copy.deepcopy(self.model), rule)
        loss = self.report.loss if self.evaluate is None else measured_loss(small, self.evaluate)
        if self.evaluate is not None and not loss <= self.report.line:
            advice = f"in {rule} the loss is {loss:.5g}, above {self.report.line:.5g}: chains stay in floating point."
            _LOG.warning("%s", advice)
            self.status = Status("line reached", False, advice)
            return self
        quantize_chains_(self.model, rule)
        if self.evaluate is not None:
            healed = any(row.name == _HEALED for row in self.report.alternatives)
            name = f"{_HEALED if healed else 'tensorized'}, {Quantization.of(rule).word}"
            self._note(name, "the chains in few bits", self.evaluate)
        return self


def tensorize(
    model: nn.Module,
    budget: Budget,
    gram: Mapping[str, Gram] | None = None,
    evaluate: Callable[[Any], Any] | None = None,
    accept: float | None = None,
    *,
    allocation: Allocation | None = None,
    smaller: nn.Module | None = None,
    measured: Profile | None = None,
) -> Tensorized:
    """A copy of a model whose layers fit a budget, as long as its loss rises by no more than `accept`.

    gram: of `Gram.collect(model, batches)`; without, weights are cut as they are. evaluate(model): a loss, the lower
    the better; without it only the strategy "uniform" is there. smaller: a smaller dense model to compare with;
    without, one is made (see `smaller_dense`). measured: a profile of this model, whose changes of the loss by single
    layers are not measured again. Every choice that is kept was measured as a whole; where `evaluate` raises, is
    interrupted or returns NaN on the way, the best so far is the result. Raises SettingsError for a budget below the
    smallest possible and for a profile of other weights, ShapeError where activations and layers do not fit,
    NumericalError on NaN in a weight.
    """
    plan = allocation or Allocation()
    if evaluate is None and (accept is not None or plan.strategy != "uniform"):
        raise SettingsError('without evaluate there is no line to accept: give it, or Allocation(strategy="uniform").')
    if accept is not None and not accept >= 0:
        raise SettingsError(f"accept is a rise of the loss, not negative, found {accept!r}.")
    ladders, out = ladders_of(model, gram, plan.form, plan.skip)
    dense = sum(ladder.layer.numbers for ladder in ladders.values())
    wanted = _checked_budget(budget, dense, ladders)
    try:
        trial = Trial(model, ladders, evaluate, accept)
    except EvaluationFailed as error:
        raise NumericalError(f"the dense model could not be evaluated: {error}") from error
    known = {} if measured is None else measured.measured_changes(model, on_data=bool(gram))
    changes: dict[str, float] = {}
    failure = ""
    start = time.perf_counter()
    try:
        _allocate(trial, plan, wanted, changes, known)
    except EvaluationFailed as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = "a fit was interrupted."
    if failure:
        _LOG.warning("%s: the best so far is kept", failure)
    found = copy.deepcopy(trial.placed(trial.best))
    _LOG.info("%d trials in %.1f s", len(trial.steps), time.perf_counter() - start)
    rows = alternatives(trial, model, found, gram, smaller) if plan.compare and evaluate is not None else ()
    report = Report(
        budget=wanted, dense_numbers=dense, numbers=trial.numbers(trial.best), dense_loss=trial.dense_loss,
        loss=trial.best_loss, line=trial.line, layers=_layer_rows(trial, changes, out, model), steps=tuple(trial.steps),
        alternatives=rows,
    )  # fmt: skip
    return Tensorized(found, model, report, _status(report, failure), evaluate)


def _allocate(
    trial: Trial, plan: Allocation, wanted: int, changes: dict[str, float], known: Mapping[str, tuple[float, float]]
) -> None:
    """changes: filled with those of the loss by single layers, as soon as they are there."""
    ratio = trial.numbers({}) / wanted
    if plan.strategy == "uniform":
        uniform(trial, wanted, ratio, plan.boundary_tries)
        return
    changes |= screen(trial, ratio, known)
    layers = predicted_sizes(trial, changes, ratio)
    (by_price if plan.strategy == "lagrange" else step_by_step)(trial, layers, wanted, plan.boundary_tries)


def _checked_budget(budget: Budget, dense: int, ladders: Mapping[str, Any]) -> int:
    itemsize = max(ladder.layer.module.weight.element_size() for ladder in ladders.values())
    wanted = budget.numbers(dense, itemsize=itemsize)
    least = sum(ladder.least_numbers for ladder in ladders.values())
    if wanted < least:
        raise SettingsError(
            f"a budget of {wanted} numbers is below the smallest possible, {least} with all ranks 1: ask for at least "
            f"that (a ratio of at most {dense / least:.3g})."
        )
    if wanted >= dense:
        raise SettingsError(f"a budget of {wanted} numbers is no less than what the layers have, {dense}.")
    return wanted


def _layer_rows(trial: Trial, changes: Mapping[str, float], out: Mapping[str, str], model: nn.Module) -> Any:
    rows = []
    for name, ladder in trial.ladders.items():
        rung = trial.best[name]
        rows.append(
            LayerRow(
                name=name,
                shape=ladder.layer.shape,
                form="dense" if rung is None else rung.form,
                ranks=() if rung is None else rung.mpo.bond_dimensions[1:-1],
                numbers=ladder.layer.numbers if rung is None else rung.numbers,
                error=0.0 if rung is None else rung.error,
                change=changes.get(name),
            )  # fmt: skip
        )
    modules = dict(model.named_modules())
    for name, reason in out.items():
        weight = modules[name].weight
        shape = (weight.shape[0], weight[0].numel())
        rows.append(
            LayerRow(name=name, shape=shape, form="dense", ranks=(), numbers=weight.numel(), error=0.0, note=reason)
        )
    return tuple(rows)


def _status(report: Report, failure: str) -> Status:
    if failure:
        return Status("stopped", False, f"{failure} The best model until then is kept: {report.ratio:.3g}x.")
    if report.numbers <= report.budget:
        return Status("budget met", True, "")
    if all(step.accepted for step in report.steps):
        advice = (
            f"{report.ratio:.3g}x is what the sizes that were tried reach: larger LayerFormat.ratios, or "
            'Allocation(strategy="uniform"), go further.'
        )
        return Status("sizes at an end", False, advice)
    advice = (
        f"the loss would rise above {report.line:.4g}: {report.ratio:.3g}x is what passes. Accept more, heal and try "
        "again, or see the alternatives in the report."
    )
    return Status("line reached", False, advice)
