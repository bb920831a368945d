"""Live progress of a sweep on a terminal; plain lines where the output is a file."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tnsim.algorithms.solution import BondReport, SweepReport
from tnsim.kernels.cpu.ahead import compiled_before

# heading and width of every column; with the spaces between them a line has 79 characters at most
_COLUMNS = {
    "sweep": 5, "energy": 17, "change": 8, "discarded": 9, "chi": 5, "gradient": 8, "entropy": 7, "H psi": 5,
    "seconds": 7,
}  # fmt: skip


def sweep_heading() -> str:
    """The names above the lines of `sweep_line`; "H psi" counts the products with the Hamiltonian."""
    return _line(tuple(_COLUMNS))


def sweep_line(report: SweepReport) -> str:
    """One sweep as a line that an 80-column terminal holds.

    >>> report = SweepReport(
    ...     sweep=3, energy=-44.12773989, energy_change=-2e-9, max_trunc_err=1e-12, sum_trunc_err=2e-11, gradient=1e-6,
    ...     entropy=0.74831, entropy_change=1e-7, chi=200, chi_max=200, noise=0.0, matvecs=412, seconds=3.25,
    ... )
    >>> print(sweep_heading() + "\\n" + sweep_line(report))
    sweep            energy   change discarded   chi gradient entropy H psi seconds
        4    -44.1277398900 -2.0e-09   1.0e-12   200  1.0e-06 0.74831   412    3.25
    """
    energy = f"{report.energy:.10f}"
    return _line((
        str(report.sweep + 1), energy if len(energy) <= _COLUMNS["energy"] else f"{report.energy:.9e}",
        report.change, f"{report.max_trunc_err:.1e}", str(report.chi), f"{report.gradient:.1e}",
        f"{report.entropy:z.5f}", str(report.matvecs),
        f"{report.seconds:.2f}" if report.seconds < 9999 else f"{report.seconds:.0f}",
    ))  # fmt: skip


def _occasion(run: Any) -> str:
    """Why the count of sweeps begins again."""
    progress = run.progress()
    if not progress.restarts:
        return f"stage {progress.stage + 1}"
    if run.first.status.converged:
        return "second start: the first one ended in a product state, and there may be a lower one"
    return "second start, from a random state: the variance of the first run is too large"


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, _COLUMNS.values(), strict=True))


def show_progress(console: Console) -> "LiveProgress | LineProgress":
    """The observer that suits the output."""
    return LiveProgress(console) if console.is_terminal else LineProgress(console)


class LineProgress:
    """One line a sweep, and a sign of life every minute in between."""

    def __init__(self, console: Console, heartbeat: float = 60.0) -> None:
        self.console, self.heartbeat = console, heartbeat
        self._last = time.monotonic()
        self._headed = False

    def __enter__(self) -> "LineProgress":
        if not compiled_before():
            self._print("compiling the kernels: once on this machine, about half a minute")
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""

    def bond(self, report: BondReport, run: Any) -> None:
        if time.monotonic() - self._last > self.heartbeat:
            self._last = time.monotonic()
            self._print(
                f"  sweep {report.sweep + 1}, bond {report.bond + 1}/{report.bonds} "
                f"{'right' if report.direction > 0 else 'left'}wards: energy {report.energy:.10f}, chi {report.chi}"
            )

    def sweep(self, report: SweepReport, run: Any) -> None:
        self._last = time.monotonic()
        if self._headed and report.sweep == 0:
            self._print(_occasion(run))
        if not self._headed:
            self._headed = True
            self._print(sweep_heading())
        self._print(sweep_line(report))

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False)


class LiveProgress:
    """A bar for the sweep under way with energy, discarded weight, chi and time left; a line for each one done.

    Time left counts the sweeps up to max_sweeps at the pace of this sweep: an upper bound.
    """

    def __init__(self, console: Console, *, every: float = 0.1) -> None:
        self.every = every
        self.lines = LineProgress(console, heartbeat=float("inf"))
        self._bar = Progress(
            TextColumn("[bold]sweep {task.fields[sweep]}"), BarColumn(bar_width=8),
            TextColumn("E {task.fields[energy]} w {task.fields[weight]} chi {task.fields[chi]}"),
            TimeElapsedColumn(), TextColumn("left ≤"), TimeRemainingColumn(),
            console=console, transient=True, auto_refresh=False,
        )  # fmt: skip
        self._task = self._bar.add_task(
            "sweeps",
            total=None,
            sweep="1",
            energy="-" if compiled_before() else "compiling (once)",
            weight="-",
            chi="-",
        )
        self._last = 0.0

    def __enter__(self) -> "LiveProgress":
        self._bar.start()
        self._bar.refresh()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def bond(self, report: BondReport, run: Any) -> None:
        now = time.monotonic()
        if now - self._last < self.every:
            return
        self._last = now
        progress, most = run.progress(), run.settings.max_sweeps
        self._bar.update(
            self._task, total=most, completed=report.sweep + progress.step / (2 * report.bonds),
            sweep=f"{report.sweep + 1}/{most}", energy=f"{report.energy:.6f}",
            weight=f"{progress.max_trunc_err:.1e}", chi=str(report.chi), refresh=True,
        )  # fmt: skip

    def sweep(self, report: SweepReport, run: Any) -> None:
        self.lines.sweep(report, run)
        most = run.settings.max_sweeps
        self._bar.update(
            self._task, total=most, completed=report.sweep + 1, sweep=f"{report.sweep + 1}/{most}",
            energy=f"{report.energy:.6f}", weight=f"{report.max_trunc_err:.1e}", chi=str(report.chi), refresh=True,
        )  # fmt: skip
