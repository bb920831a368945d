"""Writing files so that a reader finds either the old one or the new one, whole."""

import contextlib
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from tnsim.errors import FileError


def check_writable(path: Path) -> None:
    """Say before a run, not after it, that its result cannot be written."""
    folder = path.resolve().parent
    if path.is_dir():
        raise FileError(f"the output {path} is a folder: name a file in it, such as {path / 'run.h5'}.")
    if not folder.is_dir():
        raise FileError(f"the output folder {folder} does not exist: create it, or choose another --out.")
    probe = folder / f".tnsim-probe.{socket.gethostname()}.{os.getpid()}"
    try:
        probe.write_bytes(b"tnsim" * 1000)
    except OSError as error:
        raise FileError(f"cannot write to {folder} ({error.strerror}): choose another --out.") from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def replace_file(path: Path, write: Callable[[Path], None], *, keep: int = 1, size: int = 0) -> None:
    """Let `write` make a temporary file beside `path`, force it to disk, and put it in place.

    The last `keep` - 1 versions stay as path.1, path.2, ...; the name itself always holds a whole file.
    On any failure the temporary file is removed and everything else is left as it was. Raises OSError.
    """
    free = shutil.disk_usage(path.resolve().parent).free
    if size > free:
        raise FileError(f"{path} needs {size >> 20} MiB, the disk has {free >> 20} MiB left.")
    temporary = path.with_name(f"{path.name}.tmp.{socket.gethostname()}.{os.getpid()}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _rotate(path, keep)
        os.replace(temporary, path)
        _sync_folder(path.resolve().parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def older(path: Path, number: int) -> Path:
    """The name of the version before (1), the one before that (2), ..."""
    return path if number == 0 else path.with_name(f"{path.name}.{number}")


def _rotate(path: Path, keep: int) -> None:
    for number in range(keep - 1, 0, -1):
        source, target = older(path, number - 1), older(path, number)
        if not source.exists():
            continue
        if number > 1:
            os.replace(source, target)
            continue
        # a second name first, so that the main name never disappears
        link = path.with_name(f"{path.name}.tmp.link.{os.getpid()}")
        with contextlib.suppress(OSError):
            link.unlink()
        try:
            os.link(path, link)
        except OSError:
            shutil.copy2(path, link)
        os.replace(link, target)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
