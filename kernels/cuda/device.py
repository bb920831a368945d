"""Compiling and launching on the current CUDA device. Importing this file needs CuPy."""

from functools import lru_cache
from typing import Any

import cupy
import numpy as np

from tnsim.kernels.cuda.source import OPTIONS, SIDE, source


@lru_cache(maxsize=64)
def _function(file: str, name: str, side: int) -> Any:
    return cupy.RawModule(code=source(file, side), options=OPTIONS).get_function(name)


class CudaDevice:
    """What `CudaKernels` needs of a device: a launch, an upload, and the side of a tile in threads."""

    side = SIDE

    def upload(self, host: np.ndarray) -> Any:
        """A copy on the device."""
        return cupy.asarray(host)

    def launch(self, file: str, name: str, blocks: int, arguments: tuple) -> None:
        """Queue kernel `name` of `file`.cu on the current stream; arguments are arrays and integers."""
        _function(file, name, self.side)((blocks,), (self.side**2,), arguments)
