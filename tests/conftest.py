"""Fixtures that every suite takes: a backend, a dtype, a symmetric structure."""

import numpy as np
import pytest

from tests import cuda_host as cuda_host
from tests import strict_device as strict_device
from tests.suites.structures import STRUCTURES, Structure
from tnsim.backend import Backend, get_backend
from tnsim.errors import BackendError

BACKENDS = ["numpy", "strict", "cuda-host", pytest.param("cupy", marks=pytest.mark.gpu)]


def backend_or_skip(name: str) -> Backend:
    """The backend, or a skip that says why it is not there."""
    try:
        return get_backend(name)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """NumPy, the strict device, the CUDA kernels built for the host, and CuPy where there is a GPU."""
    return backend_or_skip(request.param)


@pytest.fixture(params=["f", "d", "F", "D"], ids=["float32", "float64", "complex64", "complex128"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    return np.dtype(request.param)


@pytest.fixture(params=STRUCTURES, ids=lambda structure: structure.name)
def structure(request: pytest.FixtureRequest) -> Structure:
    """Legs of one symmetry group, and a total charge."""
    return request.param
