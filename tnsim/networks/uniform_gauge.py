"""Gauges of infinite states: isometric cells, found by polar sweeps and the dominant eigenvector between them.

Source: V. Zauner-Stauber et al., Phys. Rev. B 97, 045145 (2018), algorithms 1 and 2; polar instead of QR
decompositions, so that no phases have to be fixed.
"""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import StateError
from tnsim.linalg.decompose import eigh
from tnsim.linalg.polar import polar, polar_right
from tnsim.networks.transfer import LEFT, RIGHT, transfer_eigenpairs
from tnsim.tensor import Tensor, contract, diagonal, eye

_SWEEPS = 60
_PLAIN = 3  # sweeps before the first eigenvector
_NEAR = 1e-4  # from here on the mixed transfer matrix has the gauge as its dominant eigenvector


def left_gauge(cell: Sequence[Tensor], start: Tensor | None = None, tolerance: float = 1e-13):
    """Left-isometric tensors with L_i A_i = AL_i L_{i+1} (up to the norm): (AL, L of the first bond, norm of a cell).

    L is positive, of norm 1. Cost O(n d chi^3) a sweep. Raises StateError where it does not converge: the state
    is a superposition of several (its transfer matrix has more than one dominant eigenvalue).
    """
    return _gauge(LEFT, list(cell), start, tolerance)


def right_gauge(cell: Sequence[Tensor], start: Tensor | None = None, tolerance: float = 1e-13):
    """Right-isometric tensors with A_i C_i = C_{i-1} AR_i: (AR, C of the last bond, norm of a cell)."""
    return _gauge(RIGHT, list(cell), start, tolerance)


def nearest_left(center: Tensor, bond: Tensor) -> Tensor:
    """The isometry AL nearest to AC C^-1: the product of their polar isometries, well defined for any C."""
    return contract("l s m, r m -> l s r", polar(center, (0, 1))[0], polar(bond, (0,))[0].conj())


def _gauge(side: str, cell: list[Tensor], bond: Tensor | None, tolerance: float):
    if bond is None:
        leg = cell[0].legs[0]
        bond = eye(leg, dtype=cell[0].dtype, backend=cell[0].backend)
    bond = bond / bond.norm()
    error, floor = float("inf"), max(tolerance, 100 * _rounding(cell[0]))
    best = float("inf")
    for sweep in range(_SWEEPS):
        isometric, new, size = (_left_sweep if side == LEFT else _right_sweep)(cell, bond)
        error = (new - bond).norm()
        bond = new
        # near the floor, a sweep that no longer improves has reached rounding
        if error <= floor or (error <= 100 * floor and error >= 0.5 * best):
            return isometric, bond, size
        best = min(best, error)
        if sweep >= _PLAIN:
            precise = max(floor / 10, 0.01 * error)
            bond = _root(side, cell, bond, precise) if error > _NEAR else _mixed(side, cell, isometric, bond, precise)
    raise StateError(
        f"the {side} canonical form of this unit cell did not converge (last change {error:.1e}): the state is a "
        "superposition of several infinite states; start from another one, or give it a symmetry that tells them apart."
    )


def _left_sweep(cell: Sequence[Tensor], bond: Tensor) -> tuple[list[Tensor], Tensor, float]:
    result, size = [], 1.0
    for a in cell:
        isometry, bond = polar(contract("l m, m s r -> l s r", bond, a), (0, 1))
        norm = bond.norm()
        bond, size = bond / norm, size * norm
        result.append(isometry)
    return result, bond, size


def _right_sweep(cell: Sequence[Tensor], bond: Tensor) -> tuple[list[Tensor], Tensor, float]:
    result, size = [], 1.0
    for a in reversed(cell):
        bond, isometry = polar_right(contract("l s m, m r -> l s r", a, bond))
        norm = bond.norm()
        bond, size = bond / norm, size * norm
        result.append(isometry)
    return result[::-1], bond, size


def _root(side: str, cell: list[Tensor], bond: Tensor, tolerance: float) -> Tensor:
    """The positive root of the cell's own fixed point, L^dagger L or C C^dagger: good from anywhere, to sqrt(eps)."""
    words = "m b, m k -> b k" if side == LEFT else "b m, k m -> b k"
    _, found = transfer_eigenpairs(cell, cell, side=side, start=contract(words, bond.conj(), bond), tolerance=tolerance)
    if found[0].dtype != bond.dtype:
        return bond  # a pair of equal magnitude leads: more sweeps tell
    fixed = found[0] if side == LEFT else contract("b k -> k b", found[0])
    vectors, spectrum = eigh(fixed + contract("a b -> b a", fixed.conj()))
    roots = np.sqrt(np.abs(spectrum.values)).astype(bond.dtype)
    middle = diagonal(bond.backend.asarray(roots), spectrum.leg)
    new = contract("a m, m n, b n -> a b", vectors, middle, vectors.conj())
    return new / new.norm()


def _mixed(side: str, cell: list[Tensor], isometric: list[Tensor], bond: Tensor, tolerance: float) -> Tensor:
    """The positive factor of the dominant eigenvector of the mixed transfer matrix.

    From the left X = sum conj(AL) X A has legs (isometric, cell); from the right (isometric, cell) too.
    """
    start = bond if side == LEFT else contract("a b -> b a", bond)
    _, found = transfer_eigenpairs(isometric, cell, side=side, start=start, tolerance=tolerance)
    if found[0].dtype != bond.dtype:
        return bond  # a complex pair leads: more sweeps tell
    new = polar(found[0], (0,))[1] if side == LEFT else polar_right(contract("a b -> b a", found[0]))[0]
    return new / new.norm()


def _rounding(tensor: Tensor) -> float:
    return 1.2e-7 if tensor.dtype.char in "fF" else 2.2e-16
