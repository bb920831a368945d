"""What one run of one engine gives."""

import time
from dataclasses import dataclass


class Unsupported(Exception):
    """The engine cannot do this job; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One bond dimension of the schedule; `matvecs` are products with H, None where the engine does not tell.

    cpu_seconds: of this process over the same stretch, less troubled by neighbours than the wall clock.
    """

    chi: int
    seconds: float
    cpu_seconds: float
    energy: float
    matvecs: int | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One timed run: sweeps and environments, no building of states or operators.

    Filled by the process: peak_mb, largest resident memory; start_seconds, imports with the warm-up;
    compile_seconds, of Numba inside the timed stretch, which should be none.
    """

    stages: tuple[Stage, ...]
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
    def cpu_seconds(self) -> float:
        return sum(stage.cpu_seconds for stage in self.stages)

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
        self._last = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        """Wall and CPU seconds since the last lap."""
        before, self._last = self._last, self._now()
        return self._last[0] - before[0], self._last[1] - before[1]

    def stage(self, chi: int, energy: float, matvecs: int | None) -> Stage:
        """The lap that ends here, as a stage."""
        seconds, cpu_seconds = self.lap()
        return Stage(chi=chi, seconds=seconds, cpu_seconds=cpu_seconds, energy=energy, matvecs=matvecs)
