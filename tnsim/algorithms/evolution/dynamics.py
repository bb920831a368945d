"""Correlations at two times, and the dynamical structure factor."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution, Evolved
from tnsim.errors import OperatorError, SettingsError, ShapeError, StateError, finite_number, finite_numbers
from tnsim.measure.local import Operator, norm_squared
from tnsim.measure.time_series import check_equal_spacing, linear_prediction, spectrum_of
from tnsim.measure.transition import transition_values
from tnsim.networks.gates import apply_gate
from tnsim.networks.mps import MPS


@dataclass(frozen=True)
class DynamicalCorrelation:
    """values[n, x] = <psi| A_x(t_n) B_site |psi> for an eigenstate psi; evolved: how B_site |psi> went on."""

    times: np.ndarray
    values: np.ndarray
    site: int
    evolved: Evolved

    def at_momentum(self, momenta: Any) -> np.ndarray:
        """sum_x exp(-i k (x - site)) values: rows are momenta (per site), columns times.

        The chain has to be long enough that no boundary is seen.
        """
        distance = np.arange(self.values.shape[1]) - self.site
        return np.exp(-1j * np.multiply.outer(finite_numbers("momenta", momenta), distance)) @ self.values.T

    def structure_factor(
        self, momenta: Any, frequencies: Any, *, window: str = "gauss", predict: float = 1.0
    ) -> np.ndarray:
        """S(k, omega) = sum_x int dt exp(-i k x + i omega t) C(x, t) / (2 pi): rows are momenta.

        Takes C(-x, t) = C(x, t) and A = B^dagger, so that one half of the times gives the other. predict: the times
        are made so many times as long by linear prediction before the window; 1 takes those there are. Levels are
        broadened to 3 / T by the window "gauss". The integral over omega is the static structure factor.
        """
        if not finite_number("predict", predict) >= 1:
            raise SettingsError(f"predict is at least 1 (no prediction), found {predict!r}.")
        values, times = self.at_momentum(momenta), self.times
        count = int(round((predict - 1) * (len(times) - 1)))
        if count:
            check_equal_spacing(times, values)
            values = linear_prediction(values, count)
            times = np.arange(len(times) + count) * (times[1] - times[0])
        return spectrum_of(times, values, frequencies, window=window)

    def plot(self, frequencies: Any, *, predict: float = 1.0, path: Any = None) -> Any:
        """The light cone beside S(k, omega) for k from 0 to pi; saved where a path is given. Returns the figure."""
        momenta = np.linspace(0, np.pi, len(self.values[0]) // 2 + 1)
        found = self.structure_factor(momenta, frequencies, predict=predict)
        plot_dynamics = import_module("tnsim.plotting").plot_dynamics
        return plot_dynamics(self.times, self.values, momenta, np.asarray(frequencies), found, path=path)

    def __repr__(self) -> str:
        return (
            f"DynamicalCorrelation({len(self.times)} times up to {self.times[-1]:.6g}, {self.values.shape[1]} sites)\n"
            f"{self.evolved!r}"
        )


def dynamical_correlation(
    evolution: Evolution,
    H: Any,
    psi: MPS,
    operators: tuple[Operator, Operator],
    *,
    site: int,
    time: float,
    energy: float,
) -> DynamicalCorrelation:
    """<psi| A_x(t) B_site |psi> for all x, with psi an eigenstate of H of that energy: one evolution of B_site |psi>.

    operators: (A, B), which conserve the charge and the fermion parity; H: what the scheme takes. Connected
    correlations are had by operators less their averages. Raises SettingsError for imaginary time, ShapeError for a
    site that is not there, ChargeError or OperatorError for operators that change the charge or the parity, and what
    `evolution.run` raises.

    >>> from tnsim.algorithms import TEBD
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.operator_sum import OperatorSum
    >>> from tnsim.networks.sites import spin_sites
    >>> H, up = OperatorSum().add(1.0, "Sz", 0, "Sz", 1), MPS.product(spin_sites(2), ["up", "up"])
    >>> evolution = TEBD(dt=0.5, truncation=Truncation(chi_max=4))
    >>> found = dynamical_correlation(evolution, H, up, ("Sz", "Sz"), site=0, time=1.0, energy=0.25)
    >>> found.values.round(6).real.tolist()
    [[0.25, 0.25], [0.25, 0.25], [0.25, 0.25]]
    """
    energy = finite_number("energy", energy)
    if not isinstance(psi, MPS) or not isinstance(evolution, Evolution):
        raise StateError(
            f"a dynamical correlation takes an evolution, H and a finite state, found {type(evolution).__name__} and "
            f"{type(psi).__name__}."
        )
    if not isinstance(operators, tuple) or len(operators) != 2:
        raise OperatorError(f"operators are a pair (A, B) of names or matrices, found {operators!r}.")
    if evolution.imaginary:
        raise SettingsError("a dynamical correlation is one in real time: take imaginary=False.")
    if not isinstance(site, (int, np.integer)) or not 0 <= site < psi.L:
        raise ShapeError(f"the state has sites 0 to {psi.L - 1}, found site = {site!r}.")
    left, right = operators
    psi = psi / norm_squared(psi) ** 0.5
    excited, _ = apply_gate(psi, psi.sites[site].op(right), site)
    record = {"elements": lambda state: transition_values(psi, left, state)}
    evolved = evolution.run(H, excited, time=time, observe=record)
    values = np.exp(1j * energy * evolved.times)[:, None] * evolved["elements"]
    return DynamicalCorrelation(evolved.times, values, site, evolved)
