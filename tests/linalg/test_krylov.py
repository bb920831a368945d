"""Eigenvalues of largest magnitude, linear systems and polar decompositions, against LAPACK."""

import numpy as np
import pytest

from tests.suites.structures import Structure, dense
from tnsim.backend import Backend, get_backend
from tnsim.errors import NumericalError
from tnsim.linalg.arnoldi import dominant
from tnsim.linalg.gmres import gmres
from tnsim.linalg.polar import polar, polar_right
from tnsim.tensor import random_tensor


def matrix(n: int, kind: str, decay: float = 0.97) -> np.ndarray:
    """A matrix that is not normal, with eigenvalues of magnitude decay**k (in conjugate pairs where real)."""
    rng = np.random.default_rng(n)
    values = decay ** np.arange(n)
    if kind == "complex":
        triangle = np.diag(values * np.exp(2j * np.pi * rng.random(n)))
        basis = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    else:
        triangle = np.diag(values)
        for k in range(1, n - 1, 5):
            angle, size = rng.uniform(0, np.pi), values[k]
            triangle[k : k + 2, k : k + 2] = size * np.array(
                [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            )
        basis = rng.normal(size=(n, n))
    basis = np.linalg.qr(basis)[0] + 0.02 * basis
    return basis @ triangle @ np.linalg.inv(basis)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("n", [6, 200])
def test_dominant_eigenvalues(backend: Backend, kind: str, n: int):
    a = matrix(n, kind)
    on_device = backend.asarray(a)
    start = backend.asarray(np.random.default_rng(0).normal(size=n).astype(a.dtype))
    pairs = dominant(lambda x: on_device @ x, start, backend, count=5, tolerance=1e-11)
    exact = np.linalg.eigvals(a)
    exact = exact[np.argsort(-np.abs(exact))][:5]
    assert pairs.converged
    # members of a conjugate pair come in either order
    np.testing.assert_allclose(np.abs(pairs.values), np.abs(exact), rtol=1e-9)
    for value, vector in zip(pairs.values, pairs.vectors, strict=True):
        assert np.abs(exact - value).min() < 1e-8 or abs(abs(value) - abs(exact[-1])) < 1e-9
        v = backend.to_host(vector)
        assert np.linalg.norm(v) == pytest.approx(1.0)
        np.testing.assert_allclose(a @ v, value * v, atol=1e-9)


def test_a_real_dominant_vector_stays_real(backend: Backend):
    a = np.abs(matrix(80, "real")) + 0.1
    on_device = backend.asarray(a)
    pairs = dominant(lambda x: on_device @ x, backend.asarray(np.ones(80)), backend)
    assert pairs.vectors[0].dtype == np.float64
    assert pairs.values[0] == pytest.approx(np.abs(np.linalg.eigvals(a)).max())


def test_an_exhausted_space_is_exact():
    projector = np.zeros((100, 100))
    projector[0, 0] = 2.0
    pairs = dominant(lambda x: projector @ x, np.ones(100), _numpy())
    assert pairs.converged and pairs.values[0] == pytest.approx(2.0)


def test_no_convergence_is_a_result():
    a = matrix(300, "real", decay=0.9999)
    pairs = dominant(lambda x: a @ x, np.ones(300), _numpy(), count=4, tolerance=1e-14, krylov_max=12, restarts=1)
    assert not pairs.converged and pairs.residuals.max() > 1e-14


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("n", [3, 120])
def test_linear_systems(backend: Backend, kind: str, n: int):
    a = np.eye(n) - 0.9 * matrix(n, kind)
    b = np.random.default_rng(1).normal(size=n).astype(a.dtype)
    on_device, right = backend.asarray(a), backend.asarray(b)
    for start in (0.0 * right, right, None):
        found = gmres(lambda x: on_device @ x, right, start, backend, tolerance=1e-11)
        assert found.converged and found.residual <= 1e-11
        np.testing.assert_allclose(backend.to_host(found.vector), np.linalg.solve(a, b), atol=1e-9)


def test_a_solved_system_costs_nothing():
    found = gmres(lambda x: 2 * x, np.ones(4), np.full(4, 0.5), _numpy())
    assert found.converged and found.matvecs == 0


@pytest.mark.parametrize("solve", [lambda f: gmres(f, np.ones(60), np.ones(60), _numpy()),
                                   lambda f: dominant(f, np.ones(60), _numpy())])  # fmt: skip
def test_nan_is_named(solve):
    with pytest.raises(NumericalError, match="NaN or Inf"):
        solve(lambda x: x * np.nan)


def test_polar_factors(structure: Structure, dtype: np.dtype):
    left, phys, right, _ = structure.legs
    a = random_tensor((left, phys, left.dual), dtype=dtype, seed=3)
    for rows, (isometry, positive) in (((0, 1), polar(a, (0, 1))), ((0,), polar_right(a)[::-1])):
        close = 1e-4 if dtype.char in "fF" else 1e-11
        w, p = dense(isometry), dense(positive)
        whole = w @ p if rows == (0, 1) else np.tensordot(p, w, 1)
        np.testing.assert_allclose(whole, dense(a), atol=close)
        np.testing.assert_allclose(p, p.conj().T, atol=close)
        assert np.linalg.eigvalsh(p).min() > -close


def _numpy() -> Backend:
    return get_backend("numpy")


def test_a_start_of_length_zero_has_the_value_zero():
    found = dominant(lambda x: 2.0 * x, np.zeros(300), _numpy())
    assert found.values.tolist() == [0.0] and found.converged
