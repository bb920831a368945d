"""What the rows above a row make of a PEPS and its conjugate: a boundary MPS with sites (left, ket, bra, right).

Sources: F. Verstraete, J. I. Cirac, cond-mat/0407066 (boundary MPS, variational); E. M. Stoudenmire, S. R. White,
New J. Phys. 12, 055026 (2010) (zip-up).
"""

from dataclasses import dataclass, replace

import numpy as np

from tnsim.algorithms.peps.finite.double_layer_row import DoubleRow, doubled, entered, ones
from tnsim.errors import NumericalError
from tnsim.linalg import Truncation, lq
from tnsim.linalg.product_svd import product_svd
from tnsim.networks.direct_sum import side_by_side
from tnsim.networks.effective_plans import LEFT, RIGHT
from tnsim.networks.scaling import scale_rows
from tnsim.networks.square_network import EAST, NORTH, WEST
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, contract, fuse, split, transpose

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class DoubleBoundary:
    """exp(log_norm) times a normalised state of the bonds below some rows, in all its mixed forms.

    sites: the first holds the norm, the others are isometries from the right; before[j]: isometries from the left;
    centers[j]: what stands at j between those. left_parts[j], right_parts[j]: what is left and right of column j of
    the last row and the boundary above it, between the isometries of this one; center_logs[j]: ln of the norm of what
    they make of the column, which centers[j] is divided by. weight: discarded weights, summed.
    """

    sites: Tensors
    before: Tensors
    centers: Tensors
    log_norm: float = 0.0
    weight: float = 0.0
    above: "DoubleBoundary | None" = None
    row: DoubleRow | None = None
    left_parts: Tensors = ()
    right_parts: Tensors = ()
    center_logs: tuple[float, ...] = ()

    @property
    def chi(self) -> int:
        """The largest bond."""
        return max(site.shape[0] for site in self.sites)

    def with_operator(self, j: int, bra: Tensor) -> Tensor:
        """centers[j] with an operator in the last row: legs (left, ket, bra, right, bond of the operator)."""
        assert self.above is not None and self.row is not None
        half = entered(RIGHT, self.right_parts[j], self.above.sites[j], self.row.kets[j])
        center = contract("v x s w S W a, x w W z -> z s S v a", doubled(RIGHT, half, bra), self.left_parts[j])
        return center * float(np.exp(-self.center_logs[j]))


def edge(row: DoubleRow) -> DoubleBoundary:
    """Above the first row: legs of dimension 1."""
    bond = _end(row)
    pairs = zip(row.kets, row.bras, strict=True)
    sites = tuple(ones([bond.dual, ket.legs[NORTH], bra.legs[NORTH], bond], ket) for ket, bra in pairs)
    return DoubleBoundary(sites, sites, sites)


def _end(row: DoubleRow) -> Leg:
    group = row.kets[0].group
    return Leg(group, [group.identity], [1])


def next_boundary(above: DoubleBoundary, row: DoubleRow, truncation: Truncation) -> DoubleBoundary:
    """The boundary below one row more: zip-up from the left, then a fit from the right.

    Cost O(chi^3 D^4 + chi^2 D^6 d) a column. Raises NumericalError for a state of norm zero.
    """
    before, left_parts, weight = _zipped(above, row, truncation)
    fit = _fitted(above, row, left_parts, truncation)
    return replace(fit, before=before, weight=above.weight + weight)


def _zipped(above: DoubleBoundary, row: DoubleRow, truncation: Truncation) -> tuple[Tensors, Tensors, float]:
    """Isometries from the left, what is left of every column, and the discarded weights, summed."""
    before, parts, weight = [], [_left_end(above, row)], 0.0
    for top, ket, bra in zip(above.sites, row.kets, row.bras, strict=True):
        whole = _unit(doubled(LEFT, entered(LEFT, parts[-1], top, ket), bra))[0]
        y, u, e, s, E, S = whole.legs
        vectors, spectrum, rest = product_svd([fuse(whole, [(0, 3, 5), (1, 2, 4)], [1, -1])], truncation)
        before.append(split(vectors, 0, [y, s, S]))
        weight += spectrum.discarded_weight
        parts.append(transpose(split(scale_rows(rest, spectrum), 1, [u, e, E]), (1, 2, 3, 0)))
    return tuple(before), tuple(parts[:-1]), weight


