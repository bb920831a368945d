"""A corner-transfer-matrix run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.plane.ctmrg import CornerReport
from tnsim.linalg import Spectrum
from tnsim.plotting.style import ACCENT, INK, SECOND, finish, new_figure


def plot_corners(history: Sequence[CornerReport], spectrum: Spectrum, *, path: str | Path | None = None) -> Any:
    """Changes of ln Z per site and of the corner, what is left of it, and the corner spectrum. Returns the figure."""
    figure, axes = new_figure(1, 2)
    steps = np.array([report.step for report in history])
    curves = (
        ([abs(report.log_z_change) for report in history], "change of ln Z per site", ACCENT, "o-"),
        ([report.corner_change for report in history], "change of the corner", SECOND, "s--"),
        ([report.left for report in history], "estimate of what is left", INK, "^:"),
    )
    for numbers, name, colour, style in curves:
        values = np.array(numbers)
        good = np.isfinite(values) & (values > 0)
        axes[0, 0].plot(steps[good], values[good], style, color=colour, label=name, markersize=3, linewidth=1.0)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_xlabel("step")
    axes[0, 0].set_title("convergence", fontsize=10)
    axes[0, 0].legend(fontsize=7, frameon=False)
    values = np.sort(np.abs(spectrum.values))[::-1]
    axes[0, 1].plot(np.arange(1, len(values) + 1), values, "o", color=ACCENT, markersize=4)
    axes[0, 1].set_yscale("log")
    axes[0, 1].set_xlabel("number")
    axes[0, 1].set_title("corner spectrum", fontsize=10)
    return finish(figure, path)
