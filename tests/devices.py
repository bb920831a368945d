"""The backends that suites run on, and a skip with a reason where one is not there."""

import pytest

from tests import cuda_host as cuda_host
from tests import strict_device as strict_device
from tnsim.backend import Backend, get_backend
from tnsim.errors import BackendError

BACKENDS = ["numpy", "strict", "cuda-host", pytest.param("cupy", marks=pytest.mark.gpu)]


def backend_or_skip(name: str) -> Backend:
    """The backend, or a skip that says why it is not there."""
    try:
        return get_backend(name)
    except BackendError as error:
        pytest.skip(str(error))
