"""Energy levels by charge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.plotting.style import ACCENT, finish, new_figure


def plot_levels(gaps: np.ndarray, charges: Sequence[tuple[int, ...]], *, path: str | Path | None = None) -> Any:
    """Energies above the ground state, a stroke each, one column a charge."""
    figure, axes = new_figure()
    axis = axes[0, 0]
    columns = sorted(set(charges))
    for place, charge in enumerate(columns):
        values = [gap for gap, own in zip(gaps, charges, strict=True) if own == charge]
        axis.plot(np.full(len(values), place), values, "_", color=ACCENT, markersize=22, markeredgewidth=1.6)
    axis.set_xticks(range(len(columns)), [",".join(map(str, charge)) or "all" for charge in columns], fontsize=7)
    axis.set_xlim(-0.6, len(columns) - 0.4)
    axis.set_xlabel("charge")
    axis.set_ylabel("energy above the ground state", fontsize=8)
    axis.set_title("levels", fontsize=10)
    return finish(figure, path)
