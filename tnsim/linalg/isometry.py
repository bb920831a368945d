"""Random isometries in a symmetry sector."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim.backend import Backend, Seed, default_backend, get_backend
from tnsim.errors import LegError
from tnsim.linalg.decompose import qr
from tnsim.symmetry import Charge, Leg
from tnsim.tensor import Tensor, random_tensor


def random_isometry(
    legs: Sequence[Leg],
    bond: Leg,
    charge: Charge | None = None,
    *,
    dtype: Any = np.float64,
    seed: Seed = None,
    backend: str | Backend | None = None,
) -> Tensor:
    """W with legs (*legs, bond), bond flowing out, and W^dagger W = 1; uniform (Haar) in every block.

    The same seed gives the same numbers on every backend: it is drawn and orthonormalised on the host.
    Cost O(m n^2) a block. Raises LegError where a sector of `bond` is larger than what `legs` offer it.
    Source: F. Mezzadri, Notices AMS 54, 592 (2007).

    >>> from tnsim.symmetry import trivial_leg
    >>> w = random_isometry([trivial_leg(2), trivial_leg(3)], trivial_leg(4), seed=0).array.reshape(6, 4)
    >>> bool(np.allclose(w.T @ w, np.eye(4)))
    True
    """
    bond = bond.with_flow(-1)
    gaussian = random_tensor((*legs, bond), charge, dtype=dtype, seed=seed, backend="numpy")
    q, r = qr(gaussian, range(len(legs)))
    if q.legs[-1] is not bond:
        raise LegError(
            f"no isometry onto {bond!r}: its sectors must fit into those of {list(legs)} at charge {gaussian.charge}, "
            f"which leave room for {q.legs[-1]!r}."
        )
    # R with a positive diagonal makes Q unique, and uniform
    phases = {}
    for (sector, _), block in r.blocks():
        diagonal = np.diagonal(block)
        phases[sector] = diagonal / np.abs(diagonal)
    for places, block in q.blocks():
        block *= phases[places[-1]]
    return q.to(default_backend() if backend is None else get_backend(backend))
