"""What the norm of a state tells of changes of one tensor, for steps that go as far in every direction as they should.

Source: X.-Y. Zhang, Q. Yang, P. Corboz, J. Haegeman, W. Tang, arXiv 2511.09546 (the local part of the metric).
"""

from collections.abc import Callable

import numpy as np

from tnsim.linalg import eigh
from tnsim.tensor import Tensor, contract, diagonal, fuse, split, transpose, twist

# directions that the norm tells less of are held as if it told so much, in units of its largest eigenvalue
HOLD = 1e-2


def inverse_metric(hole: Tensor) -> Callable[[Tensor], Tensor]:
    """Applies (N + hold)^-1 to tensors like the site, N being what surrounds ket and bra of the site, positive.

    hole: legs (n, N, e, E, s, S, w, W) that those of ket (small) and bra (capital) fit. Cost O(D^12) once, O(D^8 d).
    """
    # as a form on tensors: their legs that flow out are summed over with a twist
    outwards = [axis for axis in (1, 3, 5, 7) if hole.legs[axis].flow < 0]
    matrix = fuse(twist(hole, outwards), [(1, 3, 5, 7), (0, 2, 4, 6)], [1, -1])
    adjoint = transpose(matrix.conj(), (1, 0))
    vectors, spectrum = eigh((matrix + adjoint) * 0.5)
    values = spectrum.values * np.sign(spectrum.values.sum() or 1.0)
    weights = 1 / (np.maximum(values, 0) / max(float(values.max(initial=0.0)), 1e-300) + HOLD)
    middle = diagonal(vectors.backend.asarray(weights.astype(vectors.dtype)), vectors.legs[1].dual)
    inverse = contract("a k, k l, b l -> a b", vectors, middle, vectors.conj())

    def apply(tensor: Tensor) -> Tensor:
        rows = fuse(tensor, [(0, 1, 2, 3), (4,)], [1, tensor.legs[4].flow])
        return split(contract("a b, b p -> a p", inverse, rows), 0, tensor.legs[:4])

    return apply
