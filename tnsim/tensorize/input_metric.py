"""The metric on the inputs of a matrix: their covariance in full, as a Kronecker product, or its diagonal."""

from typing import Any

import numpy as np

from tnsim.backend import Array, Backend, backend_of
from tnsim.networks.matrix_index import MatrixAxes
from tnsim.networks.mpo import MPO
from tnsim.tensorize.gram import Gram

METRICS = ("full", "kronecker", "diagonal", "none")


def metric_of(gram: Gram, axes: MatrixAxes, kind: str, dtype: Any, *, centered: bool = True) -> Array:
    """A Hermitian matrix without negative eigenvalues on the columns of a matrix.

    "full": E[x x^dagger] about the mean (or not), shrunk where samples are few; "kronecker": the product of one
    factor a site nearest to it; "diagonal": its diagonal; "none": the identity, which gives the Frobenius norm. For a
    real dtype the real part, which is all that real matrices feel.
    """
    full = gram.shrunk_covariance()
    backend = backend_of(full)
    if not centered:
        full = full + gram.second_moment - gram.covariance
    if full.dtype.kind == "c" and np.dtype(dtype).kind == "f":
        full = backend.real(full)
    full = backend.astype(full, dtype)
    if kind == "full":
        return full
    if kind == "none":
        return backend.asarray(np.eye(gram.features, dtype=dtype))
    return _diagonal(full, backend) if kind == "diagonal" else nearest_kronecker(full, axes)


def _diagonal(matrix: Array, backend: Backend) -> Array:
    size = matrix.shape[0]
    result = backend.zeros(size * size, matrix.dtype)
    flat = backend.copy(matrix).reshape(-1)
    backend.strided(result, 0, (size,), (size + 1,))[...] = backend.strided(flat, 0, (size,), (size + 1,))
    return result.reshape((size, size))


def nearest_kronecker(matrix: Array, axes: MatrixAxes) -> Array:
    """A product of one matrix a site close to a positive one, on the columns; of two factors the nearest there is.

    The chain of bond dimension 1 of a positive matrix has positive factors, up to signs. Source: C. F. Van Loan,
    N. Pitsianis, in Linear Algebra for Large Scale and Real-Time Applications, 293 (1993).
    """
    backend, columns = backend_of(matrix), axes.columns
    for axis in (0, 1):
        matrix = columns.spread(matrix, axis, backend)
    chain = MPO.from_matrix(matrix, columns.dims, columns.dims, 1 if len(columns.dims) > 1 else None)
    product = chain.to_matrix()
    for axis in (0, 1):
        product = columns.gather(product, axis, backend)
    return product
