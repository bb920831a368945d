"""The freedom X X^-1 on the bonds of an operator: orthogonal and balanced forms, rotations, singular values of cuts."""

from collections.abc import Iterator, Mapping

import numpy as np

from tnsim.backend import Array
from tnsim.errors import NumericalError, SettingsError, ShapeError, suggest
from tnsim.linalg import Spectrum, Truncation, fix_signs, lq, qr, svd
from tnsim.networks.mpo import MPO
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.tensor import Tensor, contract, from_dense

_FORMS = ("qr", "balanced")


def gauge(mpo: MPO, form: str = "qr", *, center: int = 0) -> MPO:
    """The same operator with its bonds in a form that does not depend on how they were before.

    "qr": isometries towards the site `center`, which holds the norm, as for the centre of an MPS. "balanced": at every
    cut the part left of it and the part right of it have the same Gram matrix, diag(s), with the singular values s of
    the cut: cores of like size, for number formats of few bits; values below rounding are dropped. Signs are fixed by
    `fix_signs`, so that "balanced" is unique where no two values of a cut are equal. Cost O(L d^2 w^3); exact.

    >>> W = np.diag([1.0, 2.0, 3.0, 4.0])
    >>> gauge(MPO.from_matrix(W, (2, 2), (2, 2)), "balanced").to_matrix().diagonal().round(12).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    if form not in _FORMS:
        raise SettingsError(f"unknown form {form!r} of the bonds. {suggest(form, _FORMS)}")
    return _with(mpo, _orthogonal(mpo, center) if form == "qr" else _balanced(mpo))


def rotate(mpo: MPO, matrices: Mapping[int, Array]) -> MPO:
    """The same operator with X put on the right leg of site k and X^-1 on the left leg of site k + 1, for each k: X.

    X is square, of the size of the bond between k and k + 1, and invertible. Error: rounding times its condition
    number. Raises ShapeError for another size, NumericalError where X cannot be inverted.

    >>> mpo = MPO.from_matrix(np.diag([1.0, 2.0, 3.0, 5.0]), (2, 2), (2, 2))
    >>> rotate(mpo, {0: np.array([[1.0, 1.0], [0.0, 2.0]])}).to_matrix().diagonal().round(12).tolist()
    [1.0, 2.0, 3.0, 5.0]
    """
    tensors = list(mpo.tensors)
    for k, X in matrices.items():
        if not 0 <= k < mpo.L - 1:
            raise ShapeError(f"an operator on {mpo.L} sites has bonds 0 to {mpo.L - 2}, found {k}.")
        forth, back = _with_inverse(X, tensors[k], k)
        tensors[k] = contract("l o i m, m n -> l o i n", tensors[k], forth)
        tensors[k + 1] = contract("l m, m o i r -> l o i r", back, tensors[k + 1])
    return _with(mpo, tensors)


def operator_schmidt_values(mpo: MPO) -> list[Spectrum]:
    """Singular values of the L - 1 cuts with their charges, squares adding up to 1; cost O(L d^2 w^3)."""
    norm = _orthogonal(mpo, 0)[0].norm()
    if norm == 0:
        raise NumericalError("the operator is zero: its cuts have no singular values that add up to 1.")
    return [Spectrum(s.leg, s.values / norm, s.discarded_weight) for _, s, _ in _split(mpo)]


def _with(mpo: MPO, tensors: list[Tensor]) -> MPO:
    return MPO(tensors, mpo.sites, is_hermitian=mpo.is_hermitian, axes=mpo.axes)


def _orthogonal(mpo: MPO, center: int) -> list[Tensor]:
    if not 0 <= center < mpo.L:
        raise ShapeError(f"the centre is a site from 0 to {mpo.L - 1}, found {center}.")
    tensors = list(mpo.tensors)
    for k in range(center):
        tensors[k], rest = fix_signs(*qr(tensors[k], (0, 1, 2)))
        tensors[k + 1] = contract("l m, m o i r -> l o i r", rest, tensors[k + 1])
    for k in range(mpo.L - 1, center, -1):
        rest, tensors[k] = fix_signs(*lq(tensors[k], (0,)))
        tensors[k - 1] = contract("l o i m, m r -> l o i r", tensors[k - 1], rest)
    return tensors


def _split(mpo: MPO) -> Iterator[tuple[Tensor, Spectrum, Tensor]]:
    """Cut by cut from the left: isometry of the site, singular values, and the centre that moved one site on."""
    tensors = _orthogonal(mpo, 0)
    rest = tensors[0]
    for k in range(mpo.L - 1):
        rounding = 4 * float(np.finfo(mpo.dtype).eps)
        u, s, v = svd(rest, (0, 1, 2), Truncation(chi_max=max(1, tensors[k].shape[3]), svd_min=rounding))
        u, v = fix_signs(u, v)
        rest = contract("l m, m o i r -> l o i r", scale_rows(v, s), tensors[k + 1])
        yield u, s, rest


def _balanced(mpo: MPO) -> list[Tensor]:
    """Roots of the singular values on both sides of every bond."""
    cores, rest = [], mpo.tensors[0]
    before: Spectrum | None = None
    for u, s, moved in _split(mpo):
        root = Spectrum(s.leg, np.sqrt(s.values))
        cores.append(scale_columns(_divided(u, before), root))
        before, rest = root, moved
    return [*cores, _divided(rest, before)]


def _divided(tensor: Tensor, roots: Spectrum | None) -> Tensor:
    """diag(1 / roots) on the left leg; of the zero operator, whose one value is zero, nothing is divided."""
    if roots is None:
        return tensor
    inverse = np.divide(1.0, roots.values, out=np.zeros_like(roots.values), where=roots.values > 0)
    return scale_rows(tensor, Spectrum(roots.leg, inverse))


def _with_inverse(X: Array, tensor: Tensor, bond: int) -> tuple[Tensor, Tensor]:
    """X and its inverse with legs that fit the right leg of a tensor; found on the host, for they are small."""
    backend, leg = tensor.backend, tensor.legs[3]
    host = X if isinstance(X, np.ndarray) else backend.to_host(X)
    if host.shape != (leg.dim, leg.dim):
        raise ShapeError(f"bond {bond} takes a matrix of shape {(leg.dim, leg.dim)}, found {host.shape}.")
    if not np.isfinite(host).all() or np.linalg.cond(host) > 0.1 / np.finfo(tensor.dtype).eps:
        raise NumericalError(f"the matrix for bond {bond} cannot be inverted: give one of small condition number.")
    dtype = np.result_type(host.dtype, tensor.dtype) if host.dtype.kind == "c" else tensor.dtype
    pair = host.astype(dtype), np.linalg.inv(host).astype(dtype)
    forth, back = (from_dense(matrix, (leg.dual, leg), tolerance=1e-12).to(backend) for matrix in pair)
    return forth, back
