"""The exact norm of a bond, its two tensors and their six nearest neighbours, with the weights of bonds on outer legs.

     TL--TR
     |   |          the network is <psi|psi> of this cluster, so the metric is Hermitian and positive by construction
  L--Qa  Qb--R        whatever the weights; in the Vidal gauge it is exact on trees, too
     |   |
     BL--BR

Source: J. Dziarmaga, Phys. Rev. B 104, 094411 (2021).
"""

from collections.abc import Sequence

from tnsim.algorithms.peps.updates.bond_frame import BondFrame, turned
from tnsim.linalg import Spectrum
from tnsim.networks.peps.bond_graph import BondGraph
from tnsim.networks.peps.weighted import scale_leg
from tnsim.networks.square_network import EAST, NORTH, SOUTH, WEST
from tnsim.tensor import Tensor, bra, contract


class Neighbourhood:
    """Tensors of a PEPS and the weights of their bonds, of which half is in the tensors."""

    def __init__(self, tensors: Sequence[Tensor], weights: Sequence[Spectrum], graph: BondGraph) -> None:
        self.tensors, self.weights, self.graph = tensors, weights, graph

    def double(self, number: int, leg: int, direction: int, kept: Sequence[int]) -> Tensor | None:
        """The neighbour at a leg beside its conjugate, with the rest of the weights on all legs that are not kept.

        Legs are counted in the frame in which `direction` is east; result: legs (leg, leg', ...) of the kept ones.
        """
        found = self.graph.neighbour(number, (leg + direction - 1) % 4)
        if found is None:
            return None
        tensor = self.tensors[found]
        for own in range(4):
            bond = self.graph.at[found][own]
            if bond is not None and (own - direction + 1) % 4 not in kept:
                tensor = scale_leg(tensor, own, self.weights[bond].values ** 0.5)
        return _double(turned(tensor, direction), kept)


def neighbourhood_metric(around: Neighbourhood, frame: BondFrame) -> Tensor:
    """The metric (k0', k1', k0, k1) of a bond. Cost O(D^7 d + D^4 k^4), k the smaller of D d and D^3."""
    first, second, direction = frame.link
    ends = [around.double(first, WEST, direction, (EAST,)), around.double(second, EAST, direction, (WEST,))]
    top, bottom = (
        _pair(
            around.double(first, leg, direction, (inward, EAST)), around.double(second, leg, direction, (inward, WEST))
        )
        for leg, inward in ((NORTH, SOUTH), (SOUTH, NORTH))
    )
    opened = ("n" if top else "") + ("s" if bottom else "")
    left = _side(frame.first, "nsw", ends[0], opened)
    right = _side(frame.second, "nes", ends[1], opened)
    words = [" ".join(f"{word}{end} {word.upper()}{end}" for word in opened) for end in "01"]
    parts = {f"{words[0]} K0 k0": left, "n0 N0 n1 N1": top, "s0 S0 s1 S1": bottom, f"{words[1]} K1 k1": right}
    there = {names.strip(): part for names, part in parts.items() if part is not None}
    return contract(f"{', '.join(there)} -> K0 K1 k0 k1", *there.values())


def _side(isometry: Tensor, words: str, end: Tensor | None, opened: str) -> Tensor:
    """An isometry beside its conjugate with the neighbour at its end: legs (opened, k', k); `words` names its legs."""
    ket = [*words, *["a"] * (isometry.ndim - 4), "k"]
    (outward,) = set(words) - {"n", "s"}
    kept = {*opened, "k"} | (set() if end is None else {outward})
    below = [word.upper() if word in kept else word for word in ket]
    traced = [axis for axis, word in enumerate(ket) if word not in kept]
    out = " ".join(f"{word} {word.upper()}" for word in words if word in opened)
    operands, expression = [isometry, bra(isometry, traced)], f"{' '.join(ket)}, {' '.join(below)}"
    if end is not None:
        operands.append(end)
        expression += f", {outward} {outward.upper()}"
    return contract(f"{expression} -> {out} K k", *operands)


def _double(tensor: Tensor, kept: Sequence[int]) -> Tensor:
    """A tensor beside its conjugate, all legs traced but the kept ones (leg, leg', leg, leg', ...)."""
    words = [f"x{k}" for k in range(tensor.ndim)]
    below = [f"y{k}" if k in kept else word for k, word in enumerate(words)]
    out = " ".join(f"x{k} y{k}" for k in kept)
    traced = [k for k in range(tensor.ndim) if k not in kept]
    return contract(f"{' '.join(words)}, {' '.join(below)} -> {out}", tensor, bra(tensor, traced))


def _pair(west: Tensor | None, east: Tensor | None) -> Tensor | None:
    """Two neighbours side by side: (inward, inward' of the western one, the same of the eastern one)."""
    if west is None or east is None:
        return None
    return contract("n N x X, m M x X -> n N m M", west, east)
