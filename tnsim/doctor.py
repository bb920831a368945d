"""What tnsim runs on, and what is wrong with it."""

import importlib.util
import platform
import shutil
from collections.abc import Iterator

import threadpoolctl

from tnsim.backend import core_count, get_backend, thread_count
from tnsim.errors import BackendError, SettingsError
from tnsim.io.hdf5 import versions
from tnsim.kernels import CACHE_DIRECTORY

Finding = tuple[str, str, str]


def findings() -> Iterator[Finding]:
    """(name, value, problem) rows; an empty problem means all is well."""
    for name, version in versions().items():
        yield name, version, ""
    yield "machine", f"{platform.machine()}, {platform.system()} {platform.release()}", ""
    yield from _blas()
    yield _threads()
    yield "kernel cache", CACHE_DIRECTORY, ""
    free = shutil.disk_usage(".").free
    yield "disk here", f"{free >> 30} GiB free", "under 1 GiB: checkpoints may fail" if free < 1 << 30 else ""
    yield from _gpu()
    plots = importlib.util.find_spec("matplotlib") is not None
    yield "matplotlib", "installed" if plots else 'missing: pip install "tnsim[plot]" for figures', ""


def _threads() -> Finding:
    cores = core_count()
    try:
        count = thread_count()
    except SettingsError as error:
        return "threads", f"not known, {cores} cores", str(error)
    problem = f"more threads than the {cores} cores granted" if count > cores else ""
    return "threads", f"{count} of {cores} cores", problem


def _blas() -> Iterator[Finding]:
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas":
            name = f"{library['internal_api']} {library['version']} ({library.get('architecture', '?')})"
            yield "BLAS", f"{name}, {library['num_threads']} threads", ""


def _gpu() -> Iterator[Finding]:
    if importlib.util.find_spec("cupy") is None:
        yield "GPU", 'CuPy is not installed: pip install "tnsim[cuda12]" or "tnsim[cuda13]"', ""
        return
    try:
        backend = get_backend("cupy")
        yield "GPU", f"CuPy works: {backend!r}", ""
    except BackendError as error:
        yield "GPU", "not usable", str(error)
