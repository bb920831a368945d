"""The best chain of given ranks for a matrix in the metric of its inputs, by sweeps over its sites."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tnsim.algorithms.solution import Status
from tnsim.backend import Array
from tnsim.errors import NumericalError, SettingsError, ShapeError, check_fields, suggest
from tnsim.networks.matrix_train import checked_matrix
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_gauge import gauge
from tnsim.tensorize.functional_error import check_same_device, corrected_bias, functional_error
from tnsim.tensorize.gram import Gram
from tnsim.tensorize.input_metric import METRICS, metric_of
from tnsim.tensorize.metric_sweep import MetricSweep
from tnsim.tensorize.metric_window import whole_window


@dataclass(frozen=True, kw_only=True)
class MetricFit:
    """Sweeps that lower tr((W - M) C (W - M)^dagger): the mean squared error of what a layer puts out.

    C is the covariance of the inputs (their means are left to the bias, see `corrected_bias`). Local problems are
    solved without an inverse of C, so it may be singular. Cost a sweep O(L rank^2 in^2) and memory rank^2 in^2,
    whatever the number of samples.
    """

    metric: str = field(default="full", metadata={"help": "full, kronecker or diagonal covariance, or none of it"})
    two_site_sweeps: int = field(
        default=1, metadata={"help": "first sweeps that update two sites at once, whatever the bonds hold at the start"}
    )
    max_sweeps: int = field(default=20, metadata={"help": "stop after this many sweeps (right and left)"})
    tol: float = field(default=1e-3, metadata={"help": "converged: error changes by less than this share in a sweep"})
    direct_max: int = field(
        default=2000, metadata={"help": "above so many unknowns (of one output) conjugate gradients are used"}
    )
    centered: bool = field(default=True, metadata={"help": "covariance about the mean; without it, second moments"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.metric not in METRICS:
            raise SettingsError(f"unknown metric {self.metric!r}. {suggest(self.metric, METRICS)}")
        if self.max_sweeps < 1 or min(self.direct_max, self.two_site_sweeps) < 0 or not 0 < self.tol < 1:
            raise SettingsError(
                f"max_sweeps >= 1, two_site_sweeps >= 0, direct_max >= 0 and 0 < tol < 1 are needed, found {self}."
            )

    def solve(self, matrix: Array, start: MPO, gram: Gram) -> "FitSolution":
        """The chain with the bonds of `start` that is nearest to the matrix in the metric of the inputs.

        The error falls with every update. Raises ShapeError where matrix, chain and inputs do not fit, NumericalError
        on NaN or Inf; not converging is a status.

        >>> rng = np.random.default_rng(0)
        >>> W, x = rng.standard_normal((16, 16)), rng.standard_normal((200, 16)) * 0.7 ** np.arange(16)
        >>> start = MPO.from_matrix(W, (4, 4), (4, 4), 4)
        >>> fit = MetricFit().solve(W, start, Gram.collect([x]))
        >>> bool(fit.error < 0.6 * fit.start_error)
        True
        """
        history: list[float] = []
        mpo, change = start, np.inf
        for fitted, errors in self.sweeps(matrix, start, gram):
            change = (history[-1] - errors[-1]) / max(history[-1], 1e-300) if history else np.inf
            mpo, history = fitted, history + errors
            if change < self.tol:
                break
        return FitSolution(
            mpo=mpo,
            bias_shift=corrected_bias(matrix, mpo, gram),
            start_error=functional_error(matrix, start, gram, centered=self.centered),
            error=functional_error(matrix, mpo, gram, centered=self.centered),
            history=tuple(history),
            status=_status(change < self.tol, change, self),
        )

    def sweeps(self, matrix: Array, start: MPO, gram: Gram) -> Iterator[tuple[MPO, list[float]]]:
        """After every sweep the chain, and the relative error in the metric after every update of the sweep."""
        matrix = checked_matrix(matrix, gram.name)
        axes = start.axes
        if axes is None or tuple(matrix.shape) != axes.shape or gram.features != axes.columns.size:
            raise ShapeError(
                f"a fit needs a chain made by MPO.from_matrix, its matrix and inputs of its width, found a chain for "
                f"{'no matrix' if axes is None else axes.shape}, a matrix {tuple(matrix.shape)} and {gram!r}."
            )
        check_same_device(matrix, start, gram)
        wide = _wide_dtype(matrix, start)
        dtype = np.result_type(start.dtype, np.complex64 if wide is np.complex128 else start.dtype)
        backend = start.backend
        matrix = backend.astype(matrix, wide)
        window = whole_window(matrix, metric_of(gram, axes, self.metric, wide, centered=self.centered), start)
        sweep = MetricSweep(matrix, gauge(start.astype(wide), "qr", center=0), window, self.direct_max)
        for number in range(self.max_sweeps):
            errors = [*sweep.run(2 if number < self.two_site_sweeps else 1), *sweep.leap()]
            if not np.isfinite(errors).all():
                raise NumericalError("NaN or Inf in the error of the fit: check the matrix and the activations.")
            tensors = [tensor.astype(dtype) for tensor in sweep.tensors]
            yield MPO(tensors, axes=axes), errors


def _wide_dtype(matrix: Array, start: MPO) -> Any:
    """Double precision, real where matrix and chain are."""
    return np.complex128 if "c" in (matrix.dtype.kind, start.dtype.kind) else np.float64


@dataclass(frozen=True, kw_only=True, eq=False)
class FitSolution:
    """A fitted chain. Errors are relative, of the outputs about their mean (or as they are, without centering).

    bias_shift: what is added to the bias, so that the mean output is exact; history: error after every update, in the
    metric that was used.
    """

    mpo: MPO
    bias_shift: Array = field(repr=False)
    start_error: float
    error: float
    history: tuple[float, ...] = field(repr=False)
    status: Status


def _status(converged: bool, change: float, fit: MetricFit) -> Status:
    advice = f"the error still falls by {change:.1%} a sweep: raise max_sweeps = {fit.max_sweeps}."
    return Status("converged" if converged else "not converged", converged, "" if converged else advice)
