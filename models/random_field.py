"""The Heisenberg model in a random field: the standard model of many-body localisation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tnsim.errors import SettingsError
from tnsim.models.coupling import Coupling
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel
from tnsim.networks.operator_sum import OperatorSum


@dataclass(frozen=True, kw_only=True)
class RandomFieldHeisenberg(SpinModel):
    """J sum S_i . S_j over nearest neighbours + sum_i h_i Sz_i with h_i uniform in [-W, W], drawn from `seed`.

    >>> RandomFieldHeisenberg(L=4, W=2.0, seed=1).fields.shape
    (4,)
    """

    J: Coupling = setting(1.0, "exchange", over=1)
    W: float = setting(1.0, "half width of the field distribution")
    seed: int = setting(0, "of the fields")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.W < 0:
            raise SettingsError(f"RandomFieldHeisenberg: W must not be negative, found {self.W}.")

    @cached_property
    def fields(self) -> np.ndarray:
        """The field of every site."""
        return np.random.default_rng(self.seed).uniform(-self.W, self.W, self.L)

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        self.add_isotropic(H, "J")
        for i, h in enumerate(self.fields.tolist()):
            H += h, "Sz", i
        return H
