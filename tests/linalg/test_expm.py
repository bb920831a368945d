"""exp(z A) applied to vectors, against SciPy's matrix exponential."""

import numpy as np
import pytest
from scipy.linalg import expm

from tests.strict_device import STRICT, sync_budget
from tnsim.backend import Backend, get_backend
from tnsim.errors import NumericalError, SettingsError
from tnsim.linalg.expm import exponentiate, exponentiate_tensor
from tnsim.tensor import contract, from_dense

NUMPY = get_backend("numpy")


def problem(n: int, dtype: np.dtype, hermitian: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of norm about 1, and a vector of norm 1.7."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if dtype.kind == "c" else 0)
    matrix = matrix + matrix.conj().T if hermitian else matrix
    vector = rng.normal(size=n) + (1j * rng.normal(size=n) if dtype.kind == "c" else 0)
    return (matrix / np.linalg.norm(matrix, 2)).astype(dtype), (1.7 * vector / np.linalg.norm(vector)).astype(dtype)


def distance(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("hermitian", [True, False])
@pytest.mark.parametrize("factor", [-0.3j, 2.0, -4.0 + 3.0j, 1e-8j], ids=str)
def test_against_scipy(backend: Backend, dtype: np.dtype, factor: complex, hermitian: bool):
    matrix, vector = problem(40, dtype, hermitian)
    a = backend.asarray(matrix)
    real = dtype.kind == "f" and complex(factor).imag == 0
    a_there = a if real else backend.astype(a, np.result_type(dtype, np.complex64))
    found = exponentiate(lambda x: a_there @ x, backend.asarray(vector), factor, backend, hermitian=hermitian)
    assert found.vector.dtype == (dtype if real else np.result_type(dtype, np.complex64))
    exact = expm(factor * matrix.astype(complex)) @ vector
    assert distance(backend.to_host(found.vector), exact) < (1e-5 if dtype.char in "fF" else 2e-12)


@pytest.mark.parametrize("hermitian", [True, False])
@pytest.mark.parametrize("factor", [-60j, 25.0, -25.0])
def test_a_long_way_is_cut_into_steps(hermitian, factor):
    matrix, vector = problem(80, np.dtype("D"), hermitian)
    found = exponentiate(lambda x: matrix @ x, vector, factor, NUMPY, hermitian=hermitian, krylov_max=12)
    assert found.steps > 3 and found.matvecs <= 12 * found.steps
    assert distance(found.vector, expm(factor * matrix) @ vector) < 1e-9


@pytest.mark.parametrize("hermitian", [True, False])
def test_the_estimate_follows_the_error(hermitian):
    matrix, vector = problem(60, np.dtype("D"), hermitian)
    for tolerance in (1e-3, 1e-5, 1e-7, 1e-9):
        found = exponentiate(lambda x: matrix @ x, vector, -2j, NUMPY, hermitian=hermitian, tolerance=tolerance)
        true = distance(found.vector, expm(-2j * matrix) @ vector)
        assert found.error <= tolerance
        assert 0.1 * true < found.error < 20 * true + 1e-14


@pytest.mark.parametrize(("count", "tolerance"), [(2, 0.5), (4, 1e-4), (6, 1e-8)])
def test_the_error_falls_as_the_power_that_the_space_allows(count, tolerance):
    matrix, vector = problem(50, np.dtype("D"), True)
    steps, errors = (0.2, 0.1), []
    for z in steps:
        found = exponentiate(lambda x: matrix @ x, vector, -1j * z, NUMPY, tolerance=tolerance)
        assert found.matvecs == count
        errors.append(distance(found.vector, expm(-1j * z * matrix) @ vector))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(count, abs=0.2)


def test_a_closed_space_is_exact():
    matrix = np.diag([1.0, 2.0, 2.0, 2.0, 5.0, 5.0])
    found = exponentiate(lambda x: matrix @ x, np.array([1.0, 1, 1, 1, 0, 0]), 1.0, NUMPY)
    np.testing.assert_allclose(found.vector, np.exp([1, 2, 2, 2, -np.inf, -np.inf]), rtol=1e-14)
    assert found.matvecs <= 3 and found.steps == 1 and found.error == 0
    for matrix in (np.zeros((3, 3)), np.array([[0.5]])):
        start = np.ones(len(matrix))
        assert (
            distance(exponentiate(lambda x, m=matrix: m @ x, start, 2j, NUMPY).vector, expm(2j * matrix) @ start)
            < 1e-14
        )
    assert not exponentiate(lambda x: x, np.zeros(3), 2j, NUMPY).vector.any()


def test_a_tensor_keeps_its_legs():
    matrix, _ = problem(6, np.dtype("d"), True)
    start = from_dense(np.arange(24.0).reshape(6, 4))
    a = from_dense(matrix, (start.legs[0], start.legs[0].dual))
    found, _ = exponentiate_tensor(lambda x: contract("a b, b c -> a c", a, x), start, -1.5)
    assert found.legs == start.legs
    np.testing.assert_allclose(found.to_dense(), expm(-1.5 * matrix) @ start.to_dense(), atol=1e-11)


def test_few_reads_of_the_device():
    matrix, vector = problem(40, np.dtype("D"), True)
    a, start = STRICT.asarray(matrix), STRICT.asarray(vector)
    with sync_budget(8):
        found = exponentiate(lambda x: a @ x, start, -0.5j, STRICT)
    assert found.matvecs > 8


def test_bad_input():
    for factor in (np.nan, np.inf):
        with pytest.raises(SettingsError, match="finite"):
            exponentiate(lambda x: x, np.ones(3), factor, NUMPY)
    with pytest.raises(SettingsError, match="tolerance"):
        exponentiate(lambda x: x, np.ones(3), 1j, NUMPY, tolerance=0.0)
    for matvec, factor in ((lambda x: x * np.nan, 1j), (lambda x: 1e4 * x, 1.0)):
        with pytest.raises(NumericalError, match="overflows"):
            exponentiate(matvec, np.array([1.0, 2.0]), factor, NUMPY)
