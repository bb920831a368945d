"""Energies: levels by charge, and the line to zero discarded weight or variance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.plotting.style import ACCENT, SECOND, finish, new_figure


def plot_levels(gaps: np.ndarray, charges: Sequence[tuple[int, ...]], *, path: str | Path | None = None) -> Any:
    """Energies above the ground state, a stroke each, one column a charge."""
    figure, axes = new_figure()
    draw_levels(axes[0, 0], gaps, charges)
    return finish(figure, path)


def draw_levels(axis: Any, gaps: np.ndarray, charges: Sequence[tuple[int, ...]]) -> None:
    """Levels on given axes."""
    columns = sorted(set(charges))
    for place, charge in enumerate(columns):
        values = [gap for gap, own in zip(gaps, charges, strict=True) if own == charge]
        axis.plot(np.full(len(values), place), values, "_", color=ACCENT, markersize=22, markeredgewidth=1.6)
    axis.set_xticks(range(len(columns)), [",".join(map(str, charge)) or "all" for charge in columns], fontsize=7)
    axis.set_xlim(-0.6, len(columns) - 0.4)
    axis.set_xlabel("charge")
    axis.set_ylabel("energy above the ground state", fontsize=8)
    axis.set_title("levels", fontsize=10)


def plot_extrapolation(
    x: np.ndarray,
    energies: np.ndarray,
    line: tuple[float, float, float],
    *,
    label: str = "summed discarded weight",
    path: str | Path | None = None,
) -> Any:
    """Energies above the extrapolated one against `label`; line: (energy at zero, slope, error at zero)."""
    energy, slope, error = line
    figure, axes = new_figure()
    axis = axes[0, 0]
    ends = np.array([0.0, np.max(x)])
    axis.plot(ends, slope * ends, "-", color=SECOND, linewidth=1.2)
    axis.plot(x, np.asarray(energies) - energy, "o", color=ACCENT, markersize=4)
    axis.errorbar([0.0], [0.0], yerr=[error], fmt="s", color=SECOND, markersize=4, capsize=3)
    axis.set_xlabel(label)
    axis.set_ylabel(f"energy - ({energy:.10g})", fontsize=8)
    axis.set_title("extrapolation", fontsize=10)
    return finish(figure, path)
