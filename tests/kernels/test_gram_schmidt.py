"""Orthonormal rows in matrix products: the same row space and the same order, however close to dependent rows are."""

import numpy as np
import pytest

from tnsim.kernels.cpu import gram_schmidt
from tnsim.kernels.cpu.compiled import kernel

SHAPES = [(1, 1), (1, 7), (2, 2), (24, 24), (25, 40), (60, 60), (100, 150)]


@kernel  # from the cache, where it was compiled before
def orthonormal_rows(a):
    return gram_schmidt.orthonormal_rows(a)


def noise(rows: int, cols: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng((rows, cols))
    return (rng.normal(size=(rows, cols)) + (1j * rng.normal(size=(rows, cols)) if dtype == "D" else 0)).astype(dtype)


def matrix(kind: str, rows: int, cols: int, dtype: str) -> np.ndarray:
    a, number = noise(rows, cols, dtype), np.arange(rows)
    if kind == "graded":
        a *= 10.0 ** (-12 * number / max(rows - 1, 1))[:, None]
    if kind == "graded in all rows":  # singular values over 12 decades, no row smaller than others
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        a = u * 10.0 ** (-12 * number / max(rows - 1, 1)) @ vh
    if kind.startswith("close"):  # neighbours at an angle
        a[1:] = a[:1] + float(kind.split()[-1]) * a[1:]
    if kind == "dependent":
        a[rows // 2 :] = a[: rows - rows // 2]
    if kind == "dependent far apart":
        a[-1] = 3 * a[0]
    if kind == "zero rows":
        a[::3] = 0
    if kind == "zero":
        a[:] = 0
    if kind == "tiny":
        a *= 1e-180
    return a


KINDS = ["plain", "graded", "graded in all rows", "close 0.1", "close 0.02", "close 1e-3", "close 1e-7"]
KINDS += ["dependent", "dependent far apart", "zero rows", "zero", "tiny"]


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_orthonormal_and_span_those_before(kind, shape, dtype):
    a = matrix(kind, *shape, dtype)
    q = a.copy()
    assert orthonormal_rows(q) == 0
    np.testing.assert_allclose(q @ q.conj().T, np.eye(shape[0]), rtol=0, atol=1e-13)
    scale = np.abs(a).max(axis=1, keepdims=True)
    a = a / np.where(scale > 0, scale, 1)
    lower = a @ q.conj().T
    np.testing.assert_allclose(lower @ q, a, rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.triu(lower, 1), 0, atol=1e-13)  # row k lies in what rows up to k span


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("row", [0, 30])
def test_what_is_not_finite_is_told(bad, row, dtype):
    a = noise(40, 60, dtype)
    a[row, 3] = bad
    assert orthonormal_rows(a) == 1
