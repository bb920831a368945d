"""Convergence of a run and entanglement along the chain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.algorithms.solution import SweepReport
from tnsim.measure import entropy
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS
from tnsim.plotting.levels import draw_levels
from tnsim.plotting.style import ACCENT, INK, SECOND, finish, new_figure


def plot_run(
    history: Sequence[SweepReport],
    state: MPS | InfiniteMPS,
    *,
    exact: float | None = None,
    levels: tuple[np.ndarray, Sequence[tuple[int, ...]]] | None = None,
    path: str | Path | None = None,
) -> Any:
    """Convergence beside the entanglement profile, and levels (energies above the lowest, charges) where there are
    any: what `tnsim plot` draws. Returns the figure."""
    figure, axes = new_figure(1, 2 if levels is None else 3)
    draw_convergence(axes[0, 0], history, exact)
    draw_entropy(axes[0, 1], entropy(state))
    if levels is not None:
        draw_levels(axes[0, 2], *levels)
    return finish(figure, path)


def plot_convergence(
    history: Sequence[SweepReport], *, exact: float | None = None, path: str | Path | None = None
) -> Any:
    """Energy error (or change), discarded weight and gradient, sweep by sweep, on a logarithmic axis."""
    figure, axes = new_figure()
    draw_convergence(axes[0, 0], history, exact)
    return finish(figure, path)


def plot_entropy(state: MPS | InfiniteMPS | np.ndarray, *, path: str | Path | None = None) -> Any:
    """Von Neumann entropy of every bond, of a state or as numbers."""
    figure, axes = new_figure()
    draw_entropy(axes[0, 0], entropy(state) if isinstance(state, MPS | InfiniteMPS) else np.asarray(state))
    return finish(figure, path)


def plot_dispersion(momenta: np.ndarray, energies: np.ndarray, *, path: str | Path | None = None) -> Any:
    """Excitation energies against momentum, one curve a level; `energies` has one row a momentum."""
    figure, axes = new_figure()
    axis = axes[0, 0]
    order = np.argsort(momenta)
    for level, values in enumerate(np.asarray(energies)[order].T):
        axis.plot(np.asarray(momenta)[order], values, "o-", color=ACCENT if level == 0 else SECOND, markersize=3)
    axis.set_xlabel("momentum (per site)")
    axis.set_ylabel("excitation energy", fontsize=8)
    axis.set_ylim(bottom=0)
    axis.set_title("dispersion", fontsize=10)
    return finish(figure, path)


def draw_convergence(axis: Any, history: Sequence[SweepReport], exact: float | None) -> None:
    """Convergence curves on given axes."""
    sweeps = np.array([report.sweep + 1 for report in history])
    if exact is not None:
        errors, label = np.array([abs(report.energy - exact) for report in history]), "energy error (exact known)"
    else:
        errors, label = np.array([abs(report.energy_change) for report in history]), "energy change"
    curves = (
        (errors, label, ACCENT, "o-"),
        (np.array([report.max_trunc_err for report in history]), "largest discarded weight", SECOND, "s--"),
        (np.array([report.gradient for report in history]), "projected gradient", INK, "^:"),
    )
    for values, name, colour, style in curves:
        good = np.isfinite(values) & (values > 0)
        axis.plot(sweeps[good], values[good], style, color=colour, label=name, markersize=4, linewidth=1.2)
    axis.set_yscale("log")
    axis.set_xlabel("sweep")
    axis.set_title("convergence", fontsize=10)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=7, frameon=False)


def draw_entropy(axis: Any, values: np.ndarray) -> None:
    """The entanglement profile on given axes."""
    axis.plot(np.arange(1, len(values) + 1), values, "o-" if len(values) < 8 else "-", color=ACCENT, linewidth=1.4)
    axis.set_xlabel("bond (sites to its left)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("entropy (natural log)", fontsize=8)
    axis.set_ylim(bottom=0)
    axis.set_title("entanglement profile", fontsize=10)
