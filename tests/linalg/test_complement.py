"""Orthonormal bases of a few vectors, and eigenvectors of their complement."""

import numpy as np
import pytest

from tests.strict_device import STRICT, sync_budget
from tnsim.backend import get_backend
from tnsim.errors import NumericalError
from tnsim.linalg.complement import orthonormal_rows, project_out
from tnsim.linalg.lanczos import Krylov, lanczos


def matrix(rows: int, columns: int, dtype: np.dtype, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(2, rows, columns))
    return (parts[0] + 1j * parts[1] if np.dtype(dtype).kind == "c" else parts[0]).astype(dtype)


def tolerance(dtype: np.dtype) -> float:
    return 1e3 * float(np.finfo(dtype).eps)


def test_rows_become_orthonormal_and_span_the_same_space(backend, dtype):
    rows = matrix(4, 30, dtype)
    rows[0] *= 1e-2
    rows[3] = rows[1] - 2 * rows[2]  # says nothing new
    basis = backend.to_host(orthonormal_rows(backend.asarray(rows), backend, most=9))
    assert basis.shape == (3, 30)
    assert basis.dtype == dtype
    np.testing.assert_allclose(basis.conj() @ basis.T, np.eye(3), rtol=0, atol=tolerance(dtype))
    rest = rows - (rows @ basis.conj().T) @ basis
    assert np.abs(rest).max() < tolerance(dtype)


def test_the_strongest_rows_stay_where_few_are_wanted():
    rows = np.diag([1.0, 3.0, 2.0])
    assert np.abs(orthonormal_rows(rows, get_backend("numpy"), most=2)).sum(axis=0) == pytest.approx([0, 1, 1])
    assert orthonormal_rows(rows, get_backend("numpy"), most=0) is None


def test_rounding_spans_nothing():
    rows = 1e-14 * matrix(2, 10, np.float64)
    assert orthonormal_rows(rows, get_backend("numpy"), most=5) is None


def test_nan_is_refused():
    with pytest.raises(NumericalError, match="lower states"):
        orthonormal_rows(np.full((2, 3), np.nan), get_backend("numpy"), most=2)


def test_projection_and_basis_read_the_device_twice():
    rows, vector = STRICT.asarray(matrix(5, 20, np.complex128)), STRICT.asarray(matrix(1, 20, np.complex128, 1)[0])
    with sync_budget(2):
        basis = orthonormal_rows(rows, STRICT, most=9)
        left = project_out(vector, basis, STRICT)
    assert np.abs(STRICT.to_host(rows).conj() @ STRICT.to_host(left)).max() < 1e-13


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_lowest_pair_of_a_complement(backend, dtype):
    operator = matrix(12, 12, dtype)
    operator = operator + operator.conj().T
    values, vectors = np.linalg.eigh(operator)
    constraints = backend.asarray(np.ascontiguousarray(vectors[:, :3].T))
    start = project_out(backend.asarray(matrix(1, 12, dtype, 1)[0]), constraints, backend)
    device = backend.asarray(operator)
    pair = lanczos(lambda x: device @ x, start, backend, Krylov(k_max=12, tolerance=1e-12), constraints=constraints)
    assert pair.energy == pytest.approx(values[3], abs=1e-10)
