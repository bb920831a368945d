"""Singular values multiplied back onto a factor."""

from tnsim.linalg import Spectrum
from tnsim.tensor import Tensor, contract, diagonal


def scale_rows(tensor: Tensor, spectrum: Spectrum) -> Tensor:
    """diag(s) on the first leg."""
    words = " ".join(f"a{k}" for k in range(1, tensor.ndim))
    return contract(f"m n, n {words} -> m {words}", as_matrix(spectrum, tensor), tensor)


def scale_columns(tensor: Tensor, spectrum: Spectrum) -> Tensor:
    """diag(s) on the last leg."""
    words = " ".join(f"a{k}" for k in range(1, tensor.ndim))
    return contract(f"{words} m, m n -> {words} n", tensor, as_matrix(spectrum, tensor))


def as_matrix(spectrum: Spectrum, like: Tensor) -> Tensor:
    """diag(s) with legs (bond, bond.dual), in the dtype and on the backend of `like`."""
    return diagonal(like.backend.asarray(spectrum.values.astype(like.dtype)), spectrum.leg)
