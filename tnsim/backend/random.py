"""Random numbers: drawn on the host and moved, so that a seed gives the same numbers everywhere."""

from typing import Any

import numpy as np

from tnsim.backend.protocol import Backend

Seed = int | np.random.Generator | None


def generator(seed: Seed) -> np.random.Generator:
    """A generator from a seed; a generator is passed through."""
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)


def normal(size: int, dtype: Any, seed: Seed, backend: Backend) -> Any:
    """Standard normal numbers; complex ones have unit variance in total."""
    rng = generator(seed)
    dtype = np.dtype(dtype)
    values = rng.standard_normal(size)
    if dtype.kind == "c":
        values = (values + 1j * rng.standard_normal(size)) / np.sqrt(2)
    return backend.asarray(values.astype(dtype))
