"""What is counted of one version of a network in service: times, bytes, errors, faults."""

import json
import logging
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

_LOG = logging.getLogger("tnsim.tensorize")
FAULTS = ("out of memory", "accuracy", "not finite", "communication", "format")
# a 95th percentile of fewer calls says little
CALLS_MIN = 100


@dataclass(kw_only=True)
class ServiceMetrics:
    """Counters of a version; price: of an hour of the machine. Latencies are those of the last ten thousand calls.

    >>> metrics = ServiceMetrics(version="small-1", price=3.6)
    >>> for n in range(100):
    ...     metrics.called(0.001 * (n + 1), contractions=4)
    >>> round(metrics.values()["latency_p95_seconds"], 4), round(metrics.values()["cost_per_call"], 8)
    (0.095, 5.05e-05)
    """

    version: str
    price: float = 0.0
    bytes: int = 0
    dense_bytes: int = 0
    reconstruction_error: float | None = None
    peak_memory_bytes: int = 0
    checkpoint_seconds: float | None = None
    faults: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(FAULTS, 0)))
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=10_000), repr=False)
    calls: int = 0
    seconds: float = 0.0
    contractions: int = 0
    not_finite: int = 0
    truncations: int = 0
    discarded_weight: float = 0.0
    loads: int = 0
    failed_loads: int = 0

    def called(self, seconds: float, *, contractions: int = 0, finite: bool = True) -> None:
        """One call, how many chains were applied in it, and whether all that came out was finite."""
        self.calls += 1
        self.seconds += seconds
        self.contractions += contractions
        self.not_finite += not finite
        self.latencies.append(seconds)

    def truncated(self, weight: float) -> None:
        """Something was cut in service; its discarded weight. Where nothing was, nothing is counted."""
        if weight > 0:
            self.truncations += 1
            self.discarded_weight += weight

    def values(self) -> dict[str, float | None]:
        """All figures by name; None for what is not known yet (a percentile of fewer than a hundred calls)."""
        latency = float(np.quantile(self.latencies, 0.95, method="lower")) if self.calls >= CALLS_MIN else None
        mean = self.seconds / self.calls if self.calls else None
        tried = self.loads + self.failed_loads
        named = {f"faults_{kind.replace(' ', '_')}": float(count) for kind, count in self.faults.items()}
        return {
            "latency_p95_seconds": latency,
            "contractions_per_second": self.contractions / self.seconds if self.seconds else None,
            "peak_memory_bytes": float(self.peak_memory_bytes),
            "bytes": float(self.bytes),
            "dense_bytes_ratio": self.dense_bytes / self.bytes if self.bytes else None,
            "reconstruction_error": self.reconstruction_error,
            "not_finite_rate": self.not_finite / self.calls if self.calls else None,
            "truncations": float(self.truncations),
            "discarded_weight": self.discarded_weight,
            "cost_per_call": None if mean is None else mean * self.price / 3600,
            "checkpoint_seconds": self.checkpoint_seconds,
            "load_success_rate": self.loads / tried if tried else None,
            **named,
        }

    def emit(self) -> None:
        """Every figure that is known as one line of JSON in the log, with the version."""
        for name, value in self.values().items():
            if value is not None:
                _LOG.info("%s", json.dumps({"metric": name, "value": value, "model_version": self.version}))

    def exposition(self) -> str:
        """The same in the text format that Prometheus reads."""
        version = self.version.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        label = f'{{model_version="{version}"}}'
        known = ((name, value) for name, value in self.values().items() if value is not None)
        return "".join(f"tnsim_{name}{label} {value:.10g}\n" for name, value in known)
