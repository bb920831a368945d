"""A compressed network in service beside the dense one: a switch between them, and a shadow run that compares."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import hypot
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnsim.errors import SettingsError, suggest

_LOG = logging.getLogger("tnsim.tensorize")
_MODES = ("small", "dense", "shadow")


class Served(nn.Module):
    """small(x), or dense(x) where the switch says so; in the mode "shadow" both run and dense is served.

    flag: a file; as long as it exists, dense is served, whatever the mode: a way back without a restart.
    compare(small output, dense output): a number for each shadow run, kept in `differences` and logged; the relative
    distance without one. A shadow run that fails is logged and serves dense all the same.

    >>> served = Served(nn.Identity(), nn.Tanh())
    >>> with served.using("dense"):
    ...     served(torch.ones(1))
    tensor([0.7616])
    """

    def __init__(
        self,
        small: nn.Module,
        dense: nn.Module,
        *,
        mode: str = "small",
        flag: str | Path | None = None,
        compare: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.small, self.dense = small, dense
        self.mode, self.flag = _checked(mode), None if flag is None else Path(flag)
        self.compare = compare or relative_distance
        self.differences: list[float] = []
        self.failures = 0

    @contextmanager
    def using(self, mode: str) -> Iterator["Served"]:
        """Another mode for a while."""
        before, self.mode = self.mode, _checked(mode)
        try:
            yield self
        finally:
            self.mode = before

    def forward(self, *args: Any, **named: Any) -> Any:
        """What the network in service gives; arguments are those of the networks."""
        if self.mode == "small" and not (self.flag and self.flag.exists()):
            return self.small(*args, **named)
        found = self.dense(*args, **named)
        if self.mode == "shadow":
            self._shadow(found, partial(self.small, *args, **named))
        return found

    def _shadow(self, found: Any, small: Callable[[], Any]) -> None:
        try:
            with torch.no_grad():
                difference = float(self.compare(small(), found))
        except Exception:
            # whatever goes wrong in the shadow must not reach who is served
            self.failures += 1
            _LOG.exception("shadow run failed (%d so far); dense was served", self.failures)
            return
        self.differences.append(difference)
        _LOG.info("shadow run %d: difference %.4g", len(self.differences), difference)


def relative_distance(small: Any, dense: Any) -> float:
    """||small - dense|| / ||dense|| of all that is no whole number in two outputs; NaN where they do not match."""
    found, wanted = _real_tensors(small), _real_tensors(dense)
    if not wanted or [t.shape for t in found] != [t.shape for t in wanted]:
        return float("nan")
    lost = hypot(*(float((s - d).norm()) for s, d in zip(found, wanted, strict=True)))
    return lost / max(hypot(*(float(t.norm()) for t in wanted)), 1e-300)


def tensors_of(output: Any) -> list[torch.Tensor]:
    """All tensors in an output: one, or those in tuples, lists and dictionaries."""
    if torch.is_tensor(output):
        return [output]
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, (tuple, list)) else ()
    return [tensor for part in parts for tensor in tensors_of(part)]


def _real_tensors(output: Any) -> list[torch.Tensor]:
    return [t for t in tensors_of(output) if t.is_floating_point() or t.is_complex()]


def _checked(mode: str) -> str:
    if mode not in _MODES:
        raise SettingsError(f"unknown mode {mode!r} of a network in service. {suggest(str(mode), _MODES)}")
    return mode
