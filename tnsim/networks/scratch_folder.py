"""A folder of arrays on disk, written and read by a thread beside the computation, that goes when its owner does."""

import os
import shutil
import tempfile
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tnsim.errors import SettingsError


class ScratchFolder:
    """Flat arrays by name, in a new folder inside `parent` (empty: the system's temporary one).

    Nothing is made before the first array is written. One thread does all in the order asked for, so that an array is
    read as it was last written. `close`, the end of this object and the end of the process remove the folder.

    >>> scratch = ScratchFolder()
    >>> written = scratch.write("x", np.arange(3.0))
    >>> scratch.read("x", 3, "float64").result()
    array([0., 1., 2.])
    >>> scratch.close()
    """

    def __init__(self, parent: str = "") -> None:
        if parent and not os.access(parent, os.W_OK | os.X_OK):
            raise SettingsError(f"the scratch folder {parent!r} is not there or cannot be written: name another one.")
        self.parent = parent
        self.path: Path | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._remove: weakref.finalize | None = None

    def write(self, name: str, array: np.ndarray) -> Future:
        """Begin to write an array, which must not change until the future is done (OSError where the disk refuses)."""
        thread, path = self._opened()
        return thread.submit(_write, path / name, array)

    def read(self, name: str, size: int, dtype: Any) -> Future:
        """Begin to read an array; the future holds it (OSError where the file is gone or cut short)."""
        thread, path = self._opened()
        return thread.submit(_read, path / name, size, dtype)

    def close(self) -> None:
        """Wait for the thread and remove the folder; the next write makes another one."""
        if self._remove is not None:
            self._remove()
        self._thread = self.path = self._remove = None

    def _opened(self) -> tuple[ThreadPoolExecutor, Path]:
        if self._thread is None or self.path is None:
            self.path = Path(tempfile.mkdtemp(prefix=f"tnsim-{os.getpid()}-", dir=self.parent or None))
            self._thread = ThreadPoolExecutor(1, "tnsim-scratch")
            self._remove = weakref.finalize(self, _end, self._thread, self.path)
        return self._thread, self.path


def _end(thread: ThreadPoolExecutor, path: Path) -> None:
    """The thread first: a file that it writes would keep the folder."""
    thread.shutdown(cancel_futures=True)
    shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        file.write(array.view(np.uint8).data)


def _read(path: Path, size: int, dtype: Any) -> np.ndarray:
    array = np.empty(size, dtype)
    with path.open("rb") as file:
        found = file.readinto(array.view(np.uint8).data)
    if found != array.nbytes:
        raise OSError(f"{path} is cut short: {found} of {array.nbytes} bytes.")
    return array
