"""Where a classifier looks: entropies of the pixels as an image, and the singular values of its bonds."""

from pathlib import Path
from typing import Any

import numpy as np

from tnsim.plotting.style import ACCENT, SECOND, finish, new_figure


def plot_classifier(report: Any, *, path: str | Path | None = None) -> Any:
    """Entropies of the pixels (an image, or a line where they are none), entropies of the bonds, and their values."""
    figure, axes = new_figure(columns=3, size=(3.9, 3.4))
    left, middle, right = axes[0]
    if report.image is None:
        left.plot(report.pixel_entropies, ".-", color=ACCENT)
        left.set_xlabel("pixel")
    else:
        shown = left.imshow(report.heatmap, cmap="magma", vmin=0, interpolation="nearest")
        left.grid(False)
        left.set_xticks([])
        left.set_yticks([])
        figure.colorbar(shown, ax=left, fraction=0.046, label="nats")
    left.set_title("entropy of every pixel", fontsize=10)
    middle.plot([bond.entropy for bond in report.bonds], ".-", color=ACCENT, linewidth=1)
    middle.set_xlabel("bond")
    middle.set_ylabel("entropy (nats)")
    middle.set_title("entropy of every bond", fontsize=10)
    for bond in report.bonds:
        right.semilogy(np.full(bond.dim, bond.bond), bond.values, "_", color=SECOND, markersize=4, markeredgewidth=1)
    right.set_ylim(bottom=max(1e-5, min(bond.values[-1] for bond in report.bonds) / 2))
    right.set_xlabel("bond")
    right.set_title("singular values", fontsize=10)
    return finish(figure, path)
