"""Singular values multiplied back onto a factor."""

from tnsim.errors import LegError
from tnsim.linalg import Spectrum
from tnsim.tensor import Tensor, contract, diagonal


def scale_rows(tensor: Tensor, spectrum: Spectrum) -> Tensor:
    """diag(s) on the first leg."""
    if _is_plain(tensor, spectrum):
        return _scaled(tensor, spectrum, 0)
    words = " ".join(f"a{k}" for k in range(1, tensor.ndim))
    return contract(f"m n, n {words} -> m {words}", as_matrix(spectrum, tensor), tensor)


def scale_columns(tensor: Tensor, spectrum: Spectrum) -> Tensor:
    """diag(s) on the last leg."""
    if _is_plain(tensor, spectrum):
        return _scaled(tensor, spectrum, -1)
    words = " ".join(f"a{k}" for k in range(1, tensor.ndim))
    return contract(f"{words} m, m n -> {words} n", tensor, as_matrix(spectrum, tensor))


def _is_plain(tensor: Tensor, spectrum: Spectrum) -> bool:
    """Whether the tensor is one block, all of which is scaled."""
    return len(tensor.layout.indices) == 1 and len(spectrum.leg) == 1


def _scaled(tensor: Tensor, spectrum: Spectrum, axis: int) -> Tensor:
    """A plain tensor times the values along its first (0) or last (-1) leg; others stay as they are."""
    leg = tensor.legs[axis]
    if leg is not (spectrum.leg if axis == 0 else spectrum.leg.dual):
        raise LegError(f"the values of {spectrum.leg!r} do not fit {leg!r} of {tensor!r}.")
    values = tensor.backend.asarray(spectrum.values.astype(tensor.dtype))
    rows = (leg.dim, -1) if axis == 0 else (-1, leg.dim)
    data = tensor.data.reshape(rows) * values.reshape((-1, 1) if axis == 0 else (1, -1))
    return Tensor(tensor.legs, data.reshape(-1), tensor.charge)


def as_matrix(spectrum: Spectrum, like: Tensor) -> Tensor:
    """diag(s) with legs (bond, bond.dual), in the dtype and on the backend of `like`."""
    return diagonal(like.backend.asarray(spectrum.values.astype(like.dtype)), spectrum.leg)
