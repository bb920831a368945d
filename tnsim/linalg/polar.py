"""Polar decompositions of symmetric tensors: the isometry nearest to a tensor."""

from collections.abc import Sequence

from tnsim.linalg.decompose import svd
from tnsim.tensor import Tensor, contract, diagonal


def polar(tensor: Tensor, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """T = W P with W of T's legs and W^dagger W = 1 on the last leg; P (last leg's dual, last leg) is positive.

    `rows` are all axes but the last. Unique where T has full rank, so no phases have to be fixed; W is the
    isometry nearest to T. Cost that of an SVD; exact. Source: N. J. Higham, SIAM J. Sci. Stat. Comput. 7, 1160 (1986).

    >>> import numpy as np
    >>> from tnsim.tensor import from_dense
    >>> w, p = polar(from_dense(np.array([[0.0, -2.0], [3.0, 0.0]])), (0,))
    >>> w.array.round(12) + 0.0, p.array.round(12) + 0.0
    (array([[ 0., -1.],
           [ 1.,  0.]]), array([[3., 0.],
           [0., 2.]]))
    """
    u, s, v = svd(tensor, rows)
    values = diagonal(tensor.backend.asarray(s.values.astype(tensor.dtype)), s.leg)
    words = " ".join(f"r{n}" for n in rows)
    isometry = contract(f"{words} m, m c -> {words} c", u, v)
    return isometry, contract("m d, m n, n c -> d c", v.conj(), values, v)


def polar_right(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """T = P W with W of T's legs and W W^dagger = 1 on the first leg; P (first leg, its dual) is positive."""
    u, s, v = svd(tensor, (0,))
    values = diagonal(tensor.backend.asarray(s.values.astype(tensor.dtype)), s.leg)
    words = " ".join(f"c{n}" for n in range(1, tensor.ndim))
    isometry = contract(f"r m, m {words} -> r {words}", u, v)
    return contract("r m, m n, d n -> r d", u, values, u.conj()), isometry
