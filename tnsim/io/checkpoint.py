"""Observers that save a run while it goes on, and that stop it on a signal."""

import signal
import time
import warnings
from types import FrameType, TracebackType
from typing import Any

from tnsim.algorithms import SweepReport
from tnsim.algorithms.solution import BondReport
from tnsim.io.job import Job
from tnsim.io.run_file import RunRecord, save_run

# EX_TEMPFAIL: the run was saved and can be resumed; EX_IOERR: its result is not in the file asked for
EXIT_SAVED, EXIT_UNSAVED = 75, 74


class Checkpointer:
    """Saves the run every so many seconds (at any bond) or sweeps. A failed save warns and the run goes on."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.seconds, self.sweeps = job.run.checkpoint_interval()
        self._last = time.monotonic()

    def bond(self, report: BondReport, run: Any) -> None:
        if self.seconds and time.monotonic() - self._last >= self.seconds:
            self.save(run)

    def sweep(self, report: SweepReport, run: Any) -> None:
        if self.sweeps and (report.sweep + 1) % self.sweeps == 0:
            self.save(run)

    def save(self, run: Any, status: str = "running") -> bool:
        """Write a checkpoint now; False where the disk refused, and the last one is still there."""
        self._last = time.monotonic()
        try:
            save_run(self.job.run.out, RunRecord(self.job, run.state, run.progress(), status), keep=self.job.run.keep)
        except OSError as error:
            warnings.warn(f"checkpoint not written ({error}); the previous one is kept, the run goes on.", stacklevel=2)
            return False
        return True


class StopOnSignals:
    """Inside its `with`, SIGTERM, SIGINT and SIGUSR1 let the bond under way finish and stop the run.

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
        """Nothing to do: a stop takes effect at a bond."""
