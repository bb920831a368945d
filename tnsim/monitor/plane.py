"""A contraction in the plane on a terminal: one line a report."""

from typing import Any

from rich.console import Console

# heading and width of every column; with the spaces between them a line has 68 characters
_COLUMNS = {"side": 6, "step": 6, "ln Z per site": 20, "change": 9, "discarded": 9, "chi": 5, "seconds": 7}
# what a report of one kind or another tells of its convergence, in this order
_CHANGES = ("corner_change", "change", "log_z_change")


def plane_heading() -> str:
    """The names above the lines of `plane_line`."""
    return _line(tuple(_COLUMNS))


def plane_line(report: Any) -> str:
    """One report of CTMRG, an infinite boundary or coarse-graining as a line that an 80-column terminal holds.

    >>> from tnsim.algorithms.plane.infinite_boundary import InfiniteBoundaryReport
    >>> report = InfiniteBoundaryReport(side="below", step=7, log_z=0.92969539, change=2e-6, chi=32, seconds=0.1)
    >>> print(plane_heading() + "\\n" + plane_line(report))
      side   step        ln Z per site    change discarded   chi seconds
     below      7       0.929695390000   2.0e-06         -    32    0.10
    """
    change = next(getattr(report, name) for name in _CHANGES if hasattr(report, name))
    discarded = getattr(report, "trunc_err", None)
    return _line((
        getattr(report, "side", ""), str(report.step), f"{report.log_z:.12f}", f"{change:.1e}",
        "-" if discarded is None else f"{discarded:.1e}", str(report.chi), f"{report.seconds:.2f}",
    ))  # fmt: skip


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.rjust(width) for cell, width in zip(cells, _COLUMNS.values(), strict=True))


class PlaneLines:
    """An observer that prints every report."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._headed = False

    def step(self, report: Any, run: Any) -> None:
        if not self._headed:
            self._headed = True
            self.console.print(plane_heading(), soft_wrap=True, highlight=False)
        self.console.print(plane_line(report), soft_wrap=True, highlight=False)
