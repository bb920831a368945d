"""Saying why a first run takes long: kernels are compiled when they are first called, and then kept on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from tnsim.kernels.cpu.compiled import announced


@contextmanager
def compilation_notice(console: Console) -> Iterator[None]:
    """Print one line as soon as a kernel is compiled within it, and none where all are in the cache.

    >>> with compilation_notice(Console()):
    ...     pass
    """

    def say() -> None:
        line = "compiling kernels: once on this machine, half a minute or more"
        console.print(line, style="dim", soft_wrap=True, highlight=False)

    with announced(say):
        yield
