"""Bases of Krylov spaces: orthonormal to rounding, whatever the precision, and growing with what comes."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tnsim.errors import NumericalError
from tnsim.linalg.krylov_basis import KrylovBasis, orthogonalize


def grown(backend, dtype, size=40, count=20, nearness=1e-5):
    """A basis from vectors that lie almost in the space of those before them."""
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((count, size)) + (1j * rng.standard_normal((count, size)))
    vectors = (vectors if np.dtype(dtype).kind == "c" else vectors.real).astype(dtype)
    vectors[1:] = vectors[0] + nearness * vectors[1:]
    basis = KrylovBasis(backend.asarray(vectors[0] / np.linalg.norm(vectors[0])), backend)
    for vector in vectors[1:]:
        w, column = orthogonalize(backend.asarray(vector), basis, backend)
        basis.append(w * float(1 / column[-1].real))
    return basis, vectors


@pytest.mark.parametrize("device", ["numpy", "strict", "cupy"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
def test_vectors_that_are_almost_parallel_become_orthonormal(device, dtype):
    backend = backend_or_skip(device)
    basis, _ = grown(backend, dtype, nearness=1e-5 if dtype != np.float32 else 1e-2)
    rows = np.array([backend.to_host(basis[k]) for k in range(len(basis))])
    assert len(basis) == 20 and rows.dtype == dtype
    assert np.abs(rows.conj() @ rows.T - np.eye(20)).max() < 20 * np.finfo(dtype).eps


def test_overlaps_are_those_of_the_vector_and_combine_is_the_way_back():
    basis, vectors = grown(backend_or_skip("numpy"), np.complex128)
    rest, overlaps = basis.without(vectors[-1])
    assert np.linalg.norm(rest) < 1e-13 * np.linalg.norm(vectors[-1])
    assert basis.combine(overlaps) == pytest.approx(vectors[-1], abs=1e-12)


def test_a_real_basis_becomes_complex_with_its_vectors():
    basis = KrylovBasis(np.array([1.0, 0.0]), backend_or_skip("numpy"))
    basis.append(np.array([0.0, 1j]))
    assert basis[-1].tolist() == [0, 1j] and basis[0].dtype == np.complex128


def test_nan_is_an_error():
    backend = backend_or_skip("numpy")
    with pytest.raises(NumericalError, match="NaN or Inf in the Krylov coefficients"):
        orthogonalize(np.array([np.nan, 1.0]), KrylovBasis(np.array([1.0, 0.0]), backend), backend)
