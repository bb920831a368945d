"""A row of a PEPS and its conjugate between a boundary above and one below; ket and bra bonds are kept apart.

x--top--u       top, low: boundary sites (left, ket, bra, right)
   |  |
w--ket--e       ket: (north n, east e, south s, west w, phys p)
W--bra--E       bra: (N, E, S, W, p), the conjugate of a ket
   |  |
y--low--v       from the left (x, w, W, y), from the right (u, e, E, v)

An operator that is cut in two leaves a bond: the last leg (a) of a bra, a top or an environment; where two meet, they
are joined. Cost of a site O(chi^3 D^4 + chi^2 D^6 d), times the dimension of that bond.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.networks.effective_plans import LEFT
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, bra, contract, from_dense


@dataclass(frozen=True, eq=False)
class DoubleRow:
    """Kets (north, east, south, west, phys) of a row and the bras beside them."""

    kets: tuple[Tensor, ...]
    bras: tuple[Tensor, ...]

    @classmethod
    def of(cls, kets: Sequence[Tensor]) -> "DoubleRow":
        """A row of a state beside its conjugate."""
        return cls(tuple(kets), tuple(map(bra, kets)))

    def __len__(self) -> int:
        return len(self.kets)


def entered(side: str, env: Tensor, top: Tensor, ket: Tensor) -> Tensor:
    """An environment with a boundary site and the ket below it."""
    in_env, in_top, out = _operator_bonds(env.ndim > 4, top.ndim > 4)
    if side == LEFT:
        half = contract(f"x w W y{in_env}, x n N u{in_top} -> w W y n N u{out}", env, top)
        return contract(f"w W y n N u{out}, n e s w p -> W y N u e s p{out}", half, ket)
    half = contract(f"u e E v{in_env}, x n N u{in_top} -> e E v x n N{out}", env, top)
    return contract(f"e E v x n N{out}, n e s w p -> E v x N s w p{out}", half, ket)


def doubled(side: str, half: Tensor, bra: Tensor) -> Tensor:
    """What `entered` gives with the bra: from the left (y, u, e, s, E, S), from the right (v, x, s, w, S, W)."""
    in_half, in_bra, out = _operator_bonds(half.ndim > 7, bra.ndim > 5)
    if side == LEFT:
        return contract(f"W y N u e s p{in_half}, N E S W p{in_bra} -> y u e s E S{out}", half, bra)
    return contract(f"E v x N s w p{in_half}, N E S W p{in_bra} -> v x s w S W{out}", half, bra)


def closed(side: str, whole: Tensor, low: Tensor) -> Tensor:
    """What `doubled` gives with the boundary below: the environment behind the site."""
    a = " a" if whole.ndim > 6 else ""
    if side == LEFT:
        return contract(f"y u e s E S{a}, y s S v -> u e E v{a}", whole, low)
    return contract(f"v x s w S W{a}, y s S v -> x w W y{a}", whole, low)


def absorb(side: str, env: Tensor, top: Tensor, place: tuple[Tensor, Tensor], low: Tensor) -> Tensor:
    """An environment with one column more; place: its ket and bra."""
    return closed(side, doubled(side, entered(side, env, top, place[0]), place[1]), low)


def joined(left: Tensor, right: Tensor) -> complex:
    """The number that two environments of one bond make."""
    a = " a" if left.ndim > 4 else ""
    return contract(f"x w W y{a}, x w W y{a} -> ", left, right).item()


def _operator_bonds(first: bool, second: bool) -> tuple[str, str, str]:
    """Words of the bond of an operator: on the first tensor, on the second, on their product."""
    return " a" * first, " a" * second, " a" * (first != second)


def ones(legs: Sequence[Leg], like: Tensor) -> Tensor:
    """1 on legs of dimension 1 that fit the given ones."""
    return from_dense(np.ones((1,) * len(legs), dtype=like.dtype), [leg.dual for leg in legs]).to(like.backend)
