"""Thermal averages by sampling: minimally entangled typical thermal states (METTS).

Sources: S. R. White, Phys. Rev. Lett. 102, 190601 (2009); E. M. Stoudenmire, S. R. White, New J. Phys. 12, 055026
(2010), sections 2 and 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution, Evolved, Measurement, checked_observe
from tnsim.algorithms.evolution.thermal import check_cooling, checked_beta
from tnsim.algorithms.solution import Status
from tnsim.backend import generator
from tnsim.errors import SettingsError, StateError, check_fields
from tnsim.measure.sample import Basis, collapse
from tnsim.measure.series_average import SeriesAverage, series_average
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site

# less independent samples than this give no error bar to trust
_FEW = 10


@dataclass(frozen=True)
class ThermalSamples:
    """A walk through typical states at one inverse temperature beta.

    energies, records: one entry a typical state, in order, warm-up left out; `average(name)` has their means and error
    bars; sum_trunc_err: largest discarded weight of one cooling; chi: largest bond dimension; state: the last typical
    state, from which another run goes on (with warm_up = 0 and another seed).
    """

    beta: float
    energies: np.ndarray
    records: Mapping[str, np.ndarray]
    state: MPS
    sum_trunc_err: float
    chi: int
    status: Status

    @property
    def energy(self) -> SeriesAverage:
        """Of the whole chain; `energy.mean`, `energy.error`, `energy.correlation_time`."""
        return series_average(self.energies)

    def average(self, name: str) -> SeriesAverage:
        """Mean and error bar of what was observed under that name."""
        return series_average(self[name])

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.records:
            raise SettingsError(f"nothing was recorded as {name!r}; there is {sorted(self.records)}: see `observe`.")
        return self.records[name]

    def __repr__(self) -> str:
        lines = [f"ThermalSamples({self.status.name}): {len(self.energies)} typical states at beta = {self.beta:.6g}"]
        if len(self.energies) > 1:
            lines.append(f"  energy         {self.energy!r}")
        lines.append(f"  discarded      {self.sum_trunc_err:.2e} in one cooling at most, bond dimension {self.chi}")
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class METTS:
    """Thermal averages over typical states: `METTS(cooling=..., samples=...).run(H, psi, beta=...)`.

    A product state is cooled to beta / 2, measured, and collapsed to the next product state. Its averages are those of
    exp(-beta H) in the charge sector of psi: all states where the sites conserve nothing, a canonical ensemble where
    they do (Purification sums over all sectors). Error bars fall as 1 / sqrt(samples); those of dt and of cuts are to
    be added. Bonds are those of pure states: for low temperatures and wide systems, where purification is dear.

    Collapses take the `bases` in turn. Neighbouring samples are correlated, less so where bases alternate: by default
    between the states of the sites and "Sx" where all sites have it and conserve nothing, else the states of the sites.

    >>> from tnsim.algorithms.evolution.tdvp import TDVP
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.operator_sum import OperatorSum
    >>> from tnsim.networks.sites import spin_sites
    >>> sites = spin_sites(2, conserve=None)
    >>> H = OperatorSum().add(1.0, "Sz", 0).add(1.0, "Sz", 1).mpo(sites)
    >>> cooling = TDVP(dt=0.25, truncation=Truncation(chi_max=2), imaginary=True)
    >>> found = METTS(cooling=cooling, samples=40).run(H, MPS.product(sites, ["up", "down"]), beta=1.0).energy
    >>> bool(abs(found.mean + np.tanh(0.5)) < 3 * found.error)
    True
    """

    cooling: Evolution = field(metadata={"help": "evolution in imaginary time, such as TDVP(..., imaginary=True)"})
    samples: int = field(metadata={"help": "typical states to measure on"})
    warm_up: int = field(default=10, metadata={"help": "typical states before those"})
    bases: tuple[Basis, ...] = field(
        default=(), metadata={"help": "of the collapses in turn, each as in `sample`; empty chooses"}
    )
    seed: int = field(default=0, metadata={"help": "of the collapses"})

    def __post_init__(self) -> None:
        check_fields(self)
        check_cooling(self.cooling)
        if self.samples < 2 or self.warm_up < 0 or self.seed < 0:
            raise SettingsError(
                f"samples must be at least 2, warm_up and seed not negative; found {self.samples}, {self.warm_up} and "
                f"{self.seed}."
            )
        if not all(basis is None or isinstance(basis, str | Mapping) for basis in self.bases):
            raise SettingsError(f"bases are names of operators, mappings or None, as in sample; found {self.bases!r}.")

    def run(self, H: Any, psi: MPS, *, beta: float, observe: Mapping[str, Measurement] | None = None) -> ThermalSamples:
        """Averages at one inverse temperature, from a collapse of psi on; H is what the cooling takes.

        observe: functions of a typical state (of norm 1). Where a budget of the cooling ends it, what was measured
        before is returned. Raises SettingsError for a beta that is not positive and finite, StateError, ChargeError,
        OperatorError or ShapeError for what does not fit.
        """
        if not isinstance(psi, MPS):
            raise StateError(f"typical states are finite: start from an MPS, found {type(psi).__name__}.")
        walk = _Walk(self, H, psi, checked_beta(beta), checked_observe(observe))
        for number in range(self.warm_up + self.samples):
            if not walk.step(measured=number >= self.warm_up):
                break
        return walk.result()


class _Walk:
    """Typical states one after the other, and what was measured on them."""

    def __init__(self, settings: METTS, H: Any, psi: MPS, beta: float, observe: Mapping[str, Measurement]) -> None:
        self.settings, self.H, self.psi, self.beta, self.observe = settings, H, psi, beta, observe
        self.bases: tuple[Basis, ...] = settings.bases or default_bases(psi.sites)
        self.rng, self.count = generator(settings.seed), 0
        self.energies: list[float] = []
        self.records: dict[str, list[Any]] = {name: [] for name in observe}
        self.weight, self.chi = 0.0, 1
        self.last: Evolved | None = None

    def step(self, *, measured: bool) -> bool:
        """Collapse, cool and measure; whether the cooling arrived."""
        start = collapse(self.psi, seed=self.rng, basis=self.bases[self.count % len(self.bases)])
        self.last = self.settings.cooling.run(self.H, start, time=self.beta / 2)
        self.weight = max(self.weight, self.last.sum_trunc_err)
        self.chi = max(self.chi, *(report.chi for report in self.last.history))
        if abs(self.last.history[-1].time - self.beta / 2) > 1e-6 * self.beta:
            return False
        self.count, self.psi = self.count + 1, self.last.state
        if measured:
            assert self.last.energy is not None  # H is Hermitian
            self.energies.append(self.last.energy)
            for name, measure in self.observe.items():
                self.records[name].append(measure(self.psi))
        return True

    def result(self) -> ThermalSamples:
        records = {name: np.array(values) for name, values in self.records.items()}
        return ThermalSamples(
            self.beta, np.array(self.energies), MappingProxyType(records), self.psi, self.weight, self.chi,
            self._status(),
        )  # fmt: skip

    def _status(self) -> Status:
        assert self.last is not None
        found = len(self.energies)
        if found < self.settings.samples:
            return self.last.status
        independent = found / (2 * max(0.5, float(series_average(self.energies).correlation_time)))
        if independent < _FEW:
            return Status(
                "finished, few samples",
                False,
                f"{found} samples are worth {independent:.1f} independent ones, too few for an error bar: raise samples"
                ", or alternate between bases.",
            )
        return Status("finished", True, "nothing to do; raise samples to lower the error bars.")


def default_bases(sites: tuple[Site, ...]) -> tuple[Basis, ...]:
    """The sites' own states, and Sx in turn with them where it mixes no charges."""
    free = all(len(set(site.charges)) == 1 and "Sx" in site.operators for site in sites)
    return (None, "Sx") if free else (None,)
