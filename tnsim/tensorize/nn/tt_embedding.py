"""A table of vectors (one a token) as a chain of cores: a lookup multiplies the pieces chosen by the digits."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from tnsim.errors import SettingsError, ShapeError
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import MetricFit
from tnsim.tensorize.nn.arrays import array_of
from tnsim.tensorize.nn.chain_module import ChainModule, chain_repr
from tnsim.tensorize.nn.new_chain import (
    Factors,
    Ranks,
    chain_axes,
    dense_chain,
    empty_cores,
    given_factors,
    like,
    randomise_,
)


class TTEmbedding(ChainModule):
    """A chain in place of `nn.Embedding`; it stands for the transposed table, (embedding_dim, num_embeddings).

    Each token is a matrix-product state over the factors of its vector, chosen by the digits of its number. A lookup
    of n tokens costs O(n dim rank^2) and never builds the table. factors: (of the vectors, of the tokens). The vector
    of `padding_idx` is kept apart, exact, and gets no gradient. Ids out of range raise IndexError on the host (on the
    GPU they are not looked at, which would wait for it).
    Source: M. Xu, Y. L. Xu, D. P. Mandic, arXiv:2307.00526 (2023).

    >>> table = TTEmbedding(1000, 64, chi=8)
    >>> table(torch.tensor([[1, 5], [999, 0]])).shape, table.numbers
    (torch.Size([2, 2, 64]), 3200)
    """

    padding_row: torch.Tensor | None

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        chi: Ranks,
        factors: Factors | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        axes = chain_axes((embedding_dim, num_embeddings), factors)
        super().__init__(empty_cores(axes, chi, device, dtype), axes)
        row = torch.zeros(embedding_dim, device=device, dtype=dtype)
        self._set_padding(padding_idx, row)
        self.reset_parameters()

    def _set_padding(self, padding_idx: int | None, row: torch.Tensor) -> None:
        dim, count = self._sizes
        if padding_idx is not None and not -count <= padding_idx < count:
            raise ShapeError(f"padding_idx lies in [-{count}, {count}), found {padding_idx}.")
        self.embedding_dim, self.num_embeddings = dim, count
        self.padding_idx = None if padding_idx is None else padding_idx % count
        self._set_buffer("padding_row", None if padding_idx is None else row.detach().clone())

    def reset_parameters(self) -> None:
        """New random cores: vectors of variance 1, as those of a new `nn.Embedding`."""
        randomise_(self.cores, 1.0)

    @classmethod
    def from_mpo(cls, mpo: MPO, padding_idx: int | None = None, padding_row: torch.Tensor | None = None) -> Any:
        """A table on the memory of the chain of its transposed matrix."""
        table = cls._on(mpo)
        row = torch.zeros(table.axes.shape[0], dtype=table.cores[0].dtype) if padding_row is None else padding_row
        table._set_padding(padding_idx, row)
        return table

    @classmethod
    def from_dense(
        cls,
        embedding: nn.Embedding,
        vector_factors: Sequence[int] | None = None,
        token_factors: Sequence[int] | None = None,
        chi: Ranks = None,
        *,
        gram: Gram | None = None,
        index: IndexOrder | None = None,
        fit: MetricFit | None = None,
    ) -> "TTEmbedding":
        """The chain of a table; with the Gram matrix of the tokens seen, frequent tokens are met best."""
        if embedding.max_norm is not None or embedding.scale_grad_by_freq or embedding.sparse:
            raise SettingsError("a table with max_norm, scale_grad_by_freq or sparse gradients cannot be a chain.")
        factors = given_factors(vector_factors, token_factors)
        weight = array_of(embedding.weight.T)
        mpo, _ = dense_chain(weight, factors, chi, gram=gram, index=index, fit=fit or MetricFit(centered=False))
        row = None if embedding.padding_idx is None else embedding.weight[embedding.padding_idx]
        return like(cls.from_mpo(mpo, embedding.padding_idx, row), embedding.weight, embedding.training)

    @property
    def weight(self) -> torch.Tensor:
        """The whole table, built anew at every access (for code that reads it); `cores` are the parameters."""
        table = self.matrix().T
        if self.padding_idx is None or self.padding_row is None:
            return table
        return table.index_copy(0, torch.tensor([self.padding_idx], device=table.device), self.padding_row[None])

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The vectors of tokens: any shape of integers, one more axis behind."""
        ids = input
        if ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex():
            raise ShapeError(f"tokens are whole numbers, found {ids.dtype}.")
        flat = ids.reshape(-1).long()
        if flat.device.type == "cpu" and not torch.compiler.is_compiling() and flat.numel():
            low, high = flat.min().item(), flat.max().item()
            if low < 0 or high >= self.num_embeddings:
                raise IndexError(f"tokens lie in 0 to {self.num_embeddings - 1}, found {low if low < 0 else high}.")
        vectors = self._ordered(self._lookup(flat))
        if self.padding_idx is not None and self.padding_row is not None:
            vectors = torch.where((flat == self.padding_idx)[:, None], self.padding_row, vectors)
        return vectors.reshape(*ids.shape, self.embedding_dim)

    def _lookup(self, flat: torch.Tensor) -> torch.Tensor:
        """Vectors in the order of the chain's out legs."""
        places = flat if self.column_places is None else torch.argsort(self.column_places)[flat]
        cores = self.chain_cores()
        dims = [core.shape[2] for core in cores]
        vectors = cores[0].new_ones(flat.shape[0], 1, 1)
        for k, core in enumerate(cores):
            digit = places // prod(dims[k + 1 :])
            pieces = core.permute(2, 0, 1, 3)[digit if k == 0 else digit % dims[k]]
            _, left, out, right = pieces.shape
            vectors = vectors @ pieces.reshape(-1, left, out * right)
            vectors = vectors.reshape(flat.shape[0], -1, right) if flat.shape[0] else vectors.new_zeros(0, 1, right)
        return vectors.reshape(flat.shape[0], -1) if flat.shape[0] else vectors.new_zeros(0, self._wide())

    def _wide(self) -> int:
        return prod(shape[1] for shape in self.core_shapes())

    def _ordered(self, vectors: torch.Tensor) -> torch.Tensor:
        if self.row_places is not None:
            vectors = vectors.index_select(1, torch.argsort(self.row_places))
        return vectors[:, : self.embedding_dim]

    def extra_repr(self) -> str:
        return chain_repr(self) + (f", padding_idx={self.padding_idx}" if self.padding_idx is not None else "")
