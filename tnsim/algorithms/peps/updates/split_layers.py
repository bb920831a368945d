"""A site beside its conjugate with fused bonds, and surroundings of such sites with ket and bra taken apart again."""

from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, bra, contract, fuse, split


def double_layer(site: Tensor) -> Tensor:
    """sum over physical legs (and an ancilla) of site times conjugate: legs (north, east, south, west), norm 1.

    Cost O(D^8 d).
    """
    rest = " ".join(f"p{k}" for k in range(4, site.ndim))
    both = contract(f"n e s w {rest}, N E S W {rest} -> n N e E s S w W", site, bra(site, range(4, site.ndim)))
    fused = fuse(both, [(0, 1), (2, 3), (4, 5), (6, 7)], list(FLOWS))
    return fused / (fused.norm() or 1.0)


def apart(surroundings: Tensor, axis: int, ket: Leg) -> Tensor:
    """A leg that meets the fused bond of ket and bra as two: one for the ket's leg, one for the bra's."""
    return split(surroundings, axis, (ket.dual, ket))
