"""Charges, legs and tables of allowed blocks: integers only, no arrays of numbers."""

from tnsim.symmetry.fusion import FusedLeg, fuse_legs, kronecker_order
from tnsim.symmetry.group import TRIVIAL, U1, Charge, FermionParity, Group, Zn
from tnsim.symmetry.layout import Layout, layout
from tnsim.symmetry.leg import Leg, trivial_leg

__all__ = [
    "Charge", "FermionParity", "FusedLeg", "Group", "Layout", "Leg", "TRIVIAL", "U1", "Zn", "fuse_legs",
    "kronecker_order", "layout", "trivial_leg",
]  # fmt: skip
