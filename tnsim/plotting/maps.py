"""Correlation matrices and entanglement spectra."""

from pathlib import Path
from typing import Any

import numpy as np

from tnsim.linalg import Spectrum
from tnsim.plotting.style import ACCENT, finish, new_figure


def plot_correlation(matrix: np.ndarray, *, label: str = "correlation", path: str | Path | None = None) -> Any:
    """A two-point function as a heat map, zero in white."""
    figure, axes = new_figure(size=(4.6, 3.8))
    axis = axes[0, 0]
    limit = float(np.abs(matrix).max()) or 1.0
    image = axis.imshow(np.real(matrix), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axis.grid(False)
    axis.set_xlabel("site j")
    axis.set_ylabel("site i")
    figure.colorbar(image, ax=axis, label=label)
    return finish(figure, path)


def plot_spectrum(spectrum: Spectrum, *, levels: int = 12, path: str | Path | None = None) -> Any:
    """Entanglement energies -2 log s of one bond, by charge."""
    figure, axes = new_figure()
    axis = axes[0, 0]
    for place, (_, values) in enumerate(spectrum.by_charge().items()):
        kept = values[values > 1e-15][:levels]
        axis.plot(np.full(len(kept), place), -2 * np.log(kept), "_", color=ACCENT, markersize=14, markeredgewidth=1.6)
    names = [str(charge[0]) if len(charge) == 1 else str(charge) for charge in spectrum.leg.charges]
    axis.set_xticks(range(len(names)), names, fontsize=7)
    axis.set_xlabel("charge")
    axis.set_ylabel("entanglement energy  $-2\\,\\ln s$", fontsize=8)
    axis.set_title("entanglement spectrum", fontsize=10)
    return finish(figure, path)
