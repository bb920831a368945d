"""CuPy arrays on an NVIDIA GPU. Importing this file needs CuPy; making the backend needs a device."""

from typing import Any

import cupy
import numpy as np

from tnsim.backend.array_module import ArrayModule
from tnsim.errors import BackendError, NumericalError
from tnsim.kernels.cuda import CudaKernels
from tnsim.kernels.cuda.device import CudaDevice


class CupyBackend(ArrayModule):
    """The current CUDA device."""

    name = "cupy"
    xp = cupy
    array_type = cupy.ndarray

    def __init__(self) -> None:
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(
                f"CuPy is installed but finds no usable CUDA driver ({error}): check nvidia-smi, or use 'numpy'."
            ) from error
        if count == 0:
            raise BackendError("CuPy is installed but sees no GPU: check CUDA_VISIBLE_DEVICES, or use 'numpy'.")
        self.kernels = CudaKernels(self, CudaDevice())

    def asarray(self, host: np.ndarray) -> Any:
        return cupy.asarray(np.ascontiguousarray(host))

    def to_host(self, array: Any) -> np.ndarray:
        return cupy.asnumpy(array)

    def svd(self, matrix: Any) -> tuple[Any, Any, Any]:
        u, s, vh = cupy.linalg.svd(matrix, full_matrices=False)
        # CuPy ignores the solver's info code by default: a failure shows as NaN.
        if not self.all_finite(s):
            host = np.linalg.svd(self.to_host(matrix), full_matrices=False)
            if not all(np.isfinite(part).all() for part in host):
                raise NumericalError(f"the SVD of a {matrix.shape} block failed on the device and on the host.")
            u, s, vh = (self.asarray(part) for part in host)
        return u, s, vh

    def eigh(self, matrix: Any) -> tuple[Any, Any]:
        for triangle in ("U", "L"):
            values, vectors = cupy.linalg.eigh(matrix, UPLO=triangle)
            if self.all_finite(values):
                return values, vectors
        raise NumericalError(f"eigh of a {matrix.shape} block gave NaN from both triangles.")

    def synchronize(self) -> None:
        cupy.cuda.get_current_stream().synchronize()
