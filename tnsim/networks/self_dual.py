"""Legs of groups in which every charge is its own dual: their direction is a convention that can be changed freely."""

from collections.abc import Sequence

from tnsim.symmetry import Group
from tnsim.tensor import Tensor


def is_self_dual(group: Group) -> bool:
    """Whether every charge fuses with itself to the identity: no symmetry, or products of Z_2."""
    return all(modulus == 2 for modulus in group.moduli)


def directed(tensor: Tensor, flows: Sequence[int]) -> Tensor:
    """The same tensor with legs of these flows; no copy. Only for groups that are self-dual.

    >>> import numpy as np
    >>> from tnsim.tensor import from_dense
    >>> [leg.flow for leg in directed(from_dense(np.eye(2)), (1, 1)).legs]
    [1, 1]
    """
    return Tensor(
        [leg.with_flow(flow) for leg, flow in zip(tensor.legs, flows, strict=True)], tensor.data, tensor.charge
    )
