"""CPU kernels, compiled by Numba, with BLAS and LAPACK called by address."""

import numpy as np
from tnsim.kernels.cpu import decompose, layout, products


class CpuKernels:
    """The compiled kernels behind the functions that every kernel set has."""

    name = "cpu"

    run_products = staticmethod(products.run_products)

    @staticmethod
    def copy_blocks(source: np.ndarray, size: int, rows: np.ndarray, conjugate: bool) -> np.ndarray:
        """A new flat buffer with blocks copied in permuted order; see `layout.copy_blocks`."""
        target = np.empty(size, dtype=source.dtype)
        layout.copy_blocks(source, target, rows, conjugate and source.dtype.kind == "c")
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


def _no_reals(source: np.ndarray) -> np.ndarray:
    return np.empty(0, dtype=source.real.dtype)


def _check(infos: np.ndarray, name: str) -> None:
    if infos.any():
        block = int(np.flatnonzero(infos)[0])
        raise ArithmeticError(f"LAPACK's {name} failed on block {block} (info {infos[block]}).")
