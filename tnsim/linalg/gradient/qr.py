"""Gradients of QR decompositions, of the space that columns span, and of inverse matrices.

Source: H.-J. Liao, J.-G. Liu, L. Wang, T. Xiang, Phys. Rev. X 9, 031041 (2019), appendix; M. Seeger et al., arXiv
1710.08717; more columns than rows: S. F. Walter, L. Lehmann, arXiv 1001.1654.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim import linalg
from tnsim.backend import Array
from tnsim.linalg.polar import polar
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, eye, fuse, transpose
from tnsim.tensor import gradient as recorded
from tnsim.tensor.tape import Node, record, record_all, value_of
from tnsim.tensor.tensor import check_square


def as_matrix(x: Any, rows: Sequence[int]) -> tuple[Any, list[Leg], list[Leg]]:
    """Rows and columns fused, with their legs."""
    others = [n for n in range(x.ndim) if n not in rows]
    matrix = recorded.fuse(x, [tuple(rows), others], [1, -1])
    return matrix, [x.legs[n] for n in rows], [x.legs[n] for n in others]


def qr(x: Any, rows: Sequence[int]) -> Any:
    """Q, R as `tnsim.linalg.qr`, which leaves the phase of every column of Q to the diagonal of R, real in LAPACK.

    Gradients need linearly independent columns, or rows where there are fewer. Cost: some products of its size.
    """
    if type(x) is not Node:
        return linalg.qr(x, rows)
    matrix, row_legs, column_legs = as_matrix(x, rows)
    q, r = linalg.qr(matrix.value, (0,))
    a, b = record_all((q, r), (matrix,), lambda gq, gr: (_qr_gradient(matrix.value, q, r, gq, gr),))
    return recorded.split(a, 0, row_legs), recorded.split(b, 1, column_legs)


def _qr_gradient(matrix: Tensor, q: Tensor, r: Tensor, gq: Tensor, gr: Tensor) -> Tensor:
    """Block by block: the leading columns of R are square, the others tell Q what they add to them."""
    result = Tensor(matrix.legs, matrix.backend.zeros(matrix.size, matrix.dtype), matrix.charge)
    for (row, column), block in result.blocks():
        bond = q.legs[1].charges.index(matrix.legs[1].charges[column])
        of_q, of_r = q.layout.place[(row, bond)], r.layout.place[(bond, column)]
        own = matrix.block(matrix.layout.place[(row, column)])
        block[...] = _block_gradient(
            matrix.backend, own, (q.block(of_q), r.block(of_r)), (gq.block(of_q), gr.block(of_r))
        )
    return result


def _block_gradient(backend: Any, a: Array, factors: tuple[Array, Array], gradients: tuple[Array, Array]) -> Array:
    (q, r), (gq, gr) = factors, gradients
    k = r.shape[0]
    if r.shape[1] > k:
        gq = gq + a[:, k:] @ backend.conj(gr[:, k:]).T
    left, gr_left = r[:, :k], gr[:, :k]
    inner = left @ backend.conj(gr_left).T - backend.conj(gq).T @ q
    mask = backend.asarray((np.tril(np.ones((k, k)), -1) + np.eye(k) / 2).astype(a.dtype))
    lower = inner * mask
    # the gradient of the leading columns, times R^-dagger from the right
    known = gq + q @ (lower + backend.conj(lower).T)
    first = backend.conj(backend.solve(left, backend.conj(known).T)).T
    if r.shape[1] == k:
        return first
    return _beside(backend, first, q @ gr[:, k:])


def _beside(backend: Any, first: Array, second: Array) -> Array:
    m, k = first.shape
    n = k + second.shape[1]
    whole = backend.zeros(m * n, first.dtype).reshape(m, n)
    whole[:, :k] = first
    whole[:, k:] = second
    return whole


def column_space(x: Any, rows: Sequence[int], like: Tensor | None = None) -> Any:
    """An orthonormal basis of the columns, for functions that the choice of the basis leaves alone.

    Gradients along the space itself vanish then, and are left out: nothing hangs on the order or the phases of the
    columns. like: another basis; this one is turned to be as near to it as it can. Needs linearly independent columns,
    no more than rows. Legs (*rows, bond).
    """
    matrix, row_legs, _ = as_matrix(x, rows)
    q, r = linalg.qr(value_of(matrix), (0,))
    if like is not None:
        other = fuse(value_of(like), [tuple(range(like.ndim - 1)), (like.ndim - 1,)], [1, -1])
        turn, _ = polar(contract("a m, a n -> m n", q.conj(), other), (0,))
        q, r = contract("a m, m n -> a n", q, turn), contract("m n, m c -> n c", turn.conj(), r)
    if type(x) is not Node:
        return recorded.split(q, 0, row_legs)

    def pull(g: Tensor) -> tuple[Tensor]:
        outside = g - contract("a m, m n -> a n", q, contract("a m, a n -> m n", q.conj(), g))
        return (transpose(_solved(r, transpose(outside.conj(), (1, 0))).conj(), (1, 0)),)

    return recorded.split(record(q, (matrix,), pull), 0, row_legs)


def _solved(r: Tensor, right: Tensor) -> Tensor:
    """y with R y = right, for blocks of R that are square."""
    legs = (r.legs[1].dual, *right.legs[1:])
    result = Tensor(legs, right.backend.zeros(right.size, right.dtype), right.charge)
    for (row, column), block in result.blocks():
        bond = r.legs[0].charges.index(r.legs[1].charges[row])
        known = right.block(right.layout.place[(bond, column)])
        block[...] = right.backend.solve(r.block(r.layout.place[(bond, row)]), known)
    return result


def inverse(x: Any) -> Any:
    """The inverse of a matrix with legs (leg, leg.dual) and no charge. Cost O(n^3) for every block."""
    matrix = value_of(x)
    check_square(matrix, "an inverse")
    made = _solved(matrix, eye(matrix.legs[0], dtype=matrix.dtype, backend=matrix.backend))
    if type(x) is not Node:
        return made
    adjoint = transpose(made.conj(), (1, 0))
    return record(made, (x,), lambda g: (-contract("a b, b c, c d -> a d", adjoint, g, adjoint),))
