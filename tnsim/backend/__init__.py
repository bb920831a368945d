"""The switch between NumPy and CuPy: the data decides, moving is explicit."""

from tnsim.backend.protocol import Array, Backend
from tnsim.backend.random import Seed, generator, normal
from tnsim.backend.registry import backend_of, default_backend, get_backend, new_data_on, register_backend
from tnsim.backend.threads import blas_for, block_threads, core_count, one_thread, set_threads, thread_count

__all__ = [
    "Array", "Backend", "Seed", "backend_of", "blas_for", "block_threads", "core_count", "default_backend",
    "generator", "get_backend", "normal", "one_thread", "register_backend", "new_data_on", "set_threads",
    "thread_count",
]  # fmt: skip
