"""What a helper thread does: tasks of whatever job is on the board, without coming back to Python between them."""

import numpy as np

from tnsim.kernels.cpu.compiled import kernel
from tnsim.kernels.cpu.leading import help_leading
from tnsim.kernels.cpu.products import help_rows
from tnsim.kernels.cpu.space import help_space
from tnsim.kernels.cpu.split import help_bases
from tnsim.kernels.cpu.team import (
    COMBINE,
    COPY,
    FACTOR,
    ITERATE,
    KIND,
    ROWS,
    SINGLE_COMBINE,
    SINGLE_COPY,
    SINGLE_ROWS,
    SINGLE_SPACE,
    SINGLE_VECTORS,
    SPACE,
    SVD,
    VECTORS,
    await_claim,
    finish,
)
from tnsim.kernels.cpu.vectors import help_combine, help_copy, help_vectors


@kernel
def serve(board, index, dtype, like, single):
    """Work for jobs on data of the dtype of `like` (its number on the board: `dtype`) until there is long none.

    single: like `like`, with half the digits."""
    one_single = np.ones(1, dtype=single.dtype)
    one, real, numbers = np.ones(1, dtype=like.dtype), np.empty(0, dtype=like.real.dtype), np.empty(0)
    while True:
        left = await_claim(board, index, dtype)
        if left == 0:
            return
        kind = board[KIND]
        if kind == ROWS:
            help_rows(board, left, like, one)
        elif kind == SINGLE_ROWS:
            help_rows(board, left, single, one_single)
        elif kind == VECTORS:
            help_vectors(board, left, like, numbers)
        elif kind == SINGLE_VECTORS:
            help_vectors(board, left, single, numbers)
        elif kind == SPACE:
            help_space(board, left, like, numbers)
        elif kind == SINGLE_SPACE:
            help_space(board, left, single, numbers)
        elif kind == COMBINE:
            help_combine(board, left, like, like, numbers)
        elif kind == SINGLE_COMBINE:
            help_combine(board, left, like, single, numbers)
        elif kind == COPY:
            help_copy(board, left, like, like)
        elif kind == SINGLE_COPY:
            help_copy(board, left, like, single)
        elif kind in (FACTOR, ITERATE):
            help_leading(board, left, like, kind == FACTOR)
        else:
            help_bases(board, left, like, real, kind == SVD)
        finish(board)
