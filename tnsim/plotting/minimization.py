"""Convergence of a minimisation over the tensors of a state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.peps.variational.minimization import MinimizationReport
from tnsim.plotting.style import ACCENT, INK, SECOND, finish, new_figure


def plot_minimization(history: Sequence[MinimizationReport], *, path: str | Path | None = None) -> Any:
    """Energy above the lowest one found, and the norm of the gradient, iteration by iteration. Returns the figure.

    A dotted line stands where bonds were made larger, or another start begins; squares are energies in
    new environments of 3/2 chi, above the lowest of those: where they rise, the state makes use of an error of its own.
    """
    figure, axes = new_figure(1, 2)
    count = np.arange(1, len(history) + 1)
    energies = np.array([report.energy for report in history])
    above = energies - energies.min()
    curves = (
        (axes[0, 0], above, "energy above the lowest one", ACCENT),
        (axes[0, 1], np.array([report.slope for report in history]), "norm of the gradient", SECOND),
    )
    starts = [report.start for report in history]
    grows = [n + 0.5 for n in count[:-1] if starts[n] != starts[n - 1]]
    for axis, values, title, colour in curves:
        good = values > 0
        axis.plot(count[good], values[good], "o-", color=colour, markersize=2.5, linewidth=1.0)
        axis.set_yscale("log")
        axis.set_xlabel("iteration")
        axis.set_title(title, fontsize=10)
        for place in grows:
            axis.axvline(place, color=INK, linestyle=":", linewidth=0.8)
    wide = {n: report.energy_larger for n, report in enumerate(history, 1) if report.energy_larger is not None}
    seen = {n: value - min(wide.values()) for n, value in wide.items() if value > min(wide.values())}
    if seen:
        axes[0, 0].plot(list(seen), list(seen.values()), "s", color=SECOND, markersize=4, label="at 3/2 chi")
        axes[0, 0].legend(fontsize=8, frameon=False)
    return finish(figure, path)
