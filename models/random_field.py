"""The Heisenberg chain in a random field: the standard model of many-body localisation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.heisenberg import add_exchange
from tnsim.models.model import Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, spin_sites


@dataclass(frozen=True, kw_only=True)
class RandomFieldHeisenberg(Model):
    """J sum_i S_i . S_{i+1} + sum_i h_i Sz_i with h_i uniform in [-W, W], drawn from `seed`."""

    S: float = setting(0.5, "spin length")
    J: float = setting(1.0, "exchange")
    W: float = setting(1.0, "half width of the field distribution")
    seed: int = setting(0, "of the fields")
    conserve: str | None = setting("Sz", "conserved quantity: Sz, parity or none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.W < 0:
            raise SettingsError(f"RandomFieldHeisenberg: W must not be negative, found {self.W}.")

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return spin_sites(self.L, self.S, self.conserve)

    @cached_property
    def fields(self) -> np.ndarray:
        """The field of every site."""
        return np.random.default_rng(self.seed).uniform(-self.W, self.W, self.L)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for i in range(self.L - 1):
            add_exchange(H, i, i + 1, self.J, self.J)
        for i, h in enumerate(self.fields.tolist()):
            H += h, "Sz", i
        return H
