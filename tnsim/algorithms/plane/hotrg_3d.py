"""Tensor renormalisation by higher-order singular values in three dimensions.

Source: Z. Y. Xie, J. Chen, M. P. Qin, J. W. Zhu, L. P. Yang, T. Xiang, Phys. Rev. B 86, 045139 (2012).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.plane.coarse_cell import CoarseCell, Patch
from tnsim.errors import OperatorError, SettingsError, check_fields
from tnsim.linalg.density_vectors import density_vectors
from tnsim.linalg.truncation import Truncation
from tnsim.networks.cubic_network import CubicNetwork
from tnsim.tensor import Tensor, contract, fuse, split, trace

# words of the legs of the upper and of the lower tensor of a stack
_TOP, _BOTTOM = ["n", "e", "s", "w", "u", "m"], ["n", "e", "s", "w", "m", "d"]


@dataclass(frozen=True, kw_only=True)
class HOTRG3D:
    """A tensor of the cubic lattice and the one below it become one; four pairs of legs are fused and cut.

    Then the axes are turned, so that directions take turns. Cost O(chi^11) a step and O(chi^8) memory, and as much
    for every impurity.

    >>> HOTRG3D(chi_max=4)
    HOTRG3D(chi_max=4, svd_min=1e-12)
    """

    chi_max: int = field(metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-12, metadata={"help": "drop singular values below this (of the norm)"})

    def __post_init__(self) -> None:
        check_fields(self)
        Truncation(chi_max=self.chi_max, svd_min=self.svd_min)  # refuses what is out of range

    def start(self, network: CubicNetwork, measure: tuple[str, ...] = ()) -> "CubicCell":
        """The cell of a network, with the impurities that are to be measured."""
        if not isinstance(network, CubicNetwork):
            raise OperatorError(f"HOTRG3D works on a CubicNetwork, found {network!r}: use HOTRG for a square lattice.")
        return CubicCell(network.tensor, {name: network.impurity(name) for name in measure}, cubic_patch(network))

    def advance(self, cell: "CubicCell") -> "CubicCell":
        """One step: stack, truncate, turn."""
        truncation = Truncation(chi_max=self.chi_max, svd_min=self.svd_min)
        pairs = [_projectors(cell.tensor, axis, truncation) for axis in (0, 1)]
        (north, south, _), (west, east, _) = pairs
        projectors = (north, east, south, west)
        tensor = _stacked(cell.tensor, cell.tensor, projectors)
        scale = tensor.norm() or 1.0
        patch = cell.patch.doubled(
            float(np.log(scale)), ratio=1.0, trunc_err=max(pair[2] for pair in pairs), chi=max(tensor.shape)
        )
        impurities = {
            name: _stacked(impurity, cell.tensor, projectors) / scale for name, impurity in cell.impurities.items()
        }
        return CubicCell(tensor / scale, impurities, patch)


def cubic_patch(network: CubicNetwork) -> Patch:
    """The patch of one cell."""
    chi = max(network.tensor.shape)
    return Patch(sites=network.sites, log_scale=network.log_scale / network.sites, chi=chi)


class CubicCell(CoarseCell):
    """A tensor (north, east, south, west, up, down), and impurities with its legs."""

    planar = False

    def __init__(self, tensor: Tensor, impurities: Mapping[str, Tensor], patch: Patch) -> None:
        self.tensor, self.impurities, self.patch = tensor, impurities, patch

    def transfer(self, impurity: str | None = None) -> Tensor:
        """From north to south, closed from up to down and from east to west."""
        tensor = self.tensor if impurity is None else self.impurities[impurity]
        return trace(trace(tensor, 5, 4), 3, 1)

    def pair_values(self, count: int) -> np.ndarray:
        raise SettingsError(
            "width = 2 asks for scaling dimensions from a transfer spectrum, which needs two dimensions."
        )


def _projectors(tensor: Tensor, axis: int, truncation: Truncation) -> tuple[Tensor, Tensor, float]:
    """What is put on both (north or west) legs of a stack and on the opposite ones, and the discarded weight.

    The vectors are those of the side that discards less; the other side gets their conjugate.
    """
    entering, leaving = ((0, 2), (3, 1))[axis]
    found = []
    for leg in (entering, leaving):
        parts = [_squared(tensor, words, leg) for words in (_TOP, _BOTTOM)]
        rho = contract("m k a c, m k b d -> a b c d", *parts)
        vectors, weight = density_vectors(fuse(rho, [(0, 1), (2, 3)], [1, -1]), truncation)
        found.append((weight, split(vectors, 0, rho.legs[:2])))
    if found[0][0] <= found[1][0]:
        return found[0][1].conj(), found[0][1], found[0][0]
    return found[1][1], found[1][1].conj(), found[1][0]


def _squared(tensor: Tensor, words: list[str], leg: int) -> Tensor:
    """A tensor times its conjugate, open at one leg and at the bond m between the two of a stack."""
    bra = ["k" if word == "m" else word for word in words]
    bra[leg] = "x"
    expression = f"{' '.join(words)}, {' '.join(bra)} -> m k {words[leg]} x"
    return contract(expression, tensor, tensor.conj())


def _stacked(top: Tensor, bottom: Tensor, projectors: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Both tensors as one, turned: up becomes north, north west, and west up, and so their opposites."""
    north, east, south, west = projectors
    half = contract("n e s w u m, w v x -> n e s u m v x", top, west)
    half = contract("n e s u m v x, n o y -> e s u x y m v o", half, north)
    whole = contract("e s u x y m v o, o f t v m d -> e s u x y f t d", half, bottom)
    whole = contract("e s u x y f t d, e f z -> s u x y t d z", whole, east)
    return contract("s u x y t d z, s t q -> u q d y x z", whole, south)
