"""What a helper thread does: tasks of whatever job is on the board, without coming back to Python between them."""

import numpy as np

from tnsim.kernels.cpu.compiled import kernel
from tnsim.kernels.cpu.leading import help_leading
from tnsim.kernels.cpu.products import help_rows
from tnsim.kernels.cpu.shares import share_of_helper
from tnsim.kernels.cpu.space import change_share
from tnsim.kernels.cpu.split import help_bases
from tnsim.kernels.cpu.team import (
    COMBINE,
    COPY,
    FACTOR,
    ITERATE,
    KIND,
    ROWS,
    SINGLE,
    SPACE,
    SVD,
    VECTORS,
    await_claim,
    finish,
)
from tnsim.kernels.cpu.vectors import combine_share, copy_share, update_share


@kernel
def serve(board, index, dtype, like, single):
    """Work for jobs on data of the dtype of `like` (its number on the board: `dtype`) until there is long none.

    single: like `like`, with half the digits."""
    one_single = np.ones(1, dtype=single.dtype)
    one, real = np.ones(1, dtype=like.dtype), np.empty(0, dtype=like.real.dtype)
    while True:
        left = await_claim(board, index, dtype)
        if left == 0:
            return
        kind = board[KIND]
        if kind == ROWS:
            help_rows(board, left, like, one)
        elif kind == SINGLE + ROWS:
            help_rows(board, left, single, one_single)
        elif kind == VECTORS:
            update_share(*share_of_helper(board, left, like, like))
        elif kind == SINGLE + VECTORS:
            update_share(*share_of_helper(board, left, single, single))
        elif kind == SPACE:
            change_share(*share_of_helper(board, left, like, like))
        elif kind == SINGLE + SPACE:
            change_share(*share_of_helper(board, left, single, single))
        elif kind == COMBINE:
            combine_share(*share_of_helper(board, left, like, like))
        elif kind == SINGLE + COMBINE:
            combine_share(*share_of_helper(board, left, like, single))
        elif kind == COPY:
            copy_share(*share_of_helper(board, left, like, like))
        elif kind == SINGLE + COPY:
            copy_share(*share_of_helper(board, left, like, single))
        elif kind in (FACTOR, ITERATE):
            help_leading(board, left, like, kind == FACTOR)
        else:
            help_bases(board, left, like, real, kind == SVD)
        finish(board)
