"""Thermal states as operators, from a high temperature down by squaring: exp(-b H)^2 = exp(-2 b H).

Source: B.-B. Chen, L. Chen, Z. Chen, W. Li, A. Weichselbaum, Phys. Rev. X 8, 031082 (2018).
"""

import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.evolution import checked_observe, middle_entropy
from tnsim.algorithms.evolution.evolution_report import Evolved, Measurement
from tnsim.algorithms.evolution.mpo_evolution import MPOEvolution
from tnsim.algorithms.evolution.thermal import ThermalStates, averages, checked_beta, from_rows
from tnsim.errors import OperatorError, SettingsError, check_fields
from tnsim.linalg import Truncation
from tnsim.networks.apply import apply_with_weight, check_method
from tnsim.networks.mpo import MPO
from tnsim.networks.purification import as_operator, infinite_temperature, purified_operator

_DONE = "nothing to do; lower tau and raise chi_max to lower the errors."


@dataclass(frozen=True, kw_only=True)
class ThermalDoubling:
    """Thermal states at beta, beta / 2, beta / 4, ...: `ThermalDoubling(...).run(H, beta=...)`, H an MPO with sites.

    exp(-b H) for a small b comes from evolution MPOs of order 4; after that every step applies the operator to itself,
    so that beta takes log2(beta / tau) of them, each O(L d^2 chi^4) by zip-up. Errors: O(tau^4), and those of cuts,
    relative to the operator's Frobenius norm, which double with every squaring. `Purification` makes other errors:
    compare the two. Complex numbers throughout, as the evolution MPOs are.

    >>> from tnsim.networks.operator_sum import OperatorSum
    >>> from tnsim.networks.sites import spin_sites
    >>> H = OperatorSum().add(1.0, "Sz", 0).add(1.0, "Sz", 1).mpo(spin_sites(2))
    >>> thermal = ThermalDoubling(truncation=Truncation(chi_max=4)).run(H, beta=2.0)
    >>> bool(np.allclose(thermal.energies, -np.tanh(thermal.betas / 2))), float(thermal.betas[-1])
    (True, 2.0)
    """

    truncation: Truncation = field(metadata={"help": "how bonds are cut; chi_max has no default"})
    tau: float = field(default=0.05, metadata={"help": "largest beta that evolution MPOs make"})
    apply: str = field(
        default="zip-up", metadata={"help": "how an MPO is applied: zip-up, variational, density-matrix, src or svd"}
    )
    specific_heat: bool = field(default=True, metadata={"help": "measure the variance of H at every temperature"})

    def __post_init__(self) -> None:
        check_fields(self)
        check_method(self.apply)
        if not 0 < self.tau < np.inf:
            raise SettingsError(f"tau must be positive and finite, found {self.tau!r}.")

    def run(self, H: MPO, *, beta: float, observe: Mapping[str, Measurement] | None = None) -> ThermalStates:
        """Thermal averages in ascending order of beta, which is the last; observe as in `Purification.run`.

        Raises SettingsError for a beta that is not positive and finite, OperatorError for what is no Hermitian MPO with
        sites.
        """
        beta, observe = checked_beta(beta), checked_observe(observe)
        if not isinstance(H, MPO) or H.sites is None:
            raise OperatorError(f"squaring needs an MPO with sites, as H.mpo(sites) makes it, found {H!r}.")
        mpo = purified_operator(H)
        first = beta / 2 ** max(0, int(np.ceil(np.log2(beta / self.tau))))
        evolved = MPOEvolution(dt=first / 2, order=4, truncation=self.truncation, imaginary=True, apply=self.apply).run(
            mpo, infinite_temperature(H.sites, backend=H.backend), time=first / 2
        )
        records: dict[str, list[Any]] = {name: [] for name in observe}
        reached, rows = first, []
        while True:
            rows.append((reached, *averages(mpo, evolved, self.specific_heat)))
            for name, measure in observe.items():
                records[name].append(measure(evolved.state))
            if reached > 0.75 * beta:
                return from_rows(H.sites, rows, records, evolved)
            evolved, reached = self._squared(mpo, evolved, H.sites), 2 * reached

    def _squared(self, mpo: MPO, evolved: Evolved, sites: Any) -> Evolved:
        """exp(-beta H / 2) from exp(-beta H / 4), as a report of the same run."""
        begin, last = clock.perf_counter(), evolved.history[-1]
        root = purified_operator(as_operator(evolved.state, sites))
        psi, weight = apply_with_weight(root, evolved.state, self.truncation, self.apply)
        # X |1> = n |psi> with log n = log_norm + log(d^L) / 2, and the square of X on |1> is n X |psi>
        scale = sum(np.log(site.dim) for site in sites) / 2
        size, psi = psi.norm(), psi / psi.norm()
        energy = averages(mpo, replace(evolved, state=psi), False)[0]
        report = replace(
            last, step=last.step + 1, time=2 * last.time, energy=energy, trunc_err=weight,
            log_norm=2 * last.log_norm + scale + float(np.log(size)),
            sum_trunc_err=last.sum_trunc_err + weight, chi=max(psi.bond_dimensions), entropy=middle_entropy(psi),
            seconds=clock.perf_counter() - begin,
        )  # fmt: skip
        return Evolved(psi, replace(evolved.status, advice=_DONE), (*evolved.history, report), MappingProxyType({}))
