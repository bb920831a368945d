"""The orthogonal complement of a few vectors: an orthonormal basis of their span, and the projection off it."""

from collections.abc import Sequence

import numpy as np

from tnsim.backend import Array, Backend, normal
from tnsim.errors import NumericalError


def as_rows(vectors: Sequence[Array], backend: Backend) -> Array:
    """Flat vectors of one size as the rows of a matrix."""
    return backend.concatenate(list(vectors)).reshape(len(vectors), -1)


def orthonormal_rows(rows: Array, backend: Backend, *, most: int) -> Array | None:
    """Orthonormal rows that span those of a matrix (count, size); at most `most`, the strongest; None where none are.

    Rows may depend on each other: directions weaker than sqrt(eps) of the strongest (where the Gram matrix holds
    rounding only), or than 1000 eps, are dropped. Two passes, each with one read of count^2 numbers; error eps.
    Raises NumericalError on NaN or Inf.

    >>> from tnsim.backend import get_backend
    >>> orthonormal_rows(np.array([[3.0, 0.0, 0.0], [6.0, 0.0, 0.0]]), get_backend("numpy"), most=2).round(9) + 0.0
    array([[1., 0., 0.]])
    """
    eps = float(np.finfo(rows.dtype).eps)
    for _ in range(2):
        gram = backend.to_host(backend.conj(rows) @ rows.T)
        if not np.isfinite(gram).all():
            raise NumericalError("NaN or Inf in the overlaps with the lower states: check the states.")
        weights, vectors = np.linalg.eigh(gram.astype(np.complex128 if gram.dtype.kind == "c" else np.float64))
        strong = weights > max(eps * weights.max(initial=0.0), (1e3 * eps) ** 2)
        kept = np.flatnonzero(strong)[max(0, int(strong.sum()) - most) :]
        if len(kept) == 0:
            return None
        mixing = (vectors[:, kept] / np.sqrt(weights[kept])).T.astype(rows.dtype)
        rows = backend.asarray(np.ascontiguousarray(mixing)) @ rows
    return rows


def project_out(vector: Array, rows: Array | None, backend: Backend) -> Array:
    """A flat vector without its parts along orthonormal rows (count, size), or as it is without any."""
    return vector if rows is None else vector - (backend.conj(rows) @ vector) @ rows


def start_in_complement(vector: Array, rows: Array | None, backend: Backend, seed: int) -> Array:
    """A flat vector without its parts along orthonormal rows; a random one where (nearly) nothing of it is left."""
    if rows is None:
        return vector
    left = project_out(vector, rows, backend)
    if not backend.read(backend.norm(left)) > float(np.finfo(vector.dtype).eps) ** 0.5:
        left = project_out(normal(vector.shape[0], vector.dtype, seed, backend), rows, backend)
    return project_out(left, rows, backend)
