"""PEPS: the lattice with energies of bonds and moments, a search for a ground state, energies against 1/D or 1/xi."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import SettingsError, suggest
from tnsim.plotting.style import ACCENT, FAINT, INK, SECOND, finish, new_figure

_AGAINST = ("D", "length")


def plot_plane(measurement: Any, *, path: str | Path | None = None) -> Any:
    """Places in rows and columns, the energy of every pair as a colour, mean spins as arrows (Sx right, Sz up).

    measurement: of a finite or an infinite PEPS. Returns the figure.
    """
    m, n = measurement.shape
    figure, axes = new_figure(size=(min(9.0, 2.4 + 0.9 * n), min(8.0, 1.4 + 0.9 * m)))
    _draw_plane(figure, axes[0, 0], measurement)
    return finish(figure, path)


def plot_plane_state(result: Any, *, path: str | Path | None = None) -> Any:
    """The lattice as `plot_plane` draws it, and what the cooling estimated beside what was measured."""
    figure, axes = new_figure(1, 2)
    if result.measurement is None:
        axes[0, 0].set_axis_off()
        axes[0, 0].set_title("not measured yet", fontsize=10)
    else:
        _draw_plane(figure, axes[0, 0], result.measurement)
    reports = [report for report in result.prepared.history if report.energy is not None]
    axis = axes[0, 1]
    steps, energies = range(len(reports)), [float(np.real(report.energy)) for report in reports]
    cooled = hasattr(reports[0], "step") if reports else True
    label = "estimate of the update" if cooled else "minimisation"
    for _, start in groupby(zip(steps, energies, reports, strict=True), key=lambda entry: _start_of(entry[2])):
        own_steps, own, _ = zip(*start, strict=True)  # no line leads from one start to the next
        axis.plot(own_steps, own, "o-", color=ACCENT, markersize=3, linewidth=1.0, label=label)
        label = ""
    if result.energy is not None and hasattr(result.measurement, "moments"):
        axis.axhline(result.energy, color=SECOND, linewidth=1.2, linestyle="--", label="measured, per site")
    axis.set_xlabel("report")
    axis.set_title("energy on the way", fontsize=10)
    axis.legend(fontsize=7, frameon=False)
    return finish(figure, path)


def plot_energies(results: Sequence[Any], *, against: str = "D", path: str | Path | None = None) -> Any:
    """Measured energies per site against 1/D or 1/length (of correlations), with a straight line to zero.

    The line is a guide: energies of PEPS follow no power that is known. Raises SettingsError for fewer than two
    results, or ones that were not measured.
    """
    if against not in _AGAINST:
        raise SettingsError(f"energies are drawn against D or length, found {against!r}. {suggest(against, _AGAINST)}")
    if len(results) < 2 or any(result.energy is None for result in results):
        raise SettingsError(f"two measured results are needed to draw a line, found {len(results)}.")
    scales = [result.state.bond_dimension if against == "D" else result.length for result in results]
    x, y = np.array([1 / float(scale) for scale in scales]), np.array([result.energy for result in results])
    slope, at_zero = np.polyfit(x, y, 1)
    figure, axes = new_figure()
    axis, line = axes[0, 0], np.array([0.0, x.max() * 1.05])
    axis.plot(line, at_zero + slope * line, "-", color=FAINT, linewidth=1.2)
    axis.plot(x, y, "o", color=ACCENT, markersize=5)
    axis.plot([0.0], [at_zero], "s", color=SECOND, markersize=5, label=f"at zero {at_zero:.6g}")
    axis.set_xlabel("1/D" if against == "D" else "1/correlation length")
    axis.set_ylabel("energy per site")
    axis.legend(fontsize=8, frameon=False)
    return finish(figure, path)


def _start_of(report: Any) -> Any:
    """What reports of one start have in common; a cooling has one alone."""
    return getattr(report, "start", None)


def _draw_plane(figure: Any, axis: Any, measurement: Any) -> None:
    m, n = measurement.shape
    values = np.array([float(np.real(value)) for value in measurement.pairs.values()] or [0.0])
    low, high = values.min(), values.max()
    spread = max(high - low, 1e-3 * max(1.0, abs(low)))  # differences that no digit below shows have one colour
    scatter = axis.scatter([], [], c=[], cmap="viridis", vmin=low - 0.02 * spread, vmax=high + 0.02 * spread)
    for ((i, j), (k, l)), value in measurement.pairs.items():  # noqa: E741
        axis.plot([j, l], [-i, -k], "-", color=scatter.to_rgba(float(np.real(value))), linewidth=3.0, zorder=1)
        if m * n <= 20:
            axis.text(
                (j + l) / 2, -(i + k) / 2, f"{float(np.real(value)):.4f}", fontsize=6, color=INK, ha="center",
                va="center", zorder=4, bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0},
            )  # fmt: skip
    places = [(i, j) for i in range(m) for j in range(n)]
    axis.scatter([j for _, j in places], [-i for i, _ in places], s=30, color="white", edgecolor=INK, zorder=2)
    _draw_moments(axis, getattr(measurement, "moments", {}))
    bar = figure.colorbar(scatter, ax=axis, shrink=0.8)
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.set_label("energy of a pair", fontsize=8, color=INK)
    axis.set(aspect="equal", xlim=(-0.7, n + 0.1), ylim=(-m - 0.1, 0.7))
    axis.set_axis_off()
    axis.set_title(f"{m} x {n} places", fontsize=10)


def _draw_moments(axis: Any, moments: Mapping[tuple[int, int], Mapping[str, float]]) -> None:
    """Arrows of a length that a full moment of 1/2 fills most of a bond with; an N as a number."""
    for (i, j), means in moments.items():
        if "Sz" in means:
            x, z = 0.7 * means.get("Sx", 0.0), 0.7 * means["Sz"]
            if np.hypot(x, z) > 1e-3:
                style = {"arrowstyle": "->", "color": SECOND, "linewidth": 1.6}
                axis.annotate("", xy=(j + x, -i + z), xytext=(j - x, -i - z), arrowprops=style, zorder=3)
        elif "N" in means:
            axis.text(j, -i + 0.18, f"{means['N']:.3f}", fontsize=7, color=SECOND, ha="center", zorder=4)
