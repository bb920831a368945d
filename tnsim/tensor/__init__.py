"""Symmetric tensors and their elementary operations."""

from tnsim.tensor.contract import contract, contract_pair, inner, trace, transpose
from tnsim.tensor.create import diagonal, eye, from_dense, random_tensor, scalar, zeros
from tnsim.tensor.reshape import flip_leg, fuse, split
from tnsim.tensor.tensor import Tensor

__all__ = [
    "Tensor", "contract", "contract_pair", "diagonal", "eye", "flip_leg", "from_dense", "fuse", "inner", "random_tensor", "scalar", "split",
    "trace", "transpose", "zeros",
]  # fmt: skip
