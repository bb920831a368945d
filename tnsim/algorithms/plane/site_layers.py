"""What a site of a network does to what lies around it: a tensor of four legs, or a state beside its conjugate.

A site (north, east, south, west) stands for itself. A site of a PEPS, with a fifth leg phys, stands for ket and bra one
above the other: every leg is the ket's and the bra's as one, but they are taken apart for products, so that D^8 becomes
d D^6. Source: V. Zauner-Stauber et al. do so for boundary MPS; for CTMRG, P. Corboz, Phys. Rev. B 94, 035133 (2016).
"""

import numpy as np

from tnsim.errors import LegError
from tnsim.symmetry import Leg, fuse_legs
from tnsim.tensor import Tensor, bra, contract, diagonal, eye, fuse, split, transpose, twist

# legs of the site by quadrant, from the north-west clockwise: those of the edges (x, y), those that are left
_WORDS = ("y e s x", "x y s w", "n x y w", "n e x y")
_LEFT = (("s", "e"), ("w", "s"), ("n", "w"), ("e", "n"))


def is_state(tensor: Tensor) -> bool:
    """Whether a site stands for a state beside its conjugate."""
    return tensor.ndim == 5


def site_legs(tensor: Tensor) -> tuple[Leg, ...]:
    """The legs (north, east, south, west) as edges see them."""
    if not is_state(tensor):
        return tensor.legs
    return tuple(fuse_legs((leg, leg.dual), leg.flow).leg for leg in tensor.legs[:4])


def turned_site(tensor: Tensor) -> Tensor:
    """A quarter turn counterclockwise: east becomes north."""
    return transpose(tensor, (1, 2, 3, 0, *range(4, tensor.ndim)))


def open_bond(tensor: Tensor, direction: int, *, first: bool = False) -> Tensor:
    """A vector on what an edge sees of a leg of a state: ket and bra joined as in a trace, or in the first state."""
    if not is_state(tensor):
        raise LegError(f"only a site of a state has legs that can be traced, found {tensor!r}.")
    leg = tensor.legs[direction].dual
    return fuse(joined_layers(tensor, direction, first=first), [(0, 1)], [leg.flow])


def joined_layers(tensor: Tensor, direction: int, *, first: bool = False) -> Tensor:
    """Ket and bra joined at a bond as in a norm, or in the first state: legs that those of ket and bra fit."""
    leg = tensor.legs[direction].dual
    bond = eye(leg, dtype=tensor.dtype, backend=tensor.backend)
    if first:
        bond = diagonal(tensor.backend.asarray(np.eye(leg.dim, 1, dtype=tensor.dtype)[:, 0].copy()), leg)
    return bond if leg.flow < 0 else twist(bond, (0,))


def through(tensor: Tensor, quarter: Tensor, number: int, *, is_open: bool = False) -> Tensor:
    """A corner with two edges, legs (in, x, y, out), multiplied into the site: legs (in, first, out, second).

    number: of the quadrant; first and second: legs of the site that are left. is_open: of a state, its physical legs
    (ket, bra) behind them instead of summed. Cost O(chi^2 D^4) for a tensor, O(chi^2 D^6 d) for a state.
    """
    words, (first, second) = _WORDS[number], _LEFT[number]
    if not is_state(tensor):
        return contract(f"i x y o, {words} -> i {first} o {second}", quarter, tensor)
    x, y = (tensor.legs[words.split().index(name)].dual for name in "xy")
    apart = split(split(quarter, 2, (y, y.dual)), 1, (x, x.dual))
    # the site first: long runs of i and o at the end make the copies between products quick
    half = contract(f"{words} p, i x X y Y o -> {first} {second} p i X Y o", tensor, apart)
    below, (f, s) = words.upper(), (first.upper(), second.upper())
    phys, rest, ends = ("P", " p P", [(6,), (7,)]) if is_open else ("p", "", [])
    spread = f"{below} {phys}, {first} {second} p i X Y o -> i {first} {f} o {second} {s}{rest}"
    return fuse(contract(spread, bra(tensor), half), [(0,), (1, 2), (3,), (4, 5), *ends])


def density_between(tensor: Tensor, quarter: Tensor, opposite: Tensor) -> Tensor:
    """The density matrix (ket, bra) of a state in the corner in the north-west, legs (in, west, north, out), closed by
    what lies in the south-east, legs (in, east, south, out). Cost O(chi^2 D^6 d)."""
    north, east, south, west = (leg.dual for leg in tensor.legs[:4])
    upper = split(split(quarter, 2, (north, north.dual)), 1, (west, west.dual))
    lower = split(split(opposite, 2, (south, south.dual)), 1, (east, east.dual))
    half = contract("i w W n N o, n e s w p -> i o e s W N p", upper, tensor)
    half = contract("i o e s W N p, i e E s S o -> N E S W p", half, lower)
    return contract("N E S W p, N E S W P -> p P", half, bra(tensor))


def closed(tensor: Tensor, hole: Tensor) -> complex:
    """The sum over a site in what surrounds it, legs (north, east, south, west). Cost O(D^4), of a state O(d D^8)."""
    if not is_state(tensor):
        return contract("n e s w, n e s w -> ", hole, tensor).item()
    for axis in range(3, -1, -1):
        leg = tensor.legs[axis].dual
        hole = split(hole, axis, (leg, leg.dual))
    half = contract("n N e E s S w W, n e s w p -> N E S W p", hole, tensor)
    return contract("N E S W p, N E S W p -> ", half, bra(tensor)).item()
