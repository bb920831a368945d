"""Observers that save a run while it goes on, and that stop it on a signal."""

import signal
import time
import warnings
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from tnsim.algorithms import Solution, SweepReport
from tnsim.algorithms.evolution.evolution import EvolutionReport
from tnsim.algorithms.solution import BondReport
from tnsim.io.atomic import stamp
from tnsim.io.job import Job
from tnsim.io.run_file import RunRecord, save_run

# EX_TEMPFAIL: the run was saved and can be resumed; EX_IOERR: its result is not in the file asked for
EXIT_SAVED, EXIT_UNSAVED = 75, 74


class Checkpointer:
    """Saves the run every so many seconds (at any bond) or sweeps, but less often where that would take over a tenth
    of the time. A failed save warns and the run goes on. `levels`: what is found already in a run for several.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.levels: tuple[Solution, ...] = ()
        self.seconds, self.sweeps = job.run.checkpoint_interval()
        self._last, self._cost = time.monotonic(), 0.0
        self._seen = stamp(Path(job.run.out))

    def bond(self, report: BondReport, run: Any) -> None:
        if self.seconds and self._is_time(self.seconds):
            self.save(run)

    def sweep(self, report: SweepReport, run: Any) -> None:
        # an infinite chain has no bonds to save at
        by_count = self.sweeps and (report.sweep + 1) % self.sweeps == 0 and self._is_time(0.0)
        if by_count or (self.seconds and self._is_time(self.seconds)):
            self.save(run)

    def _is_time(self, seconds: float) -> bool:
        """So long after the end of the last save, and after nine times as long as it took."""
        return time.monotonic() - self._last >= max(seconds, 9 * self._cost)

    def save(self, run: Any, status: str = "running") -> bool:
        """Write a checkpoint now; False where the disk refused, and the last one is still there."""
        begin, out = time.monotonic(), Path(self.job.run.out)
        if stamp(out) not in (None, self._seen):
            text = f"another process wrote {out} while this run went on: end one, or use two files."
            warnings.warn(text, stacklevel=2)
        try:
            first = getattr(run, "first", None)
            record = RunRecord(self.job, run.state, run.progress(), status, levels=self.levels, first=first)
            save_run(out, record, keep=self.job.run.keep)
        except OSError as error:
            warnings.warn(f"checkpoint not written ({error}); the previous one is kept, the run goes on.", stacklevel=2)
            return False
        finally:
            self._last = time.monotonic()
            self._cost = self._last - begin
            self._seen = stamp(out)
        return True


class StopOnSignals:
    """Inside its `with`, SIGTERM, SIGINT and SIGUSR1 let the bond (or the steps of a report) under way finish
    and stop the run.

    A second SIGINT interrupts at once.
    """

    def __init__(self) -> None:
        self.received = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopOnSignals":
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            if hasattr(signal, name):
                number = getattr(signal, name)
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name

    def bond(self, report: BondReport, run: Any) -> None:
        if self.received and not run.stop_reason:
            run.request_stop(f"stopped by {self.received} at bond {report.bond} of sweep {report.sweep}")

    def sweep(self, report: SweepReport, run: Any) -> None:
        """A stop takes effect at a bond; of an infinite chain here."""
        if self.received and not run.stop_reason:
            run.request_stop(f"stopped by {self.received} after sweep {report.sweep}")

    def step(self, report: EvolutionReport, run: Any) -> None:
        if self.received and not run.stop_reason:
            run.request_stop(f"stopped by {self.received}")
