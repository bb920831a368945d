"""An evolution on a terminal: one line a report."""

from typing import Any

from rich.console import Console

from tnsim.algorithms.evolution.evolution import EvolutionReport

# heading and width of every column; with the spaces between them a line has 75 characters
_COLUMNS = {
    "step": 6, "time": 9, "energy": 17, "drift": 8, "discarded": 9, "chi": 5, "entropy": 8, "seconds": 7
}  # fmt: skip


def evolution_heading(*, budget: bool = False) -> str:
    """The names above the lines of `evolution_line`, without an error budget or with one."""
    return _line(tuple("error" if budget and name == "discarded" else name for name in _COLUMNS))


def evolution_line(report: EvolutionReport) -> str:
    """One report as a line that an 80-column terminal holds; discarded is the sum since the start. With an error budget
    what was spent of it stands there instead.

    >>> report = EvolutionReport(
    ...     step=20, time=1.0, energy=-9.12345678, energy_drift=2e-9, norm_drift=-1e-12, log_norm=-1e-12,
    ...     trunc_err=1e-13, sum_trunc_err=2e-12, chi=64, entropy=0.71234, seconds=0.25,
    ... )
    >>> print(evolution_heading() + "\\n" + evolution_line(report))
      step      time            energy    drift discarded   chi  entropy seconds
        20    1.0000     -9.1234567800 +2.0e-09   2.0e-12    64  0.71234    0.25
    """
    lost = report.sum_trunc_err if report.error_spent is None else report.error_spent
    energy = "-" if report.energy is None else f"{report.energy:.10f}"
    return _line((
        str(report.step), f"{report.time:.4f}",
        energy if len(energy) <= _COLUMNS["energy"] else f"{report.energy:.9e}",
        "-" if report.energy_drift is None else f"{report.energy_drift:+.1e}", f"{lost:.1e}",
        str(report.chi), f"{report.entropy:z.5f}", f"{report.seconds:.2f}",
    ))  # fmt: skip


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, _COLUMNS.values(), strict=True))


class EvolutionLines:
    """An observer that prints every report."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._headed = False

    def step(self, report: EvolutionReport, run: Any) -> None:
        if not self._headed:
            self._headed = True
            heading = evolution_heading(budget=report.error_spent is not None)
            self.console.print(heading, soft_wrap=True, highlight=False)
        self.console.print(evolution_line(report), soft_wrap=True, highlight=False)
