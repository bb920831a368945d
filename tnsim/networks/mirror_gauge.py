"""States under a reflection of every site: their image, their even and odd parts, and bases that it does not mix."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ChargeError, LegError, StateError
from tnsim.linalg.truncation import Truncation
from tnsim.networks.compress import compress
from tnsim.networks.mps import MPS, overlap
from tnsim.networks.reflection import SiteReflection, images, reflected_charge, site_reflections
from tnsim.networks.sector_bonds import sector_size
from tnsim.networks.sites import Site
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor

# a state that a reflection changes by more than this is not its own reflection
_SYMMETRIC = 1e-6
# Schmidt values of a sum of two states below this are rounding
_KEPT = 1e-9


def reflected(psi: MPS, name: str) -> MPS:
    """The state after one reflection of every site, such as "Flip"; its charge is reflected too. Exact.

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.product(spin_sites(4), ["up", "down", "down", "down"])
    >>> reflected(psi, "Flip").charge, psi.charge
    ((2,), (-2,))
    """
    reflections = site_reflections(tuple(psi.sites), name)
    factors = reflections[0].factors
    tensors = [
        _reflected_site(tensor, site, reflection, factors)
        for tensor, site, reflection in zip(psi.tensors, psi.sites, reflections, strict=True)
    ]
    return MPS(tensors, psi.sites, psi.center)


def _reflected_leg(leg: Leg, factors: tuple[int, ...]) -> Leg:
    pairs = sorted((reflected_charge(leg, q, factors), dim) for q, dim in zip(leg.charges, leg.dims, strict=True))
    return Leg(leg.group, [charge for charge, _ in pairs], [dim for _, dim in pairs], leg.flow)


def _reflected_site(tensor: Tensor, site: Site, reflection: SiteReflection, factors: tuple[int, ...]) -> Tensor:
    """Every state of the physical leg moved to its image, and the bonds' sectors with it."""
    left, phys, right = tensor.legs
    legs = _reflected_leg(left, factors), phys, _reflected_leg(right, factors)
    result = Tensor(legs, tensor.backend.zeros(tensor.size, tensor.dtype))
    sector = np.repeat(np.arange(len(phys)), phys.dims_array)
    number = {places: n for n, places in enumerate(map(tuple, result.layout.indices.tolist()))}
    ends = [
        {n: legs[axis].index_of(reflected_charge(leg, q, factors)) for n, q in enumerate(leg.charges)}
        for axis, leg in ((0, left), (2, right))
    ]
    for (x, s, y), block in tensor.blocks():
        for state in np.flatnonzero(sector == s).tolist():
            image = int(reflection.place[state])
            target = result.block(number[ends[0][x], int(sector[image]), ends[1][y]])
            source = block[:, state - int(phys.starts[s]), :]
            target[:, image - int(phys.starts[sector[image]]), :] = source * float(reflection.sign[state])
    return result


def parity_sector_size(sites: Sequence[Site], charge: Charge, reflection: str = "", parity: int = 0) -> int:
    """Number of independent states of a total charge (from 2^50 on rounded), of one parity where a reflection is given.

    >>> from tnsim.networks.sites import spin_sites
    >>> parity_sector_size(spin_sites(4), (0,)), parity_sector_size(spin_sites(4), (0,), "Flip", 1)
    (6, 3)
    """
    size = sector_size(sites, charge)
    return (size + parity * _own_images(sites, charge, reflection)) // 2 if reflection else size


def _own_images(sites: Sequence[Site], charge: Charge, name: str) -> int:
    """The trace of a reflection: product states that it takes to themselves, those with a sign of -1 taken off."""
    group = sites[0].group
    counts = {group.identity: 1}
    for site, reflection in zip(sites, site_reflections(tuple(sites), name), strict=True):
        grown: dict[Charge, int] = {}
        for state in np.flatnonzero(reflection.place == np.arange(site.dim)).tolist():
            for before, count in counts.items():
                (after,) = group.fuse(before, site.charges[state])
                grown[after] = grown.get(after, 0) + count * int(reflection.sign[state])
        counts = grown
    return counts.get(charge, 0)


def symmetrized(psi: MPS, name: str, parity: int) -> MPS:
    """The part of a state that is even (parity 1) or odd (-1) under a reflection, with norm 1, in double precision.

    Bonds grow up to twice. Raises StateError where there is no such part, ChargeError where the reflection changes the
    charge of the state.

    >>> from tnsim.networks.sites import spin_sites
    >>> neel = MPS.product(spin_sites(4), ["up", "down"] * 2)
    >>> symmetrized(neel, "Flip", 1).bond_dimensions
    (1, 2, 2, 2, 1)
    """
    if parity not in (1, -1):
        raise StateError(f"a state is even (parity 1) or odd (parity -1) under a reflection, found {parity!r}.")
    psi = psi.astype(np.result_type(psi.dtype, np.float64))
    image = reflected(psi, name)
    if image.charge != psi.charge:
        raise ChargeError(
            f"{name!r} takes the charge {psi.charge} of the state to {image.charge}: states that are their own "
            "reflection have a charge that is, such as 2 Sz = 0."
        )
    size, share = psi.norm() ** 2, (overlap(psi, image) * parity).real
    if not share > -(1 - _SYMMETRIC) * size:
        raise StateError(
            f"the state is {'odd' if parity > 0 else 'even'} under {name!r}, so nothing is left of it with parity "
            f"{parity}: take the other parity, or another start state."
        )
    result, _ = compress(psi + image * parity, Truncation(chi_max=2 * max(psi.bond_dimensions), svd_min=_KEPT))
    return result / result.norm()


