"""A linear layer from any network of cores, written in leg words: rings, sums of Tucker forms, trees, grids."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import opt_einsum
import torch
from torch import nn

from tnsim.errors import SettingsError, ShapeError
from tnsim.networks.matrix_index import balanced_factors
from tnsim.tensorize.nn.chain_module import in_autocast
from tnsim.tensorize.nn.chain_product import is_traced
from tnsim.tensorize.nn.new_chain import Factors, randomise_bias_, randomise_variance

# numbers of the derivative of the matrix by one core, up to which `fit_` solves for it
_FIT_MAX = 10**8
_TRACED_ROWS = 256
# the leg of the rows; no word of a graph has a space in it
_ROWS = "rows of x"


class GraphLinear(nn.Module):
    """y = W x + bias with W contracted from cores. Words o0, o1, ... are outputs, i0, i1, ... inputs, others bonds.

    graph: the legs of every core, as in "o0 i0 a, a o1 i1"; a bond may join any number of cores. sizes: of every
    word. Cores and input are contracted in the order that opt_einsum finds cheapest for the batch. Random cores have
    a product of the variance of a new `nn.Linear`.

    >>> layer = GraphLinear("o0 i0 a, a b, b o1 i1", dict(o0=4, o1=5, i0=6, i1=7, a=2, b=3))
    >>> layer(torch.ones(3, 42)).shape, layer.numbers
    (torch.Size([3, 20]), 159)
    """

    cores: Any

    def __init__(
        self,
        graph: str,
        sizes: Mapping[str, int],
        bias: bool = True,
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.nodes = tuple(tuple(node.split()) for node in graph.split(","))
        self.sizes = {str(word): int(size) for word, size in sizes.items()}
        self.outs, self.ins = _check(self.nodes, self.sizes)
        self.out_features, self.in_features = (
            prod(self.sizes[word] for word in words) for words in (self.outs, self.ins)
        )
        self.cores = nn.ParameterList(
            nn.Parameter(torch.empty([self.sizes[word] for word in node], device=device, dtype=dtype))
            for node in self.nodes
        )
        self.bias = nn.Parameter(torch.empty(self.out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New random cores and bias, of the variances of a new `nn.Linear`."""
        paths = prod(size for word, size in self.sizes.items() if word not in self.outs + self.ins)
        randomise_variance(self.cores, 1 / (3 * self.in_features * paths))
        randomise_bias_(self.bias, self.in_features)

    @property
    def numbers(self) -> int:
        """Numbers in the cores; the bias is not counted."""
        return sum(core.numel() for core in self.cores)

    def matrix(self) -> torch.Tensor:
        """The whole matrix, differentiable; built anew in every call."""
        whole = _contract(self.nodes, self.outs + self.ins, list(self.cores))
        return whole.reshape(self.out_features, self.in_features)

    @property
    def weight(self) -> torch.Tensor:
        """The whole weight, built anew at every access; `cores` are the parameters."""
        return self.matrix()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """W x + bias for every vector on the last axis."""
        if input.shape[-1:] != (self.in_features,):
            raise ShapeError(f"this layer acts on {self.in_features} features, found shape {tuple(input.shape)}.")
        x, bias, *cores = in_autocast(input, self.bias, *self.cores)
        rows = x.reshape(prod(x.shape[:-1]), *(self.sizes[word] for word in self.ins))
        y = _contract(((_ROWS, *self.ins), *self.nodes), (_ROWS, *self.outs), [rows, *cores])
        y = y.reshape(*x.shape[:-1], self.out_features)
        return y if bias is None else y + bias

    def fit_(self, weight: torch.Tensor, *, sweeps: int = 20) -> float:
        """Cores for a weight by alternating least squares, in place; the relative error, which falls in every step.

        For layers of moderate size: the derivative by one core has out * in * (numbers of the core on bonds) numbers.
        """
        if tuple(weight.shape) != (self.out_features, self.in_features):
            raise ShapeError(
                f"a weight {(self.out_features, self.in_features)} is needed, found {tuple(weight.shape)}."
            )
        with torch.no_grad():
            whole = weight.double().reshape([self.sizes[word] for word in self.outs + self.ins])
            cores = [core.double() for core in self.cores]
            for _ in range(sweeps):
                for k in range(len(cores)):
                    cores[k] = self._best_core(k, cores, whole)
            for core, found in zip(self.cores, cores, strict=True):
                core.copy_(found)
            return float(torch.linalg.norm(self.matrix().double() - weight.double()) / torch.linalg.norm(whole))

    def _best_core(self, k: int, cores: Sequence[torch.Tensor], whole: torch.Tensor) -> torch.Tensor:
        """The core of least error, the others given: one least-squares problem for all of its outputs and inputs."""
        node, outer = self.nodes[k], self.outs + self.ins
        mine, bonds = ([w for w in node if (w in outer) == inside] for inside in (True, False))
        rest = [w for w in outer if w not in mine]
        others = [n for n in range(len(cores)) if n != k]
        rows, columns = prod(self.sizes[w] for w in rest), prod(self.sizes[w] for w in bonds)
        if rows * columns > _FIT_MAX:
            raise SettingsError(f"the derivative by core {k} has {rows * columns} numbers: too many for this fit.")
        absent = [w for w in rest + bonds if not any(w in self.nodes[n] for n in others)]
        nodes = [*(self.nodes[n] for n in others), *((w,) for w in absent)]
        ones = [whole.new_ones(self.sizes[w]) for w in absent]
        derivative = _contract(tuple(nodes), (*rest, *bonds), [*(cores[n] for n in others), *ones])
        right = whole.permute([outer.index(w) for w in (*rest, *mine)])
        found = torch.linalg.lstsq(
            derivative.reshape(rows, columns), right.reshape(rows, -1), driver="gelsd" if not whole.is_cuda else None
        ).solution
        found = found.reshape([self.sizes[w] for w in (*bonds, *mine)])
        return found.permute([(*bonds, *mine).index(w) for w in node])

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, graph={', '.join(' '.join(n) for n in self.nodes)!r}"


