"""Many runs in one figure: errors against bond dimension, and a quantity against a parameter of the model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import SettingsError
from tnsim.plotting.style import ACCENT, FAINT, INK, SECOND, finish, new_figure

_COLOURS = (ACCENT, SECOND, INK, "#6a8d3a", "#8a5a9e", "#b08a2e", "#4f7fd1", "#a03a4c")


def plot_errors(
    errors: Mapping[str, Mapping[int, float]],
    *,
    published: Mapping[str, Mapping[int, float]] | None = None,
    path: str | Path | None = None,
) -> Any:
    """Relative errors against the bond dimension, a curve a method; published ones as open squares.

    >>> figure = plot_errors({"TRG": {8: 3e-5, 16: 4.6e-6}}, published={"TRG": {24: 2e-6}})
    >>> figure.axes[0].get_yscale()
    'log'
    """
    figure, axes = new_figure(1, 1, (5.6, 4.0))
    axis = axes[0, 0]
    names = dict.fromkeys([*errors, *(published or {})])
    for colour, name in zip(_COLOURS * len(names), names, strict=False):
        for values, style, label in (
            (errors.get(name, {}), "o-", name),
            ((published or {}).get(name, {}), "s", f"{name}, published"),
        ):
            found = sorted((chi, error) for chi, error in values.items() if error > 0)
            if found:
                axis.plot(*zip(*found, strict=True), style, color=colour, label=label, markersize=5, linewidth=1.2,
                          markerfacecolor="none" if style == "s" else colour)  # fmt: skip
    if not axis.get_lines():
        raise SettingsError("there is no error above zero to draw: give {method: {bond dimension: error}}.")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.set_xlabel("bond dimension")
    axis.set_ylabel("relative error")
    axis.legend(fontsize=7, frameon=False)
    return finish(figure, path)


def plot_scan(
    parameter: Sequence[float],
    values: Mapping[str, Sequence[float]],
    *,
    exact: tuple[Sequence[float], Sequence[float]] | None = None,
    labels: tuple[str, str] = ("beta", "mean"),
    path: str | Path | None = None,
) -> Any:
    """Quantities against a parameter, such as a magnetisation curve, and the exact curve (x, y) behind them.

    >>> plot_scan([0.4, 0.5], {"chi 8": [0.0, 0.91]}, labels=("beta", "magnetisation")).axes[0].get_ylabel()
    'magnetisation'
    """
    figure, axes = new_figure(1, 1, (5.6, 4.0))
    axis = axes[0, 0]
    if exact is not None:
        axis.plot(*exact, "-", color=FAINT, linewidth=3, label="exact")
    for colour, (name, found) in zip(_COLOURS * len(values), values.items(), strict=False):
        if len(found) != len(parameter):
            raise SettingsError(f"{name!r} has {len(found)} values for {len(parameter)} of the parameter.")
        order = np.argsort(parameter)
        axis.plot(np.asarray(parameter)[order], np.asarray(found)[order], "o", color=colour, label=name, markersize=4)
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    axis.legend(fontsize=7, frameon=False)
    return finish(figure, path)
