"""A linear layer whose weight is a chain of cores and is never built as a matrix."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from tnsim.errors import ShapeError
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import MetricFit
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.chain_module import ChainModule, chain_repr, in_autocast
from tnsim.tensorize.nn.new_chain import (
    Factors,
    Ranks,
    chain_axes,
    dense_chain,
    empty_cores,
    fit_with_bias,
    given_factors,
    like,
    randomise_,
    randomise_bias_,
    shifted_bias,
)


class TTLinear(ChainModule):
    """y = W x + bias with W as a chain, in place of `nn.Linear`: any leading axes, autocast, state_dict, export.

    chi: a bound on all ranks, the rank of every cut, or a RankRule with ranks. factors: (of the outputs, of the
    inputs); without, three balanced ones each, filled up with zeros where a size has none (`axes` records it). The
    product of the random cores has the variance of the weight of a new `nn.Linear`. Cost and memory of a call: see
    `ApplyPlan`; of the forward pass only the input is kept for the gradient.

    >>> layer = TTLinear(2048, 1000, chi=8)
    >>> layer(torch.ones(2, 5, 2048)).shape, layer.numbers
    (torch.Size([2, 5, 1000]), 12160)
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        chi: Ranks,
        factors: Factors | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        axes = chain_axes((out_features, in_features), factors)
        super().__init__(empty_cores(axes, chi, device, dtype), axes)
        self.in_features, self.out_features = in_features, out_features
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New random cores and bias, of the variances of a new `nn.Linear`."""
        randomise_(self.cores, 1 / (3 * self.in_features))
        randomise_bias_(self.bias, self.in_features)

    @classmethod
    def from_mpo(cls, mpo: MPO, bias: torch.Tensor | None = None) -> "TTLinear":
        """A layer on the memory of a chain that `MPO.from_matrix` made."""
        layer = cls._on(mpo)
        layer.out_features, layer.in_features = layer.axes.shape
        if bias is not None and tuple(bias.shape) != (layer.out_features,):
            raise ShapeError(f"a bias for {layer.out_features} outputs is needed, found shape {tuple(bias.shape)}.")
        layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        return layer

    @classmethod
    def from_dense(
        cls,
        linear: nn.Linear,
        out_factors: Sequence[int] | None = None,
        in_factors: Sequence[int] | None = None,
        chi: Ranks = None,
        *,
        gram: Gram | None = None,
        index: IndexOrder | None = None,
        fit: MetricFit | None = None,
    ) -> "TTLinear":
        """The chain of a layer's weight; with its activations, fitted to them, and the bias corrected for their mean.

        Where the layer has no bias, it stays without one, and then outputs are fitted as they are, not about their
        mean. Factors: two balanced ones where none are given. chi None keeps all but rounding.
        """
        weight = array_of(linear.weight)
        factors = given_factors(out_factors, in_factors)
        mpo, shift = dense_chain(weight, factors, chi, gram=gram, index=index, fit=fit_with_bias(fit, linear.bias))
        layer = cls.from_mpo(mpo, shifted_bias(linear.bias, shift))
        return like(layer, linear.weight, linear.training)

    @property
    def weight(self) -> torch.Tensor:
        """The whole weight, built anew at every access (for code that reads it); `cores` are the parameters."""
        return self.matrix()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """W x + bias for every vector on the last axis."""
        kept = self._kept
        if kept is not None and kept.given is not None and self.is_plain and self._is_current(kept):
            try:
                return kept.act(input, self._parameters["bias"])
            except (KeyError, RuntimeError):
                pass  # a bias that is made in every call; an input that does not fit, of which more is said below
        if input.shape[-1:] != (self.in_features,):
            raise ShapeError(f"this layer acts on {self.in_features} features, found shape {tuple(input.shape)}.")
        x, bias = in_autocast(input, self.bias)
        rows = x if x.ndim == 2 else x.reshape(prod(x.shape[:-1]), self.in_features)
        result = self._apply_to_rows(rows, bias)
        return result if x.ndim == 2 else result.reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return chain_repr(self) + f", bias={self.bias is not None}"
