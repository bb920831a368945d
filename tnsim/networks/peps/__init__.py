"""Projected entangled pair states on the square lattice, finite and infinite, and sums of terms in the plane."""

from tnsim.networks.peps.as_chain import chain_terms, peps_to_mps
from tnsim.networks.peps.norm_network import NormNetwork
from tnsim.networks.peps.peps import PEPS, CylinderPEPS, InfinitePEPS
from tnsim.networks.peps.plane_terms import PairTerm, PlaneTerms
from tnsim.networks.peps.square_state import Bond, SquareState, grown
from tnsim.networks.peps.starts import finite_start, infinite_start

__all__ = [
    "Bond", "CylinderPEPS", "InfinitePEPS", "NormNetwork", "PEPS", "PairTerm", "PlaneTerms", "SquareState",
    "chain_terms", "finite_start", "grown", "infinite_start", "peps_to_mps",
]  # fmt: skip
