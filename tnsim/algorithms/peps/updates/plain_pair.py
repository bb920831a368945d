"""The gate of a simple update on two neighbours without symmetry on the CPU, in bare arrays: what calls cost counts."""

from functools import lru_cache

import numpy as np

from tnsim.linalg import Spectrum, Truncation
from tnsim.linalg.truncation import discarded_weight
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor

_PHYS = 4


def is_plain(first: Tensor, second: Tensor) -> bool:
    """Whether both tensors are one block of numbers on the host, by their kind and not by chance."""
    return first.backend.name == "numpy" and not first.group.names and first.ndim == second.ndim


def update_plain(
    pair: tuple[Tensor, Tensor], leg: int, inverse: np.ndarray, gate: Tensor | None, truncation: Truncation
) -> tuple[tuple[Tensor, Tensor], Spectrum, float]:
    """Both tensors under a gate, the weights of the bond at `leg` of the first one, and the norm before the cut.

    inverse: of the weights so far. The steps are those of `path_update`. Cost O(D^5 d^2 + D^3 d^6).
    """
    first, second = pair
    q_a, r_a = _reduced(first, leg)
    q_b, r_b = _reduced(second, (leg + 2) % 4)
    (k, d, _), (m, e, _) = r_a.shape, r_b.shape
    theta = ((r_a * inverse).reshape(k * d, -1) @ r_b.reshape(m * e, -1).T).reshape(k, d, m, e)
    if gate is not None:
        moved = gate.array.reshape(d * e, d * e) @ theta.transpose(1, 3, 0, 2).reshape(d * e, k * m)
        theta = moved.reshape(d, e, k, m).transpose(2, 0, 3, 1)
    u, values, v = np.linalg.svd(theta.reshape(k * d, m * e), full_matrices=False)
    norm = float(np.sqrt((values.astype(np.float64) ** 2).sum()))
    kept = truncation.keep(values / norm if norm > 0 else values)
    chosen = values[kept]
    weights = (chosen / np.sqrt((chosen**2).sum())).astype(np.float64)
    scale = weights.astype(first.dtype)
    new_a = _attached(first, leg, q_a, (u[:, kept] * scale).reshape(k, -1))
    new_b = _attached(second, (leg + 2) % 4, q_b, (v[kept].T * scale).reshape(m, -1))
    spectrum = Spectrum(trivial_leg(len(kept), 1, first.group), weights, discarded_weight(values, kept))
    return (new_a, new_b), spectrum, norm


def _reduced(tensor: Tensor, leg: int) -> tuple[np.ndarray, np.ndarray]:
    """Isometry (other legs as one, k) and reduced tensor (k, phys, bond)."""
    matrix = tensor.array.transpose(_orders(tensor.ndim, leg)[0])
    d, bond = matrix.shape[-2:]
    q, r = np.linalg.qr(matrix.reshape(-1, d * bond))
    return q, r.reshape(-1, d, bond)


def _attached(tensor: Tensor, leg: int, isometry: np.ndarray, reduced: np.ndarray) -> Tensor:
    """The tensor with a new reduced one, (k, phys and bond), behind the isometry."""
    order, back = _orders(tensor.ndim, leg)
    d = tensor.shape[_PHYS]
    outer = [tensor.shape[axis] for axis in order[:-2]]
    whole = (isometry @ reduced).reshape(*outer, d, -1).transpose(back)
    legs = list(tensor.legs)
    legs[leg] = trivial_leg(whole.shape[leg], legs[leg].flow, tensor.group)
    return Tensor(legs, np.ascontiguousarray(whole).ravel(), tensor.charge)


@lru_cache(maxsize=64)
def _orders(rank: int, leg: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Other legs, phys, the bond; and the way back."""
    order = (*(axis for axis in range(rank) if axis not in (leg, _PHYS)), _PHYS, leg)
    return order, tuple(order.index(axis) for axis in range(rank))
