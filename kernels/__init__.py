"""Array kernels: raw buffers and integer tables in, raw buffers out; nothing here knows tensors or legs."""

import os
import tempfile
from pathlib import Path

if __name__ != "tnsim.kernels":
    raise ImportError(
        f"the kernels were imported as {__name__!r}, which would load a second copy: use 'import tnsim.kernels'."
    )


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)
    except OSError:
        return False


def _choose_cache_directory() -> str:
    """Where compiled kernels are kept: Numba's own choice if it works, else a per-user temporary folder.

    A read-only install without a writable home would make Numba raise at import, so the directory is
    settled before the first kernel is decorated.
    """
    import numba

    if numba.config.CACHE_DIR:
        return str(numba.config.CACHE_DIR)
    home_cache = Path(os.path.expanduser("~")) / ".cache" / "numba"
    if _writable(Path(__file__).parent / "__pycache__") or _writable(home_cache):
        return "__pycache__ beside the sources, or ~/.cache/numba"
    fallback = Path(tempfile.gettempdir()) / f"tnsim-numba-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    fallback.mkdir(mode=0o700, parents=True, exist_ok=True)
    numba.config.CACHE_DIR = str(fallback)
    return str(fallback)


CACHE_DIRECTORY = _choose_cache_directory()