class RingLinear(GraphLinear):
    """A chain of cores closed to a ring by a bond of size `closing`; with closing = 1 a `TTLinear`.

    >>> RingLinear(16, 16, chi=3, closing=2).numbers
    192
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        chi: int,
        closing: int | None = None,
        factors: Factors | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        outs, ins = factors or (balanced_factors(out_features), balanced_factors(in_features))
        count = _paired(outs, ins, out_features, in_features)
        sizes = {f"b{k}": chi for k in range(1, count)} | {"b0": chi if closing is None else closing}
        graph = ", ".join(f"b{k} o{k} i{k} b{(k + 1) % count}" for k in range(count))
        super().__init__(graph, sizes | _physical(outs, ins), bias, dtype=dtype)

    @classmethod
    def from_chain(cls, layer: Any) -> "RingLinear":
        """The ring with closing bond 1 of a `TTLinear` without permutations or padding; its bonds must be equal."""
        shapes, ranks = layer.core_shapes(), set(layer.ranks)
        if len(ranks) > 1 or layer.row_places is not None or layer.column_places is not None:
            raise ShapeError(f"a ring is made from a chain of equal ranks in plain order, found {layer}.")
        outs, ins = (tuple(shape[axis] for shape in shapes) for axis in (1, 2))
        ring = cls(
            layer.in_features, layer.out_features, layer.bias is not None, chi=ranks.pop() if ranks else 1, closing=1,
            factors=(outs, ins), dtype=layer.cores[0].dtype,
        )  # fmt: skip
        with torch.no_grad():
            for core, found in zip(ring.cores, layer.chain_cores(), strict=True):
                core.copy_(found)
            if ring.bias is not None:
                ring.bias.copy_(layer.bias)
        return ring


class BlockTermLinear(GraphLinear):
    """A sum of `terms` Tucker forms, each with a core of `rank` states a factor; with rank 1 a sum of products.

    Numbers: terms (rank^(2 d) + rank (sum of the factors)) for d factors of outputs and inputs each.
    Source: J. Ye et al., CVPR 2018, arXiv:1712.05134.

    >>> BlockTermLinear(16, 16, terms=3, rank=2).numbers == 3 * (2**4 + 2 * 16)
    True
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        terms: int,
        rank: int,
        factors: Factors | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        outs, ins = factors or (balanced_factors(out_features), balanced_factors(in_features))
        count = _paired(outs, ins, out_features, in_features)
        words = [f"{side}{k}" for side in "oi" for k in range(count)]
        graph = "t " + " ".join(f"c{word}" for word in words)
        graph += "".join(f", t {word} c{word}" for word in words)
        sizes = {"t": terms} | {f"c{word}": rank for word in words} | _physical(outs, ins)
        super().__init__(graph, sizes, bias, dtype=dtype)


