"""What one run of one engine gives."""

import time
from dataclasses import dataclass


class Unsupported(Exception):
    """The engine cannot do this job; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One bond dimension of the schedule; `matvecs` are products with H, None where the engine does not tell."""

    chi: int
    seconds: float
    energy: float
    matvecs: int | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One timed run: sweeps and environments, no building of states or operators.

    cpu_seconds: of this process over the same stretch, less troubled by neighbours than the wall clock.
    Filled by the process: peak_mb, largest resident memory; start_seconds, imports with the warm-up;
    compile_seconds, of Numba inside the timed stretch, which should be none.
    """

    stages: tuple[Stage, ...]
    cpu_seconds: float
    half_sweeps: int
    chi: int
    version: str
    notes: str
    peak_mb: float = float("nan")
    start_seconds: float = float("nan")
    compile_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def energy(self) -> float:
        return self.stages[-1].energy

    @property
    def matvecs(self) -> int | None:
        counts = [stage.matvecs for stage in self.stages]
        return None if None in counts else sum(counts)


class Stopwatch:
    """Laps of wall and process time; starts when made."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Wall seconds since the last lap."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return seconds

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu
