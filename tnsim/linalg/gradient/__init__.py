"""Decompositions that gradients can be taken of, and the gradient of a fixed point.

As in `tnsim.tensor.gradient`, tensors and nodes are taken alike, and plain tensors give plain tensors.
"""

from tnsim.linalg.gradient.eigh import eigh, leading_space
from tnsim.linalg.gradient.fixed_point import FixedPointGradient, fixed_point
from tnsim.linalg.gradient.qr import column_space, inverse, qr
from tnsim.linalg.gradient.svd import compressed, power, svd

__all__ = [
    "FixedPointGradient", "column_space", "compressed", "eigh", "fixed_point", "inverse", "leading_space", "power",
    "qr", "svd",
]  # fmt: skip
