"""Symmetric tensors and their elementary operations."""

from tnsim.tensor.contract import bra, contract, contract_pair, contract_words, inner, trace, transpose, twist
from tnsim.tensor.create import diagonal, diagonal_of, eye, from_dense, random_tensor, scalar, zeros
from tnsim.tensor.entries import entries_of, from_entries
from tnsim.tensor.reshape import flip_leg, fuse, select, split
from tnsim.tensor.show import block_table
from tnsim.tensor.tensor import Tensor

__all__ = [
    "Tensor", "block_table", "bra", "contract", "contract_pair", "contract_words", "diagonal", "diagonal_of",
    "entries_of", "eye", "flip_leg", "from_dense", "from_entries", "fuse", "inner", "random_tensor", "scalar", "select",
    "split", "trace", "transpose", "twist", "zeros",
]  # fmt: skip
