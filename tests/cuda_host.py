"""The CUDA kernels on the host: their sources compiled by g++, behind the launch that `CudaKernels` asks for.

The backend "cuda-host" is the strict device with these kernels, so that every suite runs the schedule, the
tables, the index arithmetic and the barriers of the device code. What it cannot show: timing, the memory
model of a GPU, and CuPy's own calls.
"""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tests.strict_device import StrictArray, StrictBackend
from tnsim.backend import register_backend
from tnsim.errors import BackendError
from tnsim.kernels.cuda import CudaKernels
from tnsim.kernels.cuda.source import source

HEADER = Path(__file__).parent / "kernels" / "cuda_host.h"
KERNELS = {"products": "run_products", "copies": "copy_blocks"}


@cache
def compiled(file: str, side: int, flags: tuple[str, ...] = ("-O2",)) -> ctypes.CDLL:
    """A kernel file as a host library. Raises BackendError without a C++20 compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise BackendError("no g++ is installed to build the CUDA sources for the host.")
    folder = Path(tempfile.mkdtemp(prefix="tnsim-cuda-host-"))
    try:
        text = f'#include "{HEADER}"\n{source(file, side)}\nHOST_LAUNCH_ALL({KERNELS[file]})\n'
        (folder / "kernels.cpp").write_text(text)
        # unique symbols would make libraries of different tile sizes share their "shared memory"
        command = [compiler, "-std=c++20", "-shared", "-fPIC", "-pthread", "-fno-gnu-unique", "-Wall", *flags]
        result = subprocess.run(
            [*command, "-o", str(folder / "kernels.so"), str(folder / "kernels.cpp")], capture_output=True, text=True
        )
        if result.returncode:
            raise BackendError(f"g++ refused the CUDA source {file}: {result.stderr}")
        return ctypes.CDLL(str(folder / "kernels.so"))
    finally:
        shutil.rmtree(folder)


class HostDevice:
    """Launches the host build; tiles of `side` x `side` threads."""

    def __init__(self, array_type: type[StrictArray], side: int = 2) -> None:
        self.array_type, self.side, self.launches = array_type, side, 0

    def upload(self, host: np.ndarray) -> StrictArray:
        return self.array_type(np.array(host, order="C"))

    def launch(self, file: str, name: str, blocks: int, arguments: tuple) -> None:
        """Run kernel `name`; device arrays become addresses."""
        assert blocks > 0
        self.launches += 1
        words = (ctypes.c_longlong * len(arguments))(*map(self._word, arguments))
        getattr(compiled(file, self.side), f"launch_{name}")(ctypes.c_long(blocks), words)

    def _word(self, argument: StrictArray | np.int64) -> int:
        if isinstance(argument, np.int64):
            return int(argument)
        assert type(argument) is self.array_type, f"a {type(argument).__name__} reached a kernel"
        assert argument._host.flags.c_contiguous
        return argument._host.ctypes.data


class CudaHostArray(StrictArray):
    """Arrays of the backend "cuda-host"."""

    __slots__ = ()


class CudaHostBackend(StrictBackend):
    """The strict device with the CUDA kernels, built for the host."""

    name = "cuda-host"
    array_type = CudaHostArray

    def __init__(self) -> None:
        super().__init__()
        for file in KERNELS:
            compiled(file, 2)
        self.kernels = CudaKernels(self, HostDevice(CudaHostArray))


register_backend("cuda-host", CudaHostBackend)
