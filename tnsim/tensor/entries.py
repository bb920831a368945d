"""Tensors from their elements and back, without a full array in between."""

from collections.abc import Sequence

import numpy as np

from tnsim.errors import ShapeError
from tnsim.symmetry import Charge, Leg, layout
from tnsim.tensor.tensor import Tensor, check_group, refuse_element


def from_entries(places: np.ndarray, values: np.ndarray, legs: Sequence[Leg], charge: Charge | None = None) -> Tensor:
    """The tensor with values[n] at places[n], one index a leg in its dense order; equal places add up. On the host.

    Cost O(n) beside the block table. Raises ShapeError for indices out of range, ChargeError for an element outside
    the allowed blocks.

    >>> from tnsim.symmetry import U1
    >>> leg = Leg(U1("N"), [(0,), (1,)], [1, 2])
    >>> from_entries(np.array([[0, 0], [2, 1]]), np.array([1.0, 3.0]), [leg, leg.dual]).to_dense()
    array([[1., 0., 0.],
           [0., 0., 0.],
           [0., 3., 0.]])
    """
    charge = check_group(legs, charge)
    table = layout(tuple(legs), charge)
    shape = np.array([leg.dim for leg in legs], dtype=np.int64)
    if places.shape != (len(values), len(legs)) or (places < 0).any() or (places >= shape).any():
        raise ShapeError(f"elements of a tensor of shape {tuple(shape.tolist())} need as many indices, each in range.")
    sectors = np.stack([np.searchsorted(leg.starts, i, side="right") - 1 for leg, i in zip(legs, places.T)], axis=1)
    counts = [len(leg) for leg in legs]
    known, wanted = (np.ravel_multi_index(tuple(rows.T), counts) for rows in (table.indices, sectors))
    block = np.minimum(np.searchsorted(known, wanted), len(known) - 1) if len(known) else np.zeros_like(wanted)
    outside = np.flatnonzero(known[block] != wanted) if len(known) else np.arange(len(wanted))
    for n in outside[values[outside] != 0][:1].tolist():
        refuse_element(tuple(places[n].tolist()), values[n], legs, charge)
    inside = np.setdiff1d(np.arange(len(values)), outside, assume_unique=True)
    block, place = block[inside], table.offsets[block[inside]]
    step = np.ones(len(inside), dtype=np.int64)
    for k in range(len(legs) - 1, -1, -1):
        place = place + step * (places[inside, k] - legs[k].starts[sectors[inside, k]])
        step = step * table.shapes[block, k]
    data = np.zeros(table.size, dtype=values.dtype)
    np.add.at(data, place, values[inside])
    return Tensor(legs, data, charge)


def entries_of(tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(places, values) of the elements that are not zero, on the host, in lexicographic order of their places.

    >>> from tnsim.tensor.create import from_dense
    >>> entries_of(from_dense(np.array([[0.0, 2.0], [1.0, 0.0]])))
    (array([[0, 1],
           [1, 0]]), array([2., 1.]))
    """
    table, data = tensor.layout, tensor.backend.to_host(tensor.data)
    stored = np.flatnonzero(data)
    block = np.searchsorted(table.offsets, stored, side="right") - 1
    rest, places = stored - table.offsets[block], np.empty((len(stored), tensor.ndim), dtype=np.int64)
    for k in range(tensor.ndim - 1, -1, -1):
        rest, inner = np.divmod(rest, table.shapes[block, k])
        places[:, k] = inner + tensor.legs[k].starts[table.indices[block, k]]
    order = np.lexsort(places.T[::-1]) if tensor.ndim else np.arange(len(stored))
    return places[order], data[stored[order]]
