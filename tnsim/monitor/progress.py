"""Live progress of a sweep on a terminal; plain lines where the output is a file."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tnsim.algorithms.solution import BondReport, SweepReport
from tnsim.kernels.cpu import compiled_before

_COLUMNS = ("sweep", "energy", "change", "discarded", "chi", "gradient", "entropy", "products", "seconds")


def sweep_cells(report: SweepReport) -> tuple[str, ...]:
    """One sweep as text, in the order of the table."""
    return (
        str(report.sweep + 1), f"{report.energy:.12f}", f"{report.energy_change:+.1e}",
        f"{report.max_trunc_err:.1e}", str(report.chi), f"{report.gradient:.1e}", f"{report.entropy:.6f}",
        str(report.matvecs), f"{report.seconds:.2f}",
    )  # fmt: skip


def history_table(history: tuple[SweepReport, ...], title: str = "") -> Table:
    """All sweeps of a run."""
    table = Table(title=title or None, title_justify="left", pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for report in history:
        table.add_row(*sweep_cells(report))
    return table


def show_progress(console: Console, max_sweeps: int) -> "LiveProgress | LineProgress":
    """The observer that suits the output."""
    return LiveProgress(console, max_sweeps) if console.is_terminal else LineProgress(console)


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
        widths = (5, 20, 9, 9, 6, 8, 9, 8, 8)
        if not self._headed:
            self._headed = True
            self._print(" ".join(name.rjust(width) for name, width in zip(_COLUMNS, widths, strict=True)))
        self._print(" ".join(cell.rjust(width) for cell, width in zip(sweep_cells(report), widths, strict=True)))

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False)


class LiveProgress:
    """A bar for the sweep under way with energy, discarded weight, chi and time left; a line for each one done.

    Time left counts the sweeps up to max_sweeps at the pace of this sweep: an upper bound.
    """

    def __init__(self, console: Console, max_sweeps: int, *, every: float = 0.1) -> None:
        self.max_sweeps, self.every = max_sweeps, every
        self.lines = LineProgress(console, heartbeat=float("inf"))
        self._bar = Progress(
            TextColumn("[bold]sweep {task.fields[sweep]}"), BarColumn(bar_width=24),
            TextColumn("E {task.fields[energy]}  w {task.fields[weight]}  chi {task.fields[chi]}"),
            TimeElapsedColumn(), TextColumn("left ≤"), TimeRemainingColumn(),
            console=console, transient=True, auto_refresh=False,
        )  # fmt: skip
        self._task = self._bar.add_task(
            "sweeps",
            total=None,
            sweep=f"1/{max_sweeps}",
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
        progress = run.progress()
        self._bar.update(
            self._task, total=2 * report.bonds * self.max_sweeps,
            completed=2 * report.bonds * report.sweep + progress.step,
            sweep=f"{report.sweep + 1}/{self.max_sweeps}", energy=f"{report.energy:.8f}",
            weight=f"{progress.max_trunc_err:.1e}", chi=str(report.chi), refresh=True,
        )  # fmt: skip

    def sweep(self, report: SweepReport, run: Any) -> None:
        self.lines.sweep(report, run)
