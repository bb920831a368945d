"""What every kind of coarse-graining works on: one tensor that stands for a patch of the lattice, and its size."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tnsim.networks.square_network import InfiniteNetwork
from tnsim.tensor import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """How much of the lattice one tensor stands for, and what was taken out of it.

    sites: degrees of freedom; log_scale: ln of what was taken out, per site; log_factor: the part of it (not per
    site) that the last step took; ratio: height over width; trunc_err: largest discarded weight of the last step;
    chi: largest bond dimension.
    """

    sites: float
    log_scale: float
    log_factor: float = 0.0
    ratio: float = 1.0
    trunc_err: float = 0.0
    chi: int = 1

    def doubled(self, log_factor: float, *, ratio: float, trunc_err: float, chi: int) -> "Patch":
        """Twice the sites, after a factor was taken out."""
        sites = 2 * self.sites
        return Patch(
            sites=sites, log_scale=self.log_scale + log_factor / sites, log_factor=log_factor, ratio=ratio,
            trunc_err=trunc_err, chi=chi,
        )  # fmt: skip


class CoarseCell(ABC):
    """A tensor of the coarse lattice, in whatever form its step keeps it."""

    patch: Patch

    @abstractmethod
    def transfer(self, impurity: str | None = None) -> Tensor:
        """The matrix (north, south) of the tensor (or of an impurity in its place), closed from east to west."""


class Step(Protocol):
    """One kind of coarse-graining: makes a cell of a network, and of every cell one with twice the sites."""

    def start(self, network: InfiniteNetwork, measure: tuple[str, ...]) -> CoarseCell: ...
    def advance(self, cell: CoarseCell) -> CoarseCell: ...


def first_patch(network: InfiniteNetwork, chi: int) -> Patch:
    """The patch of one cell of a network."""
    rows, columns = network.shape
    return Patch(sites=network.sites, log_scale=network.log_scale / network.sites, ratio=rows / columns, chi=chi)


@dataclass(frozen=True, eq=False)
class TransferLevels:
    """Eigenvalues of a cell's transfer matrix, largest magnitude first, and the means of impurities.

    trace is the partition function of the torus of one cell, without what was taken out.
    """

    values: np.ndarray
    trace: complex
    means: Mapping[str, float] = field(default_factory=dict)

    def dimensions(self, ratio: float, count: int) -> tuple[float, ...]:
        """Scaling dimensions -ln|value / first| width / (2 pi height); the first is 0 by definition.

        Source: J. L. Cardy, Nucl. Phys. B 270, 186 (1986); Z.-C. Gu, X.-G. Wen, Phys. Rev. B 80, 155131 (2009).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = -np.log(np.abs(self.values[:count]) / np.abs(self.values[0]))
        return tuple((logs / (2 * np.pi * ratio) + 0.0).tolist())


def levels_of(cell: CoarseCell, measure: tuple[str, ...]) -> TransferLevels:
    """The transfer spectrum on the host: O(chi^3) beside the matrix itself."""
    matrix = _host(cell.transfer())
    values = np.linalg.eigvals(matrix)
    values = values[np.argsort(-np.abs(values), kind="stable")]
    trace = complex(np.trace(matrix))
    means = {}
    for name in measure:
        mean = complex(np.trace(_host(cell.transfer(name)))) / trace if trace else float("nan")
        means[name] = float(np.real(mean))
    return TransferLevels(values, trace, means)


def _host(matrix: Tensor) -> np.ndarray:
    array = matrix.backend.to_host(matrix.to_dense())
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
