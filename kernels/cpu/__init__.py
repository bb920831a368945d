"""CPU kernels, compiled by Numba, with BLAS and LAPACK called by address."""

from typing import Any

import numpy as np

from tnsim.kernels.cpu import ahead, davidson, decompose, lanczos, layout, products, serve, sketch, split
from tnsim.kernels.cpu import leading as leading_rows
from tnsim.kernels.cpu.team import TEAM

TEAM.serve = serve.serve
# numbers from which NumPy transposes a matrix quicker than the compiled loops for any axes
_LARGE = 2000


def _copy_large(source: np.ndarray, target: np.ndarray, row: np.ndarray, conjugate: bool) -> None:
    """One block of `layout.copy_blocks`, which fills the whole target."""
    start, _, rank, *numbers = row.tolist()
    shape, item = numbers[:rank], source.itemsize
    strides = [stride * item for stride in numbers[rank:]]
    block = np.ndarray(shape, source.dtype, source, start * item, strides)
    if conjugate:
        np.conjugate(block, out=target.reshape(shape))
    else:
        target.reshape(shape)[...] = block


class CpuKernels:
    """The compiled kernels behind the functions that every kernel set has."""

    name = "cpu"

    run_products = staticmethod(products.run_products)
    compile_ahead = staticmethod(ahead.start)

    @staticmethod
    def copy_blocks(source: np.ndarray, size: int, rows: np.ndarray, conjugate: bool) -> np.ndarray:
        """A new flat buffer with blocks copied in permuted order; see `layout.copy_blocks`."""
        target = np.empty(size, dtype=source.dtype)
        conjugate = conjugate and source.dtype.kind == "c"
        if len(rows) == 1 and size >= _LARGE and rows[0, 2] == 2:
            _copy_large(source, target, rows[0], conjugate)
        else:
            layout.copy_blocks(source, target, rows, conjugate)
        return target

    @staticmethod
    def svd_blocks(source: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Thin SVD of every (offset, rows, cols): flat u, s, vh, block after block."""
        u, s, vh, _, infos = decompose.svd_blocks(source, blocks, _no_reals(source))
        _check(infos, "SVD")
        return u, s, vh

    @staticmethod
    def qr_blocks(source: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Thin QR of every block: flat q, r."""
        q, r, _, infos = decompose.qr_blocks(source, blocks, False)
        _check(infos, "QR")
        return q, r

    @staticmethod
    def lq_blocks(source: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Thin LQ of every block: flat l, q."""
        lower, q, _, infos = decompose.qr_blocks(source, blocks, True)
        _check(infos, "LQ")
        return lower, q

    @staticmethod
    def eigh_blocks(source: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvectors (columns) and ascending eigenvalues of every Hermitian block: flat v, w."""
        v, w, _, infos = decompose.eigh_blocks(source, blocks, _no_reals(source))
        _check(infos, "eigh")
        return v, w

    @staticmethod
    def bases(
        theta: np.ndarray, blocks: np.ndarray, rightwards: bool, use_svd: bool, noise: np.ndarray | None,
        amplitude: float, threads: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Orthonormal rows of the centre blocks, weights (float64, on the host) and ranks; see `split.bases`."""
        noise = theta[:0] if noise is None else noise
        scale = theta.dtype.type(amplitude)
        p, weights, ranks, infos = split.bases(
            theta, blocks, rightwards, use_svd, noise, scale, theta.real.dtype, threads
        )
        _check(infos, "decomposition")
        return p, weights.astype(np.float64), ranks

    @staticmethod
    def leading(
        theta: np.ndarray, blocks: np.ndarray, rightwards: bool, noise: np.ndarray | None, amplitude: float,
        count: int, threads: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:  # fmt: skip
        """About `count` leading rows of the centre blocks, their weights and ranks, and the weight outside of them.

        Done in double precision, as Gram matrices square the condition; see `leading.leading`.
        """
        dtype, noise = theta.dtype, theta[:0] if noise is None else noise
        single = dtype.char in "fF"
        if single:
            double = np.result_type(dtype, np.float64)
            theta, noise = theta.astype(double), noise.astype(double)
        basis, weights, ranks, lost, failed = leading_rows.leading(
            theta, blocks, rightwards, noise, amplitude, count, threads
        )
        if failed >= 0:
            raise ArithmeticError(f"QR failed on block {failed}: it holds NaN or Inf.")
        return basis.astype(dtype) if single else basis, weights, ranks, lost

    @staticmethod
    def sketched(
        theta: np.ndarray, blocks: np.ndarray, rightwards: bool, ranks: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """So many rows of every centre block by QR alone, their weights and ranks, and the weight outside of them.

        On one thread; see `sketch`."""
        basis, weights, lost, infos = sketch.sketches(theta, blocks, rightwards, ranks, _no_reals(theta))
        _check(infos, "QR or SVD")
        return basis, weights.astype(np.float64), ranks, lost

    @staticmethod
    def lowest(
        plan: Any, start: np.ndarray, halves: tuple, limits: tuple[int, int, float, float], threads: int,
        constraints: np.ndarray | None = None,
    ) -> tuple[np.ndarray, float, float, np.ndarray, float, int]:  # fmt: skip
        """Lowest Ritz pair of a product plan; `limits` are (k_min, k_max, tolerance, gain); see `lanczos.solve`."""
        ahead.wait()
        return lanczos.solve(plan, start, halves, limits, threads, constraints)

    @staticmethod
    def lowest_few(
        plan: Any, guesses: np.ndarray, diagonal: np.ndarray, halves: tuple, limits: tuple[int, int, float, float],
        threads: int, constraints: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:  # fmt: skip
        """Lowest Ritz pairs near the rows of `guesses`, as many, by block Davidson; see `davidson.solve`."""
        ahead.wait()
        return davidson.solve(plan, guesses, diagonal, halves, limits, threads, constraints)


def _no_reals(source: np.ndarray) -> np.ndarray:
    return np.empty(0, dtype=source.real.dtype)


def _check(infos: np.ndarray, name: str) -> None:
    if infos.any():
        block = int(np.flatnonzero(infos)[0])
        raise ArithmeticError(f"LAPACK's {name} failed on block {block} (info {infos[block]}).")
