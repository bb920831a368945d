"""Which blocks a symmetric tensor has, and where they lie in its flat buffer."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tnsim.errors import LegError
from tnsim.kernels.cpu.layout import enumerate_blocks
from tnsim.symmetry.group import Charge
from tnsim.symmetry.leg import Leg


@dataclass(frozen=True, eq=False)
class Layout:
    """Allowed blocks in lexicographic order of their sector indices.

    indices: (blocks, legs) sector numbers; offsets: (blocks + 1,) places in the flat buffer; every block
    is stored in C order.
    """

    legs: tuple[Leg, ...]
    charge: Charge
    indices: np.ndarray
    offsets: np.ndarray

    @cached_property
    def size(self) -> int:
        """Number of stored elements."""
        return int(self.offsets[-1])

    @cached_property
    def shapes(self) -> np.ndarray:
        """(blocks, legs) dimensions."""
        if not self.legs:
            return np.zeros((1, 0), dtype=np.int64)
        columns = [leg.dims_array[self.indices[:, n]] for n, leg in enumerate(self.legs)]
        return np.stack(columns, axis=1)

    @cached_property
    def place(self) -> dict[tuple[int, ...], int]:
        """Block number by sector indices."""
        return {tuple(row): i for i, row in enumerate(self.indices.tolist())}


def _check_group(legs: tuple[Leg, ...]) -> None:
    for n, leg in enumerate(legs[1:], start=1):
        if leg.group != legs[0].group:
            raise LegError(f"leg {n} conserves {leg.group!r}, leg 0 {legs[0].group!r}: one tensor has one group.")


@lru_cache(maxsize=4096)
def layout(legs: tuple[Leg, ...], charge: Charge) -> Layout:
    """The block table of a tensor with these legs and total charge; cost: one visit per sector tuple."""
    _check_group(legs)
    if not legs:
        return Layout(legs, charge, np.zeros((1, 0), dtype=np.int64), np.array([0, 1]))
    group = legs[0].group
    starts = np.zeros(len(legs) + 1, dtype=np.int64)
    np.cumsum([len(leg) for leg in legs], out=starts[1:])
    indices, offsets = enumerate_blocks(
        np.concatenate([leg.keys for leg in legs]),
        np.concatenate([leg.dims_array for leg in legs]),
        starts,
        np.array([leg.flow for leg in legs], dtype=np.int64),
        group.moduli_array,
        group.key(charge),
    )
    return Layout(legs, charge, indices, offsets)
