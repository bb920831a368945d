"""States multiplied number by number: one of them stands on the diagonal of an operator that acts on the other."""

import numpy as np

from tnsim.errors import ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.apply import apply
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.symmetry import TRIVIAL, trivial_leg
from tnsim.tensor import Tensor, contract, from_dense


def diagonal_operator(psi: MPS) -> MPO:
    """diag(psi): its elements are the amplitudes of the state, its bonds those of the state.

    Raises ShapeError for states with symmetry, whose amplitudes are no diagonal of a charge.
    """
    if psi.sites[0].group is not TRIVIAL:
        raise ShapeError("amplitudes are multiplied one by one without symmetry: take psi.without_symmetry().")
    return MPO([contract("l s r, s t u -> l t u r", tensor, _copy(tensor)) for tensor in psi.tensors], psi.sites)


def elementwise_product(a: MPS, b: MPS, truncation: Truncation | None = None, *, method: str = "src") -> MPS:
    """The state whose amplitudes are products of those of a and b; see `apply` for methods, cost and error.

    >>> from tnsim.networks.sites import spin_sites
    >>> psi = MPS.from_dense(np.array([1.0, 2.0, 3.0, 5.0]), spin_sites(2, conserve=None))
    >>> elementwise_product(psi, psi).to_dense().round(9).tolist()
    [1.0, 4.0, 9.0, 25.0]
    """
    if a.L != b.L or a.sites != b.sites:
        raise ShapeError("states are multiplied one by one where they live on the same sites.")
    return apply(diagonal_operator(a), b, truncation, method=method)


def constant_state(like: MPS, value: float = 1.0) -> MPS:
    """All amplitudes equal, on the sites, dtype and device of another state; bond dimension 1."""
    tensors = []
    for tensor in like.tensors:
        legs = trivial_leg(1), tensor.legs[1], trivial_leg(1, -1)
        tensors.append(from_dense(np.ones((1, legs[1].dim, 1), dtype=like.dtype), legs).to(like.backend))
    return MPS(tensors, like.sites) * value


def _copy(tensor: Tensor) -> Tensor:
    """The tensor that is 1 where all three indices agree."""
    leg = tensor.legs[1]
    same = np.zeros((leg.dim,) * 3, dtype=tensor.dtype)
    same[(np.arange(leg.dim),) * 3] = 1
    return from_dense(same, (leg.dual, leg, leg.dual)).to(tensor.backend)
