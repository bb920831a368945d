"""How layers get their cores: random ones for training, fitted ones for a weight that is there."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import torch
from torch import nn

from tnsim.backend import Array
from tnsim.errors import ShapeError
from tnsim.networks.matrix_index import IndexOrder, MatrixAxes, balanced_factors, matrix_axes
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import RankRule
from tnsim.tensorize.functional_error import corrected_bias
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import MetricFit
from tnsim.tensorize.nn.arrays import tensor_of

# types that decompositions do not know go through one that they do
_WIDER = {torch.bfloat16: torch.float32, torch.float16: torch.float32}

# logarithm of how far products of random cores may be from size 1
_DRIFT = 10.0

# a RankRule, a bound on all ranks, the rank of every cut, or None for all but rounding
Ranks = RankRule | int | Sequence[int] | None
# those of the outputs, those of the inputs
Factors = tuple[Sequence[int], Sequence[int]]


def chain_axes(shape: tuple[int, int], factors: Factors | None, count: int = 3) -> MatrixAxes:
    """Axes of a matrix of this shape; factors that are not given are balanced, and filled up where there are none."""
    outs, ins = factors or balanced_pair(shape, count)
    return matrix_axes(shape, outs, ins, IndexOrder(pad=factors is None))


def balanced_pair(shape: Sequence[int], count: int = 2) -> Factors:
    """Factors of rows and columns; of a larger size where a size has none."""
    rows, columns = (balanced_factors(size, count, pad=True) for size in shape)
    return rows, columns


def empty_cores(axes: MatrixAxes, chi: Ranks, device: Any, dtype: torch.dtype | None) -> list[torch.Tensor]:
    """Cores of the shapes that the ranks ask for, checked before anything is allocated."""
    dims = [o * i for o, i in zip(axes.rows.dims, axes.columns.dims, strict=True)]
    ranks = RankRule.of(chi).fixed(dims)
    if ranks is None:
        raise ShapeError("a new layer needs its ranks: chi = a bound on all of them, or the rank of every cut.")
    bonds = (1, *ranks, 1)
    shapes = zip(bonds, axes.rows.dims, axes.columns.dims, bonds[1:], strict=False)
    return [torch.empty(shape, device=device, dtype=dtype) for shape in shapes]


@torch.no_grad()
def randomise_(cores: Sequence[torch.Tensor], variance: float) -> None:
    """Random isometries times numbers, such that the numbers of the product of the chain have this variance.

    Of one draw, not on average alone: products of many cores with independent numbers are mostly far too small. The
    numbers of all cores are of one size, so that one step of training means as much for each, unless the products of
    the first so many cores would grow or fall too far on the way through a long chain.
    """
    whole = sqrt(variance * prod(core.shape[1] * core.shape[2] for core in cores))
    sizes = torch.tensor([prod(core.shape[:3]) ** 0.5 for core in cores], dtype=torch.float64)
    even = sizes * torch.exp(-sizes.log().mean())
    drift = even.log().cumsum(0).abs().max()
    for core, size in zip(cores, even if drift < _DRIFT else torch.ones(len(cores)), strict=True):
        numbers = torch.randn(
            prod(core.shape[:3]), core.shape[3], dtype=_WIDER.get(core.dtype, core.dtype), device=core.device
        )
        q, r = torch.linalg.qr(numbers)
        # LAPACK fixes the signs of columns by their first entries: back to signs as random as the numbers
        q = q * torch.sgn(r.diagonal())
        core.copy_(q.reshape(core.shape) * (float(size) * whole ** (1 / len(cores))))


def randomise_variance(cores: Sequence[torch.Tensor], variance: float) -> None:
    """Normal numbers such that the product of one number of each core has this variance."""
    for core in cores:
        nn.init.normal_(core, std=variance ** (0.5 / len(cores)))


def randomise_bias_(bias: torch.Tensor | None, width: int) -> None:
    """Uniform numbers, as those of a new `nn.Linear` with so many inputs; nothing where there is no bias."""
    if bias is not None:
        nn.init.uniform_(bias, -(width**-0.5), width**-0.5)


def given_factors(out_factors: Sequence[int] | None, in_factors: Sequence[int] | None) -> Factors | None:
    """Both sides, or None where they are to be chosen. Raises ShapeError where only one side was given."""
    if out_factors is None and in_factors is None:
        return None
    if out_factors is None or in_factors is None:
        raise ShapeError(f"factors of outputs and inputs go together, found {out_factors} and {in_factors}.")
    return out_factors, in_factors


def dense_chain(
    weight: Any,
    factors: Factors | None,
    chi: Ranks,
    *,
    gram: Gram | None = None,
    index: IndexOrder | None = None,
    fit: MetricFit | None = None,
) -> tuple[MPO, Any]:
    """The chain of a weight, fitted where activations are given, and what to add to the bias (or None)."""
    if gram is not None and not isinstance(gram, Gram):
        raise ShapeError(f'activations of one layer are needed, found a {type(gram).__name__}: give gram["its name"].')
    if factors is None:
        index = index or IndexOrder(pad=True)
    outs, ins = factors or balanced_pair(weight.shape)
    start = MPO.from_matrix(weight, outs, ins, RankRule.of(chi), index=index, name=gram.name if gram else "")
    return fitted_chain(weight, start, gram, fit)


def fit_with_bias(fit: MetricFit | None, bias: torch.Tensor | None) -> MetricFit:
    """Without a bias there is nothing that could take up a mean: outputs are fitted as they are."""
    return fit or MetricFit(centered=bias is not None)


def shifted_bias(bias: torch.Tensor | None, shift: Any) -> torch.Tensor | None:
    """The bias with its correction, where there is a bias."""
    if bias is None or shift is None:
        return bias
    return bias.detach() + tensor_of(shift).to(bias)


def like(layer: Any, weight: torch.Tensor, training: bool) -> Any:
    """A layer in the type, on the device and in the mode of the one it stands for."""
    return layer.to(device=weight.device, dtype=weight.dtype).train(training)


def fitted_chain(
    matrix: Array, start: MPO, gram: Gram | None, fit: MetricFit | None = None
) -> tuple[MPO, Array | None]:
    """The chain nearest to the matrix on the inputs that were gathered, and what to add to the bias; without, as it is.

    A chain with nothing cut is not fitted.
    """
    if gram is None:
        return start, None
    solution = (fit or MetricFit()).solve(matrix, start, gram)
    if solution.error <= solution.start_error:
        return solution.mpo, solution.bias_shift
    return start, corrected_bias(matrix, start, gram)
