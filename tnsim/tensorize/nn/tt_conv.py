"""A convolution whose kernel, folded into a matrix, is a chain of cores."""

from collections.abc import Sequence
from math import prod

import torch
from torch import nn
from torch.nn import functional

from tnsim.errors import SettingsError, ShapeError
from tnsim.networks.apply_plan import ApplyPlan, estimated_seconds
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import MetricFit
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.chain_module import ChainModule, chain_repr, in_autocast
from tnsim.tensorize.nn.chain_product import core_shapes, estimated_plan, is_traced
from tnsim.tensorize.nn.new_chain import (
    Ranks,
    dense_chain,
    fit_with_bias,
    given_factors,
    like,
    randomise_,
    randomise_bias_,
    shifted_bias,
)

# bytes a second at which patches are written out, as in the estimate of plans
_COPY = 8e9


class TTConv2d(ChainModule):
    """A chain in place of `nn.Conv2d` (groups = 1): of the kernel as a matrix (out, in * height * width).

    Acts on patches site by site, or builds the kernel and convolves, whichever is estimated cheaper; stride, padding
    (also "same" and other modes) and dilation are those of the layer it is made from. New random ones:
    `TTConv2d.from_dense(nn.Conv2d(...), chi=8).reset_parameters()`.

    >>> conv = TTConv2d.from_dense(nn.Conv2d(16, 32, 3, padding=1), (4, 8), (12, 12), chi=6)
    >>> conv(torch.ones(2, 16, 10, 10)).shape, conv.numbers
    (torch.Size([2, 32, 10, 10]), 864)
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    in_channels: int
    out_channels: int
    pads: tuple[int, ...]
    padding_mode: str
    bias: nn.Parameter | None

    @classmethod
    def from_mpo(cls, mpo: MPO, conv: nn.Conv2d, bias: torch.Tensor | None = None) -> "TTConv2d":
        """A layer on the memory of a chain, with the geometry of a convolution."""
        check_ungrouped(conv)
        wanted = conv.out_channels, prod(conv.weight.shape[1:])
        if mpo.axes is None or mpo.axes.shape != wanted:
            raise ShapeError(
                f"a chain for a matrix {wanted} is needed, found one for {mpo.axes.shape if mpo.axes else 'no matrix'}."
            )
        layer = cls._on(mpo)
        layer.kernel_size, layer.stride, layer.dilation = conv.kernel_size, conv.stride, conv.dilation
        layer.in_channels, layer.out_channels = conv.in_channels, conv.out_channels
        layer.pads, layer.padding_mode = padding_of(conv)
        layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        return layer

    @classmethod
    def from_dense(
        cls,
        conv: nn.Conv2d,
        out_factors: Sequence[int] | None = None,
        in_factors: Sequence[int] | None = None,
        chi: Ranks = None,
        *,
        gram: Gram | None = None,
        index: IndexOrder | None = None,
        fit: MetricFit | None = None,
    ) -> "TTConv2d":
        """The chain of a kernel; with the Gram matrix of the patches, fitted to them, and the bias corrected."""
        check_ungrouped(conv)
        factors = given_factors(out_factors, in_factors)
        weight = array_of(conv.weight.flatten(1))
        mpo, shift = dense_chain(weight, factors, chi, gram=gram, index=index, fit=fit_with_bias(fit, conv.bias))
        return like(cls.from_mpo(mpo, conv, shifted_bias(conv.bias, shift)), conv.weight, conv.training)

    def reset_parameters(self) -> None:
        """New random cores and bias, of the variances of a new `nn.Conv2d`."""
        width = self._sizes[1]
        randomise_(self.cores, 1 / (3 * width))
        randomise_bias_(self.bias, width)

    @property
    def weight(self) -> torch.Tensor:
        """The whole kernel, built anew at every access; `cores` are the parameters."""
        return self.matrix().reshape(self.out_channels, self.in_channels, *self.kernel_size)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The convolution of images (batch, channels, height, width), or of one without the batch."""
        x = input
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ShapeError(f"this layer acts on images of {self.in_channels} channels, found {tuple(x.shape)}.")
        images = x if x.ndim == 4 else x[None]
        if any(self.pads):
            images = functional.pad(images, self.pads, self.padding_mode)
        sizes = [
            (size - step * (kernel - 1) - 1) // stride + 1
            for size, step, kernel, stride in zip(
                images.shape[2:], self.dilation, self.kernel_size, self.stride, strict=True
            )
        ]
        act = self._on_patches if self._patches_pay(images, prod(sizes)) else self._with_kernel
        result = act(images, sizes)
        return result if x.ndim == 4 else result[0]

    def _patches_pay(self, images: torch.Tensor, places: int) -> bool:
        if is_traced():
            return False
        shapes, rows, itemsize = core_shapes(self.chain_cores()), max(1, len(images) * places), images.element_size()
        plan = self.plan or estimated_plan(shapes, rows, itemsize)
        whole = ApplyPlan(groups=(len(shapes),), again=True)
        if len(plan.groups) == 1:
            return False
        copying = 2 * rows * (self._sizes[0] + self._sizes[1]) * itemsize / _COPY
        chain, kernel = (estimated_seconds(shapes, p, rows, itemsize) for p in (plan, whole))
        return self.plan is not None or chain + copying < kernel

    def _with_kernel(self, images: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        return functional.conv2d(images, self.weight, self.bias, self.stride, 0, self.dilation)

    def _on_patches(self, images: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        images, bias = in_autocast(images, self.bias)
        patches = functional.unfold(images, self.kernel_size, self.dilation, 0, self.stride)
        rows = patches.transpose(1, 2).reshape(-1, self._sizes[1])
        result = self._apply_to_rows(rows, bias)
        return result.reshape(len(images), prod(sizes), self.out_channels).transpose(1, 2).unflatten(2, sizes)

    def extra_repr(self) -> str:
        return f"{chain_repr(self)}, kernel_size={self.kernel_size}, stride={self.stride}, pads={self.pads}"


def check_ungrouped(conv: nn.Conv2d) -> None:
    """SettingsError for groups: their kernel is no one matrix."""
    if conv.groups != 1:
        raise SettingsError(
            f"a chain stands for a convolution of one group, found groups = {conv.groups}: use TuckerConv or CPConv."
        )


def padding_of(conv: nn.Conv2d) -> tuple[tuple[int, ...], str]:
    """(left, right, top, bottom) and the mode, as `functional.pad` takes them."""
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    if conv.padding == "valid":
        return (0, 0, 0, 0), mode
    if conv.padding == "same":
        whole = [step * (kernel - 1) for step, kernel in zip(conv.dilation, conv.kernel_size, strict=True)]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in whole)
        return (left, right, top, bottom), mode
    height, width = (int(pad) for pad in conv.padding)
    return (width, width, height, height), mode
