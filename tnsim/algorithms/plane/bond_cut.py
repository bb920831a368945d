"""What cuts the bond between two rows of a corner environment: an oblique projector, one end above and one below.

C1--T1--      what the site below the cut sees in the north, the rows above it
|   |
k   k         at a fixed point the cut carries corner and edge into a corner, P C1 = C1 T1: what these span is the space
|   |         that is kept, as of one corner alone (see `corner_environment`), at a cost of O(chi^3 D) without the site
C4--T3--      what the site above the cut sees in the south
"""

import numpy as np

from tnsim.linalg import Spectrum, Truncation, svd
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.tensor import Tensor, contract

# (what lies above (in, south | k), what lies below (k | out, north))
Cut = tuple[Tensor, Tensor]


def cut_by_corners(c1: Tensor, t1: Tensor, t3: Tensor, c4: Tensor) -> Cut:
    """From two corners with one edge each that meet in a cut; none of their values are cut but those at rounding."""
    upper = contract("o m, m n r -> o n r", c1, t1)
    lower = contract("l p o, o i -> l i p", t3, c4)
    meeting = contract("l i p, i p r -> l r", lower, upper)
    rounding = 50 * float(np.finfo(meeting.dtype).eps)
    u, spectrum, v = svd(meeting, (0,), Truncation(chi_max=max(meeting.shape), svd_min=rounding))
    upper = contract("o n r, k r -> o n k", upper, v.conj())
    lower = contract("l k, l i p -> k i p", u.conj(), lower)
    return balanced(upper, spectrum, lower)


def balanced(upper: Tensor, spectrum: Spectrum, lower: Tensor) -> Cut:
    """Both ends over the roots of the singular values where they meet."""
    root = Spectrum(spectrum.leg, 1 / np.sqrt(spectrum.values))
    return scale_columns(upper, root), scale_rows(lower, root)
