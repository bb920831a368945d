"""The layers of a network that can become chains: their matrices, and the chains in their places."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from tnsim.backend import Array
from tnsim.networks.mpo import MPO
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.new_chain import like, shifted_bias
from tnsim.tensorize.nn.tt_conv import TTConv2d
from tnsim.tensorize.nn.tt_embedding import TTEmbedding
from tnsim.tensorize.nn.tt_linear import TTLinear

Dense = nn.Linear | nn.Conv2d | nn.Embedding


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """A linear layer, a convolution or an embedding as a matrix (out, in) that acts on vectors."""

    name: str
    module: Any

    @property
    def is_embedding(self) -> bool:
        return isinstance(self.module, nn.Embedding)

    @property
    def shape(self) -> tuple[int, int]:
        size = tuple(self.module.weight.shape)
        return (size[1], size[0]) if self.is_embedding else (size[0], prod(size[1:]))

    @property
    def numbers(self) -> int:
        return prod(self.shape)

    @property
    def has_bias(self) -> bool:
        """Whether there is a bias that can take up the mean of an error."""
        return getattr(self.module, "bias", None) is not None

    def matrix(self) -> Array:
        """In double precision, on the layer's device."""
        weight = self.module.weight.detach()
        return array_of((weight.T if self.is_embedding else weight.flatten(1)).double())

    def with_chain(self, mpo: MPO, shift: Array | None = None) -> ChainModule:
        """The layer on a chain in the place of its matrix; shift: what is added to its bias."""
        dense = self.module
        if self.is_embedding:
            pad = dense.padding_idx
            layer: Any = TTEmbedding.from_mpo(
                mpo, pad, None if pad is None else dense.weight[pad].detach().to(torch.float64)
            )
        elif isinstance(dense, nn.Conv2d):
            layer = TTConv2d.from_mpo(mpo, dense, shifted_bias(dense.bias, shift))
        else:
            layer = TTLinear.from_mpo(mpo, shifted_bias(dense.bias, shift))
        return like(layer, dense.weight, dense.training)


def why_not(module: nn.Module) -> str:
    """Why a layer with a matrix cannot become a chain; empty where it can."""
    if isinstance(module, nn.Conv2d):
        return f"a convolution in {module.groups} groups is no one matrix" if module.groups > 1 else ""
    if isinstance(module, nn.Embedding):
        special = module.max_norm is not None or module.scale_grad_by_freq or module.sparse
        return "an embedding with max_norm, scale_grad_by_freq or sparse gradients" if special else ""
    return ""


def dense_layers(model: nn.Module) -> Iterator[DenseLayer]:
    """All that can become chains, in the order of the model, each once."""
    for name, module in model.named_modules():
        if isinstance(module, Dense) and name and not why_not(module):
            yield DenseLayer(name, module)
