"""Time steps that follow an estimate of their error: every step is done at once and in two halves.

Source: E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary Differential Equations I, section II.4.
"""

from math import ceil
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.error_budget import CutShares
from tnsim.algorithms.evolution.evolution_report import Propagator
from tnsim.measure.transfer_spectrum import infidelity
from tnsim.networks.canonical import canonicalize
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mps import MPS

# a step is this much shorter than the one that would just do, and changes by these factors at most
_CAUTION, _SHRINK, _GROW = 0.9, 0.2, 2.0
_NEGLIGIBLE = 1e-9


class AdaptiveSteps:
    """A propagator whose steps are at most dt and as short as `tolerance`, an error per unit of time, wants them.

    A step from t to t + h counts as what two halves give; their distance from one whole step, over 2^order - 1, is its
    error. What cuts may have done to that distance is taken out: shorter steps would not mend it.

    length: of the next step; error: estimated in the last `advance`; gone: how far that came, which is not all of the
    way where a step would have been shorter than `shortest` (stalled).
    """

    def __init__(self, inner: Propagator, cuts: CutShares, tolerance: float, shortest: float, length: float) -> None:
        self.inner, self.cuts = inner, cuts
        self.tolerance, self.shortest, self.length = tolerance, shortest, length
        self.conserves, self.energy, self.entropy = inner.conserves, inner.energy, inner.entropy
        self.error = self.gone = 0.0
        self.stalled = False

    @property
    def state(self) -> Any:
        """The state as it stands."""
        return self.inner.state

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Over the time of some steps dt, in steps of its own."""
        way, longest, weight, log_norm = dt * steps, abs(dt), 0.0, 0.0
        self.error = self.gone = 0.0
        shared, cut_error = self.cuts.allowed, 0.0
        while abs(way - self.gone) > _NEGLIGIBLE * longest:
            left = way - self.gone
            trial = left / ceil(abs(left) / min(self.length, longest) - _NEGLIGIBLE)
            start = self.inner.remember()
            share = (shared - cut_error) * trial / left
            done, error, most, allowed = self._attempt(time + self.gone, trial, share)
            factor = _CAUTION * (allowed / max(error, 1e-300)) ** (1 / self.inner.order)
            wanted = abs(trial) * min(_GROW, max(_SHRINK, factor))
            if error <= allowed:
                self.gone, self.error = self.gone + trial, self.error + min(most, allowed)
                weight, log_norm, cut_error = weight + done[0], log_norm + done[1], cut_error + self.cuts.error
                self.length = min(longest, max(wanted, self.length) if factor >= 1 else wanted)
                continue
            self.inner.return_to(start)
            if wanted < self.shortest:
                self.stalled = True
                break
            self.length = wanted
        self.cuts.error = cut_error
        return weight, log_norm

    def _attempt(self, time: float, dt: float, share: float) -> tuple[tuple[float, float], float, float, float]:
        """One step in two halves: what `advance` returns, its estimated error, what that is where cuts hide some of it,
        and what it may be; share: of cuts, once in one step and once in two."""
        start = self.inner.remember()
        self.cuts.allow(share)
        coarse_weight, _ = self.inner.advance(time, dt, 1)
        coarse = self.inner.state
        self.inner.return_to(start)
        self.cuts.allow(share)
        done = self.inner.advance(time, dt / 2, 2)
        apart, cut = distance(coarse, self.inner.state), coarse_weight**0.5 + done[0] ** 0.5
        rounding = 100 * float(np.finfo(coarse.dtype).eps)
        allowed, rate = max(self.tolerance * abs(dt), rounding), 2**self.inner.order - 1
        return done, max(apart**2 - cut**2, 0.0) ** 0.5 / rate, apart / rate, allowed


def distance(first: MPS | InfiniteMPS, second: MPS | InfiniteMPS) -> float:
    """Norm of the difference of two states of norm 1; cost O(L d chi^3). Other norms are divided out.

    Exact to rounding; that of infinite states is per cell and without a phase.

    >>> from tnsim.networks.sites import spin_sites
    >>> up, down = (MPS.product(spin_sites(2, conserve=None), [name] * 2) for name in ("up", "down"))
    >>> round(distance(up, down), 6), round(distance(up * 2.0, up), 6)
    (1.414214, 0.0)
    """
    if isinstance(first, InfiniteMPS):
        assert isinstance(second, InfiniteMPS)
        return float(np.sqrt(2 * infidelity(first, second)))
    assert isinstance(second, MPS)
    # the norm of a sum by overlaps would be lost in rounding below 1e-8
    return canonicalize(first * (1 / first.norm()) - second * (1 / second.norm())).norm()
