"""The command line called inside the test process, and signals at a chosen bond."""

from typer.testing import CliRunner, Result

from tnsim.cli import app
from tnsim.io import StopOnSignals


def call(*words: object) -> Result:
    """`tnsim` with these words."""
    return CliRunner().invoke(app, [str(word) for word in words])


def signalled(steps: int) -> type[StopOnSignals]:
    """What a run takes for signals: SIGTERM after so many bonds."""

    class Signalled(StopOnSignals):
        left = steps

        def bond(self, report, run) -> None:
            self.left -= 1
            self.received = "SIGTERM" if self.left <= 0 else ""
            super().bond(report, run)

    return Signalled
