"""A run of a finite boundary MPS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.plane.boundary_sum import BoundaryReport
from tnsim.plotting.style import ACCENT, SECOND, finish, new_figure


def plot_rows(history: Sequence[BoundaryReport], *, path: str | Path | None = None) -> Any:
    """What every row discarded, and the bonds, side by side. Returns the matplotlib figure."""
    figure, axes = new_figure(1, 2)
    looks = (ACCENT, "o-"), (SECOND, "s--"), (ACCENT, "^:"), (SECOND, "v-.")
    for side, (colour, style) in zip(dict.fromkeys(report.side for report in history), looks, strict=False):
        mine = [report for report in history if report.side == side]
        rows = np.arange(1, len(mine) + 1)
        lost, bonds = (np.array([getattr(report, name) for report in mine]) for name in ("change", "chi"))
        some = lost > 0
        if some.any():
            axes[0, 0].plot(rows[some], lost[some], style, color=colour, markersize=3, linewidth=1.0)
        axes[0, 1].plot(rows, bonds, style, color=colour, label=f"from the {side}", markersize=3, linewidth=1.0)
    if axes[0, 0].get_lines():
        axes[0, 0].set_yscale("log")
    axes[0, 0].set_title("discarded weight", fontsize=10)
    axes[0, 1].set_title("bond dimension", fontsize=10)
    for place in (0, 1):
        axes[0, place].set_xlabel("row (or column) from its side")
    if axes[0, 1].get_lines():
        axes[0, 1].legend(fontsize=7, frameon=False)
    return finish(figure, path)
