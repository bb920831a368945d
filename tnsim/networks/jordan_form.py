"""Any MPO written as a machine that starts, works and finishes: the blocks 1, C, D, A, B, 1 of every site.

         start  b   done            start: nothing has acted yet; done: all has; a, b: on the way
start  (   1    C_b   D  )
a      (        A_ab  B_a )         H = sum over sites of D, C B, C A B, C A A B, ...
done   (              1  )
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.errors import OperatorError
from tnsim.networks.identity_channels import continued
from tnsim.networks.mpo import MPO
from tnsim.symmetry import Charge, Leg

# identity parts and elements below this share of the largest are rounding
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class JordanSite:
    """Blocks of one site on the host, legs as in an MPO (left, out, in, right) without the ends.

    A (a, out, in, b), B (a, out, in), C (b, out, in) and D (out, in); charges of the channels a and b.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    left: tuple[Charge, ...]
    right: tuple[Charge, ...]


def jordan_sites(H: MPO) -> list[JordanSite]:
    """The blocks of every site of an operator; exact, reads its tensors to the host once. Cost O(L w^2 d^2).

    Near the ends of a chain, and in a compressed MPO, the channels "start" and "done" are merged into others: there
    they are taken out again, with the part of every operator that is the identity. Raises OperatorError where `out`
    and `in` differ.
    """
    for i, tensor in enumerate(H.tensors):
        if tensor.legs[1].dual is not tensor.legs[2]:
            raise OperatorError(f"site {i}: an operator in time has equal legs out and in, found {tensor!r}.")
    dense = [np.array(tensor.backend.to_host(tensor.to_dense())) for tensor in H.tensors]
    dense = [array.astype(np.complex128 if array.dtype.kind == "c" else np.float64) for array in dense]
    charges = [_charges(tensor.legs[0]) for tensor in H.tensors] + [_charges(H.tensors[-1].legs[3].dual)]
    neutral = H.tensors[0].group.identity
    dense, starts = _with_ends(dense)
    mirrored, dones = _with_ends([array.swapaxes(0, 3) for array in dense[::-1]])
    dense, dones = [array.swapaxes(0, 3) for array in mirrored[::-1]], dones[::-1]
    for i, array in enumerate(dense):
        charges[i] += [neutral] * (array.shape[0] - len(charges[i]))
    working = _working(dense, starts, dones)
    return [_site(dense[i], starts, dones, working, charges, i) for i in range(H.L)]


def _charges(leg: Leg) -> list[Charge]:
    return [charge for charge, dim in zip(leg.charges, leg.dims, strict=True) for _ in range(dim)]


def _with_ends(dense: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
    """The same operator with a channel on every bond that has seen nothing but identities, and its place there.

    Where there is none, it is added: it takes the identity part of what leaves the last such channel. On the bond
    behind the last site there is none, and its place is -1.
    """
    result, places = list(dense), [0]
    for i in range(len(result) - 1):
        here, following = result[i], result[i + 1]
        start, dim = places[-1], here.shape[1]
        if found := sorted(continued(here, {start})):
            places.append(found[0])
            continue
        weights = np.trace(here[start], axis1=0, axis2=1) / dim
        weights[np.abs(weights) <= _ROUNDING * np.abs(here[start]).max(initial=0.0)] = 0
        identity, row = np.eye(dim), np.zeros((*here.shape[:3], 1), dtype=here.dtype)
        here = np.concatenate([here, row], axis=3)
        here[start, :, :, :-1] -= identity[:, :, None] * weights
        here[start, :, :, -1] = identity
        result[i] = here
        result[i + 1] = np.concatenate([following, np.tensordot(weights, following, 1)[None]])
        places.append(here.shape[3] - 1)
    return result, [*places, -1]


def _working(dense: Sequence[np.ndarray], starts: Sequence[int], dones: Sequence[int]) -> list[np.ndarray]:
    """The channels of every bond, other than its ends, that lead from a start and to an end."""
    length = len(dense)
    links = [np.abs(array).max(axis=(1, 2)) > 0 for array in dense]
    reached, leading = [np.ones(1, dtype=bool)], [np.ones(1, dtype=bool)]
    for link in links:
        reached.append(reached[-1] @ link)
    for link in reversed(links):
        leading.append(link @ leading[-1])
    result = []
    for i, (a, b) in enumerate(zip(reached, reversed(leading), strict=True)):
        used = a & b
        used[[place for place in (starts[i], dones[i]) if place >= 0]] = False
        result.append(np.flatnonzero(used if 0 < i < length else used[:0]))
    return result


def _site(
    array: np.ndarray, starts: Sequence[int], dones: Sequence[int], working: Sequence[np.ndarray],
    charges: Sequence[Sequence[Charge]], i: int,
) -> JordanSite:  # fmt: skip
    before, after = working[i], working[i + 1]
    small = _ROUNDING * np.abs(array).max(initial=0.0)
    array = np.where(np.abs(array) > small, array, 0)
    first, last = array[starts[i]], array[..., dones[i + 1]]
    left, right = (tuple(charges[i + k][c] for c in working[i + k]) for k in (0, 1))
    return JordanSite(
        A=array[before][..., after],
        B=last[before],
        C=np.moveaxis(first[..., after], 2, 0),
        D=first[..., dones[i + 1]],
        left=left,
        right=right,
    )
