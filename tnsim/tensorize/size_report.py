"""How large a chain of cores is beside the matrix that it stands for."""

from dataclasses import dataclass
from math import prod

from tnsim.errors import ShapeError
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import max_ranks


@dataclass(frozen=True, kw_only=True)
class SizeReport:
    """Numbers and bytes of a chain and of its matrix; padding: rows and columns of zeros that were added to it."""

    params: int
    bytes: int
    dense_params: int
    dense_bytes: int
    ranks: tuple[int, ...]
    max_ranks: tuple[int, ...]
    padding: tuple[int, int]

    @property
    def ratio(self) -> float:
        """Numbers of the matrix over numbers of the chain: above 1 it is smaller."""
        return self.dense_params / self.params

    def __str__(self) -> str:
        padded = f", {self.padding[0]} rows and {self.padding[1]} columns of zeros added" if any(self.padding) else ""
        ranks = " ".join(f"{rank}/{most}" for rank, most in zip(self.ranks, self.max_ranks, strict=True))
        return (
            f"{self.params} of {self.dense_params} numbers ({self.ratio:.2f}x), {self.bytes} of {self.dense_bytes} "
            f"bytes, ranks {ranks or 'none'}{padded}"
        )


def size_report(mpo: MPO) -> SizeReport:
    """Count a chain that `MPO.from_matrix` made.

    >>> import numpy as np
    >>> print(size_report(MPO.from_matrix(np.eye(6), (2, 3), (2, 3))))
    13 of 36 numbers (2.77x), 104 of 288 bytes, ranks 1/4
    """
    if mpo.axes is None:
        raise ShapeError(f"{mpo!r} stands for no matrix: make it with MPO.from_matrix.")
    params = sum(tensor.size for tensor in mpo.tensors)
    dense = prod(mpo.axes.shape)
    return SizeReport(
        params=params,
        bytes=sum(tensor.size * tensor.dtype.itemsize for tensor in mpo.tensors),
        dense_params=dense,
        dense_bytes=dense * mpo.dtype.itemsize,
        ranks=mpo.bond_dimensions[1:-1],
        max_ranks=max_ranks([tensor.shape[1] * tensor.shape[2] for tensor in mpo.tensors]),
        padding=(mpo.axes.rows.padding, mpo.axes.columns.padding),
    )
