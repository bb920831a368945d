"""The norm of an infinite PEPS as a network in the plane: what CTMRG contracts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tnsim.backend import Backend
from tnsim.networks.peps.peps import InfinitePEPS
from tnsim.tensor import Tensor


@dataclass(frozen=True, eq=False)
class NormNetwork:
    """<psi|psi>: every site stands for ket and bra, one above the other; ln Z per site is ln of the norm per site."""

    psi: InfinitePEPS

    log_scale = 0.0

    @property
    def impurities(self) -> Mapping[str, Tensor]:
        """None: a state is measured by operators."""
        return MappingProxyType({})

    @property
    def rows(self) -> tuple[tuple[Tensor, ...], ...]:
        """The kets in rows."""
        return tuple(tuple(self.psi.tensors[n] for n in row) for row in self.psi.pattern)

    @property
    def sites(self) -> int:
        """Places in the cell."""
        return self.psi.shape[0] * self.psi.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.psi.dtype

    @property
    def backend(self) -> Backend:
        return self.psi.backend
