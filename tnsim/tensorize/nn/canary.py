"""A trial in service: does the compressed network keep its latency, save what was promised, and make no fault?"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch

from tnsim.errors import SettingsError, check_fields
from tnsim.tensorize.nn.collect import call_model
from tnsim.tensorize.nn.served import Served, relative_distance
from tnsim.tensorize.service_metrics import CALLS_MIN

_LOG = logging.getLogger("tnsim.tensorize")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """promoted: whether the small network serves from now on; reasons: what failed. Costs are mean seconds a call."""

    promoted: bool
    reasons: tuple[str, ...]
    latency_p95: float
    dense_latency_p95: float
    saving: float
    difference: float

    def __str__(self) -> str:
        words = "promoted" if self.promoted else f"rolled back ({'; '.join(self.reasons)})"
        return (
            f"{words}: p95 {1e3 * self.latency_p95:.3g} ms (dense {1e3 * self.dense_latency_p95:.3g} ms), cost "
            f"{-100 * self.saving:+.0f}%, outputs differ by {self.difference:.3g}"
        )


@dataclass(frozen=True, kw_only=True)
class Canary:
    """Calls of both networks in turn on real batches; every call counts, the first one with all that it prepares.

    The same machine runs both, so that cost goes with time.
    """

    calls: int = field(default=200, metadata={"help": "calls of each network"})
    latency_max: float = field(default=float("inf"), metadata={"help": "largest 95th percentile of a call, seconds"})
    saving_min: float = field(default=0.4, metadata={"help": "smallest share of the cost that must be saved"})
    difference_max: float = field(default=0.1, metadata={"help": "largest mean relative difference of the outputs"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.calls < CALLS_MIN or not self.latency_max > 0 or not self.difference_max > 0 or self.saving_min >= 1:
            raise SettingsError(f"at least {CALLS_MIN} calls, maxima above 0, a saving below 1, found {self}.")

    def judge(
        self, served: Served, batches: Iterable[Any], *, clock: Callable[[], float] = time.perf_counter
    ) -> Verdict:
        """Try both, and set the mode of `served`: "small" where all limits are kept, "dense" where one is not.

        Where the small network raises, the trial is over, and dense serves. Raises SettingsError without a batch.
        """
        small: list[float] = []
        dense: list[float] = []
        differences: list[float] = []
        verdict = None
        for batch in islice(cycle(list(batches)), self.calls):
            try:
                found = _timed(served.small, batch, small, clock)
            except Exception as error:
                _LOG.exception("the network on trial failed in call %d", len(small) + 1)
                verdict = _failed(error)
                break
            differences.append(relative_distance(found, _timed(served.dense, batch, dense, clock)))
        verdict = verdict or self._verdict(np.array(small), np.array(dense), differences)
        served.mode = "small" if verdict.promoted else "dense"
        _LOG.info("canary of %d calls: %s", self.calls, verdict)
        return verdict

    def _verdict(self, small: np.ndarray, dense: np.ndarray, differences: list[float]) -> Verdict:
        if not len(small):
            raise SettingsError("no batch was given to try the networks on.")
        difference = float(np.mean(differences))
        latency, before = (float(np.quantile(times, 0.95)) for times in (small, dense))
        saving = 1 - float(small.mean() / dense.mean())
        reasons = []
        if not latency <= self.latency_max:
            reasons.append(f"p95 of {1e3 * latency:.3g} ms above {1e3 * self.latency_max:.3g} ms")
        if not saving >= self.saving_min:
            reasons.append(f"cost {-100 * saving:+.0f}% where {-100 * self.saving_min:+.0f}% was asked")
        if not difference <= self.difference_max:
            reasons.append(f"outputs differ by {difference:.3g}")
        return Verdict(
            promoted=not reasons, reasons=tuple(reasons), latency_p95=latency, dense_latency_p95=before, saving=saving,
            difference=difference,
        )  # fmt: skip


def _timed(network: torch.nn.Module, batch: Any, times: list[float], clock: Callable[[], float]) -> Any:
    """One call, and its time added to the others: that of the device too, which works on after the call returns."""
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else tuple
    wait()
    start = clock()
    with torch.no_grad():
        found = call_model(network, batch)
    wait()
    times.append(clock() - start)
    return found


def _failed(error: Exception) -> Verdict:
    """No figure counts where a call failed."""
    nan, why = float("nan"), f"{type(error).__name__}: {error}"
    return Verdict(promoted=False, reasons=(why,), latency_p95=nan, dense_latency_p95=nan, saving=nan, difference=nan)
