"""Layers whose cores are stored in few bits, and act as the numbers that these stand for."""

import copy
from collections.abc import Iterator
from math import prod

import torch
from torch import nn

from tnsim.backend import backend_of
from tnsim.errors import SettingsError
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.dense_layers import DenseLayer, dense_layers
from tnsim.tensorize.nn.ladder import one_site
from tnsim.tensorize.nn.replace import replace_layers
from tnsim.tensorize.quantize import Quantization, QuantizedChain


class QuantizedCores(nn.Module):
    """Codes and scales as buffers; iterating gives the cores in floating point, made anew each time.

    They have no gradient. In four bits two codes share a byte; in floating point codes are those of `float8_e4m3fn`.
    """

    def __init__(self, chain: QuantizedChain, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.shapes = [tuple(leg.dim for leg in legs) for legs in chain.legs]
        self.bits, self.kind = chain.bits, chain.kind
        for k, (codes, scales) in enumerate(zip(chain.codes, chain.scales, strict=True)):
            self.register_buffer(f"codes{k}", torch.from_numpy(codes.copy()).to(device))
            # without the axis of real and imaginary parts
            self.register_buffer(f"scales{k}", torch.from_numpy(scales[..., 0].copy()).to(device, dtype))

    def __len__(self) -> int:
        return len(self.shapes)

    def __iter__(self) -> Iterator[torch.Tensor]:
        for k, shape in enumerate(self.shapes):
            codes, scales = getattr(self, f"codes{k}"), getattr(self, f"scales{k}")
            yield self._numbers(codes, prod(shape)).to(scales.dtype).reshape(shape) * scales

    def __getitem__(self, k: int) -> torch.Tensor:
        return list(self)[k]

    def _numbers(self, codes: torch.Tensor, count: int) -> torch.Tensor:
        if self.kind == "float":
            return codes.view(torch.float8_e4m3fn)
        if self.bits == 8:
            return codes
        halves = torch.stack([codes & 15, codes >> 4], dim=1).reshape(-1)[:count].to(torch.int8)
        return torch.where(halves > 7, halves - 16, halves)

    @property
    def bytes(self) -> int:
        """Of codes and scales."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())


def quantize_layer(layer: ChainModule, rule: Quantization | str) -> ChainModule:
    """A copy of a layer on a chain with its cores in few bits; a bias stays as it is.

    Raises SettingsError for cores that are in other few bits already.
    """
    wanted, cores = Quantization.of(rule), layer.cores
    if isinstance(cores, QuantizedCores):
        if (cores.bits, cores.kind) != (wanted.bits, wanted.kind):
            raise SettingsError(
                f"these cores are in {cores.bits} bits ({cores.kind}) already, and what was rounded is not rounded "
                f"again to {wanted.word}: go back to the chain in floating point."
            )
        return copy.deepcopy(layer)
    first = layer.chain_cores()[0]
    chain = wanted.quantize(layer.to_mpo())
    small = copy.deepcopy(layer)
    small.cores = QuantizedCores(chain, first.dtype, first.device)
    return small


def quantize_chains_(model: nn.Module, rule: Quantization | str) -> nn.Module:
    """All layers on chains in few bits, in place; dense layers stay."""
    small = {name: quantize_layer(m, rule) for name, m in model.named_modules() if isinstance(m, ChainModule)}
    return replace_layers(model, small)


def quantize_dense_(model: nn.Module, names: list[str], rule: Quantization | str) -> nn.Module:
    """Dense layers in few bits, nothing cut: each as a chain of one site with a scale for every output, in place."""
    wanted = Quantization.of(rule)
    by_row = Quantization(bits=wanted.bits, scales="row", kind=wanted.kind)
    layers = [layer for layer in dense_layers(model) if layer.name in names]
    return replace_layers(model, {layer.name: quantize_layer(_as_chain(layer), by_row) for layer in layers})


def _as_chain(layer: DenseLayer) -> ChainModule:
    matrix = layer.matrix()
    backend = backend_of(matrix)
    return layer.with_chain(one_site(backend.to_host(matrix)).to(backend))


def stored_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers, shared ones counted once."""
    tensors = {t.data_ptr(): t for t in [*model.parameters(), *model.buffers()] if t.numel()}
    return sum(t.numel() * t.element_size() for t in tensors.values())
