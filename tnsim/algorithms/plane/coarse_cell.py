"""What every kind of coarse-graining works on: one tensor that stands for a patch of the lattice, and its size."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tnsim.backend import Array
from tnsim.errors import OperatorError
from tnsim.linalg.arnoldi import dominant
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.symmetry import Charge, Leg, fuse_legs
from tnsim.tensor import Tensor, contract, fuse, random_tensor, trace

# sectors of up to this dimension are diagonalised in full, so that multiplicities are found
_FULL = 600


# a sum whose phase is larger is no positive number that rounding or a cut has turned a little
_TURNED = 1e-3


def log_of_positive(value: complex) -> float:
    """The logarithm of a partition function; NaN for what is zero, negative or complex.

    >>> log_of_positive(1 + 1e-9j), log_of_positive(1 + 1j), log_of_positive(-1)
    (0.0, nan, nan)
    """
    real = value.real
    return float(np.log(real)) if real > 0 and abs(value.imag) <= _TURNED * real else float("nan")


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
    """A cell of the coarse lattice, in whatever form its step keeps it; planar: of two dimensions."""

    patch: Patch
    planar = True

    @property
    def derivatives(self) -> tuple[float, ...]:
        """Of ln Z per site by beta, where the step carries them along."""
        return ()

    @abstractmethod
    def transfer(self, impurity: str | None = None) -> Tensor:
        """The matrix of a cell (or of an impurity in its place) closed to a ring, from one side of it to the other."""

    @abstractmethod
    def pair_values(self, count: int) -> np.ndarray:
        """Leading eigenvalues of the transfer matrix of two cells side by side, largest magnitude first."""


class SquareCell(CoarseCell):
    """A cell that is one tensor (north, east, south, west)."""

    @abstractmethod
    def whole(self, impurity: str | None = None) -> Tensor:
        """The tensor (or an impurity in its place), with the weights of its eastern and southern bonds."""

    def transfer(self, impurity: str | None = None) -> Tensor:
        """From north to south, closed from east to west."""
        return trace(self.whole(impurity), 3, 1)

    def pair_values(self, count: int) -> np.ndarray:
        return _pair_values(self.whole(), count)


@runtime_checkable
class Step(Protocol):
    """One kind of coarse-graining: makes a cell of a network, and of every cell one with twice the sites."""

    def start(self, network: Any, measure: tuple[str, ...]) -> CoarseCell: ...
    def advance(self, cell: CoarseCell) -> CoarseCell: ...


def first_patch(network: InfiniteNetwork, chi: int) -> Patch:
    """The patch of one cell of a network; OperatorError for one that is not of the square lattice."""
    if not isinstance(network, InfiniteNetwork):
        raise OperatorError(
            f"this step works on an InfiniteNetwork, found {network!r}: use HOTRG3D for a cubic lattice."
        )
    rows, columns = network.shape
    return Patch(sites=network.sites, log_scale=network.log_scale / network.sites, ratio=rows / columns, chi=chi)


@dataclass(frozen=True, eq=False)
class TransferLevels:
    """What the transfer matrices of a cell tell.

    trace: partition function of the torus of one cell, without what was taken out; log_first: ln of the largest
    eigenvalue of one cell; dimensions: scaling dimensions (in two dimensions); central_charge: where two cells were
    put side by side, else NaN; means: of the impurities; phases: how many eigenvalues share the largest magnitude.
    """

    trace: complex
    log_first: float
    dimensions: tuple[float, ...]
    central_charge: float
    means: Mapping[str, float]
    phases: float


def levels_of(cell: CoarseCell, measure: tuple[str, ...], width: int, count: int) -> TransferLevels:
    """Transfer spectra on the host: O(chi^3) beside the matrix for a width of one cell, O(chi^6) for two.

    Source: J. L. Cardy, Nucl. Phys. B 270, 186 (1986); Z.-C. Gu, X.-G. Wen, Phys. Rev. B 80, 155131 (2009).
    """
    matrix = _host(cell.transfer())
    values = values_of_one = sorted_values(np.linalg.eigvals(matrix))
    trace_ = complex(np.trace(matrix))
    means = {}
    for name in measure:
        mean = complex(np.trace(_host(cell.transfer(name)))) / trace_ if trace_ else float("nan")
        means[name] = float(np.real(mean))
    ratio, charge = cell.patch.ratio, float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        first = float(np.log(np.abs(values[0])))
        if width == 2:
            values = cell.pair_values(count)
            # ln of the largest: sites f + pi c height / (6 width)
            charge = float(6 / np.pi * (2 * first - np.log(np.abs(values[0]))) / (1.5 * ratio))
        dimensions = -np.log(np.abs(values[:count]) / np.abs(values[0])) * width / (2 * np.pi * ratio) + 0.0
    return TransferLevels(
        trace_, first, tuple(dimensions.tolist()) if cell.planar else (), charge, means, _phases(values_of_one)
    )


def _phases(values: np.ndarray) -> float:
    """1 where one eigenvalue stands alone, q where q do. Source: Gu, Wen, as above, equation (11)."""
    square = abs((values**2).sum())
    return float(abs(values.sum()) ** 2 / square) if square > 0 else float("nan")


def _pair_values(tensor: Tensor, count: int) -> np.ndarray:
    """Leading eigenvalues of the transfer matrix of two tensors side by side, sector by sector."""
    pair = fuse_legs((tensor.legs[0], tensor.legs[0]), 1).leg
    if max(pair.dims) > _FULL:
        found = [_krylov_values(tensor, charge, count) for charge in pair.charges]
    else:
        matrix = contract("n e s w, m w t e -> n m s t", tensor, tensor)
        blocks = fuse(matrix, [(0, 1), (2, 3)], [1, -1]).blocks()
        found = [np.linalg.eigvals(_double(tensor.backend.to_host(block))) for _, block in blocks]
    return sorted_values(np.concatenate(found))


def _krylov_values(tensor: Tensor, charge: Charge, count: int) -> np.ndarray:
    """The same in one sector, without the matrix."""

    def step(vector: Tensor) -> Tensor:
        return contract("n e s w, m w t e, s t -> n m", tensor, tensor, vector)

    return krylov_values(step, tensor, (tensor.legs[0],) * 2, charge, count)


def krylov_values(
    step: Callable[[Tensor], Tensor], like: Tensor, legs: Sequence[Leg], charge: Charge, count: int
) -> np.ndarray:
    """Leading eigenvalues of a map of tensors of these legs and charge; equal values may be found once only."""
    start = random_tensor(legs, charge, dtype=like.dtype, seed=0, backend=like.backend)

    def matvec(x: Array) -> Array:
        return step(Tensor(start.legs, x, start.charge)).data

    return dominant(matvec, start.data, like.backend, count=count, tolerance=1e-10).values


def sorted_values(values: np.ndarray) -> np.ndarray:
    """Largest magnitude first."""
    return values[np.argsort(-np.abs(values), kind="stable")]


def _host(matrix: Tensor) -> np.ndarray:
    return _double(matrix.backend.to_host(matrix.to_dense()))


def _double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
