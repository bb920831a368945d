"""A lattice with its bonds and the path of the MPS."""

from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.lattice import Lattice
from tnsim.plotting.style import ACCENT, FAINT, INK, SECOND, finish, new_figure

_STYLES = (("-", 1.6), ("--", 1.0), (":", 1.2))


def plot_lattice(lattice: Lattice, *, order: int = 1, path: str | Path | None = None) -> Any:
    """Sites with their numbers, bonds up to a neighbour order (over a periodic boundary: half a bond), MPS path.

    Returns the figure; saves it where a path is given. Raises SettingsError for what is no lattice or no order.
    """
    if not isinstance(lattice, Lattice):
        raise SettingsError(f'a Lattice is drawn, such as Lattice("square", 4, 3), found {lattice!r}.')
    lattice.pairs(order)
    points = lattice.positions
    low, high = points.min(axis=0) - 0.8, points.max(axis=0) + 0.8
    scale = min(0.75, 11 / max(high - low))
    figure, axes = new_figure(size=(max(3.2, scale * (high - low)[0]), max(1.6, scale * (high - low)[1] + 0.3)))
    axis = axes[0, 0]
    for n in range(order, 0, -1):
        draw_bonds(axis, lattice, n)
    for start, end in zip(points, points[1:], strict=False):
        length = float(np.linalg.norm(end - start))
        bulge = 0.6 / length if lattice.cell.is_line and length > 1.5 else 0.0
        axis.plot(*curve(start, end - start, bulge).T, "-", color=SECOND, linewidth=3.5, alpha=0.35, zorder=2)
    size = 260 * min(1.0, scale / 0.6) ** 2
    axis.scatter(*points.T, s=size, color="white", edgecolor=ACCENT, linewidth=1.4, zorder=3)
    for vertex in lattice.vertices:
        axis.text(*vertex.position, str(vertex.index), ha="center", va="center", fontsize=8 * scale / 0.75, zorder=4)
    axis.set(aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axis.set_axis_off()
    axis.set_title(repr(lattice), fontsize=9, color=INK)
    return finish(figure, path)


def draw_bonds(axis: Any, lattice: Lattice, order: int) -> None:
    """The bonds of one order, bent where they would hide; over a periodic boundary each end shows half of it."""
    style, width = _STYLES[min(order, len(_STYLES)) - 1]
    bulge = 0.12 if order > 2 or (order == 2 and lattice.cell.is_line) else 0.0
    for pair in lattice.pairs(order):
        start, end, way = lattice.positions[pair.i], lattice.positions[pair.j], np.array(pair.vector)
        wraps = not np.allclose(start + way, end)
        halves = (curve(start, way, bulge)[:11], curve(end - way, way, bulge)[10:])
        for line in halves if wraps else (curve(start, way, bulge),):
            axis.plot(*line.T, style, color=FAINT if wraps else INK, linewidth=width, zorder=1)


def curve(start: np.ndarray, way: np.ndarray, bulge: float) -> np.ndarray:
    """Points of a flat arc, which rises to its left by `bulge` times its length; shape (21, 2)."""
    t = np.linspace(0, 1, 21)[:, None]
    return start + t * way + 4 * bulge * t * (1 - t) * np.array([-way[1], way[0]])
