"""QR by reflectors: orthonormal rows, the same row space, whatever the scale."""

import numpy as np
import pytest

from tnsim.kernels.cpu import householder
from tnsim.kernels.cpu.compiled import kernel


@kernel  # from the cache, where it was compiled before
def lq_with(a, lower):
    return householder.lq_with(a, lower)


def lq(a: np.ndarray) -> int:
    return lq_with(a, a[:0])


def matrix(kind: str, rows: int, cols: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng((rows, cols))
    a = rng.normal(size=(rows, cols)) + (1j * rng.normal(size=(rows, cols)) if dtype in "FD" else 0)
    if kind == "graded":
        a *= np.exp(-0.4 * np.arange(rows))[:, None]
    if kind == "of half rank":
        a[rows // 2 :] = a[: rows - rows // 2]
    if kind == "zero":
        a[:] = 0
    if kind == "tiny":
        a *= 1e-25 if dtype in "fF" else 1e-200
    if kind == "huge":
        a *= 1e25 if dtype in "fF" else 1e200
    return a.astype(dtype)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("kind", ["plain", "graded", "of half rank", "zero", "tiny", "huge"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 5), (8, 9), (17, 17), (50, 96), (85, 120)])
def test_rows_become_orthonormal_and_lower_triangular_times_them(kind, shape, dtype):
    a = matrix(kind, *shape, dtype)
    q, accuracy = a.copy(), 60 * np.finfo(dtype).eps
    assert lq(q) == 0
    np.testing.assert_allclose(q @ q.conj().T, np.eye(shape[0]), atol=accuracy)
    again, told = a.copy(), np.empty((shape[0], shape[0]), dtype=dtype)
    assert lq_with(again, told) == 0 and not np.triu(told, 1).any()
    largest = np.abs(a).max()
    np.testing.assert_allclose(told @ again, a, atol=accuracy * shape[1] ** 0.5 * max(largest, np.finfo(dtype).tiny))
    scale = np.abs(a).max(axis=1, keepdims=True)
    a = a / np.where(scale > 0, scale, 1)
    lower = a @ q.conj().T
    np.testing.assert_allclose(lower @ q, a, atol=accuracy * shape[1] ** 0.5)
    np.testing.assert_allclose(np.triu(lower, 1), 0, atol=accuracy * shape[1] ** 0.5)


def test_sizes_whose_products_run_in_tiles():
    a = matrix("graded", 280, 460, "d")  # 8 reflectors of such rows are above a million multiplications
    q = a.copy()
    assert lq(q) == 0
    np.testing.assert_allclose(q @ q.T, np.eye(280), atol=1e-13)


def test_nan_is_told():
    a = np.ones((3, 4))
    a[1, 2] = np.nan
    assert lq(a) == 1
