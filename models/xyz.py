"""The fully anisotropic spin model, with Dzyaloshinskii-Moriya exchange and fields in every direction."""

from dataclasses import dataclass

import numpy as np

from tnsim.models.coupling import Coupling
from tnsim.models.exact.free_fermions import PairedGround
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel, add_exchange, exchange_matrix
from tnsim.networks.operator_sum import OperatorSum

_PAIRS = ("Jx", "Jy", "Jz", "Dx", "Dy", "Dz")


@dataclass(frozen=True, kw_only=True)
class XYZ(SpinModel):
    """sum Jx Sx Sx + Jy Sy Sy + Jz Sz Sz + D . (S_i x S_j) over nearest neighbours - sum_i h . S_i.

    Sites conserve nothing unless told to: parity needs Dx = Dy = hx = hy = 0, Sz also Jx = Jy. A pair goes from
    i to j in the direction of x > 0 (or x = 0, y > 0), which the sign of D refers to.

    >>> round(XYZ(L=20, Jy=0.5, Jz=0.0, hz=0.3).facts.energy, 10)
    -5.4721045656
    >>> XYZ(L=4, Jx=1.0, Jy=0.5, Jz=0.2, hz=0.1, conserve="parity").mpo().bond_dimensions
    (1, 4, 5, 4, 1)
    """

    Jx: Coupling = setting(1.0, "exchange of the x components", over=1)
    Jy: Coupling = setting(1.0, "exchange of the y components", over=1)
    Jz: Coupling = setting(1.0, "exchange of the z components", over=1)
    Dx: Coupling = setting(0.0, "Dzyaloshinskii-Moriya exchange along x", over=1)
    Dy: Coupling = setting(0.0, "Dzyaloshinskii-Moriya exchange along y", over=1)
    Dz: Coupling = setting(0.0, "Dzyaloshinskii-Moriya exchange along z", over=1)
    hx: Coupling = setting(0.0, "magnetic field along x", over="sites")
    hy: Coupling = setting(0.0, "magnetic field along y", over="sites")
    hz: Coupling = setting(0.0, "magnetic field along z", over="sites")
    flux: float = setting(0.0, "none: see XXZ for a twist around z", init=False)
    conserve: str | None = setting(None, "conserved quantity: Sz, parity or none")

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for pair, x, y, z, *D in self.on_pairs(*_PAIRS):
            add_exchange(H, pair, exchange_matrix(x, y, z, tuple(D)))
        for axis in "xyz":
            self.add_field(H, f"h{axis}", f"S{axis}")
        return H

    @property
    def facts(self) -> Facts:
        others = (self.Jz, self.Dx, self.Dy, self.Dz, self.hx, self.hy)
        if self.S != 0.5 or not self.is_open_chain or any(other != 0 for other in others):
            return Facts()
        upper, lower = (np.diag(self.at_pairs(name) / 2, k) for name, k in (("Jx", 1), ("Jy", -1)))
        ground = PairedGround(upper + lower - np.diag(self.at_sites("hz")))
        return Facts((Fact("energy", ground.energy, "exact", "free fermions (Lieb, Schultz, Mattis 1961)"),))
