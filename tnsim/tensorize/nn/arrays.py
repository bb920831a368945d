"""Between PyTorch's tensors and the arrays of a chain: one memory, two views of it."""

from collections.abc import Sequence
from typing import Any

import torch

from tnsim.backend import Array, get_backend
from tnsim.networks.matrix_index import MatrixAxes
from tnsim.networks.matrix_train import core_tensor
from tnsim.networks.mpo import MPO

# types that NumPy does not know go through the nearest that it does
_WIDER = {torch.bfloat16: torch.float32}


def array_of(tensor: torch.Tensor) -> Array:
    """The numbers of a tensor as an array on its device, without a copy (bfloat16: in single precision, a copy)."""
    plain: Any = tensor.detach()
    plain = plain.to(_WIDER.get(plain.dtype, plain.dtype)).contiguous()
    return plain.numpy() if plain.device.type == "cpu" else get_backend("cupy").asarray(plain)


def tensor_of(array: Array) -> torch.Tensor:
    """The numbers of an array as a tensor on its device, without a copy."""
    return torch.from_dlpack(array)


def mpo_of(cores: Sequence[torch.Tensor], axes: MatrixAxes) -> MPO:
    """A chain on the memory of its cores."""
    return MPO([core_tensor(array_of(core)) for core in cores], axes=axes)


def cores_of(mpo: MPO, dtype: Any = None) -> list[torch.Tensor]:
    """The cores of a chain as tensors on its memory (copies where another type is asked for)."""
    return [tensor_of(tensor.array).to(dtype) for tensor in mpo.tensors]
