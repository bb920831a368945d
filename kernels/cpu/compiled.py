"""How kernels are compiled: `kernel` is what Python calls, `inner` and `overload` what only kernels call.

Numba compiles a wrapper for callers from Python and one for callers from C with every function, whoever calls it.
Without those that nobody uses a first run compiles for a quarter less time.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from numba import extending, njit, types
from numba.core import event

_OPTIONS = {"no_cfunc_wrapper": True}


def _stamp() -> str:
    """Of all sources of kernels: compiled code holds what it calls, and that may stand in another file."""
    sources = sorted(Path(__file__).parents[1].glob("**/*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


_STAMP = _stamp()


def _whatever_the_value(compiled: Any) -> Any:
    """Kernels that call it with a literal get the code for any value, and not their own."""
    template = compiled.get_call_template

    def get_call_template(args: tuple, kws: dict) -> tuple:
        return template([types.unliteral(arg) for arg in args], {name: types.unliteral(kws[name]) for name in kws})

    compiled.get_call_template = get_call_template
    return compiled


def kernel(function: Callable) -> Any:
    """Compiled, and kept on disk until any source of kernels changes; Numba itself looks at one file alone."""
    compiled = njit(cache=True, nogil=True, **_OPTIONS)(function)
    index = getattr(compiled._cache, "_cache_file", None)
    if index is not None:
        index._source_stamp = _STAMP
    return _whatever_the_value(compiled)


def inner(function: Callable) -> Any:
    """Compiled once for arguments of some types, whoever calls it (an overload is, for callers with other options)."""
    return _whatever_the_value(njit(no_cpython_wrapper=True, **_OPTIONS)(function))


class _FirstCompilation(event.Listener):
    """Calls a function when a compilation begins, the first time only."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def on_start(self, event: Any) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    def on_end(self, event: Any) -> None:
        """Nobody waits for it."""


@contextmanager
def announced(call: Callable[[], None]) -> Iterator[None]:
    """Within it `call` is called once, as soon as a kernel is compiled and not loaded, by whichever thread."""
    with event.install_listener("numba:compile", _FirstCompilation(call)):
        yield


inlined = njit(inline="always", **_OPTIONS)
overload = partial(extending.overload, jit_options=_OPTIONS)
