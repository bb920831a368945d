"""The backends that suites run on, and a skip with a reason where one is not there."""

import pytest

from tests import cuda_host as cuda_host
from tests import strict_device as strict_device
from tnsim.backend import Backend, get_backend
from tnsim.errors import BackendError

BACKENDS = ["numpy", "strict", "cuda-host", pytest.param("cupy", marks=pytest.mark.gpu)]
# devices and whether numbers are complex, for what is slow on a make-believe device: each value with some other
ON_DEVICES = [
    pytest.param("strict", False, id="strict-real"), pytest.param("cuda-host", True, id="cuda-host-complex"),
    *(pytest.param("cupy", value, marks=pytest.mark.gpu, id=f"cupy-{value}") for value in (False, True)),
]  # fmt: skip


def backend_or_skip(name: str) -> Backend:
    """The backend, or a skip that says why it is not there."""
    try:
        return get_backend(name)
    except BackendError as error:
        pytest.skip(str(error))
