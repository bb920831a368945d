"""Product states of a model, by the names of its patterns, as PEPS."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from tnsim.backend import generator
from tnsim.errors import StateError
from tnsim.networks.peps.fused_site import fused_site
from tnsim.networks.peps.peps import PEPS, CylinderPEPS, InfinitePEPS
from tnsim.networks.peps.plane_terms import PlaneTerms
from tnsim.networks.peps.square_places import Place, is_fused, with_margin
from tnsim.networks.peps.square_state import check_pattern

# of random starts, so that a run can be repeated
_SEED = 0


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
    kind = CylinderPEPS if terms.is_cylinder else PEPS
    return kind.product(terms.sites, states, backend=backend)


def infinite_start(
    model: Any,
    pattern: Sequence[Sequence[int]],
    states: str | Sequence[str] | None = None,
    *,
    fused: bool | None = None,
    backend: str | None = None,
) -> InfinitePEPS:
    """The product state of a model on the infinite lattice, with the pattern of a cell.

    states: the name of a pattern as for `model.product`, "random" (a vector for every tensor, always the same ones), or
    the state of every tensor, of fused sites such as "up|down|up". Raises StateError where a pattern does not repeat,
    ChargeError for random states that conserve something.

    >>> from tnsim.models import Heisenberg, Lattice
    >>> infinite_start(Heisenberg(lattice=Lattice("square", 2, 2)), [[0, 1], [1, 0]])
    InfinitePEPS: a 2 x 2 cell with 2 tensors, spin-1/2, D = 1, symmetry U(1) 2Sz, float64 on numpy
    """
    count = max(number for row in pattern for number in row) + 1
    rows = check_pattern(pattern, count)
    shape = len(rows), len(rows[0])
    larger, places = with_margin(model, shape, is_fused(model.geometry.kind, fused))
    members: dict[Place, list[int]] = {}
    for n, place in enumerate(places):
        members.setdefault(place, []).append(n)

    def site(i: int, j: int) -> Any:
        return fused_site(tuple(larger.sites[n] for n in members[i, j]))[0]

    first = {rows[i][j]: (i, j) for i in range(shape[0] - 1, -1, -1) for j in range(shape[1] - 1, -1, -1)}
    kinds = [site(*first[number]) for number in range(count)]
    if states == "random":
        rng = generator(_SEED)
        return InfinitePEPS.product(kinds, [rng.standard_normal(kind.dim) for kind in kinds], rows, backend=backend)
    if states is not None and not isinstance(states, str):
        return InfinitePEPS.product(kinds, list(states), rows, backend=backend)
    vectors = _local_vectors(larger, states)
    chosen: dict[int, np.ndarray] = {}
    # the cell itself, and a step beside and below it: a state that repeats is the same there
    for i, j in np.ndindex(2 * shape[0], 2 * shape[1]):
        number = rows[i % shape[0]][j % shape[1]]
        found = _together(members[i, j], larger.sites, vectors)
        known = chosen.setdefault(number, found)
        if kinds[number] != site(i, j) or not np.allclose(known, found):
            raise StateError(
                f"the state {states or model.usual_start!r} does not repeat with the cell {rows}: take a larger cell, "
                "the states of its tensors, random, or a state such as up."
            )
    return InfinitePEPS.product(kinds, [chosen[number] for number in range(count)], rows, backend=backend)


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
