"""Linear systems of a positive matrix, sector by sector."""

from tnsim.tensor import Tensor, diagonal_of, eye, zeros
from tnsim.tensor.tensor import check_square

# multiple of the mean eigenvalue that keeps x where it starts
HOLD = 1e-12


def solve_positive(matrix: Tensor, right: Tensor, start: Tensor, *, hold: float = HOLD) -> Tensor:
    """x of matrix x = right, legs (leg, columns), for a Hermitian matrix (leg, leg.dual) without negative eigenvalues.

    A multiple `hold` of the mean eigenvalue holds x where it starts in directions that the matrix does not see:
    <x|matrix|x> - 2 Re <x|right> never grows. Cost O(n^3) for every block.

    >>> import numpy as np
    >>> from tnsim.tensor import from_dense
    >>> A, b = from_dense(np.diag([1.0, 2.0, 0.0])), from_dense(np.array([[1.0], [1.0], [0.0]]))
    >>> solve_positive(A, b, 0 * b).array.round(6).ravel().tolist()
    [1.0, 0.5, 0.0]
    """
    check_square(matrix, "a positive system")
    backend, leg = matrix.backend, matrix.legs[0]
    mean = float(backend.read(backend.real(backend.sum(diagonal_of(matrix))))) / leg.dim
    if not mean > 0:
        return start
    matrix = matrix + eye(leg, dtype=matrix.dtype, backend=backend) * (hold * mean)
    right = right + start * (hold * mean)
    x = zeros(right.legs, right.charge, dtype=right.dtype, backend=backend)
    for (row, column), block in x.blocks():
        part = right.block(right.layout.place[(row, column)])
        block[...] = backend.solve(matrix.block(matrix.layout.place[(row, row)]), part)
    return x
