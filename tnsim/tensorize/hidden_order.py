"""In which order rows of a matrix make a chain keep most of it."""

import numpy as np

from tnsim.networks.matrix_index import balanced_factors


def hidden_order(matrix: np.ndarray, *, tries: int = 0, share: float = 0.25, seed: int = 0) -> np.ndarray:
    """An order of the rows: along the leading singular vector, then by random exchanges that help.

    What counts is the weight (sum of squares) that the largest `share` of the singular values keep at the middle cut
    of a chain of two sites. Cost of one SVD of the cut a try. The same seed gives the same order.

    >>> rng = np.random.default_rng(0)
    >>> matrix = np.kron(rng.standard_normal((4, 4)), rng.standard_normal((4, 4)))[rng.permutation(16)]
    >>> order = hidden_order(matrix, tries=300)
    >>> bool(kept_weight(matrix[order]) > kept_weight(matrix))
    True
    """
    order = np.argsort(np.linalg.svd(matrix, full_matrices=False)[0][:, 0], kind="stable")
    plain = np.arange(len(matrix))
    if kept_weight(matrix[plain], share) > kept_weight(matrix[order], share):
        order = plain
    rng, best = np.random.default_rng(seed), kept_weight(matrix[order], share)
    for _ in range(tries):
        a, b = rng.choice(len(order), 2, replace=False)
        order[[a, b]] = order[[b, a]]
        found = kept_weight(matrix[order], share)
        if found > best:
            best = found
        else:
            order[[a, b]] = order[[b, a]]
    return order


def kept_weight(matrix: np.ndarray, share: float = 0.25) -> float:
    """The share of the weight that the leading singular values keep at the cut of a chain of two sites."""
    (o, p), (i, j) = (balanced_factors(size, 2, pad=True) for size in matrix.shape)
    whole = np.zeros((o * p, i * j), matrix.dtype)
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    table = whole.reshape(o, p, i, j).transpose(0, 2, 1, 3).reshape(o * i, p * j)
    weights = np.linalg.svd(table, compute_uv=False) ** 2
    return float(weights[: max(1, int(share * len(weights)))].sum() / weights.sum())
