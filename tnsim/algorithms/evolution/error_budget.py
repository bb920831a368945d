"""One error budget for a whole run: every layer of cuts may take the unspent share of the time that is left.

Cuts of one layer that discard the weights w move a state of norm 1 by sqrt(sum w) at most (I. V. Oseledets, SIAM J.
Sci. Comput. 33, 2295 (2011), theorem 2.2). Steps in real time keep distances, so the whole run moves it by the sum over
the layers at most, and by what its steps are wrong. In imaginary time distances change on the way: there the sum is an
estimate.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from tnsim.algorithms.evolution.evolution_report import EvolutionReport
from tnsim.algorithms.solution import Status
from tnsim.errors import SettingsError
from tnsim.linalg import Truncation

if TYPE_CHECKING:
    from tnsim.algorithms.evolution.evolution import Evolution

# sums that agree to this are the same
_ROUNDING = 1 + 1e-9
# a run has some hundred layers of cuts, and each may move the state by svd_min and more
_LAYERS = 100
# a rule on the weight of a cut, where nothing may be lost: far below rounding, but a rule
_NOTHING = 1e-32


class CutShares:
    """What the cuts of some steps may do to a state, spread over their layers.

    allowed: in all; error: the sum of sqrt(discarded weight) over the layers since `allow`.

    >>> shares = CutShares(Truncation(chi_max=8))
    >>> shares.allow(0.3)
    >>> shares.spend(0.2**2)
    >>> round(shares.rule(cuts=4, layers=2).trunc_err, 6)
    0.000625
    """

    def __init__(self, truncation: Truncation) -> None:
        self.truncation, self.error, self.allowed = truncation, 0.0, np.inf

    def allow(self, error: float) -> None:
        """Begin some steps whose cuts may move the state by so much; inf: whatever the truncation does."""
        self.error, self.allowed = 0.0, error

    def rule(self, cuts: int, layers: int) -> Truncation:
        """How to cut in the next layer of so many cuts, where so many layers are left, it included."""
        if np.isinf(self.allowed):
            return self.truncation
        share = max(self.allowed - self.error, 0.0) / layers
        return replace(self.truncation, trunc_err=max(share**2 / max(cuts, 1), _NOTHING))

    def spend(self, weight: float, layers: int = 1) -> None:
        """The summed discarded weight of one layer, or of several together."""
        self.error += sqrt(layers * weight)


def check_budget(error_budget: float, truncation: Truncation) -> None:
    """SettingsError for what is no error of a state, and for two rules of one cut."""
    if not (0 < error_budget < 1 or error_budget == np.inf):
        raise SettingsError(f"error_budget lies between 0 and 1 (inf sets none), found {error_budget!r}.")
    if error_budget < 1 and truncation.trunc_err:
        raise SettingsError("error_budget chooses the trunc_err of every cut: give one of the two.")


def remedy(truncation: Truncation, chi: int, error_budget: float) -> str:
    """What makes cuts smaller that are larger than their shares; chi: the largest bond that there was."""
    ceiling, cutoff = f"raise chi_max = {truncation.chi_max}", f"lower svd_min = {truncation.svd_min:.1e}"
    if chi < truncation.chi_max:
        return cutoff
    return f"{ceiling}, {cutoff}" if truncation.svd_min * _LAYERS > error_budget else ceiling


class ErrorBudget:
    """The budget of a run to the time `end`: what comes next may spend, and whether it can hold.

    While steps adapt, what they may still take by `step_tol` is set aside.
    """

    def __init__(self, settings: "Evolution", end: float) -> None:
        self.settings, self.end, self.total = settings, end, settings.error_budget
        if not settings.step_tol * abs(end) < self.total:
            raise SettingsError(
                f"step_tol = {settings.step_tol:.3g} over a time of {abs(end):.6g} leaves nothing of error_budget = "
                f"{self.total:.3g} for cuts: lower it."
            )

    def allowed(self, last: EvolutionReport, way: float) -> float:
        """What cuts may do to the state over some time after a report."""
        left = abs(self.end - last.time)
        return max(self.total - (last.error_spent or 0.0) - self.settings.step_tol * left, 0.0) * abs(way) / left

    def trouble(self, history: Sequence[EvolutionReport], fresh: int) -> Status | None:
        """Why the budget is not held, or will not be; fresh: how many of the reports are of this run.

        The error at the end is projected by its growth since the last report, before that is lost which cannot be
        regained. A run that is resumed goes on for one report at least.
        """
        last = history[-1]
        spent, left = last.error_spent or 0.0, abs(self.end - last.time)
        if spent > self.total * _ROUNDING:
            return self._spent(history, fresh)
        if fresh < 1 or len(history) < 2:
            return None
        before = history[-2]
        rate = (spent - (before.error_spent or 0.0)) / max(abs(last.time - before.time), 1e-300)
        if spent + rate * left <= self.total * _ROUNDING:
            return None
        found = f"the error is up to {spent:.1e}, and growing on so {spent + rate * left:.1e} at time {self.end:.6g}"
        then = "resume from here, where the budget still holds"
        return self._status("error budget out of reach", found, history, f"{self._remedy(history)} and {then}")

    def _spent(self, history: Sequence[EvolutionReport], fresh: int) -> Status:
        """Nothing that is changed after the budget was overspent brings it back."""
        found = f"the error is up to {history[-1].error_spent:.1e}"
        first = next(report for report in history if (report.error_spent or 0.0) > self.total * _ROUNDING)
        if fresh < 1 or first is not history[-1]:
            then = f"resume from a state before time {first.time:.6g}, where it was spent"
            return self._status("error budget spent", found, history, then)
        then = f"{self._remedy(history)} and resume from an earlier state"
        return self._status("error budget spent", found, history, then)

    def _remedy(self, history: Sequence[EvolutionReport]) -> str:
        return remedy(self.settings.truncation, max(report.chi for report in history), self.total)

    def _status(self, name: str, found: str, history: Sequence[EvolutionReport], advice: str) -> Status:
        advice = f"{advice}, or raise error_budget = {self.total:.1e}."
        return Status(name, False, f"at time {history[-1].time:.6g} {found}: {advice}")
