"""When a ground-state search may call itself converged, and what it advises where it may not."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim.algorithms.solution import Progress, Solution, Status
from tnsim.measure.entanglement import entropy

# how far the projected gradient may stand above tolerance and truncation error
_SLACK = 10.0
# a variance is explained by truncation up to this multiple of the summed discarded weight (times the squared
# energy of a bond where that is above 1); measured: about 10 for the Heisenberg chain
_VARIANCE_PER_WEIGHT = 100.0
# entanglement entropies below this are rounding, and what svd_min left
_PRODUCT = 1e-9
# a squared overlap with a lower state below this changes energies by less than energy_tol
_ORTHOGONAL = 1e-10
# two sites discard up to this many times what one site with an expansion does (measured: 2 to 10)
_UNSEEN = 10.0


def is_converged(settings: Any, progress: Progress) -> bool:
    """All criteria of a sweep, and bonds that did not grow in it."""
    return progress.history[-1].expansion == 0 and has_settled(settings, progress)


def has_settled(settings: Any, progress: Progress) -> bool:
    """The criteria of a sweep: count, full bond dimension, no noise, energy, entropy, gradient."""
    last = progress.history[-1]
    sweeps = len(progress.history)
    settled = (
        sweeps >= settings.min_sweeps and sweeps > len(settings.chi_ramp)
        and last.noise == 0 and sweeps > settings.float32_sweeps
    )  # fmt: skip
    return bool(
        settled
        and abs(last.energy_change) <= max(settings.energy_tol, last.sum_trunc_err * 0.1)
        and last.entropy_change <= max(settings.entropy_tol, np.sqrt(last.max_trunc_err))
        and gradient_is_small(settings, last.gradient, last.max_trunc_err)
    )


def gradient_is_small(settings: Any, gradient: float, trunc_err: float) -> bool:
    """Refuse a run whose gradient stands above tolerance and truncation error."""
    return gradient <= _SLACK * max(settings.gradient_tol, np.sqrt(trunc_err))


def needs_second_start(settings: Any, solution: Solution) -> bool:
    """A run that settled at a variance which neither the tolerance nor the truncation explains: a local minimum.

    Or in a product state, which may be one of many eigenstates. One that max_sweeps cut short is only not finished.
    """
    return is_converged(settings, solution.progress) and (
        variance_is_large(settings, solution.progress, solution.variance) or ended_in_product(settings, solution)
    )


def ended_in_product(settings: Any, solution: Solution) -> bool:
    """Whether nothing is entangled, though it was allowed to be."""
    return settings.truncation.chi_max > 1 and float(entropy(solution.state).max()) < _PRODUCT


def variance_is_large(settings: Any, progress: Progress, variance: float | None) -> bool:
    """Whether a variance exceeds its tolerance and what the discarded weight explains."""
    if variance is None or not progress.history:
        return False
    last = progress.history[-1]
    scale = max(1.0, abs(last.energy) / max(1, len(progress.bond_trunc_errs))) ** 2
    weight = last.sum_trunc_err * (_UNSEEN if settings.sites == 1 else 1.0)
    return variance > max(settings.variance_tol, _VARIANCE_PER_WEIGHT * scale * weight)


def is_orthogonal(progress: Progress, overlaps: Sequence[float]) -> bool:
    """Whether the squared overlaps with lower states are what truncation explains: the last cut brings them back."""
    return max(overlaps, default=0.0) ** 2 <= max(_ORTHOGONAL, _SLACK * progress.history[-1].sum_trunc_err)


def judge(
    settings: Any, progress: Progress, variance: float | None, stop_reason: str, overlaps: Sequence[float] = ()
) -> Status:
    """The status of a run that has ended."""
    if stop_reason:
        return Status("interrupted", False, f"{stop_reason}; resume it to go on at the same bond.")
    last = progress.history[-1]
    again = " after a second start" if progress.restarts else ""
    if is_converged(settings, progress) and variance_is_large(settings, progress, variance):
        return Status(
            "high variance",
            False,
            f"the variance {variance:.2e} exceeds what truncation explains{again}: the state is no eigenstate; raise "
            "chi_max or max_sweeps, start from another state, or raise the noise.",
        )
    if is_converged(settings, progress) and not is_orthogonal(progress, overlaps):
        return Status(
            "not orthogonal",
            False,
            f"the overlap {max(overlaps):.1e} with a lower state exceeds what truncation explains{again}: raise "
            "chi_max.",
        )
    if is_converged(settings, progress):
        return Status("converged" + again, True, "nothing to do; raise chi_max to lower the discarded weight.")
    if not gradient_is_small(settings, last.gradient, last.max_trunc_err):
        return Status(
            "gradient above tolerance",
            False,
            f"the projected gradient {last.gradient:.1e} stands above gradient_tol and the truncation error: raise "
            "max_sweeps or krylov_max.",
        )
    change = f"the last sweep changed the energy by {last.change}"
    if len(progress.history) == 1:
        change = "after a single sweep no change of the energy is known"
    return Status("max_sweeps reached", False, f"{change}: raise max_sweeps, or resume with more.")
