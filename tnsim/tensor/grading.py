"""Signs of graded tensors: legs with an odd number of fermions anticommute.

A tensor is an element of the product of its legs' spaces in the order of its legs; a leg that flows out is the dual of
one that flows in. Exchanging two odd legs gives a minus sign. A leg that flows out and the leg behind it that flows in
are summed over without one; the other way round they are exchanged first. Tensors of even charge commute, so that no
order of contractions matters, and what a planar drawing counts as crossings of lines comes out by itself. The adjoint
has the legs in the opposite order; `Tensor.conj` brings them back.

So a sum over a leg that flows in with the conjugate of a tensor is a positive norm, over a leg that flows out it has a
minus sign for odd states: `twist` takes that away. Matrices with legs that flow (in, out) multiply as numbers do. Legs
fused into one that flows out meet their duals in the opposite order: `fusion_signs` makes a sum over a fused leg that
over its members.

Sources: P. Corboz, R. Orus, B. Bauer, G. Vidal, Phys. Rev. B 81, 165104 (2010); Q. Mortier et al., SciPost Phys. 18,
012 (2025).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.backend import Array, Backend
from tnsim.kernels.table import (
    A_OFFSET,
    A_STRIDE,
    ADD,
    B_OFFSET,
    B_STRIDE,
    C_BUFFER,
    C_OFFSET,
    C_STRIDE,
    COLUMNS,
    KIND,
    TASK,
    M,
    N,
)
from tnsim.symmetry import Charge, Layout, Leg, layout


def is_graded(legs: Sequence[Leg]) -> bool:
    """Whether some component of the charges counts fermions."""
    return bool(legs) and bool(legs[0].group.fermionic)


def parities(table: Layout) -> np.ndarray:
    """(blocks, legs): 1 where a leg is odd."""
    columns = [leg.parities[table.indices[:, n]] for n, leg in enumerate(table.legs)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(table.indices), 0), dtype=np.int64)


def exchange_signs(odd: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """For every row of parities the sign of bringing legs in a new order: new leg n is old leg order[n]."""
    place = np.argsort(order)
    crossing = np.triu(place[:, None] > place[None, :], 1).astype(np.int64)
    return 1 - 2 * (((odd @ crossing) * odd).sum(axis=1) % 2)


@lru_cache(maxsize=8192)
def transpose_signs(legs: tuple[Leg, ...], charge: Charge, order: tuple[int, ...]) -> np.ndarray | None:
    """Of every block of the tensor before the transposition; None where all are +1."""
    return _unless_trivial(exchange_signs(parities(layout(legs, charge)), order)) if is_graded(legs) else None


@lru_cache(maxsize=8192)
def adjoint_signs(legs: tuple[Leg, ...], charge: Charge) -> np.ndarray | None:
    """Of the legs in the opposite order."""
    return transpose_signs(legs, charge, tuple(range(len(legs)))[::-1])


@lru_cache(maxsize=8192)
def twist_signs(legs: tuple[Leg, ...], charge: Charge, axes: tuple[int, ...]) -> np.ndarray | None:
    """-1 where an odd number of the axes is odd."""
    if not is_graded(legs):
        return None
    return _unless_trivial(1 - 2 * (parities(layout(legs, charge))[:, list(axes)].sum(axis=1) % 2))


def fusion_signs(odd: np.ndarray, flows: Sequence[int]) -> np.ndarray:
    """For every row of parities the sign that legs get when they are fused into one that flows out.

    Without it the sum over a fused leg and its dual would differ from that over the members and theirs: these come in
    the opposite order, and what flows in is exchanged with what flows out behind it.
    """
    count = odd.sum(axis=1)
    inward = odd[:, [n for n, flow in enumerate(flows) if flow > 0]].sum(axis=1)
    return 1 - 2 * ((count * (count - 1) // 2 + inward) % 2)


def pair_signs(
    odd_a: np.ndarray, odd_b: np.ndarray, flows_a: Sequence[int], bound: Sequence[tuple[int, int]], order: Sequence[int]
) -> np.ndarray | None:
    """Of products of blocks: row n of odd_a with row n of odd_b, free legs of a and then of b in the given order."""
    count = odd_a.shape[1]
    free = [n for n in range(count) if n not in {i for i, _ in bound}]
    free += [count + n for n in range(odd_b.shape[1]) if n not in {j for _, j in bound}]
    target = [free[n] for n in order]
    for i, j in bound:
        target += [i, count + j] if flows_a[i] < 0 else [count + j, i]
    return _unless_trivial(exchange_signs(np.concatenate([odd_a, odd_b], axis=1), target))


def _unless_trivial(signs: np.ndarray) -> np.ndarray | None:
    return signs if (signs < 0).any() else None


def signed(data: Array, table: Layout, signs: np.ndarray | None, backend: Backend) -> Array:
    """Data with every block times its sign; the same data without signs."""
    if signs is None:
        return data
    rows = np.zeros((len(signs), COLUMNS), dtype=np.int64)
    rows[:, KIND], rows[:, TASK], rows[:, M] = ADD, np.arange(len(signs)), 1
    rows[:, N] = np.diff(table.offsets)
    rows[:, B_OFFSET] = rows[:, C_OFFSET] = table.offsets[:-1]
    rows[:, B_STRIDE] = rows[:, C_STRIDE] = rows[:, N]
    rows[:, A_STRIDE] = rows[:, A_OFFSET] = rows[:, C_BUFFER] = 1
    target = backend.zeros(table.size, data.dtype)
    starts, weights = np.arange(len(signs) + 1), np.ones(len(signs))
    backend.kernels.run_products(rows, signs.astype(data.dtype), starts, weights, (data, target))
    return target
