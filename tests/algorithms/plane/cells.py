"""Networks of cells whose sites differ, though what they contract to is known."""

from collections.abc import Callable

import numpy as np

from tnsim.networks.square_network import InfiniteNetwork
from tnsim.tensor import from_dense


def gauged(one: InfiniteNetwork, gauge: Callable[[], np.ndarray]) -> InfiniteNetwork:
    """Gauge matrices on the bonds of a 2 x 2 cell make four different tensors of a network of one."""
    across, down = ([[gauge() for _ in "ab"] for _ in "ab"] for _ in "ab")

    def site(i: int, j: int):
        inverse = np.linalg.inv
        array = np.einsum("nesw,na,eb,sc,wd->abcd", one.tensor.array, down[i - 1][j], across[i][j],
                          inverse(down[i][j]).T, inverse(across[i][j - 1]).T)  # fmt: skip
        return from_dense(array, one.tensor.legs)

    return InfiniteNetwork([[site(i, j) for j in range(2)] for i in range(2)], log_scale=4 * one.log_scale)
