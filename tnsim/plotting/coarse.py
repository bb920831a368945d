"""Coarse-graining, step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.plane.coarse_graining import CoarseReport
from tnsim.plotting.style import ACCENT, INK, SECOND, finish, new_figure


def plot_coarse_graining(history: Sequence[CoarseReport], *, path: str | Path | None = None) -> Any:
    """Change of ln Z per site and discarded weight beside scaling dimensions and central charge. Returns the figure."""
    figure, axes = new_figure(1, 2)
    steps = np.array([report.step for report in history])
    curves = (
        (np.array([abs(report.log_z_change) for report in history]), "change of ln Z per site", ACCENT, "o-"),
        (np.array([report.trunc_err for report in history]), "discarded weight", SECOND, "s--"),
    )
    for values, name, colour, style in curves:
        good = np.isfinite(values) & (values > 0)
        axes[0, 0].plot(steps[good], values[good], style, color=colour, label=name, markersize=4, linewidth=1.2)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_title("convergence", fontsize=10)
    levels = np.full((len(history), max(len(report.dimensions) for report in history)), np.nan)
    for row, report in zip(levels, history, strict=True):
        row[: len(report.dimensions)] = report.dimensions
    for column, values in enumerate(levels.T[1:]):
        good = np.isfinite(values)
        label = "scaling dimensions" if column == 0 else None
        axes[0, 1].plot(steps[good], values[good], "o-", color=ACCENT, label=label, markersize=3, linewidth=0.8)
    charge = np.array([report.central_charge for report in history])
    good = np.isfinite(charge)
    axes[0, 1].plot(steps[good], charge[good], "^:", color=INK, label="central charge", markersize=4, linewidth=0.8)
    axes[0, 1].set_ylim(-0.05, 2.5)
    axes[0, 1].set_title("transfer spectrum", fontsize=10)
    for axis in axes[0]:
        axis.set_xlabel("step")
        axis.legend(fontsize=7, frameon=False)
    return finish(figure, path)
