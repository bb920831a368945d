"""Transfer matrices of a unit cell: what one cell of bra and ket does to an environment.

x--conj(A)--u
|    |            X_uv = sum conj(A)_xsu X_xy B_ysv   (from the left)
y--- B -----v
"""

from collections.abc import Sequence

import numpy as np

from tnsim.backend import Array
from tnsim.errors import ShapeError
from tnsim.linalg.arnoldi import Eigenpairs, dominant
from tnsim.symmetry import Charge
from tnsim.tensor import Tensor, contract, eye, random_tensor

LEFT, RIGHT = "left", "right"


def transfer(side: str, x: Tensor, bra: Sequence[Tensor], ket: Sequence[Tensor]) -> Tensor:
    """X (bra, ket) carried through all sites of a cell, from the left or from the right; cost O(n d chi^3).

    X may have any charge: the cell conserves it. From the left X has flows (+1, -1), from the right (-1, +1).
    """
    if side == LEFT:
        for a, b in zip(bra, ket, strict=True):
            x = contract("x s u, x s v -> u v", a.conj(), contract("x y, y s v -> x s v", x, b))
        return x
    for a, b in zip(reversed(bra), reversed(ket), strict=True):
        x = contract("x s v, y s v -> x y", contract("x s u, u v -> x s v", a.conj(), x), b)
    return x


def transfer_eigenpairs(
    bra: Sequence[Tensor],
    ket: Sequence[Tensor],
    *,
    side: str = LEFT,
    count: int = 1,
    charge: Charge | int | None = None,
    start: Tensor | None = None,
    tolerance: float = 1e-12,
) -> tuple[Eigenpairs, list[Tensor]]:
    """Eigenvalues of largest magnitude of a cell's transfer matrix in one charge sector, and their matrices.

    `charge` is that by which the ket exceeds the bra; without sector there are no values. `start`: a matrix
    near the first. The Krylov space is built on the device of the tensors.
    """
    if len(bra) != len(ket) or [a.legs[1] for a in bra] != [b.legs[1] for b in ket]:
        raise ShapeError("a transfer matrix needs a bra and a ket on the same unit cell.")
    end = 0 if side == LEFT else 2
    if start is None:
        group = ket[0].group
        sector = group.identity if charge is None else group.charge(charge)
        a, b = (bra[0], ket[0]) if side == LEFT else (bra[-1], ket[-1])
        shift = group.dual(sector) if side == LEFT else sector
        dtype = np.result_type(*(tensor.dtype for tensor in (*bra, *ket)))
        start = random_tensor((a.legs[end], b.legs[end].dual), shift, dtype=dtype, seed=0, backend=ket[0].backend)
    if start.size == 0:
        return Eigenpairs(np.zeros(0), [], np.zeros(0), True), []
    legs, total = start.legs, start.charge
    pairs = dominant(
        lambda flat: transfer(side, Tensor(legs, flat, total), bra, ket).data,
        start.data, ket[0].backend, count=count, tolerance=tolerance,
    )  # fmt: skip
    return pairs, [Tensor(legs, vector, total) for vector in pairs.vectors]


def second_eigenvalue(AL: Sequence[Tensor], fixed: Tensor, tolerance: float = 1e-6) -> complex:
    """The next eigenvalue, in the neutral sector, of the transfer matrix of a left-isometric cell.

    fixed: its right fixed point (bra, ket) of trace 1. The identity is projected out, so that a repeated
    dominant eigenvalue is found too; 0 where there is no other.
    """
    bond = AL[0].legs[0]
    one = eye(bond, dtype=AL[0].dtype, backend=AL[0].backend)
    start = random_tensor(one.legs, dtype=one.dtype, seed=0, backend=one.backend)

    def without_identity(flat: Array) -> Array:
        x = transfer(LEFT, Tensor(one.legs, flat), AL, AL)
        overlap = contract("x y, x y -> ", x, fixed)
        return x.data - one.data * overlap.data[0]

    values = dominant(
        without_identity, without_identity(start.data), one.backend, tolerance=tolerance, restarts=20
    ).values
    return complex(values[0]) if len(values) else 0.0
