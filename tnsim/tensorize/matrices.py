"""The matrices of a checkpoint as chains under one budget, each for itself, without the network that they belong to."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from rich.table import Table

from tnsim.errors import SettingsError, ShapeError
from tnsim.measure import gaussian_entropy
from tnsim.measure.entanglement import entropy_of_weights
from tnsim.networks.matrix_index import IndexOrder, balanced_factors
from tnsim.networks.matrix_train import checked_matrix
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import RankRule
from tnsim.tensorize.budget import Budget
from tnsim.tensorize.cut_profile import cut_profile
from tnsim.tensorize.functional_error import functional_error
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import MetricFit

_LOG = logging.getLogger("tnsim.tensorize")
# matrices with a side below this, and vectors, are left as they are
_SMALL = 8


@dataclass(frozen=True, kw_only=True)
class MatrixRow:
    """One matrix. error: relative, of the outputs where activations were given, else of the numbers; svd_error: of a
    plain (or activation-aware) SVD with as many numbers; entropies in nats, of the chain's cut and of the matrix's,
    beside those of noise."""

    name: str
    shape: tuple[int, int]
    factors: tuple[tuple[int, ...], tuple[int, ...]]
    ranks: tuple[int, ...]
    numbers: int
    error: float
    svd_error: float
    of_outputs: bool
    chain_entropy: float
    chain_noise: float
    matrix_entropy: float
    matrix_noise: float

    @property
    def ratio(self) -> float:
        return prod(self.shape) / self.numbers


@dataclass(frozen=True, kw_only=True)
class MatrixReport:
    """All matrices in their order. left: arrays that stay as they are, with the reason."""

    rows: tuple[MatrixRow, ...] = field(repr=False)
    left: dict[str, str] = field(repr=False)
    budget: int
    dense_numbers: int

    @property
    def numbers(self) -> int:
        return sum(row.numbers for row in self.rows)

    @property
    def ratio(self) -> float:
        return self.dense_numbers / self.numbers

    @property
    def ordering(self) -> tuple[str, ...]:
        """Names, those that lose least first: where to begin."""
        return tuple(row.name for row in sorted(self.rows, key=lambda row: row.error))

    def __str__(self) -> str:
        return f"{self.numbers} of {self.dense_numbers} numbers ({self.ratio:.2f}x; budget {self.budget})"

    def __rich__(self) -> Table:
        names = "matrix", "shape", "ranks", "numbers", "ratio", "error", "of", "error, SVD", "chain cut", "matrix cut"
        table = Table(*names, title=f"{self}; entropies in nats, in brackets those of noise")
        for row in self.rows:
            table.add_row(*self.cells(row))
        return table

    def cells(self, row: MatrixRow) -> list[str]:
        """A row of the table as words."""
        return [
            row.name, "x".join(map(str, row.shape)), " ".join(map(str, row.ranks)), str(row.numbers),
            f"{row.ratio:.2f}", f"{row.error:.3f}", "outputs" if row.of_outputs else "numbers", f"{row.svd_error:.3f}",
            f"{row.chain_entropy:.2f} ({row.chain_noise:.2f})", f"{row.matrix_entropy:.2f} ({row.matrix_noise:.2f})",
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return asdict(self) | {"numbers": self.numbers, "ratio": self.ratio, "ordering": self.ordering}


@dataclass(frozen=True, kw_only=True, eq=False)
class CompressedMatrices:
    """chains by the names of their matrices, and all other arrays; biases are corrected for the mean of activations."""

    chains: dict[str, MPO]
    arrays: dict[str, np.ndarray]
    report: MatrixReport


def compress_matrices(
    weights: Mapping[str, np.ndarray],
    budget: Budget,
    grams: Mapping[str, Gram] | None = None,
    *,
    sites: int = 2,
    fit: MetricFit | None = None,
) -> CompressedMatrices:
    """Every matrix of at least 8 x 8 numbers as a chain of two sites, all at the ratio that the budget asks for.

    grams: activations by the name of the matrix, or without its ".weight": chains are fitted to them, about their mean
    where there is a bias to take it up. Matrices of whole numbers stay as they are. Raises
    SettingsError where no matrix is there or activations belong to none, ShapeError for activations of another width
    and for a budget below the smallest possible, NumericalError on NaN or Inf, with the name of the matrix.
    """
    grams = dict(grams or {})
    shapes = {name: np.shape(weights[name]) for name in weights}
    dtypes = {name: np.asarray(weights[name]).dtype for name in weights}
    names = [n for n, shape in shapes.items() if len(shape) == 2 and min(shape) >= _SMALL and dtypes[n].kind in "fc"]
    if not names:
        raise SettingsError(f"no matrix of at least {_SMALL} x {_SMALL} numbers among {len(shapes)} arrays.")
    by_matrix = {name: grams.pop(name, None) or grams.pop(name.removesuffix(".weight"), None) for name in names}
    if grams:
        raise SettingsError(
            f"activations for {next(iter(grams))!r}, but no matrix of that name: {', '.join(names[:6])}."
        )
    dense = sum(prod(shapes[name]) for name in names)
    # chains of half-precision matrices are stored in single precision
    wanted = budget.numbers(dense, itemsize=max(4, *(dtypes[name].itemsize for name in names)))
    arrays = {name: np.asarray(weights[name]) for name in weights if name not in names}
    chains, rows = {}, []
    for name in names:
        share = wanted * prod(shapes[name]) // dense
        matrix = checked_matrix(weights[name], name)
        bias, gram = f"{name.removesuffix('.weight')}.bias", by_matrix[name]
        how = replace(fit or MetricFit(), centered=bias in arrays)
        chain, row = _one(name, matrix, share, gram, sites, how)
        if gram is not None and bias in arrays:
            shift = (matrix - chain.to_matrix()) @ gram.mean
            arrays[bias] = (arrays[bias] + shift).astype(arrays[bias].dtype)
        chains[name] = chain
        rows.append(row)
        _LOG.info("matrix %s: ranks %s, %.2f times smaller, error %.3g", name, row.ranks, row.ratio, row.error)
    left = {name: _why_left(shapes[name], dtypes[name]) for name in arrays}
    report = MatrixReport(rows=tuple(rows), left=left, budget=wanted, dense_numbers=dense)
    return CompressedMatrices(chains=chains, arrays=arrays, report=report)


def _why_left(shape: tuple[int, ...], dtype: np.dtype) -> str:
    if len(shape) != 2:
        return "no matrix"
    return "small" if dtype.kind in "fc" else "whole numbers"


def _one(
    name: str, matrix: np.ndarray, share: int, gram: Gram | None, sites: int, fit: MetricFit
) -> tuple[MPO, MatrixRow]:
    if gram is not None and gram.features != matrix.shape[1]:
        raise ShapeError(
            f"the activations of {name!r} have {gram.features} features, but the matrix has {matrix.shape[1]} columns."
        )
    outs, ins = (balanced_factors(size, sites, pad=True) for size in matrix.shape)
    index = IndexOrder(pad=True)
    try:
        chain = MPO.from_matrix(matrix, outs, ins, RankRule(params=max(1, share)), index=index, name=name)
    except ShapeError as error:
        raise ShapeError(f"matrix {name!r}: {error}") from error
    chain = chain if gram is None else fit.solve(matrix, chain, gram).mpo
    cut = cut_profile(MPO.from_matrix(matrix, outs, ins, index=index))[(sites - 1) // 2]
    rank = max(1, share // sum(matrix.shape))
    if gram is None:
        lost = _relative(matrix, chain.to_matrix())
    else:
        lost = functional_error(matrix, chain, gram, centered=fit.centered)
    row = MatrixRow(
        name=name,
        shape=(matrix.shape[0], matrix.shape[1]),
        factors=(outs, ins),
        ranks=chain.bond_dimensions[1:-1],
        numbers=sum(tensor.size for tensor in chain.tensors),
        error=lost,
        svd_error=_svd_error(matrix, rank, gram, fit.centered),
        of_outputs=gram is not None,
        chain_entropy=cut.entropy,
        chain_noise=cut.noise_entropy,
        matrix_entropy=entropy_of_weights(np.linalg.svd(matrix, compute_uv=False) ** 2),
        matrix_noise=gaussian_entropy(*matrix.shape),
    )
    return chain, row


def _relative(matrix: np.ndarray, other: np.ndarray) -> float:
    size = float(np.linalg.norm(matrix))
    return float(np.linalg.norm(matrix - other)) / size if size > 0 else 0.0


def _svd_error(matrix: np.ndarray, rank: int, gram: Gram | None, centered: bool) -> float:
    """Of the best matrix of a rank, in the metric of the activations, about their mean where centered (or none)."""
    seen = matrix
    if gram is not None:
        values, vectors = np.linalg.eigh(gram.covariance if centered else gram.second_moment)
        seen = matrix @ (vectors * np.sqrt(np.maximum(values, 0)))
    s = np.linalg.svd(seen, compute_uv=False)
    total = float((s**2).sum())
    return float(np.sqrt((s[rank:] ** 2).sum() / total)) if total > 0 else 0.0
