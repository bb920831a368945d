"""Classical models as lattices of tensors, with the exact facts known about them."""

from tnsim.models.classical.classical_model import ClassicalModel
from tnsim.models.classical.cubic import CubicIsing
from tnsim.models.classical.ising import HoneycombIsing, Ising, TriangularIsing
from tnsim.models.classical.neighbours import NeighbourModel
from tnsim.models.classical.potts import BoltzmannWeights, Clock, HardSquares, Potts
from tnsim.models.classical.random_bonds import RandomBondIsing
from tnsim.models.classical.vertex import Dimers, EightVertex, SixVertex
from tnsim.models.classical.xy import XY

__all__ = [
    "BoltzmannWeights", "ClassicalModel", "Clock", "CubicIsing", "Dimers", "EightVertex", "HardSquares",
    "HoneycombIsing", "Ising", "NeighbourModel", "Potts", "RandomBondIsing", "SixVertex", "TriangularIsing", "XY",
]  # fmt: skip
