"""Tensor renormalisation with loops optimised as a whole: short-range entanglement is gone after every step.

Source: S. Yang, Z.-C. Gu, X.-G. Wen, Phys. Rev. Lett. 118, 110504 (2017).
"""

from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.plane.coarse_cell import CoarseCell, Patch, first_patch, krylov_values, sorted_values
from tnsim.algorithms.plane.loop_optimization import LoopOptimization, halved
from tnsim.errors import SettingsError, check_fields
from tnsim.linalg.truncation import Truncation
from tnsim.networks.ring import bond_projectors, closed, double, put_on, with_bonds_cut
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.symmetry import fuse_legs
from tnsim.tensor import Tensor, contract, fuse

# axes (north, east, south, west) of the four tensors around a plaquette, clockwise from the north-western one,
# as (left, outer, outer, right) of a ring
_RING = ((2, 3, 0, 1), (3, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 0))


@dataclass(frozen=True, kw_only=True)
class LoopTNR:
    """Two tensors by turns on a checkerboard; the four around every fourth plaquette become eight halves.

         n|   |n              |     |            The ring of eight is as near to the ring of four as
       w--B---A--e         w--0-1-2-3--e         alternating least squares make it; then the halves
          |   |     to        |     |     and    1 and 4 meet 7 and 0 of the next ring as one tensor.
       w--A---B--e         w--7-6-5-4--e

    chi_max: bond dimension. filter_min: bonds are first cut to what reaches the outside of the ring, relative to the
    largest. Cost O(chi^6) a sweep. Scaling dimensions are NaN where the cell of the network is no square: its tori are
    oblique.

    >>> LoopTNR(chi_max=8)
    LoopTNR(chi_max=8, svd_min=1e-12, filter_min=1e-12, sweeps=40, tol=0.01)
    """

    chi_max: int = field(metadata={"help": "largest bond dimension"})
    svd_min: float = field(default=1e-12, metadata={"help": "drop singular values below this (of the norm)"})
    filter_min: float = field(default=1e-12, metadata={"help": "drop what a bond hides from the outside below this"})
    sweeps: int = field(default=40, metadata={"help": "most sweeps of the optimisation of a ring"})
    tol: float = field(default=1e-2, metadata={"help": "end them where the error falls by less than this share"})

    def __post_init__(self) -> None:
        check_fields(self)
        if self.sweeps < 0:
            raise SettingsError(f"sweeps must be at least 0, found {self.sweeps}.")
        for least in (self.svd_min, self.filter_min):
            Truncation(chi_max=self.chi_max, svd_min=least)  # refuses what is out of range

    def start(self, network: InfiniteNetwork, measure: tuple[str, ...] = ()) -> "_Checkerboard":
        """The cell of a network, twice."""
        if measure:
            raise SettingsError(f"LoopTNR measures no impurities {measure}: use HOTRG or CTMRG for them.")
        tensor = network.tensor
        one = first_patch(network, max(tensor.shape))
        # the diagonals of a cell stand on each other if it is a square
        ratio = 1.0 if one.ratio == 1 else float("nan")
        return _Checkerboard(
            tensor, tensor, Patch(sites=2 * one.sites, log_scale=one.log_scale, ratio=ratio, chi=one.chi)
        )

    def advance(self, cell: "_Checkerboard") -> "_Checkerboard":
        """One step: filter, halve, optimise, and join the halves of neighbouring rings."""
        a, b = self._filtered(cell.a, cell.b)
        ring = _ring(a, b)
        loop = LoopOptimization(ring, halved(ring, Truncation(chi_max=self.chi_max, svd_min=self.svd_min)))
        self._optimise(loop)
        h = loop.halves
        first = contract("x a b, c a y, z d c, b d w -> x y z w", h[3], h[0], h[7], h[4])
        second = contract("a b x, y c a, d c z, w b d -> x y z w", h[6], h[5], h[2], h[1])
        scales = [tensor.norm() or 1.0 for tensor in (first, second)]
        patch = cell.patch.doubled(
            float(np.log(scales).sum()), ratio=cell.patch.ratio, trunc_err=loop.error, chi=max(first.shape)
        )
        return _Checkerboard(second / scales[1], first / scales[0], patch)

    def _optimise(self, loop: LoopOptimization) -> None:
        """Sweeps until the error has settled."""
        for _ in range(self.sweeps):
            before = loop.error
            if before - loop.sweep() <= self.tol * before:
                break

    def _filtered(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Both tensors without what circles around a plaquette only, but for its trace."""
        ring = _ring(a, b)
        cuts = bond_projectors(ring, Truncation(chi_max=max(*a.shape, *b.shape), svd_min=self.filter_min))
        factor = _factor(ring, with_bonds_cut(ring, cuts))
        for k, (into, out) in enumerate(cuts):
            here, there = _RING[k][3], _RING[(k + 1) % 4][0]
            if k % 2:
                a, b = put_on(a, here, into), put_on(b, there, out)
            else:
                b, a = put_on(b, here, into), put_on(a, there, out)
        return a * factor, b


def _ring(a: Tensor, b: Tensor) -> list[Tensor]:
    """The four tensors around a plaquette with b in its north-western corner."""
    words = ["north", "east", "south", "west"]
    return [
        contract(f"{' '.join(words)} -> {' '.join(words[n] for n in axes)}", tensor)
        for tensor, axes in zip((b, a, b, a), _RING, strict=True)
    ]


def _factor(ring: list[Tensor], cut: list[Tensor]) -> float:
    """By which a ring with cut bonds comes nearest to the whole one; one of each plaquette, so one of each pair."""
    square = closed([double(site) for site in cut]).real
    overlap = closed([double(site, bra) for site, bra in zip(ring, cut, strict=True)]).real
    return overlap / square if square > 0 else 1.0


class _Checkerboard(CoarseCell):
    """Two tensors (north, east, south, west), each the only neighbour of the other.

    The torus of both is spanned by (1, 1) and (1, -1): from the north and west of a to the south and east of b.
    """

    def __init__(self, a: Tensor, b: Tensor, patch: Patch) -> None:
        self.a, self.b, self.patch = a, b, patch

    def transfer(self, impurity: str | None = None) -> Tensor:
        pair = contract("n e s w, s e' s' e -> n w s' e'", self.a, self.b)
        return fuse(pair, [(0, 1), (2, 3)], [1, -1])

    def pair_values(self, count: int) -> np.ndarray:
        """Two cells along (1, 1): O(chi^6) an application."""
        legs = (self.a.legs[0].dual, self.a.legs[3].dual) * 2

        def step(vector: Tensor) -> Tensor:
            half = contract("n w m v, n e s w, m f t v -> e s f t", vector, self.a, self.a)
            return contract("e s f t, t v n e, s w m f -> n w m v", half, self.b, self.b)

        found = [krylov_values(step, self.a, legs, charge, count) for charge in fuse_legs(legs, 1).leg.charges]
        return sorted_values(np.concatenate(found))
