"""How far an operator is from its adjoint, where nothing says that they are equal."""

from tnsim.linalg import qr
from tnsim.networks.mpo import MPO
from tnsim.tensor import Tensor, contract

# rounding of sums and compressions to the usual cutoff; what is meant to be not Hermitian is far above
_SAME = 1e-7


def is_own_adjoint(H: MPO) -> bool:
    """Whether H equals its adjoint: what it says of itself, or ||H - H^dagger|| <= 1e-7 ||H|| (Frobenius norms).

    Cost O(L d^2 w^3) where it has to be measured.

    >>> import numpy as np
    >>> from tnsim.networks.sites import spin_sites
    >>> square = MPO.identity(spin_sites(3)) @ MPO.identity(spin_sites(3))
    >>> square.is_hermitian is None, is_own_adjoint(square), is_own_adjoint(square * 1j)
    (True, True, False)
    """
    if H.is_hermitian is not None:
        return H.is_hermitian
    return adjoint_distance(H) <= _SAME


def adjoint_distance(H: MPO) -> float:
    """||H - H^dagger|| / ||H||, to rounding; 0 for the zero operator."""
    size = _norm(H)
    return _norm(H - H.H) / size if size > 0 else 0.0


def _norm(H: MPO) -> float:
    """The Frobenius norm over that of the identity, which overflows on no long chain."""
    carried: Tensor | None = None
    for tensor in H.tensors:
        scaled = tensor / (tensor.shape[1] * tensor.shape[2]) ** 0.25
        carried = qr(scaled if carried is None else contract("l m, m o i r -> l o i r", carried, scaled), (0, 1, 2))[1]
    assert carried is not None  # an MPO has a site
    return carried.norm()
