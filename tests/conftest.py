"""Fixtures that every suite takes: a backend, a dtype, a symmetric structure."""

import os

# the matrices of the tests are small: BLAS threads wait for each other at every call
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

from tests.devices import BACKENDS, backend_or_skip
from tests.suites.structures import STRUCTURES, Structure
from tnsim.backend import Backend


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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: at the end, one of them would leave the other workers without work."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
