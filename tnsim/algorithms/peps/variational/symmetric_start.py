"""From imaginary time on a checkerboard to the one tensor that all symmetries of the square leave alone.

Both tensors of the checkerboard are that tensor, up to noise, a basis of every bond, and a turn of the spins of every
second site. The bases are those that make the tensors, and what the square makes of them, as alike as can be
(orthogonal Procrustes problems: P. H. Schönemann, Psychometrika 31, 1 (1966), one bond after the other).
"""

from collections.abc import Sequence

import numpy as np

from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.variational.one_place import on_board
from tnsim.errors import SettingsError
from tnsim.networks.peps import InfinitePEPS, PlaneTerms
from tnsim.networks.peps.weighted import without_weights
from tnsim.networks.square_network import FLOWS
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, from_dense

BOARD = ((0, 1), (1, 0))
# legs of the first and of the second tensor that meet
_MEETING = ((0, 2), (1, 3), (2, 0), (3, 1))
# signs that are tried on the axes of all bonds, how many of them are followed, and in how many rounds
_SIGNS, _BASES, _ROUNDS = 400, 3, 20


def cooled_tensor(cooling: Cooling, terms: PlaneTerms, psi: InfinitePEPS, turn: np.ndarray | None) -> InfinitePEPS:
    """The state of one tensor after imaginary time, and its tensor with legs of the same dimension.

    terms: of a cell of one place; psi: one tensor; turn: the unitary on every second site, None without. Raises
    SettingsError where something is conserved.
    """
    site, first = psi.kinds[0], psi.tensors[0]
    if site.group.names:
        raise SettingsError(f"imaginary time leads to one tensor where nothing is conserved, found {site.group!r}.")
    unit = np.eye(site.dim) if turn is None else turn
    second = from_dense(np.tensordot(_host(first), unit.conj(), 1).astype(first.dtype), first.legs)
    board = InfinitePEPS([first, second.to(first.backend)], BOARD, [site] * 2)
    found = cooling.solve(on_board(terms), board).state
    plane = without_weights(found)
    a, b = _padded([_host(tensor) for tensor in plane.tensors])
    array = common_tensor(a, np.tensordot(b, unit, (4, 1)))
    legs = [*(trivial_leg(size, flow) for size, flow in zip(array.shape[:4], FLOWS, strict=True)), site.leg]
    return psi.with_tensors([from_dense(array.astype(first.dtype), legs).to(first.backend)])


def common_tensor(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The symmetric tensor (bonds of equal size, phys) that two tensors are nearest to, up to bases of their bonds.

    Leg k of one meets leg k + 2 of the other, and both are turned together. The norm of the result is 1 where they are
    the same symmetric tensor, and less otherwise.
    """
    a, b = (x / np.linalg.norm(x) for x in (a, b))
    for first, second in _MEETING:
        own, other = _unfolded(a, first), _unfolded(b, second)
        basis = np.linalg.eigh(own @ own.T + other @ other.T)[1].T
        a, b = _turned(a, basis, first), _turned(b, basis, second)
    # signs of what is left open
    choices = np.random.default_rng(0).choice([-1.0, 1.0], size=(_SIGNS, 4, len(a)))
    pairs = [_signed(a, b, choice) for choice in choices]
    pairs.sort(key=lambda pair: -float(np.linalg.norm(_mean(*pair))))
    return max((_aligned(*pair) for pair in pairs[:_BASES]), key=np.linalg.norm)


def _signed(a: np.ndarray, b: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for own, (first, second) in zip(signs, _MEETING, strict=True):
        a, b = _turned(a, np.diag(own), first), _turned(b, np.diag(own), second)
    return a, b


def _aligned(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    for _ in range(_ROUNDS):
        for first, second in _MEETING:
            target = _mean(a, b)
            likeness = _unfolded(target, first) @ _unfolded(a, first).T
            likeness = likeness + _unfolded(target, second) @ _unfolded(b, second).T
            left, _, right = np.linalg.svd(likeness)
            a, b = _turned(a, left @ right, first), _turned(b, left @ right, second)
    return _mean(a, b)


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Over both tensors, and the turns and reflections of the square."""
    orders = [(*np.roll(order, turns), 4) for order in ((0, 1, 2, 3), (0, 3, 2, 1)) for turns in range(4)]
    images = [x.transpose([int(leg) for leg in order]) for x in (a, b) for order in orders]
    return np.mean(images, axis=0)


def _turned(x: np.ndarray, matrix: np.ndarray, leg: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, x, (1, leg)), 0, leg)


def _unfolded(x: np.ndarray, leg: int) -> np.ndarray:
    return np.moveaxis(x, leg, 0).reshape(x.shape[leg], -1)


def _padded(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """With zeros, so that all bonds have one size."""
    D = max(size for array in arrays for size in array.shape[:4])
    return [np.pad(x, [*((0, D - size) for size in x.shape[:4]), (0, 0)]) for x in arrays]


def _host(tensor: Tensor) -> np.ndarray:
    return tensor.to("numpy").to_dense()
