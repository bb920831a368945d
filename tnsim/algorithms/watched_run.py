"""What observers of a contraction in the plane are handed: the result so far, and a way to stop."""

from collections.abc import Sequence
from typing import Any, Protocol

from tnsim.algorithms.solution import Status
from tnsim.errors import SettingsError

INTERRUPTED = "interrupted"
RUNNING = Status("running", False, "resume it to go on.")


def check_kind(before: Any, kind: type) -> None:
    """SettingsError for a result that another method made."""
    if not isinstance(before, kind):
        raise SettingsError(f"this run goes on from a {kind.__name__}, found a {type(before).__name__}.")


class PlaneObserver(Protocol):
    """Called with every report of a contraction in the plane."""

    def step(self, report: Any, run: "WatchedRun") -> None: ...


class WatchedRun:
    """A contraction under way; `so_far` is what resuming takes, `request_stop` ends it after the step under way."""

    def __init__(self, observers: Sequence[PlaneObserver] = ()) -> None:
        self._observers = tuple(observers)
        self._so_far: Any = None
        self.stop_reason = ""

    def request_stop(self, reason: str) -> None:
        """Stop after the step under way."""
        self.stop_reason = reason

    def so_far(self) -> Any:
        """The result as it stands, with the status "running"."""
        return self._so_far

    def tell(self, report: Any, so_far: Any) -> bool:
        """Hand a report to the observers; whether one of them asks to stop."""
        self._so_far = so_far
        for observer in self._observers:
            observer.step(report, self)
        return bool(self.stop_reason)

    def interrupted(self) -> Status:
        """How a run that was stopped ends."""
        return Status(INTERRUPTED, False, f"{self.stop_reason}; resume it to go on.")
