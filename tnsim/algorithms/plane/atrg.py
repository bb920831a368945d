"""Anisotropic tensor renormalisation: two tensors become one as in HOTRG, at the cost of TRG.

Source: D. Adachi, T. Okubo, S. Todo, Phys. Rev. B 102, 054432 (2020).
"""

from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.plane.coarse_cell import Patch, SquareCell, first_patch
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.decompose import Spectrum
from tnsim.linalg.product_svd import product_svd
from tnsim.linalg.truncation import Truncation
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.networks.square_network import InfiniteNetwork
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
        identity = eye(matrix.legs[1].dual, dtype=tensor.dtype, backend=tensor.backend)
        first = split(matrix, 0, (tensor.legs[0], tensor.legs[3]))
        return _Pair(first, split(identity, 1, tensor.legs[1:3]), first_patch(network, max(tensor.shape)))

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
        u, spectrum, v, lost = self._split(cell.first, cell.second)
        scale = float(spectrum.values.max(initial=0.0)) or 1.0
        weights = Spectrum(spectrum.leg, spectrum.values / scale)
        a, b, c, d = u, scale_rows(v, weights), scale_columns(u, weights), v
        x, roots, y, swapped = self._split(*_swapped(b, c))
        x, y = scale_columns(x, _root(roots)), scale_rows(y, _root(roots))
        upper, lower = contract("n w a, a v m -> w v n m", a, x), contract("m e b, b f s -> m s e f", y, d)
        south, spectrum, north, cut = self._split(lower, upper)
        patch = cell.patch.doubled(
            float(2 * np.log(scale)),
            ratio=1 / (2 * cell.patch.ratio),
            trunc_err=max(lost, swapped, cut),
            chi=max(len(roots.values), len(spectrum.values)),
        )
        # reflected: west becomes north, north west, south east, east south
        first = scale_rows(north, _root(spectrum))
        return _Pair(first, scale_columns(south, _root(spectrum)), patch)

    def _split(self, first: Tensor, second: Tensor) -> tuple[Tensor, Spectrum, Tensor, float]:
        """SVD of a product of two tensors, all shared legs between them; rows and columns are split again."""
        rows, columns = first.legs[:2], second.legs[-2:]
        inner_first, inner_second = tuple(range(2, first.ndim)), tuple(range(second.ndim - 2))
        factors = (
            fuse(first, [(0, 1), inner_first], [1, -1]),
            fuse(second, [inner_second, (second.ndim - 2, second.ndim - 1)], [1, -1]),
        )
        truncation = Truncation(chi_max=self.chi_max, svd_min=self.svd_min)
        u, spectrum, v = product_svd(factors, truncation, seed=self.seed)
        return split(u, 0, rows), spectrum, split(v, 1, columns), spectrum.discarded_weight


def _swapped(b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """(upper bond, west) | (east, lower bond) of the two inner factors, as a product of it and the identity."""
    matrix = contract("a e m, m w b -> a w e b", b, c)
    fused = fuse(matrix, [(0,), (1,), (2, 3)], [1, 1, -1])
    identity = eye(fused.legs[2].dual, dtype=fused.dtype, backend=fused.backend)
    return fused, split(identity, 1, matrix.legs[2:])


def _root(spectrum: Spectrum) -> Spectrum:
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
