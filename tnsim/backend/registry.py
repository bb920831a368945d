"""Which array library an array belongs to, and which one new data goes to."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tnsim.backend.numpy_backend import NumpyBackend
from tnsim.backend.protocol import Backend
from tnsim.errors import BackendError, suggest


def _make_cupy() -> Backend:
    try:
        from tnsim.backend.cupy_backend import CupyBackend
    except ImportError as error:
        raise BackendError(
            f"the backend 'cupy' was asked for, but CuPy cannot be imported ({error}): "
            'install it with pip install "tnsim[cuda12]" or "tnsim[cuda13]", or use \'numpy\'.'
        ) from error
    return CupyBackend()


_FACTORIES: dict[str, Callable[[], Backend]] = {"numpy": NumpyBackend, "cupy": _make_cupy}
_chosen: ContextVar[str | None] = ContextVar("chosen", default=None)
_MADE: dict[str, Backend] = {}
_BY_TYPE: dict[type, Backend] = {}


def register_backend(name: str, factory: Callable[[], Backend]) -> None:
    """Add an array library under a name; its arrays are known once `get_backend(name)` was called."""
    _FACTORIES[name] = factory


def get_backend(name: str | Backend) -> Backend:
    """The backend of that name, made at the first call.

    Raises BackendError for an unknown name, a missing library or a missing device.

    >>> get_backend("numpy").name
    'numpy'
    """
    if not isinstance(name, str):
        return name
    if name not in _MADE:
        if name not in _FACTORIES:
            raise BackendError(f"unknown backend {name!r}. {suggest(name, _FACTORIES)}")
        backend = _FACTORIES[name]()
        _MADE[name] = backend
        _BY_TYPE[backend.array_type] = backend  # type: ignore[attr-defined]
    return _MADE[name]


def backend_of(array: Any) -> Backend:
    """The backend whose array this is."""
    found = _BY_TYPE.get(type(array))
    if found is not None:
        return found
    if isinstance(array, np.ndarray):
        return get_backend("numpy")
    if type(array).__module__.split(".")[0] == "cupy":
        return get_backend("cupy")
    raise BackendError(f"{type(array).__name__} is no array of a known backend: convert it with numpy.asarray first.")


def default_backend() -> Backend:
    """Where new data goes: see `new_data_on`, else the environment variable TNSIM_BACKEND, else NumPy."""
    return get_backend(_chosen.get() or os.environ.get("TNSIM_BACKEND", "numpy"))


@contextmanager
def new_data_on(name: str) -> Iterator[Backend]:
    """Inside, new data goes to a backend, whatever the environment says; "" leaves it as it is.

    Raises BackendError for a name that is not known or whose library cannot be used.

    >>> with new_data_on("numpy"):
    ...     default_backend().name
    'numpy'
    """
    backend = get_backend(name) if name else default_backend()
    token = _chosen.set(backend.name)
    try:
        yield backend
    finally:
        _chosen.reset(token)
