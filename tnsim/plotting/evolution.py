"""A time evolution: its errors, its entropy and what was recorded, against time."""

from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolved
from tnsim.plotting.style import ACCENT, INK, SECOND, finish, new_figure


def plot_evolution(evolved: Evolved, *, path: str | Path | None = None) -> Any:
    """Errors and entropy against time, and every real record: numbers as a curve, rows of numbers as a map (a light
    cone). Returns the figure."""
    records = {name: values for name, values in evolved.records.items() if _drawable(values)}
    figure, axes = new_figure(1, 2 + len(records))
    _draw_errors(axes[0, 0], evolved)
    _draw_curve(axes[0, 1], evolved.times, np.array([report.entropy for report in evolved.history]))
    axes[0, 1].set_title("entropy in the middle (natural log)", fontsize=10)
    for axis, (name, values) in zip(axes[0, 2:], records.items(), strict=True):
        if values.ndim == 1:
            _draw_curve(axis, evolved.times, values)
        else:
            _draw_map(figure, axis, evolved.times, values)
        axis.set_title(name, fontsize=10)
    return finish(figure, path)


def plot_dynamics(
    times: np.ndarray,
    values: np.ndarray,
    momenta: np.ndarray,
    frequencies: np.ndarray,
    spectrum: np.ndarray,
    *,
    path: str | Path | None = None,
) -> Any:
    """The magnitude of a correlation against place (columns) and time (rows), beside its spectrum, rows momenta."""
    figure, axes = new_figure(1, 2)
    cone, weight = axes[0]
    _draw_map(figure, cone, times, np.abs(values), colours="Blues")
    cone.set_title("correlation in time", fontsize=10)
    image = weight.pcolormesh(momenta, frequencies, spectrum.T, shading="nearest", cmap="magma", rasterized=True)
    figure.colorbar(image, ax=weight)
    weight.set_xlabel("momentum (per site)")
    weight.set_ylabel("frequency", fontsize=8)
    weight.set_title("dynamical structure factor", fontsize=10)
    return finish(figure, path)


def _drawable(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuf" and values.ndim in (1, 2)


def _draw_errors(axis: Any, evolved: Evolved) -> None:
    history = evolved.history
    curves = [
        ([report.sum_trunc_err for report in history], "discarded weight", SECOND, "s--"),
        ([abs(report.energy_drift or 0.0) for report in history], "energy drift", ACCENT, "o-"),
        ([abs(report.norm_drift) for report in history], "norm drift", INK, "^:"),
    ]
    if history[-1].error_spent is not None:
        curves.append(([report.error_spent or 0.0 for report in history], "error of the state", SECOND, "d-"))
    for numbers, name, colour, style in curves:
        values = np.array(numbers)
        good = values > 0
        axis.plot(evolved.times[good], values[good], style, color=colour, label=name, markersize=3, linewidth=1.2)
    axis.set_yscale("log")
    axis.set_xlabel("time")
    axis.set_title("errors", fontsize=10)
    axis.legend(fontsize=7, frameon=False)


def _draw_curve(axis: Any, times: np.ndarray, values: np.ndarray) -> None:
    axis.plot(times, values, "-", color=ACCENT, linewidth=1.4)
    axis.set_xlabel("time")


def _draw_map(figure: Any, axis: Any, times: np.ndarray, values: np.ndarray, colours: str = "RdBu_r") -> None:
    image = axis.pcolormesh(np.arange(values.shape[1]), times, values, shading="nearest", cmap=colours, rasterized=True)
    figure.colorbar(image, ax=axis)
    axis.set_xlabel("place")
    axis.set_ylabel("time", fontsize=8)