def mirror_gauge(
    psi: MPS, name: str, parity: int, *, tolerance: float = _SYMMETRIC
) -> tuple[MPS, list[tuple[int, ...]]]:
    """The same state in bases that the reflection moves without mixing, and how many states of every sector of the
    L + 1 bonds are even (all, where the sector has another image).

    The state has its centre at a site, and is its own reflection times `parity`: StateError where that does not hold
    to the tolerance. Cost O(L d chi^3).
    """
    reflections = site_reflections(tuple(psi.sites), name)
    factors, L, center = reflections[0].factors, psi.L, psi.center or 0
    tensors = [tensor.to("numpy") for tensor in psi.tensors]
    even: list[tuple[int, ...]] = [()] * (L + 1)
    ends = []
    for left, inwards in ((True, range(center)), (False, range(L - 1, center, -1))):
        moves = [np.full((1, 1), 1.0 if left else float(parity))]
        even[0 if left else L] = _even(moves)
        for i in inwards:
            axis, bond, neighbour = (2, i + 1, i + 1) if left else (0, i, i - 1)
            goals = _images_of(tensors[i].legs[axis], factors, name)
            moves, basis = _aligned(_moves(tensors[i], reflections[i], moves, left), goals, name, tolerance)
            even[bond] = _even(moves)
            basis = basis if left else [matrix.conj() for matrix in basis]
            tensors[i] = _rotated(tensors[i], basis, axis)
            tensors[neighbour] = _rotated(tensors[neighbour], basis, 2 - axis)
        ends.append(moves)
    # <psi|F|psi> from the centre alone: its right bond brings the parity, so this is the norm where all is well
    leg, size = tensors[center].legs[2], tensors[center].norm() ** 2
    _images_of(leg, factors, name)
    shares = _moves(tensors[center], reflections[center], ends[0], True)
    share = sum(float(np.sum(move * end).real) for move, end in zip(shares, ends[1], strict=True))
    if abs(share - size) > tolerance * size:
        raise _not_symmetric(name, f"its overlap with its reflection is {parity * share / size:.6f}, not {parity}")
    return MPS([tensor.to(psi.backend) for tensor in tensors], psi.sites, psi.center), even


def _images_of(leg: Leg, factors: tuple[int, ...], name: str) -> np.ndarray:
    try:
        return images(leg, factors)
    except LegError as error:
        raise _not_symmetric(name, f"a bond has other dimensions at reflected charges, {leg!r}") from error


def _not_symmetric(name: str, how: str) -> StateError:
    return StateError(
        f"the state is not its own reflection under {name!r}: {how}. Begin anew from symmetrized(psi, {name!r}, "
        "parity), without the progress of a run that had no reflection."
    )


def _moves(tensor: Tensor, reflection: SiteReflection, before: Sequence[np.ndarray], left: bool) -> list[np.ndarray]:
    """What the reflection makes of the states of every sector of the bond beyond a site, in the states of the image:
    (image, state) matrices, from those of the bond before it."""
    near, far = (0, 2) if left else (2, 0)
    phys = tensor.legs[1]
    near_images, far_images = (images(tensor.legs[axis], reflection.factors) for axis in (near, far))
    sector = np.repeat(np.arange(len(phys)), phys.dims_array)
    blocks = dict(tensor.blocks())
    moves = [np.zeros((dim, dim), dtype=tensor.dtype) for dim in tensor.legs[far].dims]
    for places, block in blocks.items():
        x, y = places[near], places[far]
        for within in range(block.shape[1]):
            state = int(phys.starts[places[1]]) + within
            image = int(reflection.place[state])
            goal = [0, int(sector[image]), 0]
            goal[near], goal[far] = int(near_images[x]), int(far_images[y])
            other = blocks[tuple(goal)][:, image - int(phys.starts[sector[image]]), :].conj()
            move = other.T @ before[x] @ block[:, within] if left else other @ before[x] @ block[:, within].T
            moves[y] += float(reflection.sign[state]) * move
    return moves


def _aligned(
    moves: list[np.ndarray], goals: np.ndarray, name: str, tolerance: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The moves in bases where they mix nothing, and these bases, one matrix a sector with new states as columns."""
    basis, diagonal = [np.eye(len(move)) for move in moves], [np.eye(len(move)) for move in moves]
    for x, goal in enumerate(goals.tolist()):
        move = moves[x]
        gap = move.conj().T @ move - np.eye(len(move))
        off = float(np.abs(gap).max(initial=0.0))
        if off > tolerance:
            raise _not_symmetric(name, f"its bases are off by {off:.1e}")
        if goal > x:
            basis[goal] = move - move @ gap / 2  # the nearest unitary, to second order
        elif goal == x:
            values, vectors = np.linalg.eigh((moves[x] + moves[x].conj().T) / 2)
            basis[x], diagonal[x] = vectors[:, ::-1], np.diag(np.sign(values[::-1]))
    return diagonal, basis


def _even(moves: Sequence[np.ndarray]) -> tuple[int, ...]:
    """How many states of every sector are even; all of one with another image."""
    return tuple(int((move.diagonal() > 0).sum()) for move in moves)


def _rotated(tensor: Tensor, basis: Sequence[np.ndarray], axis: int) -> Tensor:
    """A site in other bases of its left (axis 0) or right bond."""
    result = Tensor(tensor.legs, tensor.data.copy(), tensor.charge)
    for places, block in result.blocks():
        if axis == 2:
            block[:] = np.tensordot(block, basis[places[2]], 1)
        else:
            block[:] = np.tensordot(basis[places[0]].conj().T, block, 1)
    return result
