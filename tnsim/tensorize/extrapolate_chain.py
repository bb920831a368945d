"""Further along the way that the last sweep took: chains extrapolated in a gauge that they share."""

from collections.abc import Sequence

from tnsim.linalg import lq, svd
from tnsim.tensor import Tensor, contract


def extrapolated(new: Sequence[Tensor], old: Sequence[Tensor], reach: float) -> list[Tensor]:
    """new + reach * (new - old), core by core, with its centre on site 0.

    Both chains have their centre there and equal bonds. Bonds of the old one are turned first, from the right, so that
    its cores are as near to the new ones as unitary matrices bring them. Cost of a few products of cores.
    """
    result = list(new)
    aligned = list(old)
    for k in range(len(new) - 1, 0, -1):
        u, _, v = svd(contract("k o i r, l o i r -> k l", aligned[k].conj(), new[k]), (0,))
        turn = contract("k m, m l -> k l", u, v)
        aligned[k] = contract("k l, k o i r -> l o i r", turn, aligned[k])
        aligned[k - 1] = contract("a o i k, k l -> a o i l", aligned[k - 1], turn.conj())
    for k, (core, before) in enumerate(zip(new, aligned, strict=True)):
        result[k] = core + (core - before) * reach
    for k in range(len(new) - 1, 0, -1):
        rest, result[k] = lq(result[k], (0,))
        result[k - 1] = contract("l o i m, m r -> l o i r", result[k - 1], rest)
    return result
