"""Plans that take a two-site tensor which is its own reflection apart into what is independent, and back."""

from dataclasses import dataclass

import numpy as np

from tnsim.kernels.cpu import reflection
from tnsim.networks.effective_plans import ADDED, LEFT, Rows, TwoSitePlan, keep_plan, rows_of


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """Centre blocks (or Gram matrices of them) by their even and odd parts.

    rows: from all blocks to the parts; parts: (centre sector, odd or not); blocks: (offset, rows, columns) of each.
    """

    rows: Rows
    parts: np.ndarray
    blocks: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory of the plan."""
        return self.rows.nbytes


@keep_plan
def fold_plan(plan: TwoSitePlan, side: str | None = None) -> FoldPlan:
    """The two-site tensor, or (of a side) Gram matrices of its rows or columns, by even and odd parts."""
    folding, blocks = plan.folding, plan.blocks
    assert folding is not None
    if side is None:
        left, right, m, n, offsets = folding.left, folding.right, blocks[:, 1], blocks[:, 2], blocks[:, 0]
    else:
        own = blocks[:, 1 if side == LEFT else 2]
        left = right = folding.left if side == LEFT else folding.right
        m, n, offsets = own, own, np.cumsum(own * own) - own * own
    m, n = np.ascontiguousarray(m), np.ascontiguousarray(n)
    halves = [
        reflection.half_sizes(runs, folding.images, np.ascontiguousarray(sizes)) > 0
        for runs, sizes in ((folding.left, blocks[:, 1]), (folding.right, blocks[:, 2]))
    ]
    rows, alphas, starts, parts, size = reflection.fold(
        left, right, folding.images, np.ascontiguousarray(offsets), m, n, halves[0] & halves[1]
    )
    plain = rows_of(plan.left.dtype, rows, alphas, starts, ADDED * 1.0 * parts[:, 3] * parts[:, 4], 0, int(size))
    return FoldPlan(plain, parts[:, :2].copy(), parts[:, 2:].copy())


@keep_plan
def average_plan(plan: TwoSitePlan) -> Rows:
    """Half of a two-site tensor and half of its reflection."""
    folding, (offsets, m, n) = plan.folding, plan.blocks.T.copy()
    assert folding is not None
    rows, alphas, starts = reflection.average(folding.left, folding.right, folding.images, offsets, m, n)
    return rows_of(plan.left.dtype, rows, alphas, starts, ADDED * 2.0 * m * n)


def unfold_rows(plan: TwoSitePlan, fold: FoldPlan, side: str, ranks: np.ndarray) -> Rows:
    """Rows of a basis over even and odd parts as rows over whole sectors, `ranks` of every part."""
    folding = plan.folding
    assert folding is not None
    axis = 1 if side == LEFT else 2
    own, whole = fold.blocks[:, axis], np.ascontiguousarray(plan.blocks[:, axis])
    parts = np.column_stack([fold.parts, fold.blocks])
    rows, alphas, starts = reflection.unfold(
        folding.left if side == LEFT else folding.right, axis, parts, ranks, np.cumsum(own * own) - own * own,
        np.cumsum(whole * whole) - whole * whole, whole,
    )  # fmt: skip
    return rows_of(plan.left.dtype, rows, alphas, starts, ADDED * 1.0 * ranks * own)
