"""Networks whose layers became chains: what it cost, what else there is, and what could be expected."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tnsim.plotting.style import ACCENT, FAINT, INK, SECOND, finish, new_figure


def plot_compression(report: Any, *, path: str | Path | None = None) -> Any:
    """Loss against size of all alternatives beside ratio and error of every layer (`tensorize`). Returns the figure."""
    figure, axes = new_figure(1, 2, size=(5.2, max(3.4, 0.16 * len(report.layers))))
    _draw_alternatives(axes[0, 0], [row for row in report.alternatives if row.loss is not None], report.line)
    rows = report.layers
    right, places = axes[0, 1], range(len(rows))
    right.barh(places, [row.dense_numbers / row.numbers for row in rows], color=ACCENT, height=0.7)
    _name_rows(right, [row.name for row in rows])
    right.set_xlabel("times smaller", color=ACCENT)
    errors = right.twiny()
    changed = [k for k in places if rows[k].form != "dense"]
    errors.plot([rows[k].error for k in changed], changed, "o", color=SECOND, markersize=4)
    errors.set_xlim(left=0)
    errors.tick_params(colors=INK, labelsize=8)
    errors.set_xlabel("relative error of the outputs", color=SECOND)
    return finish(figure, path)


def _draw_alternatives(axes: Any, rows: Sequence[Any], line: float) -> None:
    places: dict[tuple[float, float], list[str]] = {}
    for row in rows:
        places.setdefault((row.bytes / 1e6, row.loss), []).append(row.name)
    for place, names in places.items():
        axes.plot(*place, "o", color=SECOND if "tensorized" in names else ACCENT)
        axes.annotate(", ".join(names), place, xytext=(5, 4), textcoords="offset points", fontsize=7)
    if rows and line < float("inf"):
        axes.axhline(line, color=INK, linestyle="--", linewidth=0.8)
        axes.annotate(
            "accepted up to here", (0.99, line), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7
        )
    axes.margins(0.25, 0.15)
    axes.set_xlabel("bytes of the model (MB)")
    axes.set_ylabel("loss")


def plot_profile(profile: Any, *, path: str | Path | None = None) -> Any:
    """Entropy of every layer's cuts beside that of noise, and its error at one ratio (`profile`). The figure."""
    rows = profile.layers
    figure, axes = new_figure(1, 2, size=(5.2, max(3.4, 0.16 * len(rows))))
    left, right, places = axes[0, 0], axes[0, 1], range(len(rows))
    for name, colour in (("chain", ACCENT), ("matrix", INK), ("outputs", SECOND)):
        cuts = [getattr(row, name) for row in rows]
        shown = [(k, cut) for k, cut in enumerate(cuts) if cut is not None]
        left.plot([c.entropy for _, c in shown], [k for k, _ in shown], "o", color=colour, markersize=4, label=name)
        noise = [c.noise_entropy for _, c in shown]
        left.plot(noise, [k for k, _ in shown], "|", color=colour, markersize=9)
    left.plot([], [], "|", color=FAINT, markersize=9, label="noise of that shape")
    left.set_xlabel("entropy of the cut (nats)")
    left.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    _name_rows(left, [row.name for row in rows])
    right.barh(places, [row.error for row in rows], color=SECOND, height=0.7)
    _name_rows(right, [row.name for row in rows])
    right.set_xlabel(f"relative error of the outputs at {profile.ratio:g}x")
    return finish(figure, path)


def plot_pareto(sweep: Any, *, path: str | Path | None = None) -> Any:
    """Loss over numbers of all sizes (`pareto`), joined where no other size is better. Returns the figure."""
    figure, axes = new_figure()
    axis = axes[0, 0]
    best = [point for point in sweep.points if point.best]
    axis.plot([p.numbers for p in best], [p.loss for p in best], "o-", color=ACCENT, label="no size is better")
    rest = [point for point in sweep.points if not point.best]
    axis.plot([p.numbers for p in rest], [p.loss for p in rest], "x", color=SECOND, label="beaten")
    for point in sweep.points:
        place = point.numbers, point.loss
        axis.annotate(f"{point.ratio:g}x", place, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axis.set_xlabel("numbers in the layers")
    axis.set_ylabel("loss")
    axis.legend(fontsize=7, frameon=False)
    return finish(figure, path)


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=5 if len(names) > 20 else 8)
    axes.invert_yaxis()