def _physical(outs: Sequence[int], ins: Sequence[int]) -> dict[str, int]:
    return {f"{side}{k}": size for side, sizes in (("o", outs), ("i", ins)) for k, size in enumerate(sizes)}


def _paired(outs: Sequence[int], ins: Sequence[int], out_features: int, in_features: int) -> int:
    if prod(outs) != out_features or prod(ins) != in_features or len(outs) != len(ins):
        raise ShapeError(
            f"as many factors of {out_features} outputs as of {in_features} inputs are needed, found {tuple(outs)} and "
            f"{tuple(ins)}."
        )
    return len(outs)


def _check(nodes: Sequence[Sequence[str]], sizes: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words of the outputs and inputs, in order."""
    words = [word for node in nodes for word in node]
    if missing := sorted(set(words) ^ set(sizes)):
        raise SettingsError(f"graph and sizes name different legs: {', '.join(missing)} stand in one of them only.")
    if not all(nodes) or min(sizes.values()) < 1:
        raise SettingsError(f"every core has a leg, and every leg a size of at least 1, found {dict(sizes)}.")
    found = []
    for side in "oi":
        mine = sorted((w for w in set(words) if w[0] == side and w[1:].isdigit()), key=lambda w: int(w[1:]))
        if mine != [f"{side}{k}" for k in range(len(mine))] or not mine or any(words.count(w) > 1 for w in mine):
            raise SettingsError(f"outputs are o0, o1, ... and inputs i0, i1, ..., each on one core, found {words}.")
        found.append(tuple(mine))
    return found[0], found[1]


def _contract(
    nodes: tuple[tuple[str, ...], ...], result: tuple[str, ...], tensors: Sequence[torch.Tensor]
) -> torch.Tensor:
    """A network of tensors, pair by pair in the order of least cost for a batch of about this size."""
    tracing = is_traced()
    sizes = tuple(tuple(tensor.shape) for tensor in tensors)
    if nodes[0][:1] == (_ROWS,):
        rows = _TRACED_ROWS if tracing else 1 << max(0, sizes[0][0] - 1).bit_length()
        sizes = ((rows, *sizes[0][1:]), *sizes[1:])
    waiting = list(tensors)
    for chosen, equation in _pairs(nodes, result, sizes):
        waiting.append(torch.einsum(equation, *(waiting.pop(n) for n in chosen)))
    return waiting[0]


@lru_cache(maxsize=1024)
def _pairs(nodes: tuple, result: tuple, sizes: tuple) -> tuple[tuple[tuple[int, ...], str], ...]:
    """(places of the tensors that are contracted next, largest first; equation) of every step."""
    letter = {word: opt_einsum.get_symbol(n) for n, word in enumerate(dict.fromkeys(w for n in nodes for w in n))}
    equation = ",".join("".join(letter[w] for w in node) for node in nodes)
    equation += "->" + "".join(letter[w] for w in result)
    _, info = opt_einsum.contract_path(equation, *sizes, shapes=True, optimize="auto")
    return tuple((tuple(step[0]), step[2]) for step in info.contraction_list)
