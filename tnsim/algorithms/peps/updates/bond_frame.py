"""The two tensors of a bond, turned so that it leads east, as isometries and reduced tensors.

   n|              |m
w --Qa--k--Ra--e--Rb--l--Qb-- r        what surrounds them is traced over an ancilla a, too
   s|       |p     |q     |o
"""

from collections.abc import Sequence
from typing import NamedTuple

from tnsim.linalg import qr
from tnsim.linalg.polar import polar
from tnsim.networks.peps.bond_graph import Link
from tnsim.tensor import Tensor, contract, transpose, twist


class BondFrame(NamedTuple):
    """One bond: its link, the isometries (legs below, k last), and theta with legs (k0, p, k1, q).

    first: (n, s, w, k), second: (n, e, s, k), an ancilla before k; left (k, bond, p) and right (k, bond, q) make theta.
    """

    link: Link
    first: Tensor
    second: Tensor
    left: Tensor
    right: Tensor
    theta: Tensor

    @classmethod
    def of(cls, tensors: Sequence[Tensor], link: Link) -> "BondFrame":
        """Cost O(D^5 d^2)."""
        a, b = (turned(tensors[number], link.direction) for number in (link.first, link.second))
        first, left = qr(a, (0, 2, 3, *range(5, a.ndim)))
        second, right = qr(b, (0, 1, 2, *range(5, b.ndim)))
        return cls(link, first, second, left, right, contract("k e p, l e q -> k p l q", left, right))

    def tensors(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """The two tensors for new reduced ones: left (k0, p, bond) and right (bond, k1, q)."""
        left, right = self._aligned(left, right)
        extra = "a " * (self.first.ndim - 4)
        a = contract(f"n s w {extra}k, k p e -> n e s w p {extra}".strip(), self.first, left)
        b = contract(f"n e s {extra}k, w k p -> n e s w p {extra}".strip(), self.second, right)
        back = (4 - self.link.direction + 1) % 4
        return _cycled(a, back), _cycled(b, back)

    def _aligned(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """The basis of the new bond turned to that of the old one, if the leg is the same: surroundings stay valid."""
        if right.legs[0] is not self.right.legs[1]:
            return left, right
        turn, _ = polar(twist(contract("m k q, k e q -> m e", right, self.right.conj()), (0,)), (0,))
        return contract("k p m, m e -> k p e", left, turn), contract("m e, m k q -> e k q", turn.conj(), right)


def turned(tensor: Tensor, direction: int) -> Tensor:
    """The legs in the order in which that of the direction stands second, like east."""
    return _cycled(tensor, (direction - 1) % 4)


def _cycled(tensor: Tensor, shift: int) -> Tensor:
    return transpose(tensor, (*((k + shift) % 4 for k in range(4)), *range(4, tensor.ndim)))
