"""Identity channels of an MPO: "not started" seen from the left, "finished" seen from the right.

Everything left of a channel that has not started is the identity, and so is everything right of one that
is finished. Scaling goes round them and sums share them, so that algorithms still find them afterwards.
"""

from collections.abc import Sequence

import numpy as np

from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, from_dense


def scale_train(tensors: Sequence[Tensor], factor: complex) -> list[Tensor]:
    """The operator times a number: what leaves the channel "not started" is scaled, at every site.

    Reads the tensors that have such a channel to the host. A complex factor needs complex tensors.
    """
    result = list(tensors)
    unit = 0
    for i, tensor in enumerate(tensors):
        dense = _host(tensor)
        following = sorted(continued(dense, {unit})) if i < len(tensors) - 1 else []
        if i == 0 and not following:
            result[0] = tensor * factor
            return result
        kept = [(c, dense[unit, :, :, c].copy()) for c in following[:1]]
        dense[unit] *= factor
        for c, identity in kept:
            dense[unit, :, :, c] = identity
        result[i] = from_dense(dense, tensor.legs).to(tensor.backend)
        if not following:
            break
        unit = following[0]
    return result


def share_identities(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same operator with one channel "not started" and one "finished" on every bond, where there were several.

    Channels with equal environments on one side are equal: one of them takes over what the others do on
    the other side. Exact; reads the tensors to the host once.
    """
    dense = [_host(tensor) for tensor in tensors]
    lefts, rights = [{0}], [{0}]
    for array in dense[:-1]:
        lefts.append(continued(array, lefts[-1]))
    for array in dense[:0:-1]:
        rights.append(continued(array.swapaxes(0, 3), rights[-1]))
    rights.reverse()
    result = list(tensors)
    for i in range(1, len(tensors)):
        started, finished = sorted(lefts[i]), sorted(rights[i - 1] - lefts[i])
        if len(started) > 1 or len(finished) > 1:
            before, behind = _merge(tensors[i].legs[0], started, finished, tensors[i].dtype)
            backend = tensors[i].backend
            result[i - 1] = contract("l o i m, m n -> l o i n", result[i - 1], before.to(backend))
            result[i] = contract("n m, m o i r -> n o i r", behind.to(backend), result[i])
    return result


def _host(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.backend.to_host(tensor.to_dense()))


def continued(dense: np.ndarray, units: set[int]) -> set[int]:
    """The channels behind a site that only carry on one of `units` with an identity."""
    if dense.shape[1] != dense.shape[2]:
        return set()
    identity = np.eye(dense.shape[1])
    from_one = np.count_nonzero(np.abs(dense).max(axis=(1, 2)), axis=0) == 1
    return {int(c) for u in units for c in np.flatnonzero(from_one) if (dense[u, :, :, c] == identity).all()}


def _merge(leg: Leg, started: Sequence[int], finished: Sequence[int], dtype: np.dtype) -> tuple[Tensor, Tensor]:
    """Matrices for the bond's left side (leg, new.dual) and right side (new, leg.dual).

    Equal columns on the left: one is kept, the rows behind are added up. Equal rows on the right: the other
    way round.
    """
    dropped = set(started[1:]) | set(finished[1:])
    kept = [c for c in range(leg.dim) if c not in dropped]
    place = {c: k for k, c in enumerate(kept)}
    before, behind = np.zeros((leg.dim, len(kept)), dtype=dtype), np.zeros((len(kept), leg.dim), dtype=dtype)
    for c, k in place.items():
        before[c, k] = behind[k, c] = 1
    for c in started[1:]:
        behind[place[started[0]], c] = 1
    for c in finished[1:]:
        before[c, place[finished[0]]] = 1
    sector = np.repeat(np.arange(len(leg)), leg.dims_array)[kept]
    dims = np.bincount(sector, minlength=len(leg))
    new = Leg.from_keys(leg.group, leg.keys, dims, leg.flow)
    return from_dense(before, (leg, new.dual)), from_dense(behind, (new, leg.dual))
