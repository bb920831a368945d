"""One look for all figures, and the lazy import of matplotlib."""

from typing import Any

from tnsim.errors import TnsimError

INK, ACCENT, SECOND, FAINT = "#22303c", "#1f6f8b", "#d1603d", "#b8c4cc"


def new_figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (5.2, 3.4)) -> tuple[Any, Any]:
    """A figure and its axes, drawn without a display."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TnsimError('plots need matplotlib: pip install "tnsim[plot]".') from error
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=8)
        axis.grid(True, color=FAINT, linewidth=0.4, alpha=0.6)
        axis.title.set_color(INK)
    return figure, axes


def finish(figure: Any, path: Any) -> Any:
    """Save where a path is given; the figure is returned either way."""
    if path is not None:
        figure.savefig(path)
    return figure
