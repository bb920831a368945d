"""NumPy arrays on the host, with the compiled CPU kernels."""

from typing import Any

import numpy as np

from tnsim.backend.array_module import ArrayModule
from tnsim.kernels.cpu import CpuKernels


class NumpyBackend(ArrayModule):
    """The host."""

    name = "numpy"
    xp = np
    array_type = np.ndarray
    kernels = CpuKernels()

    def asarray(self, host: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(host)

    def to_host(self, array: np.ndarray) -> np.ndarray:
        return array

    def norm(self, array: np.ndarray) -> Any:
        return np.sqrt(np.vdot(array, array).real)
