"""The chains of several sizes that a layer may become, made when they are asked for, and what each of them errs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from tnsim.backend import Array, backend_of
from tnsim.errors import SettingsError, ShapeError, check_fields, suggest
from tnsim.networks.matrix_index import IndexOrder, MatrixAxes, MatrixAxis
from tnsim.networks.matrix_train import checked_matrix, core_tensor
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import RankRule, count_params
from tnsim.tensorize.functional_error import corrected_bias
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.metric_fit import MetricFit
from tnsim.tensorize.nn.chain_module import ChainModule
from tnsim.tensorize.nn.dense_layers import DenseLayer
from tnsim.tensorize.nn.new_chain import Factors, balanced_pair

_LOG = logging.getLogger("tnsim.tensorize")
_FORMATS = ("chain", "svd")
# two matrices that err less are not beaten by enough to fit a chain of that size, the most expensive one
_GOOD = 0.01


@dataclass(frozen=True, kw_only=True)
class LayerFormat:
    """In which forms layers are tried. Each size is made in all of them, and the one that errs least taken.

    With both forms chains are fitted from the ratio `chain_from` on, and only where two matrices err by more than a
    hundredth: large chains cost most to fit (as their rank squared), and seldom err less than two matrices.
    """

    formats: tuple[str, ...] = field(
        default=_FORMATS, metadata={"help": "chain of sites, svd (two matrices, of the outputs where activations are)"}
    )
    sites: int = field(default=2, metadata={"help": "sites of a chain; two act fastest"})
    ratios: tuple[float, ...] = field(
        default=(
            1.15,
            1.3,
            1.45,
            1.6,
            1.75,
            1.9,
            2.1,
            2.4,
            2.7,
            3.0,
            3.5,
            4.0,
            4.6,
            5.3,
            6.2,
            7.2,
            8.5,
            10.0,
            12.0,
            15.0,
        ),  # fmt: skip
        metadata={"help": "sizes that are tried: the numbers of the matrix over these"},
    )
    chain_from: float = field(default=3.4, metadata={"help": "with both forms: ratio from which chains are fitted"})
    fit: MetricFit = field(
        default_factory=lambda: MetricFit(max_sweeps=4, tol=0.02), metadata={"help": "how chains are fitted"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.formats:
            if name not in _FORMATS:
                raise SettingsError(f"unknown format {name!r}. {suggest(name, _FORMATS)}")
        if not self.formats or self.sites < 1 or not self.ratios or min(self.ratios) <= 1:
            raise SettingsError(f"at least one format, one site and one ratio above 1 are needed, found {self}.")
        if list(self.ratios) != sorted(self.ratios):
            raise SettingsError(f"ratios ascend, found {self.ratios}.")


@dataclass(frozen=True, eq=False, kw_only=True)
class Rung:
    """A chain of some size for a layer. error: of its outputs, relative (of the weight where nothing is known);
    squared: the same, absolute and squared."""

    ratio: float
    form: str
    mpo: MPO = field(repr=False)
    shift: Array | None = field(repr=False)
    numbers: int
    error: float
    squared: float


class Ladder:
    """Rung 0 is the dense layer itself (None), rung n the smaller chain that `LayerFormat.ratios[n - 1]` asks for."""

    def __init__(self, layer: DenseLayer, gram: Gram | None, form: LayerFormat) -> None:
        if gram is not None and gram.features != layer.shape[1]:
            raise ShapeError(
                f"layer {layer.name!r} acts on {layer.shape[1]} features, found activations of {gram.features}."
            )
        self.layer, self.gram, self.form = layer, gram, form
        self._rungs: dict[tuple[float, tuple[str, ...]], Rung | None] = {}
        self._modules: dict[int, ChainModule] = {}

    @property
    def name(self) -> str:
        return self.layer.name

    @cached_property
    def matrix(self) -> Array:
        return checked_matrix(self.layer.matrix(), self.name)

    def numbers(self, n: int) -> int:
        """Numbers of a rung, without making it where it is the dense one."""
        rung = self.rung(n)
        return self.layer.numbers if rung is None else rung.numbers

    def squared(self, n: int) -> float:
        rung = self.rung(n)
        return 0.0 if rung is None else rung.squared

    @cached_property
    def ratios(self) -> tuple[float, ...]:
        """Those of the settings as far as rank 1 meets them, and on towards it in steps of a half."""
        most = self.layer.numbers / self.least_numbers
        found = [ratio for ratio in self.form.ratios if ratio <= most]
        while found and found[-1] * 1.5 <= most:
            found.append(found[-1] * 1.5)
        return tuple(found)

    @property
    def count(self) -> int:
        """Rungs that there are, the dense one included."""
        return 1 + len(self.ratios)

    @property
    def least_numbers(self) -> int:
        """Those of the smallest form there is, or of the matrix."""
        return min(self.layer.numbers, *(self._smallest(name) for name in self.form.formats))

    def rung(self, n: int) -> Rung | None:
        """The chain of a rung, or None for the dense layer."""
        return None if n == 0 else self.at_ratio(self.ratios[n - 1])

    def at_ratio(self, ratio: float, formats: tuple[str, ...] | None = None) -> Rung | None:
        """The best chain of at most (numbers of the matrix) / ratio numbers; None where there is none."""
        formats = formats or self.form.formats
        key = ratio, formats
        if key not in self._rungs:
            # a quotient of two whole numbers must not fall below the one it came from
            budget = int(self.layer.numbers / ratio * (1 + 1e-12))
            found: list[Rung] = []
            for name in sorted(formats, reverse=True):  # svd, the cheap one, first
                enough = bool(found) and (ratio < self.form.chain_from or found[0].error < _GOOD)
                if self._smallest(name) <= budget and not enough:
                    found.append(self._make(name, ratio, budget))
            self._rungs[key] = min(found, key=lambda rung: rung.squared) if found else None
        return self._rungs[key]

    def nearest(self, ratio: float) -> Rung | None:
        """The chain at a ratio, or at the largest there is."""
        most = self.layer.numbers / self.least_numbers
        return None if most <= 1 else self.at_ratio(min(ratio, most))

    def module(self, rung: Rung) -> ChainModule:
        """The layer on that chain; the same one in every call."""
        if id(rung) not in self._modules:
            self._modules[id(rung)] = self.layer.with_chain(rung.mpo, rung.shift)
        return self._modules[id(rung)]

    @cached_property
    def _factors(self) -> Factors:
        return balanced_pair(self.layer.shape, self.form.sites)

    def _smallest(self, name: str) -> int:
        """Numbers at rank 1."""
        if name == "svd":
            return sum(self.layer.shape)
        dims = [o * i for o, i in zip(*self._factors, strict=True)]
        return count_params(dims, [1] * (len(dims) - 1))

    def _make(self, name: str, ratio: float, budget: int) -> Rung:
        mpo = self._chain(budget) if name == "chain" else self._two_matrices(budget)
        shift = None
        if self.gram is not None and self.layer.has_bias:
            shift = corrected_bias(self.matrix, mpo, self.gram)
        squared, whole = self._errors(mpo)
        _LOG.debug("%s: %s at %.3gx, error %.3g", self.name, name, ratio, np.sqrt(squared / whole))
        numbers = sum(tensor.size for tensor in mpo.tensors)
        return Rung(
            ratio=ratio, form=name, mpo=mpo, shift=shift, numbers=numbers, error=float(np.sqrt(squared / whole)),
            squared=squared,
        )  # fmt: skip

    def _chain(self, budget: int) -> MPO:
        pad = IndexOrder(pad=True)
        outs, ins = self._factors
        start = MPO.from_matrix(self.matrix, outs, ins, RankRule(params=budget), index=pad, name=self.name)
        if self.gram is None:
            return start
        fit = replace(self.form.fit, centered=self.layer.has_bias)
        return fit.solve(self.matrix, start, self.gram).mpo

    def _two_matrices(self, budget: int) -> MPO:
        """U (U^T W) with the leading eigenvectors of W C W^T: the least error of the outputs at a rank."""
        rank = min(budget // sum(self.layer.shape), *self.layer.shape)
        backend = backend_of(self.matrix)
        host = backend.to_host(self.matrix)
        u = self._directions[:, :rank]
        out, width = self.layer.shape
        cores = u.reshape(1, out, 1, rank), (u.T @ host).reshape(rank, 1, width, 1)
        axes = MatrixAxes(MatrixAxis(out, (out, 1)), MatrixAxis(width, (1, width)))
        return _chain(cores, axes).to(backend)

    @cached_property
    def _directions(self) -> np.ndarray:
        """Directions of the outputs, that of most variance first."""
        backend = backend_of(self.matrix)
        seen = self.matrix @ self._metric @ self.matrix.T
        return np.linalg.eigh(backend.to_host(seen))[1][:, ::-1]

    @cached_property
    def _metric(self) -> Array:
        """What counts of the inputs: their covariance, or second moment without a bias; all alike if unknown."""
        backend = backend_of(self.matrix)
        if self.gram is None:
            return backend.asarray(np.eye(self.layer.shape[1]))
        return self.gram.covariance if self.layer.has_bias else self.gram.second_moment

    @property
    def outputs_matrix(self) -> Array:
        """W C^(1/2), whose singular values are those of the outputs on the data."""
        backend = backend_of(self.matrix)
        values, vectors = np.linalg.eigh(backend.to_host(self._metric))
        return self.matrix @ backend.asarray(vectors * np.sqrt(np.maximum(values, 0)))

    def _errors(self, mpo: MPO) -> tuple[float, float]:
        """Squared error of the outputs, and their whole size, in the metric."""
        lost, backend = self.matrix - mpo.to_matrix(), backend_of(self.matrix)
        sizes = [float(backend.read(backend.sum((part @ self._metric) * part))) for part in (lost, self.matrix)]
        return max(sizes[0], 0.0), max(sizes[1], 1e-300)


def one_site(matrix: np.ndarray) -> MPO:
    """A matrix as a chain of one site."""
    out, width = matrix.shape
    return _chain([matrix.reshape(1, out, width, 1)], MatrixAxes(MatrixAxis(out, (out,)), MatrixAxis(width, (width,))))


def _chain(cores: Sequence[np.ndarray], axes: MatrixAxes) -> MPO:
    return MPO([core_tensor(np.ascontiguousarray(core)) for core in cores], axes=axes)
