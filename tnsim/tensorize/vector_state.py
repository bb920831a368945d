"""Activations as matrix-product states: one vector, or a batch with a site of its own in front."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from tnsim.backend import Array, backend_of
from tnsim.errors import ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.elementwise import diagonal_operator
from tnsim.networks.matrix_index import MatrixAxis
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.sites import Site
from tnsim.symmetry import TRIVIAL, trivial_leg
from tnsim.tensor import Tensor, contract, from_dense


@lru_cache(maxsize=256)
def plain_site(dim: int) -> Site:
    """A site of so many states that conserves nothing."""
    return Site("level", tuple(map(str, range(dim))), TRIVIAL, ((),) * dim, {})


def state_of_rows(rows: Array, axis: MatrixAxis, truncation: Truncation | None = None) -> MPS:
    """Vectors as a state: the batch is the first site (of 1 for one vector), then a site for every factor.

    rows: (samples, features) or (features,); axis: how the features are spread over sites, of a chain `mpo` that will
    act that is `mpo.axes.columns`. Exact without truncation. Cost O(samples features min(samples, features)).
    """
    backend = backend_of(rows)
    table = rows.reshape((1, rows.shape[0])) if len(rows.shape) == 1 else rows
    if len(table.shape) != 2 or table.shape[1] != axis.size:
        raise ShapeError(f"vectors of {axis.size} features are needed, found an array of shape {tuple(rows.shape)}.")
    if not table.shape[0]:
        raise ShapeError("a state stands for at least one vector, found a batch of none.")
    spread = backend.copy(axis.spread(table, 1, backend))
    sites = [plain_site(d) for d in (table.shape[0], *axis.dims)]
    return MPS.from_dense(spread.reshape(-1), sites, truncation=truncation)


def rows_of_state(psi: MPS, axis: MatrixAxis) -> Array:
    """The vectors back, (samples, features)."""
    whole = psi.to_dense().reshape((psi.sites[0].dim, prod(axis.dims)))
    return axis.gather(whole, 1, psi.backend)


def scaled_rows(psi: MPS, factors: Array) -> MPS:
    """Every vector of a batch times its own number (an array on the state's device)."""
    first = psi.tensors[0]
    table = first.array.reshape((first.shape[1], first.shape[2]))
    scaled = table * psi.backend.astype(factors, first.dtype).reshape((first.shape[1], 1))
    return MPS([Tensor(first.legs, scaled.reshape(-1)), *psi.tensors[1:]], psi.sites)


def row_norms(psi: MPS) -> Array:
    """The norm of every vector of a batch, without writing the vectors; cost O(L d chi^3)."""
    env = None
    for tensor in reversed(psi.tensors[1:]):
        if env is None:
            env = contract("l s r, m s r -> l m", tensor, tensor.conj())
        else:
            env = contract("l s r, r q, m s q -> l m", tensor, env, tensor.conj())
    backend, first = psi.backend, psi.tensors[0].array
    table = first.reshape((first.shape[1], first.shape[2]))
    if env is None:
        return backend.absolute(table).reshape(-1)
    squares = backend.real((table @ env.array) * backend.conj(table))
    ones = backend.asarray(np.ones((table.shape[1], 1), dtype=squares.dtype))
    return backend.sqrt(backend.absolute(squares @ ones)).reshape(-1)


def for_every_sample(psi: MPS, samples: int) -> MPS:
    """The state of one vector as that of a batch of equal ones."""
    first = psi.tensors[0]
    ones = np.ones((first.shape[1], samples), dtype=first.dtype)
    spread = from_dense(ones, (first.legs[1].dual, plain_site(samples).leg)).to(psi.backend)
    return MPS(
        [contract("l s r, s t -> l t r", first, spread), *psi.tensors[1:]], [plain_site(samples), *psi.sites[1:]]
    )


def without_padding(mpo: MPO) -> MPO:
    """The chain with rows and columns that fill it up at zero exactly (cut chains leave rounding-like numbers there).

    Bond dimensions grow by the few that tell a filled place from another.
    """
    axes = mpo.axes
    if axes is None:
        return mpo
    for axis, in_front in ((axes.rows, True), (axes.columns, False)):
        if axis.padding:
            inside = mpo.backend.asarray(np.ones(axis.size, dtype=mpo.dtype))
            mask = state_of_rows(inside, axis)
            kept = diagonal_operator(_without_first_site(mask))
            mpo = kept @ MPO(mpo.tensors) if in_front else MPO(mpo.tensors) @ kept
    return mpo


def _without_first_site(psi: MPS) -> MPS:
    """The state of one vector without the site of the batch."""
    first, second = psi.tensors[:2]
    joined = contract("l s m, m t r -> l s t r", first, second).array
    legs = trivial_leg(1), second.legs[1], second.legs[2]
    return MPS([Tensor(legs, joined.reshape(-1)), *psi.tensors[2:]], psi.sites[1:])


def identity_in_front(tensors: Sequence[Tensor], samples: int) -> list[Tensor]:
    """The sites of an operator that acts on each vector of a batch alike."""
    like = tensors[0]
    legs = trivial_leg(1), trivial_leg(samples), trivial_leg(samples, -1), trivial_leg(1, -1)
    eye = np.eye(samples, dtype=like.dtype).reshape(-1)
    return [Tensor(legs, like.backend.asarray(eye)), *tensors]
