"""The kernels in plain array operations: for array libraries without kernels of their own.

Correct on any library that has matrix products and strided views; one Python step per row, so slow on
small blocks. `Portable(backend)` has the same functions as `CpuKernels`.
"""

import math
from typing import Any

import numpy as np

from tnsim.kernels import table as t

Array = Any


class Portable:
    """Kernels over an array backend with `strided`, `zeros`, `empty`, `conj` and linear algebra."""

    name = "portable"

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    # -- plans of block products -----------------------------------------------------------------------

    def run_products(
        self, rows: np.ndarray, alphas: np.ndarray, starts: np.ndarray, weights: np.ndarray,
        buffers: tuple[Array, ...], threads: int = 1,
    ) -> None:  # fmt: skip
        """Execute a plan (see `kernels/table.py`) row by row."""
        for row, alpha in zip(rows.tolist(), alphas.tolist(), strict=True):
            self._run_row(row, alpha, buffers)

    def _run_row(self, row: list[int], alpha: complex, buffers: tuple[Array, ...]) -> None:
        view = self.backend.strided
        kind, m, n = row[t.KIND], row[t.M], row[t.N]
        c_buffer, c_offset, c_stride = buffers[row[t.C_BUFFER]], row[t.C_OFFSET], row[t.C_STRIDE]
        if kind == t.PRODUCT:
            a = self._operand(
                buffers[row[t.A_BUFFER]], row[t.A_OFFSET], row[t.A_STRIDE], m, row[t.K], row[t.A_TRANSPOSE]
            )
            b = self._operand(
                buffers[row[t.B_BUFFER]], row[t.B_OFFSET], row[t.B_STRIDE], row[t.K], n, row[t.B_TRANSPOSE]
            )
            c = view(c_buffer, c_offset, (m, n), (c_stride, 1))
            c += (a @ b) * alpha if alpha != 1 else a @ b
        elif kind in (t.ADD, t.ADD_CONJUGATE):
            b = view(buffers[row[t.B_BUFFER]], row[t.B_OFFSET], (m, n), (row[t.B_STRIDE], row[t.B_STEP]))
            b = self.backend.conj(b) if kind == t.ADD_CONJUGATE else b
            c = view(c_buffer, c_offset, (m, n), (c_stride, row[t.C_STEP]))
            c += b * alpha
        elif kind == t.CLEAR:
            c = view(c_buffer, c_offset, (m, n), (c_stride, 1))
            c[...] = 0
        else:
            c = view(c_buffer, c_offset, (m,), (c_stride,))
            c += alpha

    def _operand(self, buffer: Array, offset: int, stride: int, m: int, n: int, transpose: int) -> Array:
        if transpose == t.NO_TRANSPOSE:
            return self.backend.strided(buffer, offset, (m, n), (stride, 1))
        flipped = self.backend.strided(buffer, offset, (m, n), (1, stride))
        return self.backend.conj(flipped) if transpose == t.ADJOINT else flipped

    # -- copies ----------------------------------------------------------------------------------------

    def copy_blocks(self, source: Array, size: int, rows: np.ndarray, conjugate: bool) -> Array:
        """A new flat buffer with blocks copied in permuted order; see `kernels/cpu/layout.py`."""
        target = self.backend.zeros(size, source.dtype)
        for row in rows.tolist():
            rank = row[2]
            shape, strides = tuple(row[3 : 3 + rank]), tuple(row[3 + rank : 3 + 2 * rank])
            steps = tuple(math.prod(shape[i + 1 :]) for i in range(rank))
            block = self.backend.strided(source, row[0], shape, strides)
            place = self.backend.strided(target, row[1], shape, steps)
            place[...] = self.backend.conj(block) if conjugate else block
        return target

    # -- decompositions --------------------------------------------------------------------------------

    def svd_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array, Array]:
        """Thin SVD of every (offset, rows, cols): flat u, s, vh, block after block."""
        return self._decompose(source, blocks, self.backend.svd, 3)

    def qr_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array]:
        """Thin QR of every block: flat q, r."""
        return self._decompose(source, blocks, self.backend.qr, 2)

    def lq_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array]:
        """Thin LQ of every block: flat l, q."""
        return self._decompose(source, blocks, self._lq, 2)

    def _lq(self, block: Array) -> tuple[Array, Array]:
        q, r = self.backend.qr(self.backend.conj(block).T)
        return self.backend.conj(r).T, self.backend.conj(q).T

    def eigh_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array]:
        """Eigenvectors (columns) and ascending eigenvalues of every Hermitian block: flat v, w."""
        return self._decompose(source, blocks, lambda block: self.backend.eigh(block)[::-1], 2)

    def bases(
        self, theta: Array, blocks: np.ndarray, rightwards: bool, use_svd: bool, noise: Array | None,
        amplitude: float, threads: int,
    ) -> tuple[Array, np.ndarray, np.ndarray]:  # fmt: skip
        """Orthonormal rows of the centre blocks, weights (float64, on the host) and ranks.

        Every basis has room for a square matrix. The same rule as `kernels/cpu/split.py`, except that every block
        takes the Gram matrix of its own side.
        """
        xp, parts, values, ranks, start = self.backend, [], [], [], 0
        for offset, m, n in blocks.tolist():
            block = xp.strided(theta, offset, (m, n), (n, 1))
            own = m if rightwards else n
            rank = min(m, n) if noise is None else own
            if use_svd and noise is None:
                u, s, vh = xp.svd(block)
                rows, weights = (xp.conj(u).T if rightwards else vh), s * s
            else:
                adjoint = xp.conj(block).T
                gram = block @ adjoint if rightwards else adjoint @ block
                if noise is not None:
                    gram = gram + xp.strided(noise, start, (own, own), (own, 1)) * amplitude
                weights, vectors = xp.eigh(gram)
                rows, weights = xp.conj(vectors).T[::-1][:rank], weights[::-1][:rank]
            start += own * own
            parts += [rows.reshape(-1), xp.zeros(own * (own - rank), theta.dtype)]
            values.append(weights)
            ranks.append(rank)
        host = xp.to_host(xp.concatenate(values)).astype(np.float64)
        return xp.concatenate(parts), np.maximum(host, 0.0), np.array(ranks, dtype=np.int64)

    def leading(
        self, theta: Array, blocks: np.ndarray, rightwards: bool, noise: Array | None, amplitude: float,
        count: int, threads: int,
    ) -> tuple[Array, np.ndarray, np.ndarray, float]:  # fmt: skip
        """All rows, by a full decomposition: it is what array libraries offer, and no worse than the leading ones.

        In double precision, like that of the CPU: Gram matrices square the condition.
        """
        dtype, double = theta.dtype, np.result_type(theta.dtype, np.float64)
        if dtype != double:
            theta, noise = (None if a is None else self.backend.astype(a, double) for a in (theta, noise))
        basis, weights, ranks = self.bases(theta, blocks, rightwards, False, noise, amplitude, threads)
        return basis if dtype == double else self.backend.astype(basis, dtype), weights, ranks, 0.0

    def sketched(
        self, theta: Array, blocks: np.ndarray, rightwards: bool, ranks: np.ndarray
    ) -> tuple[Array, np.ndarray, np.ndarray, float]:
        """So many rows of every centre block by QR alone; see `kernels/cpu/sketch.py`. Two device reads."""
        xp, parts, values, wholes = self.backend, [], [], []
        views = [xp.strided(theta, offset, (m, n), (n, 1)) for offset, m, n in blocks.tolist()]
        sides = [xp.conj(view).T if rightwards else view for view in views]
        for rows, order, rank in zip(sides, self._by_norm(sides), ranks.tolist(), strict=True):
            own = rows.shape[1]
            _, guess = self._lq(xp.take(rows, order[:rank], 0))
            _, across = self._lq(guess @ xp.conj(rows).T)
            lower, found = self._lq(across @ rows)
            _, s, vh = xp.svd(lower)
            parts += [(vh @ found).reshape(-1), xp.zeros(own * (own - rank), theta.dtype)]
            values.append(s * s)
            wholes.append(xp.real(xp.vdot(rows.reshape(-1), rows.reshape(-1))).reshape(1))
        found = xp.to_host(xp.concatenate([*values, *wholes])).astype(np.float64)
        weights, sums = found[: ranks.sum()], found[ranks.sum() :]
        inside = np.add.reduceat(np.append(weights, 0.0), np.cumsum([0, *ranks[:-1]])) * (ranks > 0)
        rest = sums - inside
        return xp.concatenate(parts), weights, ranks, float(np.where(rest <= 4 * 2.0**-52 * sums, 0.0, rest).sum())

    def _by_norm(self, blocks: list[Array]) -> list[np.ndarray]:
        """Rows of every block in the order of falling norms; one device read."""
        xp = self.backend
        squares = [xp.real(block * xp.conj(block)) for block in blocks]
        sums = [part @ xp.asarray(np.ones(part.shape[1], dtype=part.dtype)) for part in squares]
        sizes, starts = xp.to_host(xp.concatenate(sums)), np.cumsum([0, *(part.shape[0] for part in sums)])
        return [np.argsort(-sizes[a:b], kind="stable") for a, b in zip(starts[:-1], starts[1:], strict=True)]

    def _decompose(self, source: Array, blocks: np.ndarray, function: Any, count: int) -> tuple[Array, ...]:
        parts: list[list[Array]] = [[] for _ in range(count)]
        # without blocks, an empty one gives empty results of the right dtypes
        for offset, rows, cols in blocks.tolist() or [(0, 0, 0)]:
            block = self.backend.strided(source, offset, (rows, cols), (cols, 1))
            for part, result in zip(parts, function(block), strict=True):
                part.append(result.reshape(-1))
        return tuple(self.backend.concatenate(part) for part in parts)
