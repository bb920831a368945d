"""How far the environment of a corner run can be trusted: a falsely converged one is silent otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tnsim.errors import NumericalError

# a second corner value below this is none
_COLLAPSED = 1e-10
# values of a spectrum that are kept for a comparison
_COMPARED = 8
# correlations over more sites than this are no product
_CHAIN = 0.1
# a second eigenvalue of the edges this close to the first: correlations over 10^6 sites
_SEVERAL = 1e-6


@dataclass(frozen=True)
class Certificate:
    """How far an environment can be trusted: everything at chi and at 3/2 chi, and what is wrong.

    log_z: per site; means: of the impurities; corners: leading values of the corner spectrum; lengths: correlation
    lengths from the edges along rows and columns (NaN where they did not converge); chis: the bonds that there really
    were, which end below chi_max where no more values stand above rounding; cut: the root of the weight that the first
    run discards.
    """

    log_z: float
    log_z_larger: float
    means: Mapping[str, float]
    means_larger: Mapping[str, float]
    problems: tuple[str, ...]
    corners: tuple[np.ndarray, np.ndarray] = field(default=(np.zeros(0), np.zeros(0)), repr=False)
    lengths: tuple[tuple[float, float], tuple[float, float]] = ((np.nan, np.nan), (np.nan, np.nan))
    chis: tuple[int, int] = (0, 0)
    cut: float = 0.0

    @property
    def saturated(self) -> bool:
        """Whether bonds did not grow: then nothing larger was compared with, and only what is cut tells."""
        return self.chis[1] <= self.chis[0]

    @property
    def error(self) -> float:
        """How far ln Z per site moved; at least what is cut, where bonds did not grow."""
        return self.at_least(abs(self.log_z - self.log_z_larger))

    def at_least(self, moved: float) -> float:
        """How far a number moved, or what is cut where there was nothing to move it."""
        return max(moved, self.cut) if self.saturated else moved

    @property
    def corner_shift(self) -> float:
        """The largest move of the leading corner values."""
        count = min(map(len, self.corners))
        return float(np.abs(self.corners[0][:count] - self.corners[1][:count]).max(initial=0.0))

    def __repr__(self) -> str:
        moved = abs(self.log_z - self.log_z_larger)
        lines = [f"Certificate: ln Z per site moves by {moved:.1e} from chi {self.chis[0]} to {self.chis[1]}"]
        if self.saturated:
            lines = [
                f"Certificate: bonds end at {self.chis[0]}, where the spectrum does: nothing larger can be compared, "
                f"and the root of what is cut is {self.cut:.1e}"
            ]
        lines += [f"  {name} moves by {abs(value - self.means_larger[name]):.1e}" for name, value in self.means.items()]
        lines.append(f"  the corner spectrum moves by {self.corner_shift:.1e}")
        for name, small, large in zip(("rows", "columns"), *self.lengths, strict=True):
            lines.append(f"  correlation length along {name} {small:.4g}, at 3/2 chi {large:.4g}")
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems or ("nothing is wrong",))])


def certificate_of(solution: Any, larger: Any, tol: float) -> Certificate:
    """Of a solution and the one that went on from it at 3/2 chi; tol: to which the corners were to converge."""
    found = [_leading(run.environment) for run in (solution, larger)]
    lengths = tuple(_lengths(run.environment) for run in (solution, larger))
    made = Certificate(
        solution.log_z, larger.log_z, solution.means, larger.means, (), (found[0], found[1]), (lengths[0], lengths[1]),
        (solution.environment.chi, larger.environment.chi), float(np.sqrt(solution.history[-1].trunc_err)),
    )  # fmt: skip
    return replace(made, problems=_problems(made, solution, larger, tol))


def _problems(made: Certificate, solution: Any, larger: Any, tol: float) -> tuple[str, ...]:
    problems = [] if solution.status.converged else [f"the run ended as {solution.status.name}"]
    if not larger.status.converged:
        problems.append(f"the run at 3/2 chi ended as {larger.status.name}")
    values = made.corners[0]
    longest = max(made.lengths[0], key=lambda length: -1.0 if np.isnan(length) else length)
    if len(values) < 2 or values[1] < _COLLAPSED:
        problems.append("the corner has collapsed to rank 1: start from another edge, unless the state is a product")
        if longest > _CHAIN:
            problems.append(
                f"the corner has rank 1 though correlations reach {longest:.3g} sites along one axis: the lattice is a "
                "set of chains (or nearly one); contract it in one dimension, or check against a boundary MPS"
            )
    elif made.corner_shift > max(1e3 * tol, 0.1):
        problems.append(
            f"the leading corner values move by {made.corner_shift:.1e} at 3/2 chi: the run had not converged, or left "
            "a fixed point that is not stable; go on from the larger one"
        )
    if longest > 1 / _SEVERAL:
        problems.append(
            "the edges have two leading eigenvalues: several states are superposed; break the symmetry by the start, "
            "and one of translations in environments of their own (share=False)"
        )
    if any(np.isnan(length) for length in made.lengths[0]):
        problems.append("the spectrum of the edges did not converge: correlations are longer than chi resolves")
    return tuple(problems)


def _leading(environment: Any) -> np.ndarray:
    return np.sort(np.abs(environment.spectrum.values))[::-1][:_COMPARED]


def _lengths(environment: Any) -> tuple[float, float]:
    """Along rows and along columns."""
    try:
        return environment.sandwich_lengths()
    except NumericalError:
        return float("nan"), float("nan")
