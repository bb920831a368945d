"""Tensor renormalisation by higher-order singular values: two tensors become one, by turns in both directions.

Source: Z. Y. Xie, J. Chen, M. P. Qin, J. W. Zhu, L. P. Yang, T. Xiang, Phys. Rev. B 86, 045139 (2012).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.coarse_cell import Patch, SquareCell, first_patch
from tnsim.errors import check_fields
from tnsim.linalg.density_vectors import density_vectors
from tnsim.linalg.truncation import Truncation
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.tensor import Tensor, contract, fuse, split


@dataclass(frozen=True, kw_only=True)
class HOTRG:
    """A tensor and the one below it become one; the fused legs keep the leading vectors of their density matrix.

    Then the lattice is reflected at its diagonal, so that directions take turns. Impurities keep their place.
    Cost O(chi^7) a step, and as much for every impurity; error at the critical point of the Ising model about chi^-4.3.

    >>> HOTRG(chi_max=16)
    HOTRG(chi_max=16, svd_min=1e-12)
    """

    chi_max: int = field(metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-12, metadata={"help": "drop singular values below this (of the norm)"})

    def __post_init__(self) -> None:
        check_fields(self)
        Truncation(chi_max=self.chi_max, svd_min=self.svd_min)  # refuses what is out of range

    def start(self, network: InfiniteNetwork, measure: tuple[str, ...] = ()) -> "_Cell":
        """The cell of a network, with the impurities that are to be measured."""
        tensor = network.tensor
        impurities = {name: network.impurity(name) for name in measure}
        return _Cell(tensor, impurities, first_patch(network, max(tensor.shape)))

    def advance(self, cell: "_Cell") -> "_Cell":
        """One step: stack, truncate, reflect."""
        truncation = Truncation(chi_max=self.chi_max, svd_min=self.svd_min)
        west, east, weight = _projectors(cell.tensor, truncation)
        tensor = _stacked(cell.tensor, cell.tensor, west, east)
        scale = tensor.norm() or 1.0
        patch = cell.patch.doubled(
            float(np.log(scale)), ratio=1 / (2 * cell.patch.ratio), trunc_err=weight, chi=max(tensor.shape)
        )
        impurities = {
            name: _stacked(impurity, cell.tensor, west, east) / scale for name, impurity in cell.impurities.items()
        }
        return _Cell(tensor / scale, impurities, patch)


class _Cell(SquareCell):
    """A tensor, and impurities with its legs."""

    def __init__(self, tensor: Tensor, impurities: Mapping[str, Tensor], patch: Patch) -> None:
        self.tensor, self.impurities, self.patch = tensor, impurities, patch

    def whole(self, impurity: str | None = None) -> Tensor:
        return self.tensor if impurity is None else self.impurities[impurity]


def _projectors(tensor: Tensor, truncation: Truncation) -> tuple[Tensor, Tensor, float]:
    """What is put on the two western and on the two eastern legs of a stack, and the discarded weight.

    The vectors are those of the side that discards less; the other side gets their conjugate.
    """
    found = []
    for words in (("n e m w, n e k v -> m k w v", "m e s w, k e s v -> m k w v"),
                  ("n e m w, n f m' w -> m m' e f", "m e s w, m' f s w -> m m' e f")):  # fmt: skip
        top, bottom = (contract(word, tensor, tensor.conj()) for word in words)
        rho = contract("m k a c, m k b d -> a b c d", top, bottom)
        vectors, weight = density_vectors(fuse(rho, [(0, 1), (2, 3)], [1, -1]), truncation)
        found.append((weight, split(vectors, 0, rho.legs[:2])))
    if found[0][0] <= found[1][0]:
        return found[0][1].conj(), found[0][1], found[0][0]
    return found[1][1], found[1][1].conj(), found[1][0]


def _stacked(top: Tensor, bottom: Tensor, west: Tensor, east: Tensor) -> Tensor:
    """Both tensors as one, reflected at the diagonal: (west, south, east, north) become (north, east, south, west)."""
    return contract("a b w, n e m a, m f s b, e f x -> w s x n", west, top, bottom, east)
