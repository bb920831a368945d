"""Time evolution by MPOs of exp(z H), applied and cut: for any H that is an MPO, of any range.

Source: M. P. Zaletel, R. S. K. Mong, C. Karrasch, J. E. Moore, F. Pollmann, Phys. Rev. B 91, 165112 (2015).
"""

from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.evolution.error_budget import CutShares
from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.algorithms.evolution.whole_state import WholeState
from tnsim.errors import SettingsError, suggest
from tnsim.networks.apply import apply_with_weight, check_method
from tnsim.networks.evolution_mpo import METHODS, complex_steps, evolution_mpos
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.precision import matching_dtype

_LENGTHS = 8


@dataclass(frozen=True, kw_only=True)
class MPOEvolution(Evolution):
    """Time evolution by MPOs: `MPOEvolution(...).run(H, psi, time=...)`, H an MPO.

    The error of a step is O(dt^(order + 1)), that of a time O(dt^order), with terms of any range; each cut adds
    sqrt(discarded weight) at most. A step takes 2^(order - 1) MPOs of bond dimension w - 1, each applied at a cost of
    O(L d chi^3 w). In real time no step is quite unitary: `norm_drift` shows by how much.

    >>> from tnsim.linalg import Truncation
    >>> from tnsim.networks.operator_sum import OperatorSum, plus_hc
    >>> from tnsim.networks.sites import spin_sites
    >>> sites, H = spin_sites(4), OperatorSum()
    >>> for i in range(4):
    ...     for j in range(i):
    ...         H += plus_hc(0.5 / (i - j) ** 2, "S+", i, "S-", j)
    >>> psi = MPS.product(sites, ["up", "down"] * 2)
    >>> evolved = MPOEvolution(dt=0.05, truncation=Truncation(chi_max=8)).run(H.mpo(sites), psi, time=1.0)
    >>> evolved.status.name, abs(evolved.history[-1].norm_drift) < 1e-3
    ('finished', True)
    """

    order: int = field(default=2, metadata={"help": "1, 2, 3 or 4: complex steps"})
    method: str = field(default="W-II", metadata={"help": "W-II or W-I", "choices": METHODS})
    apply: str = field(
        default="zip-up", metadata={"help": "how an MPO is applied: zip-up, variational, density-matrix, src or svd"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        complex_steps(self.order)
        check_method(self.apply)
        if self.method not in METHODS:
            raise SettingsError(f"unknown evolution MPO {self.method!r}. {suggest(self.method, METHODS)}")

    def propagator(self, H: MPO, psi: MPS) -> "OperatorEvolution":
        """The state under its MPOs. Raises OperatorError, ShapeError, LegError, BackendError or StateError for wrong
        input."""
        return OperatorEvolution(self, H, psi)


class OperatorEvolution(WholeState):
    """The MPOs of a step, applied one after the other."""

    settings: MPOEvolution

    def __init__(self, settings: MPOEvolution, H: MPO, psi: MPS) -> None:
        super().__init__(settings, H, psi)
        self.cuts = CutShares(settings.truncation)
        self._mpos: dict[float, tuple[MPO, ...]] = {}

    @property
    def order(self) -> int:
        """Of the step."""
        return self.settings.order

    def advance(self, time: float, dt: float, steps: int) -> tuple[float, float]:
        """Some steps; the state has norm 1 after every MPO."""
        self._weight = self._log_norm = 0.0
        mpos = self._step(dt) * steps
        for number, mpo in enumerate(mpos):
            rule = self.cuts.rule(self._psi.L - 1, len(mpos) - number)
            psi, weight = apply_with_weight(mpo, self._psi, rule, self.settings.apply)
            self.cuts.spend(weight)
            self._replace(psi, weight)
        if not self.settings.imaginary:
            self._norm *= float(np.exp(self._log_norm))
        return self._weight, self._log_norm

    def _step(self, dt: float) -> tuple[MPO, ...]:
        if dt not in self._mpos:
            if len(self._mpos) > _LENGTHS:  # steps that adapt have ever new lengths
                self._mpos.clear()
            factor = self.settings.generator * dt
            mpos = evolution_mpos(self.hamiltonian, factor, order=self.settings.order, method=self.settings.method)
            self._mpos[dt] = tuple(mpo.astype(matching_dtype(self._psi.dtype, mpo)) for mpo in mpos)
        return self._mpos[dt]
