"""A run of an infinite boundary MPS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.plane.infinite_boundary import InfiniteBoundaryReport
from tnsim.linalg import Spectrum
from tnsim.plotting.style import ACCENT, SECOND, finish, new_figure


def plot_boundary(
    history: Sequence[InfiniteBoundaryReport], spectrum: Spectrum, *, path: str | Path | None = None
) -> Any:
    """Changes of the boundaries below and above, step by step, and Schmidt values. Returns the matplotlib figure."""
    figure, axes = new_figure(1, 2)
    for side, colour, style in (("below", ACCENT, "o-"), ("above", SECOND, "s--")):
        mine = [report for report in history if report.side == side]
        steps, values = (np.array([getattr(report, name) for report in mine]) for name in ("step", "change"))
        good = np.isfinite(values) & (values > 0)
        if good.any():
            axes[0, 0].plot(steps[good], values[good], style, color=colour, label=side, markersize=3, linewidth=1.0)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_xlabel("step")
    axes[0, 0].set_ylabel("gradient, or change of Schmidt values", fontsize=8)
    axes[0, 0].set_title("convergence", fontsize=10)
    if axes[0, 0].get_lines():
        axes[0, 0].legend(fontsize=7, frameon=False)
    values = np.sort(spectrum.values)[::-1]
    axes[0, 1].plot(np.arange(1, len(values) + 1), values, "o", color=ACCENT, markersize=4)
    axes[0, 1].set_yscale("log")
    axes[0, 1].set_xlabel("number")
    axes[0, 1].set_title("Schmidt values", fontsize=10)
    return finish(figure, path)
