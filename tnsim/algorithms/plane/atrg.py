"""Anisotropic tensor renormalisation: two tensors become one as in HOTRG, at the cost of TRG.

Source: D. Adachi, T. Okubo, S. Todo, Phys. Rev. B 102, 054432 (2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.plane.coarse_cell import Patch, SquareCell, first_patch
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.decompose import Spectrum
from tnsim.linalg.product_svd import product_svd
from tnsim.linalg.truncation import Truncation
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, eye, fuse, split


@dataclass(frozen=True, kw_only=True)
class ATRG:
    """Tensors in two factors, (north west) and (east south): the bond between two of them is swapped, then cut.

    Then the lattice is reflected at its diagonal, so that directions take turns. Cost O(chi^5) a step; less precise
    than TRG at the same chi here, it is made for more dimensions.

    >>> ATRG(chi_max=16)
    ATRG(chi_max=16, svd_min=1e-12, seed=0)
    """

    chi_max: int = field(metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-12, metadata={"help": "drop singular values below this (of the norm)"})
    seed: int = field(default=0, metadata={"help": "of the random projections"})

    def __post_init__(self) -> None:
        check_fields(self)
        Truncation(chi_max=self.chi_max, svd_min=self.svd_min)  # refuses what is out of range

    def start(self, network: InfiniteNetwork, measure: tuple[str, ...] = ()) -> "_Pair":
        """The cell of a network: all of its tensor in the first factor."""
        if measure:
            raise SettingsError(f"ATRG measures no impurities {measure}: use HOTRG or CTMRG for them.")
        tensor = network.tensor
        matrix = fuse(tensor, [(0, 3), (1, 2)], [1, -1])
        first, second = all_first(matrix, (tensor.legs[0], tensor.legs[3]), tensor.legs[1:3])
        return _Pair(first, second, first_patch(network, max(tensor.shape)))

    def advance(self, cell: "_Pair") -> "_Pair":
        """One step: split, swap the bond between two tensors, cut the two bonds beside them, reflect.

        n--a--w1            n--a--w1             n--.
           |                   |                    G==w
        e1-b                   x--w2                |
           |m        to        |         to         |
           c--w2           e1--y                 e==H
           |                   |                    '--s
        e2-d--s             e2-d--s
        """
        u, spectrum, v = self._split(*_fused(cell.first, cell.second))
        lost = spectrum.discarded_weight
        scale = float(spectrum.values.max(initial=0.0)) or 1.0
        weights = Spectrum(spectrum.leg, spectrum.values / scale)
        a, b, c, d = u, scale_rows(v, weights), scale_columns(u, weights), v
        # (upper bond, west) | (east, lower bond) of the two inner factors
        swapped = contract("a e m, m w b -> a w e b", b, c)
        x, roots, y = self._split([fuse(swapped, [(0, 1), (2, 3)], [1, -1])], swapped.legs)
        x, y = scale_columns(x, root_of(roots)), scale_rows(y, root_of(roots))
        upper, lower = contract("n w a, a v m -> w v n m", a, x), contract("m e b, b f s -> m s e f", y, d)
        south, spectrum, north = self._split(*_fused(lower, upper))
        patch = cell.patch.doubled(
            float(2 * np.log(scale)),
            ratio=1 / (2 * cell.patch.ratio),
            trunc_err=max(lost, roots.discarded_weight, spectrum.discarded_weight),
            chi=max(len(roots.values), len(spectrum.values)),
        )
        # reflected: west becomes north, north west, south east, east south
        first = scale_rows(north, root_of(spectrum))
        return _Pair(first, scale_columns(south, root_of(spectrum)), patch)

    def _split(self, factors: Sequence[Tensor], legs: Sequence[Leg]) -> tuple[Tensor, Spectrum, Tensor]:
        truncation = Truncation(chi_max=self.chi_max, svd_min=self.svd_min)
        return split_product(factors, legs[:2], legs[2:], truncation, self.seed)


def _fused(first: Tensor, second: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Leg, ...]]:
    """Two tensors as matrices, all shared legs between them, and the legs of rows and columns."""
    shared = second.ndim - 2
    left = fuse(first, [(0, 1), range(2, first.ndim)], [1, -1])
    right = fuse(second, [range(shared), (shared, shared + 1)], [1, -1])
    return (left, right), (*first.legs[:2], *second.legs[shared:])


def split_product(
    factors: Sequence[Tensor], rows: Sequence[Leg], columns: Sequence[Leg], truncation: Truncation, seed: int
) -> tuple[Tensor, Spectrum, Tensor]:
    """SVD of a product of matrices, the rows and columns of which are split again after it."""
    u, spectrum, v = product_svd(factors, truncation, seed=seed)
    return split(u, 0, rows), spectrum, split(v, 1, columns)


def all_first(matrix: Tensor, rows: Sequence[Leg], columns: Sequence[Leg]) -> tuple[Tensor, Tensor]:
    """A fused matrix and the identity as two factors, their legs split again."""
    identity = eye(matrix.legs[1].dual, dtype=matrix.dtype, backend=matrix.backend)
    return split(matrix, 0, rows), split(identity, 1, columns)


def root_of(spectrum: Spectrum) -> Spectrum:
    """Roots of singular values."""
    return Spectrum(spectrum.leg, np.sqrt(spectrum.values))


class _Pair(SquareCell):
    """first (north, west, bond) and second (bond, east, south)."""

    def __init__(self, first: Tensor, second: Tensor, patch: Patch) -> None:
        self.first, self.second, self.patch = first, second, patch

    def whole(self, impurity: str | None = None) -> Tensor:
        return contract("n w m, m e s -> n e s w", self.first, self.second)

    def transfer(self, impurity: str | None = None) -> Tensor:
        """As of any cell, in O(chi^4)."""
        return contract("n w m, m w s -> n s", self.first, self.second)
