"""Convolutions in three smaller ones: kernels in Tucker form (channels alone) and in canonical polyadic form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tnsim.errors import ShapeError
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.nn.arrays import array_of, tensor_of
from tnsim.tensorize.nn.new_chain import like
from tnsim.tensorize.polyadic import polyadic


class FactoredConv(nn.Sequential):
    """1x1 to fewer channels, a small convolution with the geometry of the one replaced, 1x1 to the outputs."""

    # whether the small convolution mixes the channels of a group
    mixes = True

    @classmethod
    def from_kernels(cls, conv: nn.Conv2d, kernels: Sequence[np.ndarray], *, has_bias: bool) -> Any:
        """The three convolutions of these kernels on the host, in double precision, with the bias of a dense one.

        kernels: as the weights of the three have them. Raises ShapeError where they do not fit.
        """
        first, middle, last = kernels
        groups, inner = conv.groups, conv.groups if cls.mixes else len(middle)
        channels = first.shape[1] * groups, len(last), middle.shape[1] * inner, last.shape[1] * groups
        if channels != (conv.in_channels, conv.out_channels, len(first), len(middle)):
            raise ShapeError(
                f"kernels {', '.join(str(k.shape) for k in kernels)} in {groups} groups do not fit {conv}."
            )
        bias = (conv.weight.new_zeros(len(last)) if conv.bias is None else conv.bias) if has_bias else None
        return cls(
            _one_by_one(first.reshape(groups, -1, first.shape[1]), None),
            _convolution(middle, conv, inner),
            _one_by_one(last.reshape(groups, -1, last.shape[1]), bias),
        )

    @property
    def numbers(self) -> int:
        """Numbers in the three kernels; the bias is not counted."""
        return sum(conv.weight.numel() for conv in self._three())

    def _three(self) -> tuple[Any, Any, Any]:
        """The convolutions, in the order they act."""
        return self[0], self[1], self[2]

    @property
    def bias(self) -> torch.Tensor | None:
        return self._three()[2].bias

    @property
    def weight(self) -> torch.Tensor:
        """The kernel that the three make together, built anew at every access."""
        one, two, three = self._three()
        groups = one.groups
        first, last = (conv.weight[:, :, 0, 0].unflatten(0, (groups, -1)) for conv in (one, three))
        middle = two.weight.unflatten(0, (groups, -1))
        if two.groups != groups:  # one kernel a channel
            return torch.einsum("gor,grhw,gri->goihw", last, middle[:, :, 0], first).flatten(0, 1)
        return torch.einsum("gop,gprhw,gri->goihw", last, middle, first).flatten(0, 1)


class TuckerConv(FactoredConv):
    """U_out (small kernel) U_in: a Tucker form of the kernel in its two channel indices, in place of `nn.Conv2d`.

    ranks: (out, in) of every group. Numbers: groups (in rank_in + rank_out rank_in kernel + rank_out out).
    Source: Y.-D. Kim et al., ICLR 2016, arXiv:1511.06530.

    >>> conv = TuckerConv.from_dense(nn.Conv2d(32, 64, 3, padding=1), (12, 8))
    >>> conv(torch.ones(2, 32, 6, 6)).shape, conv.numbers
    (torch.Size([2, 64, 6, 6]), 1888)
    """

    @classmethod
    def from_dense(cls, conv: nn.Conv2d, ranks: tuple[int, int], *, gram: Gram | None = None, sweeps: int = 5) -> Any:
        """Alternating eigenvectors of the channel indices, each given the other; the error falls in every step.

        gram: of the patches (groups = 1). Then outputs are projected where their variance is, and the bias corrects
        the mean. Raises ShapeError for ranks above the channels of a group.
        """
        kernels = _by_group(conv)
        _check_ranks(ranks, kernels.shape[1:3])
        metric = _covariance(gram, kernels)
        parts = [_tucker(kernel, ranks, metric, sweeps) for kernel in kernels]
        outs, cores, ins = (np.stack(part) for part in zip(*parts, strict=True))
        weights = [_flat(part) for part in (ins.transpose(0, 2, 1), cores, outs)]
        result = cls.from_kernels(conv, weights, has_bias=conv.bias is not None)
        return like(_corrected(result, conv, gram), conv.weight, conv.training)


class CPConv(FactoredConv):
    """A sum of `rank` products of one vector each of outputs, kernel places and inputs, in place of `nn.Conv2d`.

    Found by alternating least squares from a seeded start. Numbers: groups rank (in + kernel + out).
    Source: V. Lebedev et al., ICLR 2015, arXiv:1412.6553.

    >>> conv = CPConv.from_dense(nn.Conv2d(32, 64, 3, stride=2), rank=16)
    >>> conv(torch.ones(2, 32, 7, 7)).shape, conv.numbers
    (torch.Size([2, 64, 3, 3]), 1680)
    """

    mixes = False

    @classmethod
    def from_dense(
        cls, conv: nn.Conv2d, rank: int, *, gram: Gram | None = None, sweeps: int = 100, seed: int = 0
    ) -> Any:
        """gram: of the patches (groups = 1); then the bias corrects the mean. Raises ShapeError for rank < 1."""
        kernels = _by_group(conv)
        if rank < 1:
            raise ShapeError(f"a sum of products has at least one term, found rank = {rank}.")
        parts = [polyadic(kernel.reshape(*kernel.shape[:2], -1), rank, sweeps=sweeps, seed=seed) for kernel in kernels]
        outs, ins, places = (np.stack(part) for part in zip(*parts, strict=True))
        middle = places.transpose(0, 2, 1).reshape(1, -1, 1, *conv.kernel_size)
        weights = [_flat(part) for part in (ins.transpose(0, 2, 1), middle, outs)]
        result = cls.from_kernels(conv, weights, has_bias=conv.bias is not None)
        return like(_corrected(result, conv, gram), conv.weight, conv.training)


def _by_group(conv: nn.Conv2d) -> np.ndarray:
    """(groups, out, in, height, width) in double precision."""
    weight = array_of(conv.weight.detach().cpu().double())
    return weight.reshape(conv.groups, -1, *weight.shape[1:])


def _check_ranks(ranks: tuple[int, int], channels: tuple[int, ...]) -> None:
    for rank, most, side in zip(ranks, channels, ("out", "in"), strict=True):
        if not 1 <= rank <= most:
            raise ShapeError(f"the {side} rank lies in 1 to {most}, the channels of a group, found {rank}.")


def _covariance(gram: Gram | None, kernels: np.ndarray) -> np.ndarray | None:
    if gram is None:
        return None
    if len(kernels) > 1 or gram.features != kernels[0, 0].size:
        raise ShapeError(f"{gram!r} does not fit a kernel of shape {kernels.shape[1:]} in {len(kernels)} groups.")
    return gram.to("numpy").shrunk_covariance()


def _tucker(
    kernel: np.ndarray, ranks: tuple[int, int], metric: np.ndarray | None, sweeps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(out, r_out), (r_out, r_in, height, width), (in, r_in)."""
    out, channels = kernel.shape[:2]
    flat = kernel.reshape(out, -1)
    v = np.eye(channels)
    for _ in range(sweeps):
        seen = np.einsum("oihw,ip,jp->ojhw", kernel, v, v).reshape(out, -1)
        u = _leading(seen @ seen.T if metric is None else seen @ metric @ seen.T, ranks[0])
        kept = (u.T @ flat).reshape(ranks[0], *kernel.shape[1:])
        moment = np.einsum("rihw,rjhw->ij", kept, kept)
        v = _leading(moment, ranks[1])
    return u, np.einsum("rihw,ip->rphw", kept, v), v