def _fitted(above: DoubleBoundary, row: DoubleRow, left_parts: Tensors, truncation: Truncation) -> DoubleBoundary:
    """The boundary in all forms but those from the left."""
    sites, centers, parts, logs, log_norm = [], [], [_right_end(above, row)], [], above.log_norm
    for j in range(len(row) - 1, -1, -1):
        whole = doubled(RIGHT, entered(RIGHT, parts[-1], above.sites[j], row.kets[j]), row.bras[j])
        v, x, s, w, S, W = whole.legs
        center, log = _unit(contract("v x s w S W, x w W z -> z s S v", whole, left_parts[j]))
        centers.append(center)
        logs.append(log)
        if j > 0:
            matrix = fuse(whole, [(1, 3, 5), (2, 4, 0)], [1, -1])
            basis = _basis(fuse(center, [(0,), (1, 2, 3)], [1, -1]), matrix, truncation)
            rest = contract("r c, c z -> r z", matrix, transpose(basis.conj(), (1, 0)))
            part, size = _unit(split(rest, 0, [x, w, W]))
            sites.append(split(basis, 1, [s, S, v]))
            parts.append(part)
            log_norm += size
    sites.append(centers[-1])
    rights = tuple(sites[::-1])
    return DoubleBoundary(
        sites=rights, before=rights, centers=tuple(centers[::-1]), log_norm=log_norm + logs[-1], above=above, row=row,
        left_parts=left_parts, right_parts=tuple(parts[::-1]), center_logs=tuple(logs[::-1]),
    )  # fmt: skip


def _basis(center: Tensor, matrix: Tensor, truncation: Truncation) -> Tensor:
    """Orthonormal rows that span those of the center, and the largest parts of the matrix beside them.

    The state needs the former only; with an operator further west, which the center does not know of, it has others.
    """
    _, basis = lq(center, (0,))
    room = truncation.chi_max - basis.legs[0].dim
    if room <= 0:
        return basis
    adjoint = transpose(basis.conj(), (1, 0))
    beside = matrix - contract("r c, c z, z d -> r d", matrix, adjoint, basis)
    cut = truncation.svd_min * matrix.norm()
    if beside.norm() <= cut:
        return basis
    few = Truncation(chi_max=room, svd_min=min(0.5, cut / beside.norm()))
    # small parts hold rounding, and are orthogonal to the basis only after a second time
    return lq(side_by_side([basis, product_svd([beside], few)[2]], 0), (0,))[1]


def _left_end(above: DoubleBoundary, row: DoubleRow) -> Tensor:
    """Legs (x, w, W, y) of dimension 1 left of the first column."""
    return ones([above.sites[0].legs[0], row.kets[0].legs[WEST], row.bras[0].legs[WEST], _end(row).dual], row.kets[0])


def _right_end(above: DoubleBoundary, row: DoubleRow) -> Tensor:
    """Legs (u, e, E, v) of dimension 1 right of the last column."""
    return ones([above.sites[-1].legs[3], row.kets[-1].legs[EAST], row.bras[-1].legs[EAST], _end(row)], row.kets[-1])


def _unit(tensor: Tensor) -> tuple[Tensor, float]:
    """The tensor divided by its norm, and ln of that."""
    norm = tensor.norm()
    if not 0 < norm < np.inf:
        raise NumericalError(
            f"a boundary of the double layer has norm {norm}: the state vanishes, or its tensors are out of scale."
        )
    return tensor / norm, float(np.log(norm))
