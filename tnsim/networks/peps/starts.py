"""Product states of a model, by the names of its patterns, as PEPS."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from tnsim.errors import StateError
from tnsim.networks.peps.fused_site import fused_site
from tnsim.networks.peps.peps import PEPS, InfinitePEPS
from tnsim.networks.peps.plane_terms import PlaneTerms
from tnsim.networks.peps.square_places import is_fused, with_margin
from tnsim.networks.peps.square_state import check_pattern


def finite_start(
    model: Any, pattern: str | Sequence[str] | None = None, *, fused: bool | None = None, backend: str | None = None
) -> PEPS:
    """The product state of a model on its finite lattice; pattern: as for `model.product`, none for its usual one.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> finite_start(Heisenberg(lattice=Lattice("honeycomb", 2, 2)))
    PEPS: 2 x 5 sites, empty, spin-1/2, D = 1, symmetry U(1) 2Sz, float64 on numpy
    """
    terms, vectors = PlaneTerms.of(model, fused=fused), _local_vectors(model, pattern)
    sites = list(model.sites)
    states = [
        [_together(terms.members.get((i, j), ()), sites, vectors) for j in range(terms.shape[1])]
        for i in range(terms.shape[0])
    ]
    return PEPS.product(terms.sites, states, backend=backend)


def infinite_start(
    model: Any,
    pattern: Sequence[Sequence[int]],
    states: str | None = None,
    *,
    fused: bool | None = None,
    backend: str | None = None,
) -> InfinitePEPS:
    """The product state of a model on the infinite lattice, with the pattern of a cell; states: the name of one.

    Raises StateError where the state does not repeat with the pattern.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> infinite_start(Heisenberg(lattice=Lattice("square", 2, 2)), [[0, 1], [1, 0]])
    InfinitePEPS: a 2 x 2 cell with 2 tensors, spin-1/2, D = 1, symmetry U(1) 2Sz, float64 on numpy
    """
    count = max(number for row in pattern for number in row) + 1
    rows = check_pattern(pattern, count)
    shape = len(rows), len(rows[0])
    larger, places = with_margin(model, shape, is_fused(model.geometry.kind, fused))
    vectors, members = _local_vectors(larger, states), {}
    for n, place in enumerate(places):
        members.setdefault(place, []).append(n)
    chosen: dict[int, tuple[Any, np.ndarray]] = {}
    # the cell itself, and a step beside and below it: a state that repeats is the same there
    for i in range(2 * shape[0]):
        for j in range(2 * shape[1]):
            number = rows[i % shape[0]][j % shape[1]]
            found = _together(members[i, j], larger.sites, vectors)
            site = fused_site(tuple(larger.sites[n] for n in members[i, j]))[0]
            known = chosen.setdefault(number, (site, found))
            if known[0] != site or not np.allclose(known[1], found):
                raise StateError(
                    f"the state {states or model.usual_start!r} does not repeat with the cell {rows}: take a larger "
                    "cell, or a state such as up."
                )
    kinds, vectors_ = zip(*(chosen[number] for number in range(count)), strict=True)
    return InfinitePEPS.product(kinds, vectors_, rows, backend=backend)


def _local_vectors(model: Any, pattern: Any) -> list[np.ndarray]:
    """The state of every site of a product state."""
    psi = model.product(pattern)
    return [np.asarray(tensor.to("numpy").to_dense()).reshape(-1) for tensor in psi.tensors]


def _together(members: Sequence[int], sites: Sequence[Any], vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The states of the sites in one place, in the basis of the fused site; of an empty one, its only state."""
    if not members:
        return np.ones(1)
    order = fused_site(tuple(sites[n] for n in members))[1]
    return reduce(np.kron, [vectors[n] for n in members])[order]
