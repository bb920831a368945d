"""Energies at a larger bond dimension than was run: a line in the discarded weight or in the variance, to zero.

Sources: the energy error is linear in the discarded weight (O. Legeza, G. Fath, Phys. Rev. B 53, 14349 (1996)) and
in the variance (C. Hubig, J. Haegeman, U. Schollwoeck, Phys. Rev. B 97, 045125 (2018)); a fifth of the extrapolated
distance as its error is the convention of R. Olivares-Amaya et al., J. Chem. Phys. 142, 034102 (2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from tnsim.algorithms.solution import Solution, SweepReport
from tnsim.errors import SettingsError, StateError, suggest

# what a point is found at: the name on its axis
MEASURES = {"trunc_err": "summed discarded weight", "variance": "energy variance"}
# the share of the extrapolated distance that counts as its error
_SHARE = 0.2


@dataclass(frozen=True)
class Extrapolation:
    """A line through energies, taken to zero: `energy` with its `error`, in the Hamiltonian's units.

    x: discarded weights or variances, descending; slope: dE/dx; fit_error: standard error of the line at zero;
    distance: from the best point to `energy`. `error` is the root of the summed squares of fit_error and of a fifth of
    the distance.
    """

    energy: float
    error: float
    slope: float
    fit_error: float
    distance: float
    by: str
    x: np.ndarray
    energies: np.ndarray

    def plot(self, path: Any = None) -> Any:
        """Points, line and error bar; saved where a path is given. Returns the matplotlib figure."""
        label = MEASURES[self.by]
        draw = import_module("tnsim.plotting").plot_extrapolation
        return draw(self.x, self.energies, (self.energy, self.slope, self.error), label=label, path=path)

    def __repr__(self) -> str:
        digits = int(np.clip(1 - np.floor(np.log10(self.error)), 0, 13)) if self.error > 0 else 13
        return (
            f"Extrapolation({self.energy:.{digits}f} +- {self.error:.1e} from {len(self.x)} points by {self.by}: "
            f"{self.distance:.1e} below the best, fit {self.fit_error:.1e})"
        )


def extrapolate(points: Sequence[Solution | SweepReport | tuple[float, float]], by: str = "trunc_err") -> Extrapolation:
    """The energy at zero discarded weight (by="trunc_err") or zero variance (by="variance").

    points: at least three solutions of different chi_max, or sweep reports (`solution.history` of staged runs: the last
    one without noise at every chi_max counts, discarded weights only), or pairs (x, energy). A least-squares line whose
    deviations are taken as proportional to x, so that small ones weigh most. For energies of settled runs only.
    Raises StateError where points are too few, equal, not finite or at zero already.

    >>> extrapolate([(1e-4, -0.9998), (2e-4, -0.9996), (4e-4, -0.9992)])
    Extrapolation(-1.000000 +- 4.0e-05 from 3 points by trunc_err: 2.0e-04 below the best, fit 0.0e+00)
    """
    if by not in MEASURES:
        raise SettingsError(f"energies are extrapolated by discarded weight or variance, found {by!r}. {_known(by)}")
    if not isinstance(points, Sequence):
        raise StateError(f"an extrapolation needs a list of at least 3 points, found {type(points).__name__}.")
    pairs = np.array(_pairs(points, by), dtype=np.float64).reshape(-1, 2)
    _check(pairs, by)
    x, energies = pairs[np.argsort(-pairs[:, 0], kind="stable")].T
    # in units of the smallest x and energies above the best: no digits are lost
    scale, best = x[-1], energies[-1]
    design = np.column_stack([scale / x, np.ones(len(x))])
    aim = (energies - best) * scale / x
    (offset, slope), *_ = np.linalg.lstsq(design, aim)
    rest = aim - design @ (offset, slope)
    rest[np.abs(rest) <= 4 * np.finfo(np.float64).eps * np.abs(energies).max()] = 0.0
    spread = float(rest @ rest) / (len(x) - 2)
    fit_error = float(np.sqrt(spread * np.linalg.inv(design.T @ design)[0, 0]))
    distance = abs(float(offset))
    error = float(np.hypot(fit_error, _SHARE * distance))
    return Extrapolation(best + float(offset), error, float(slope) / scale, fit_error, distance, by, x, energies)


def _known(by: Any) -> str:
    return suggest(str(by), MEASURES)


def _pairs(points: Any, by: str) -> list[tuple[float, float]]:
    """(x, energy) of every point that counts."""
    last_of: dict[int, SweepReport] = {}
    pairs: list[tuple[float, float]] = []
    for point in points:
        if isinstance(point, Solution):
            pairs.append((_measure(point, by), float(point.energy)))
        elif isinstance(point, SweepReport):
            if by != "trunc_err":
                raise StateError("sweep reports hold no variance: extrapolate them by trunc_err, or pass solutions.")
            if point.noise == 0:
                last_of[point.chi_max] = point
        else:
            pairs.append(_pair(point))
    return pairs + [(report.sum_trunc_err, report.energy) for report in last_of.values()]


def _measure(solution: Solution, by: str) -> float:
    if by == "variance":
        if solution.variance is None:
            raise StateError(
                "a solution without variance (interrupted, or of an infinite chain) is no point of a line."
            )
        return solution.variance
    if not solution.history:
        raise StateError("a solution without history has no discarded weight.")
    return solution.history[-1].sum_trunc_err


def _pair(point: Any) -> tuple[float, float]:
    try:
        x, energy = point
        return float(x), float(energy)
    except (TypeError, ValueError) as error:
        raise StateError(
            f"points are solutions, sweep reports or pairs (x, energy), found {type(point).__name__}."
        ) from error


def _check(pairs: np.ndarray, by: str) -> None:
    """A line with an error needs three different places off zero."""
    if not np.isfinite(pairs).all():
        raise StateError(f"a point is not finite: {pairs[~np.isfinite(pairs).all(axis=1)][0].tolist()}.")
    if (pairs[:, 0] <= 0).any():
        raise StateError(
            f"a point has no {MEASURES[by]} (found {pairs[:, 0].min():.1e}): its energy is exact already, nothing is "
            "left to extrapolate."
        )
    different = len(np.unique(pairs[:, 0]))
    if different < 3:
        raise StateError(
            f"an extrapolation with an error bar needs at least 3 points of different {MEASURES[by]}, found "
            f"{different} (of {len(pairs)}): run more bond dimensions."
        )
