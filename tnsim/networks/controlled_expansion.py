"""More states on a bond of an open chain, along the part of H psi that one site at a time does not reach.

    .--.  s    t  .--.
    | L|--W1--W2--|R |      found: H |C B> outside of B, its centre side closed with a probe
    '--'--C----B--'--'

A random probe of some columns takes the place of the full two-site tensor, so that the cost stays that of one site.

Source: A. Gleis, J.-W. Li, J. von Delft, Phys. Rev. Lett. 130, 246402 (2023); the probe: I. P. McCulloch,
J. J. Osborne, arXiv:2403.00562 (2024).
"""

from dataclasses import dataclass

import numpy as np

from tnsim.linalg import Truncation, svd
from tnsim.networks.effective_plans import LEFT, RIGHT, center_leg, panels
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, random_tensor


@dataclass(frozen=True, eq=False)
class CenterBond:
    """Two neighbouring sites, one of them the centre, with their MPO tensors and the environments beyond.

    toward_right: the centre is the first site, and the bond is to grow into the second one; else the other way round.
    """

    left: Tensor
    first: Tensor
    second: Tensor
    operators: tuple[Tensor, Tensor]
    right: Tensor
    toward_right: bool


def new_directions(bond: CenterBond, share: float, rng: np.random.Generator, *, noise: float = 0.0) -> Tensor | None:
    """Isometry of states to add to the bond: (new, phys, right) orthogonal to the second site, or (left, phys, new).

    At most `share` of the states that each sector has, rounded up, and one where it has none; None where H leads
    nowhere outside. The bond's states keep their weights: new ones have none before the next update. `noise` mixes
    random directions in, with that weight: they open sectors that H does not reach from this bond alone.
    Cost O(chi^2 k d w) for k states.
    """
    leg = _probe_leg(bond, share)
    if leg is None:
        return None
    first, second = bond.first, bond.second
    legs = (*first.legs[:2], leg.dual) if bond.toward_right else (leg, *second.legs[1:])
    found = _image(bond, random_tensor(legs, dtype=first.dtype, seed=rng, backend=first.backend))
    if noise > 0:
        other = random_tensor(found.legs, dtype=found.dtype, seed=rng, backend=found.backend)
        found = found + other * (max(found.norm(), 1e-6) * noise**0.5 / other.norm())
    return _orthonormal(found, second, 0) if bond.toward_right else _orthonormal(found, first, 2)


def _probe_leg(bond: CenterBond, share: float) -> Leg | None:
    """How many states to look for in every sector (flow +1)."""
    (left, phys_left, _), (middle, phys_right, right) = bond.first.legs, bond.second.legs
    right = right.with_flow(1)
    center = center_leg(left, phys_left, phys_right, right)
    places = np.searchsorted(center.keys, middle.keys)
    known = np.isin(middle.keys, center.keys)
    have = np.zeros(len(center), dtype=np.int64)
    have[places[known]] = middle.dims_array[known]
    rows, columns = panels(LEFT, left, phys_left, center).sizes, panels(RIGHT, right, phys_right, center).sizes
    room = np.maximum(0, np.minimum(rows, columns) - have)
    wanted = np.minimum(room, np.ceil(share * np.maximum(1, have)).astype(np.int64))
    return Leg.from_keys(center.group, center.keys, wanted) if wanted.any() else None


def _image(bond: CenterBond, probe: Tensor) -> Tensor:
    """The two-site product with H, its centre side closed with the probe: legs of the other site."""
    first, second, (w1, w2) = bond.first, bond.second, bond.operators
    if bond.toward_right:
        half = contract("b o k, b t q, o t s p, k s m -> q p m", bond.left, probe.conj(), w1, first)
        return contract("q p m, m s k, p t s o, b o k -> q t b", half, second, w2, bond.right)
    half = contract("b p k, q t b, o t s p, m s k -> q o m", bond.right, probe.conj(), w2, second)
    return contract("b o k, k s m, o t s p, q p m -> b t q", bond.left, first, w1, half)


def _outside(tensor: Tensor, isometry: Tensor, axis: int) -> Tensor:
    """What an isometry leaves out of a tensor of the same legs but `axis`, its bond."""
    if axis == 0:
        inside = contract("q s r, n s r -> q n", tensor, isometry.conj())
        return tensor - contract("q n, n s r -> q s r", inside, isometry)
    inside = contract("l s n, l s q -> n q", isometry.conj(), tensor)
    return tensor - contract("l s n, n q -> l s q", isometry, inside)


def _orthonormal(found: Tensor, isometry: Tensor, axis: int) -> Tensor | None:
    """An orthonormal basis, on `axis`, of what was found outside of an isometry; None where that is rounding."""
    rest = _outside(found, isometry, axis)
    size, rounding = rest.norm(), float(np.finfo(found.dtype).eps) ** 0.5 * found.norm()
    if size <= rounding:
        return None
    cut = Truncation(chi_max=max(1, found.legs[axis].dim), svd_min=min(0.5, rounding / size))
    basis = svd(rest, (0,), cut)[2] if axis == 0 else svd(rest, (0, 1), cut)[0]
    return _outside(basis, isometry, axis)  # its overlap with the isometry was sqrt(eps) at most, and is eps now
