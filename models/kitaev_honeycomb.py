"""Kitaev's honeycomb model, with Heisenberg exchange and fields beside it."""

from dataclasses import dataclass
from typing import ClassVar

from tnsim.models.coupling import Coupling
from tnsim.models.exact.kitaev import bulk_energy, vortex_free_energy
from tnsim.models.lattice import Pair
from tnsim.models.model import Fact, Facts
from tnsim.models.setting import setting
from tnsim.models.spin_model import SpinModel, add_exchange, exchange_matrix
from tnsim.networks.operator_sum import OperatorSum


def bond_type(pair: Pair) -> str:
    """z for the bonds along x in the plane, x and y for those at +60 and -60 degrees (the rings of a cylinder)."""
    return "z" if abs(pair.vector[1]) < 1e-9 else ("x" if pair.vector[1] > 0 else "y")


@dataclass(frozen=True, kw_only=True)
class KitaevHoneycomb(SpinModel):
    """sum K_a Sa_i Sa_j over the bonds of type a = x, y, z + J sum S_i . S_j - sum_i h . S_i on the honeycomb.

    Rings around a cylinder consist of x and y bonds; the z bonds lie along it. Sites conserve nothing unless
    told to: parity needs hx = hy = 0. A coupling given by array has one number per pair of `geometry.pairs(1)`
    and counts on the bonds of its type.

    >>> from tnsim.models.lattice import Lattice
    >>> round(KitaevHoneycomb(lattice=Lattice("honeycomb", 3, 2, bc_y="periodic")).facts.energy, 10)
    -1.9811943041
    """

    kinds: ClassVar[tuple[str, ...]] = ("honeycomb",)
    Kx: Coupling = setting(1.0, "coupling on x bonds", over=1)
    Ky: Coupling = setting(1.0, "coupling on y bonds", over=1)
    Kz: Coupling = setting(1.0, "coupling on z bonds", over=1)
    J: Coupling = setting(0.0, "Heisenberg exchange on all bonds", over=1)
    hx: Coupling = setting(0.0, "magnetic field along x", over="sites")
    hy: Coupling = setting(0.0, "magnetic field along y", over="sites")
    hz: Coupling = setting(0.0, "magnetic field along z", over="sites")
    flux: float = setting(0.0, "none: there is no charge that a flux could twist", init=False)
    conserve: str | None = setting(None, "conserved quantity: parity or none")

    @property
    def usual_start(self) -> str:
        """The parity of the ground state: spins are antiparallel or parallel on z bonds, as their sign has it."""
        return "up" if self.is_uniform("Kz") and self.Kz < 0 else super().usual_start

    def operator_sum(self) -> OperatorSum:
        H = OperatorSum()
        for pair, x, y, z, J in self.on_pairs("Kx", "Ky", "Kz", "J"):
            strengths = {"x": x, "y": y, "z": z}
            add_exchange(H, pair, exchange_matrix(*(J + strengths[a] * (bond_type(pair) == a) for a in "xyz")))
        for axis in "xyz":
            self.add_field(H, f"h{axis}", f"S{axis}")
        return H

    @property
    def facts(self) -> Facts:
        others = (self.J, self.hx, self.hy, self.hz)
        if not self.is_uniform("Kx", "Ky", "Kz") or self.S != 0.5 or any(other != 0 for other in others):
            return Facts()
        K = {"x": self.Kx, "y": self.Ky, "z": self.Kz}
        bulk = Fact("bulk energy per site", bulk_energy(*K.values()), "exact", "Kitaev 2006: Majorana fermions")
        if self.geometry.bc_x == self.geometry.bc_y == "periodic":
            return Facts((bulk,))
        bonds = [(pair, K[bond_type(pair)]) for pair in self.geometry.pairs(1)]
        free = vortex_free_energy(self.geometry, bonds)
        return Facts((Fact("energy", free, "exact", "Kitaev 2006: Majorana fermions without vortices"), bulk))
