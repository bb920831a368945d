"""Decompositions with truncation, and Krylov solvers."""

from tnsim.linalg.decompose import Spectrum, eigh, lq, qr, svd
from tnsim.linalg.isometry import random_isometry
from tnsim.linalg.signs import fix_signs
from tnsim.linalg.truncation import Truncation, discarded_weight

__all__ = [
    "Spectrum", "Truncation", "discarded_weight", "eigh", "fix_signs", "lq", "qr", "random_isometry", "svd",
]  # fmt: skip
