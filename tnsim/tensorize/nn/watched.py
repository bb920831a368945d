"""A compressed network in service, watched: calls are timed, faults counted, and dense is served in its place."""

import logging
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tnsim.errors import FileError, ServiceFault, SettingsError
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.model_file import load, save_model
from tnsim.tensorize.nn.quantized import stored_bytes
from tnsim.tensorize.nn.served import relative_distance, tensors_of
from tnsim.tensorize.service_metrics import ServiceMetrics

_LOG = logging.getLogger("tnsim.tensorize")
_LOST = (ConnectionError, TimeoutError, *([torch.distributed.DistError] if torch.distributed.is_available() else []))


class Watched(nn.Module):
    """small(x) with `metrics` of its calls, or dense(x) where it fails: no memory, no connection, NaN, or too far off.

    compare_every: every so many calls dense runs too, and an output that differs by more than `difference_max`
    (relative) is a fault. Without a dense network a fault raises ServiceFault. price: of an hour of the machine.

    >>> watched = Watched(nn.Linear(2, 2), version="1")
    >>> _ = watched(torch.ones(1, 2))
    >>> watched.metrics.calls, watched.metrics.values()["not_finite_rate"]
    (1, 0.0)
    """

    def __init__(
        self,
        small: nn.Module,
        dense: nn.Module | None = None,
        *,
        version: str,
        compare_every: int = 0,
        difference_max: float = 0.1,
        price: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        if compare_every < 0 or not difference_max > 0 or (compare_every and dense is None):
            raise SettingsError(
                "compare_every >= 0, difference_max > 0 and a dense network to compare with are needed, found "
                f"{compare_every}, {difference_max} and {'none' if dense is None else 'one'}."
            )
        self.small, self.dense, self._clock = small, dense, clock
        self.compare_every, self.difference_max = compare_every, difference_max
        self.metrics = ServiceMetrics(version=version, price=price)
        self._take_stock()

    def _take_stock(self) -> None:
        """What is known of the networks before any call."""
        self._chains = sum(isinstance(module, ChainModule) for module in self.small.modules())
        self.metrics.bytes = stored_bytes(self.small)
        if self.dense is not None:
            self.metrics.dense_bytes = stored_bytes(self.dense)
            self.metrics.reconstruction_error = reconstruction_error(self.small, self.dense)

    def forward(self, *args: Any, **named: Any) -> Any:
        """What the small network gives, or after a fault the dense one; arguments are those of the networks."""
        try:
            return self._watched(args, named)
        except ServiceFault as fault:
            self._count(fault)
            if self.dense is None:
                raise
            return self.dense(*args, **named)

    def _watched(self, args: tuple, named: dict[str, Any]) -> Any:
        start = self._clock()
        try:
            found = self.small(*args, **named)
        except Exception as error:
            if kind := _kind_of(error):
                raise ServiceFault(kind, str(error)) from error
            raise
        finite = all(bool(t.isfinite().all()) for t in tensors_of(found))
        self.metrics.called(self._clock() - start, contractions=self._chains, finite=finite)
        self.metrics.peak_memory_bytes = peak_memory()
        if not finite:
            raise ServiceFault("not finite", "an output holds NaN or Inf.")
        if self.compare_every and self.metrics.calls % self.compare_every == 0:
            self._compare(found, args, named)
        return found

    def _compare(self, found: Any, args: tuple, named: dict[str, Any]) -> None:
        assert self.dense is not None
        with torch.no_grad():
            difference = relative_distance(found, self.dense(*args, **named))
        if not difference <= self.difference_max:
            words = f"outputs differ by {difference:.3g} from the dense ones, more than {self.difference_max:g}."
            raise ServiceFault("accuracy", words)

    def _count(self, fault: ServiceFault) -> None:
        self.metrics.faults[fault.kind] += 1
        _LOG.error("fault of version %s: %s", self.metrics.version, fault)

    def save(
        self,
        path: str | Path,
        *,
        source: str | Path | None = None,
        notes: Mapping[str, Any] | None = None,
        key: bytes | None = None,
    ) -> Path:
        """As `save_model`; the time it took is counted."""
        start = self._clock()
        found = save_model(path, self.small, dense=self.dense, source=source, notes=notes, key=key)
        self.metrics.checkpoint_seconds = self._clock() - start
        return found

    def reload(
        self, path: str | Path, *, version: str | None = None, check: bool = True, key: bytes | None = None
    ) -> bool:
        """Another file in the place of the small network, as `load` reads it; whether it was taken.

        version: its name from then on, as before without; bytes and error are those of the new network, counters go on.
        A file that is broken, foreign or of another model is a fault of kind "format", and the old network stays.
        """
        if self.dense is None:
            raise SettingsError("a file is read into the architecture of the dense network, which was not given.")
        try:
            self.small = load(path, self.dense, check=check, key=key).train(self.small.training)
        except (FileError, ValueError) as error:
            self.metrics.failed_loads += 1
            self._count(ServiceFault("format", str(error)))
            return False
        self.metrics.loads += 1
        self.metrics.version = version or self.metrics.version
        self._take_stock()
        return True


def reconstruction_error(small: nn.Module, dense: nn.Module) -> float | None:
    """||W - W^|| / ||W|| over all weights that are chains in one network and matrices of the other; None without."""
    whole, lost = 0.0, 0.0
    there = dict(dense.named_modules())
    for name, layer in small.named_modules():
        weight = getattr(there.get(name), "weight", None)
        if isinstance(layer, ChainModule) and weight is not None:
            with torch.no_grad():
                found: Any = layer.weight
                lost += float((found.double() - weight.to(found.device).double()).square().sum())
                whole += float(weight.double().square().sum())
    return (lost / whole) ** 0.5 if whole else None


def peak_memory() -> int:
    """Bytes: of this process at most until now, or of PyTorch on the GPU where there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _kind_of(error: Exception) -> str:
    """The name of the fault behind an error; empty for errors of the caller, which are his to see."""
    # of memory of the host PyTorch speaks in a plain RuntimeError
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error):
        return "out of memory"
    return "communication" if isinstance(error, _LOST) else ""
