"""Writing files so that a reader finds either the old one or the new one, whole."""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from tnsim.errors import FileError


def check_writable(path: Path) -> None:
    """Say before a run, not after it, that its result cannot be written."""
    target = _target(path)
    folder = target.parent
    if target.is_dir():
        raise FileError(f"the output {path} is a folder: name a file in it, such as {path / 'run.h5'}.")
    if target.exists() and not target.is_file():
        raise FileError(f"the output {path} is a pipe or a device, which a file would replace: choose another --out.")
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

    The last `keep` - 1 versions stay as path.1, path.2, ...; the name itself always holds a whole file. Of a
    symbolic link the target is replaced. On any failure the temporary file is removed and everything else is left as
    it was; what a process that was killed left behind goes with the next write. Raises OSError.
    """
    path = _target(path)
    _remove_leftovers(path)
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise FileError(f"{path} needs {size >> 20} MiB, the disk has {free >> 20} MiB left.")
    temporary = _temporary(path)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _rotate(path, keep)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def older(path: Path, number: int) -> Path:
    """The name of the version before (1), the one before that (2), ...; beside the file that a link leads to."""
    if number == 0:
        return path
    target = _target(path)
    return target.with_name(f"{target.name}.{number}")


def stamp(path: Path) -> tuple[int, int] | None:
    """What tells a written file from the one before (inode and time in ns); None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _target(path: Path) -> Path:
    """Where a symbolic link leads in the end; FileError where that is a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise FileError(f"{path} is a circle of symbolic links: name another file.") from error


def _temporary(path: Path, kind: str = "") -> Path:
    """A name beside `path` that is this process's own."""
    return path.with_name(f"{path.name}.tmp.{kind}{socket.gethostname()}.{os.getpid()}")


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose process on this host is gone; those of other hosts may be in use."""
    own = re.compile(rf"{re.escape(path.name)}\.tmp\.(link\.)?{re.escape(socket.gethostname())}\.(\d+)")
    with contextlib.suppress(OSError):
        for other in path.parent.iterdir():
            found = own.fullmatch(other.name)
            if found and not _is_alive(int(found[2])):
                other.unlink()


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        # elsewhere the question would end the process
        return True
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _rotate(path: Path, keep: int) -> None:
    for number in range(keep - 1, 0, -1):
        source, target = older(path, number - 1), older(path, number)
        if not source.exists():
            continue
        if number > 1:
            os.replace(source, target)
            continue
        # a second name first, so that the main name never disappears
        link = _temporary(path, "link.")
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
