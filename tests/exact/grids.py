"""Square networks contracted in full, and sums over all configurations of small lattices."""

from collections.abc import Callable
from itertools import product

import numpy as np

from tnsim.networks.square_network import FiniteNetwork
from tnsim.tensor import Tensor


def dense(tensor: Tensor) -> np.ndarray:
    return tensor.backend.to_host(tensor.to_dense())


def value(network: FiniteNetwork) -> complex:
    """The number that an open network stands for, row by row with every bond open."""
    state = np.ones((1,) * network.shape[1])
    for row in network.rows:
        state = state[None]  # the bond to the west comes first
        for tensor in row:
            # state: west, north legs still to come, south legs done
            state = np.einsum("wn...,nesw->e...s", state, dense(tensor))
        state = state[0]
    return complex(state.reshape(())) * np.exp(network.log_scale)


def torus_value(tensor: np.ndarray, rows: int, columns: int) -> float:
    """The trace of rows x columns equal tensors (north, east, south, west) on a torus, by its transfer matrix."""
    row = tensor.transpose(3, 0, 2, 1)  # west, norths, souths, east
    for _ in range(columns - 1):
        row = np.einsum("wNSe,nfse->wNnSsf", row, tensor)
        w, n1, n2, s1, s2, e = row.shape
        row = row.reshape(w, n1 * n2, s1 * s2, e)
    matrix = np.einsum("wnsw->ns", row)
    return float(np.trace(np.linalg.matrix_power(matrix, rows)).real)


def log_sum(states: int, count: int, log_weight: Callable[[np.ndarray], float]) -> float:
    """ln of the sum of exp(log_weight) over all tuples of `count` states."""
    logs = [log_weight(np.array(config)) for config in product(range(states), repeat=count)]
    return float(np.log(np.sum(np.exp(logs))))
