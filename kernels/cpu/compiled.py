"""How kernels are compiled: `kernel` is what Python calls, `inner` and `overload` what only kernels call.

Numba compiles a wrapper for callers from Python and one for callers from C with every function, whoever calls it.
Without those that nobody uses a first run compiles for a quarter less time.
"""

from functools import partial

from numba import extending, njit

_OPTIONS = {"no_cfunc_wrapper": True}

kernel = njit(cache=True, nogil=True, **_OPTIONS)
inlined = njit(inline="always", **_OPTIONS)
inner = extending.register_jitable(**_OPTIONS)  # runs uncompiled where Python calls it
overload = partial(extending.overload, jit_options=_OPTIONS)
