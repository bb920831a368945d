"""Thermal states by purification: from infinite temperature down, in imaginary time.

Sources: F. Verstraete, J. J. Garcia-Ripoll, J. I. Cirac, Phys. Rev. Lett. 93, 207204 (2004); A. E. Feiguin,
S. R. White, Phys. Rev. B 72, 220401 (2005).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import Evolution, Evolved, Measurement, checked_observe
from tnsim.algorithms.evolution.tebd import TEBD
from tnsim.algorithms.solution import Status
from tnsim.errors import OperatorError, SettingsError, check_fields
from tnsim.linalg import Truncation
from tnsim.measure.operator import expect_mpo
from tnsim.measure.variance import energy_and_variance
from tnsim.networks.disentangle import disentangled
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.purification import density_operator, infinite_temperature, purified_operator, purified_site
from tnsim.networks.sites import Site


@dataclass(frozen=True)
class ThermalStates:
    """Equilibrium against the inverse temperature, of the whole chain, in units of H (Boltzmann's constant is 1).

    betas, temperatures, energies, free_energies, entropies (natural logarithm), specific_heats (NaN where they were not
    asked for or take too much memory); records: what was observed, first axis that of betas; state: the purification
    at the last beta; evolved: the run, with its errors; sites: those without ancillas.
    """

    betas: np.ndarray
    energies: np.ndarray
    free_energies: np.ndarray
    entropies: np.ndarray
    specific_heats: np.ndarray
    records: Mapping[str, np.ndarray]
    state: MPS
    evolved: Evolved
    sites: tuple[Site, ...]

    def density_operator(self, truncation: Truncation) -> MPO:
        """The thermal state at the last beta as an MPO of trace 1 on the sites without ancillas; see
        `networks.purification.density_operator`."""
        return density_operator(self.state, self.sites, truncation)

    @property
    def temperatures(self) -> np.ndarray:
        """1 / beta."""
        return 1 / self.betas

    @property
    def status(self) -> Status:
        """How the cooling ended; where it stopped early, the last betas are missing."""
        return self.evolved.status

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.records:
            raise SettingsError(f"nothing was recorded as {name!r}; there is {sorted(self.records)}: see `observe`.")
        return self.records[name]

    def __repr__(self) -> str:
        last = self.evolved.history[-1]
        lines = [f"ThermalStates({self.status.name}): {len(self.betas)} temperatures"]
        if len(self.betas):
            lines[0] += f" from {self.temperatures[0]:.4g} to {self.temperatures[-1]:.4g}"
            lines.append(f"  energy         {self.energies[-1]:.12g} at the last")
        lines.append(f"  discarded      {last.sum_trunc_err:.2e} in all, bond dimension {last.chi}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Purification:
    """Thermal states in all sectors of the conserved charges: `Purification(cooling=...).run(H, betas)`.

    cooling is any evolution in imaginary time; it works on sites of dimension d^2 (a site and its ancilla) to
    beta / 2. Its errors are those of the result: of the square of dt times the order, and of cuts. A chemical potential
    or a field is a term of H. Unitaries on ancillas change no average: `disentangle` chooses them for small bonds. It
    pays at low temperatures, where the cooled state has twice the entanglement it needs; list some betas on the way.

    >>> from tnsim.algorithms.evolution.tdvp import TDVP
    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.sites import spin_sites
    >>> H = OperatorSum().add(1.0, "Sz", 0).add(1.0, "Sz", 1)
    >>> cooling = TDVP(dt=0.1, truncation=Truncation(chi_max=8), imaginary=True)
    >>> thermal = Purification(cooling=cooling).run(H, [0.5, 2.0], sites=spin_sites(2))
    >>> bool(np.allclose(thermal.energies, -np.tanh(thermal.betas / 2)))
    True
    """

    cooling: Evolution = field(metadata={"help": "evolution in imaginary time, such as TDVP(..., imaginary=True)"})
    specific_heat: bool = field(default=True, metadata={"help": "measure the variance of H at every temperature"})
    disentangle: int = field(
        default=0, metadata={"help": "sweeps of unitaries on ancillas after every beta, for smaller bonds; 0: none"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        check_cooling(self.cooling)
        if self.disentangle < 0:
            raise SettingsError(f"disentangle is a number of sweeps, not negative, found {self.disentangle!r}.")

    def run(
        self,
        H: MPO | OperatorSum,
        betas: Sequence[float],
        *,
        sites: Sequence[Site] | None = None,
        observe: Mapping[str, Measurement] | None = None,
    ) -> ThermalStates:
        """Thermal averages at inverse temperatures, sorted; `sites` go with an OperatorSum, which TEBD needs.

        observe: functions of the purified state (of norm 1): `expect`, `correlation` and others measure thermal
        averages on it by the names of operators. Where a budget ends the cooling, what was reached is returned. Raises
        SettingsError for temperatures that are not positive and finite, OperatorError for what is no Hermitian H.
        """
        wanted = checked_betas(betas)
        mpo, generator, own = self._operators(H, sites)
        observe = checked_observe(observe)
        psi, evolved = infinite_temperature(own, backend=mpo.backend), None
        rows: list[tuple[float, float, float, float]] = []
        records: dict[str, list[Any]] = {name: [] for name in observe}
        for beta in wanted:
            # the budget of errors is spread over all temperatures
            cooling = replace(self.cooling, error_budget=self.cooling.error_budget * beta / wanted[-1])
            evolved = cooling.run(generator, psi, time=beta / 2, resume=evolved)
            if abs(evolved.history[-1].time - beta / 2) > 1e-6 * max(beta, self.cooling.dt):
                break
            if self.disentangle:
                evolved = self._turned(cooling, generator, evolved, own)
            psi = evolved.state
            rows.append((beta, *averages(mpo, evolved, self.specific_heat)))
            for name, measure in observe.items():
                records[name].append(measure(psi))
        assert evolved is not None
        return from_rows(own, rows, records, evolved)

    def _turned(self, cooling: Evolution, generator: Any, evolved: Evolved, sites: Sequence[Site]) -> Evolved:
        """The run with its ancillas turned; what that cuts is added to the last report and spends the budget."""
        lean, weight = disentangled(evolved.state, sites, cooling.truncation, sweeps=self.disentangle)
        *before, last = evolved.history
        turned = replace(evolved, state=lean, history=(*before, last.after_cuts(weight, 2 * self.disentangle)))
        return cooling.start(generator, lean, time=last.time, resume=turned).so_far()

    def _operators(self, H: Any, sites: Sequence[Site] | None) -> tuple[MPO, Any, Sequence[Site]]:
        """H on purified sites, what the cooling takes, and the sites without ancillas."""
        gates = isinstance(self.cooling, TEBD)
        if isinstance(H, MPO) and H.sites is not None and not gates:
            mpo = purified_operator(H)
            return mpo, mpo, H.sites
        if not isinstance(H, OperatorSum) or sites is None:
            wanted = "an OperatorSum, with its sites" if gates else "an MPO with sites, or an OperatorSum and its sites"
            raise OperatorError(f"this cooling needs {wanted}; found {type(H).__name__} and sites = {sites}.")
        if not isinstance(sites, Sequence) or not all(isinstance(site, Site) for site in sites):
            raise OperatorError(f"sites are a sequence of sites, such as spin_sites(10); found {sites!r}.")
        mpo = H.mpo([purified_site(site) for site in sites])
        return mpo, H if gates else mpo, sites


def averages(mpo: MPO, evolved: Evolved, specific_heat: bool) -> tuple[float, float, float]:
    """Energy, logarithm of the norm, and variance of H (NaN where there is none) of a purification."""
    if not specific_heat:
        return complex(expect_mpo(mpo, evolved.state)).real, evolved.history[-1].log_norm, np.nan
    energy, found = energy_and_variance(mpo, evolved.state)
    return energy, evolved.history[-1].log_norm, np.nan if found is None else found


def from_rows(
    sites: Sequence[Site], rows: Sequence[tuple[float, ...]], records: Mapping[str, list[Any]], evolved: Evolved
) -> ThermalStates:
    """Thermal quantities from rows of (beta, energy, logarithm of the purification's norm, variance)."""
    betas, energies, logarithms, spreads = np.array(rows).reshape(-1, 4).T
    log_z = float(sum(np.log(site.dim) for site in sites)) + 2 * logarithms
    return ThermalStates(
        betas, energies, -log_z / betas, betas * energies + log_z, betas**2 * spreads,
        MappingProxyType({name: np.array(values) for name, values in records.items()}), evolved.state, evolved,
        tuple(sites),
    )  # fmt: skip


def check_cooling(cooling: Evolution) -> None:
    """SettingsError for an evolution that does not lead to thermal states."""
    if not cooling.imaginary:
        raise SettingsError("cooling goes in imaginary time: set imaginary=True in its settings.")
    if cooling.non_hermitian:
        raise SettingsError("thermal states are of a Hermitian H: leave non_hermitian out.")


def checked_betas(betas: Sequence[float]) -> list[float]:
    """Inverse temperatures in ascending order."""
    given = np.asarray(betas).reshape(-1)
    found = np.sort(given.astype(float)) if given.dtype.kind in "iuf" else np.zeros(0)
    if not len(found) or not np.isfinite(found).all() or not found[0] > 0:
        raise SettingsError(
            f"inverse temperatures are positive and finite (temperatures above zero), at least one; found {betas!r}. "
            "The ground state (temperature 0) is found by DMRG."
        )
    return found.tolist()


def checked_beta(beta: float) -> float:
    """One inverse temperature."""
    if np.ndim(beta):
        raise SettingsError(f"beta is one inverse temperature, found {beta!r}.")
    return checked_betas([beta])[0]
