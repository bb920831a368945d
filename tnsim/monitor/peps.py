"""A search for a ground state in the plane on a terminal: one line a report, of whatever kind."""

from typing import Any

from rich.console import Console

from tnsim.algorithms.evolution.evolution_report import EvolutionReport
from tnsim.algorithms.peps.variational.minimization import MinimizationReport
from tnsim.monitor.evolution import EvolutionLines
from tnsim.monitor.plane import PlaneLines

# heading and width of every column; with the spaces between them a line has 70 characters
_COLUMNS = {"D": 3, "iteration": 9, "energy per site": 18, "change": 9, "slope": 8, "chi": 5, "seconds": 8}


def minimization_heading() -> str:
    """The names above the lines of `minimization_line`."""
    return _line(tuple(_COLUMNS))


def minimization_line(report: MinimizationReport) -> str:
    """One iteration as a line that an 80-column terminal holds.

    >>> report = MinimizationReport(
    ...     iteration=12, D=2, energy=-0.6602310934, energy_change=-2e-9, slope=3e-7, chi=16, environment_steps=9,
    ...     environment_change=1e-10, evaluations=14, seconds=0.04,
    ... )
    >>> print(minimization_heading() + "\\n" + minimization_line(report))
      D iteration    energy per site    change    slope   chi  seconds
      2        12    -0.660231093400  -2.0e-09  3.0e-07    16     0.04
    """
    return _line((
        str(report.D), str(report.iteration), f"{report.energy:.12f}", f"{report.energy_change:+.1e}",
        f"{report.slope:.1e}", str(report.chi), f"{report.seconds:.2f}",
    ))  # fmt: skip


def larger_line(report: MinimizationReport) -> str:
    """The energy in a wider environment, below that of its iteration; nothing where it was not looked at.

    >>> from dataclasses import replace
    >>> report = MinimizationReport(
    ...     iteration=20, D=4, energy=-0.668982, energy_change=-2e-9, slope=3e-7, chi=48, environment_steps=9,
    ...     environment_change=1e-10, evaluations=14, seconds=0.04,
    ... )
    >>> print(f"[{larger_line(report)}]\\n{larger_line(replace(report, energy_larger=-0.668986))}")
    []
       at 3/2 chi    -0.668986000000  -4.0e-06
    """
    wide = report.energy_larger
    if wide is None:
        return ""
    return _line(("", "", f"{wide:.12f}", f"{wide - report.energy:+.1e}", "", "", ""), "   at 3/2 chi").rstrip()


def start_line(report: MinimizationReport, before: MinimizationReport | None) -> str:
    """Of which start a report is, where the one before was of another; nothing where it is the only one so far."""
    if before is None and not report.symmetric or before is not None and before.start == report.start:
        return ""
    kind = "one symmetric tensor" if report.symmetric else "all tensors"
    return f"{kind}, D = {report.D}, start {report.attempt + 1}"


def _line(cells: tuple[str, ...], name: str = "") -> str:
    line = " ".join(cell.rjust(width) for cell, width in zip(cells, _COLUMNS.values(), strict=True))
    return name + line[len(name) :]


class PEPSLines:
    """An observer that prints every report of a preparation and of the corners, each kind below its heading."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._cooling, self._corners = EvolutionLines(console), PlaneLines(console)
        self._last: MinimizationReport | None = None

    def step(self, report: Any, run: Any) -> None:
        if isinstance(report, MinimizationReport):
            lines = [] if self._last else [minimization_heading()]
            if start := start_line(report, self._last):
                lines.append(start)
            self._last = report
            lines.append(minimization_line(report))
            if larger := larger_line(report):
                lines.append(larger)
            self.console.print("\n".join(lines), soft_wrap=True, highlight=False)
        else:
            (self._cooling if isinstance(report, EvolutionReport) else self._corners).step(report, run)