def _leading(matrix: np.ndarray, count: int) -> np.ndarray:
    return np.linalg.eigh(matrix)[1][:, ::-1][:, :count]


def _flat(groups: np.ndarray) -> np.ndarray:
    """(groups, out, in, ...) as the weight of a convolution has it; two axes more for one place."""
    weight = groups.reshape(-1, *groups.shape[2:])
    return weight if weight.ndim == 4 else weight[:, :, None, None]


def _one_by_one(matrices: np.ndarray, bias: torch.Tensor | None) -> nn.Conv2d:
    """A 1x1 convolution from matrices (groups, out, in)."""
    groups, out, width = matrices.shape
    layer = nn.Conv2d(groups * width, groups * out, 1, groups=groups, bias=bias is not None, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(tensor_of(np.ascontiguousarray(matrices)).reshape(layer.weight.shape))
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(bias.detach())
    return layer


def _convolution(kernel: np.ndarray, conv: Any, groups: int) -> nn.Conv2d:
    layer = nn.Conv2d(
        kernel.shape[1] * groups, kernel.shape[0], conv.kernel_size, conv.stride, conv.padding, conv.dilation,
        groups, False, conv.padding_mode, dtype=torch.float64,
    )  # fmt: skip
    with torch.no_grad():
        layer.weight.copy_(tensor_of(np.ascontiguousarray(kernel)))
    return layer


def _corrected(result: FactoredConv, conv: nn.Conv2d, gram: Gram | None) -> FactoredConv:
    """With the bias that makes the mean output over the patches exact, where there is a bias."""
    bias = result.bias
    if gram is not None and bias is not None and conv.groups == 1:
        with torch.no_grad():
            lost = (conv.weight.double().cpu() - result.weight).flatten(1)
            bias += (lost @ tensor_of(gram.mean).to(lost)).to(bias)
    return result
