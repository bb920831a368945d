"""Decompositions of many row-major blocks in one compiled call.

A table row is (offset, rows, cols) into the flat source; results lie one after the other.
"""

import numpy as np

from tnsim.kernels.cpu.compiled import inner, kernel
from tnsim.kernels.cpu.householder import lq_with
from tnsim.kernels.cpu.lapack import eigh, svd
from tnsim.kernels.cpu.layout import adjoint, copy_vector
from tnsim.kernels.cpu.split import product
from tnsim.kernels.table import ADJOINT, NO_TRANSPOSE

_PLAIN, _ADJOINT = np.int64(NO_TRANSPOSE), np.int64(ADJOINT)


@inner
def _sizes(blocks):
    """Start of every u (rows x k), s (k) and vh (k x cols), with k = min(rows, cols)."""
    count = len(blocks)
    starts = np.zeros((count + 1, 3), dtype=np.int64)
    for i in range(count):
        rows, cols = blocks[i, 1], blocks[i, 2]
        k = min(rows, cols)
        starts[i + 1, 0] = starts[i, 0] + rows * k
        starts[i + 1, 1] = starts[i, 1] + k
        starts[i + 1, 2] = starts[i, 2] + k * cols
    return starts


@kernel
def svd_blocks(source, blocks, real):
    """Thin SVD of every block. `real` is an empty array of the real dtype. Returns u, s, vh, starts, infos."""
    starts = _sizes(blocks)
    total = starts[len(blocks)]
    u, s = np.empty(total[0], dtype=source.dtype), np.empty(total[1], dtype=real.dtype)
    vh = np.empty(total[2], dtype=source.dtype)
    infos = np.zeros(len(blocks), dtype=np.int64)
    for i in range(len(blocks)):
        offset, rows, cols = blocks[i, 0], blocks[i, 1], blocks[i, 2]
        k = min(rows, cols)
        a, b, c = starts[i]
        infos[i] = svd(
            source[offset : offset + rows * cols].copy().reshape(rows, cols),
            u[a : a + rows * k].reshape(rows, k),
            s[b : b + k],
            vh[c : c + k * cols].reshape(k, cols),
        )
    return u, s, vh, starts, infos


@kernel
def qr_blocks(source, blocks, by_rows):
    """Thin QR (or LQ, where `by_rows`) of every block: factors rows x k and k x cols, starts, infos."""
    starts = _sizes(blocks)
    total = starts[len(blocks)]
    left, right = np.empty(total[0], dtype=source.dtype), np.empty(total[2], dtype=source.dtype)
    infos = np.zeros(len(blocks), dtype=np.int64)
    for i in range(len(blocks)):
        offset, rows, cols = blocks[i, 0], blocks[i, 1], blocks[i, 2]
        k = min(rows, cols)
        a, c = starts[i, 0], starts[i, 2]
        block, first, second = source[offset : offset + rows * cols], left[a : a + rows * k], right[c : c + k * cols]
        whole = (rows if by_rows else cols) == k  # the triangle is all of the other factor
        lower = np.empty((k if whole else 0, k), dtype=source.dtype)
        if by_rows:
            copy_vector(second, block[: k * cols])
            infos[i] = lq_with(second.reshape(k, cols), lower)
            if whole:
                copy_vector(first, lower.reshape(k * k))
            else:
                product(_PLAIN, _ADJOINT, rows, k, cols, block, cols, second, cols, first)
        else:
            basis = np.empty((k, rows), dtype=source.dtype)
            adjoint(block, cols, basis)
            infos[i] = lq_with(basis, lower)
            adjoint(basis.reshape(k * rows), rows, first.reshape(rows, k))
            if whole:
                adjoint(lower.reshape(k * k), k, second.reshape(k, k))
            else:
                product(_PLAIN, _PLAIN, k, cols, rows, basis.reshape(k * rows), rows, block, cols, second)
    return left, right, starts, infos


@kernel
def eigh_blocks(source, blocks, real):
    """Eigenvalues (ascending) and eigenvectors (columns) of every Hermitian block. Returns v, w, starts, infos."""
    starts = _sizes(blocks)
    total = starts[len(blocks)]
    v, w = np.empty(total[0], dtype=source.dtype), np.empty(total[1], dtype=real.dtype)
    infos = np.zeros(len(blocks), dtype=np.int64)
    for i in range(len(blocks)):
        offset, n = blocks[i, 0], blocks[i, 1]
        rows = source[offset : offset + n * n].copy().reshape(n, n)
        infos[i] = eigh(rows, w[starts[i, 1] : starts[i, 1] + n])
        adjoint(rows.reshape(n * n), n, v[starts[i, 0] : starts[i, 0] + n * n].reshape(n, n))
    return v, w, starts, infos
