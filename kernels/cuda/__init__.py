"""CUDA kernels: plans of block products in few launches, decompositions block by block or on the host.

No figure of speed is claimed: this is the correct first version, to be tuned on a device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import numpy as np

from tnsim.kernels.cpu import CpuKernels
from tnsim.kernels.cuda.schedule import Schedule, make_schedule
from tnsim.kernels.cuda.source import CHUNK_PER_THREAD, MICRO
from tnsim.kernels.portable import Array, Portable
from tnsim.kernels.table import BUFFERS

# blocks with no side above this are decomposed on the host, all of them in one transfer each way
HOST_BLOCK = 64


@dataclass(eq=False)
class _Uploaded:
    """A plan on the device, with the coefficients it ran with last."""

    schedule: Schedule
    rows: Array
    items: list[Array]
    alphas: np.ndarray | None = None
    device_alphas: Array = None


class CudaKernels(Portable):
    """The functions of `Portable` on a CUDA device; large products and large blocks go to CuPy's libraries.

    `device` launches and uploads (see `device.py`); tests put a compiler of the same sources for the host
    in its place.
    """

    name = "cuda"

    def __init__(self, backend: Any, device: Any) -> None:
        super().__init__(backend)
        self.device = device
        self._kept: dict[int, Any] = {}

    def _once(self, table: np.ndarray, make: Callable[[], Any]) -> Any:
        """`make()`, kept as long as the host table it belongs to lives."""
        key = id(table)
        if key not in self._kept:
            self._kept[key] = make()
            finalize(table, self._kept.pop, key, None)
        return self._kept[key]

    # -- plans of block products -----------------------------------------------------------------------

    def run_products(
        self, rows: np.ndarray, alphas: np.ndarray, starts: np.ndarray, weights: np.ndarray,
        buffers: tuple[Array, ...], threads: int = 1,
    ) -> None:  # fmt: skip
        """Execute a plan (see `kernels/table.py`): one launch for every level of dependence."""
        if len(buffers) > BUFFERS:
            raise ValueError(f"a plan may use {BUFFERS} buffers on the device, found {len(buffers)}.")
        if not len(rows):
            return
        plan = self._once(rows, lambda: self._upload(rows, starts))
        ordered = self._coefficients(plan, alphas, buffers[0].dtype)
        padded = (*buffers, *(buffers[:1] * (BUFFERS - len(buffers))))
        kernel = f"run_products_{buffers[0].dtype.char}"
        for level, items in zip(plan.schedule.levels, plan.items, strict=True):
            if len(level.items):
                arguments = (plan.rows, plan.device_alphas, items, *padded)
                self.device.launch("products", kernel, len(level.items), arguments)
            for place in level.large.tolist():
                self._run_row(plan.schedule.rows[place].tolist(), ordered[place].item(), buffers)

    def _upload(self, rows: np.ndarray, starts: np.ndarray) -> _Uploaded:
        schedule = make_schedule(rows, starts, MICRO * self.device.side)
        items = [self.device.upload(level.items) for level in schedule.levels]
        return _Uploaded(schedule, self.device.upload(schedule.rows), items)

    def _coefficients(self, plan: _Uploaded, alphas: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Coefficients in the order of the schedule; sent only where they differ from the last ones."""
        ordered = alphas[plan.schedule.order].astype(dtype, copy=False)
        known = plan.alphas
        if known is None or known.dtype != ordered.dtype or not np.array_equal(known, ordered):
            plan.alphas, plan.device_alphas = ordered, self.device.upload(ordered)
        return ordered

    # -- copies ----------------------------------------------------------------------------------------

    def copy_blocks(self, source: Array, size: int, rows: np.ndarray, conjugate: bool) -> Array:
        """A new flat buffer with blocks copied in permuted order, in one launch."""
        target = self.backend.empty(size, source.dtype)
        if len(rows):
            table, items, blocks = self._once(rows, lambda: self._copy_table(rows))
            arguments = (source, target, table, items, np.int64(rows.shape[1]), np.int64(conjugate))
            self.device.launch("copies", f"copy_blocks_{source.dtype.char}", blocks, arguments)
        return target

    def _copy_table(self, rows: np.ndarray) -> tuple[Array, Array, int]:
        rank, chunk = int(rows[0, 2]), CHUNK_PER_THREAD * self.device.side**2
        counts = -(-rows[:, 3 : 3 + rank].prod(axis=1) // chunk)
        row = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        items = np.column_stack([row, within * chunk])
        return self.device.upload(rows), self.device.upload(items), len(items)

    # -- decompositions --------------------------------------------------------------------------------

    def svd_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array, Array]:
        """Thin SVD of every (offset, rows, cols): flat u, s, vh, block after block."""
        return self._split(source, blocks, "svd_blocks")

    def qr_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array]:
        """Thin QR of every block: flat q, r."""
        return self._split(source, blocks, "qr_blocks")

    def lq_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array]:
        """Thin LQ of every block: flat l, q."""
        return self._split(source, blocks, "lq_blocks")

    def eigh_blocks(self, source: Array, blocks: np.ndarray) -> tuple[Array, Array]:
        """Eigenvectors (columns) and ascending eigenvalues of every Hermitian block: flat v, w."""
        return self._split(source, blocks, "eigh_blocks")

    def _split(self, source: Array, blocks: np.ndarray, name: str) -> tuple[Array, ...]:
        """On the device, or on the host where all blocks are small."""
        if blocks[:, 1:].max(initial=0) > HOST_BLOCK:
            return getattr(Portable, name)(self, source, blocks)
        parts = getattr(CpuKernels, name)(self.backend.to_host(source), blocks)
        return tuple(map(self.backend.asarray, parts))
