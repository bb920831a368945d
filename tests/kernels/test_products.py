"""Plans of block products: every kernel set against a plain evaluation, on plans of every kind of row."""

import numpy as np
import pytest

from tests.suites.plans import Plan, random_plan, run_plainly
from tests.suites.structures import tolerance
from tnsim.backend import Backend, get_backend
from tnsim.kernels import table as t


def run_on(backend: Backend, plan: Plan, threads: int = 1) -> list[np.ndarray]:
    buffers = tuple(map(backend.asarray, map(np.copy, plan.buffers)))
    backend.kernels.run_products(plan.rows, plan.alphas, plan.starts, plan.weights, buffers, threads)
    return list(map(backend.to_host, buffers))


def assert_close(found: list[np.ndarray], expected: list[np.ndarray], dtype: np.dtype) -> None:
    for a, b in zip(found, expected, strict=True):
        scale = max(1.0, float(np.abs(b).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance(dtype) * scale)


@pytest.mark.parametrize("seed", range(12))
def test_random_plans(backend, dtype, seed):
    plan = random_plan(seed, dtype)
    assert_close(run_on(backend, plan), run_plainly(plan), dtype)


@pytest.mark.parametrize("seed", range(4))
def test_two_threads_do_the_same(dtype, seed):
    plan = random_plan(seed, dtype, tasks=7)
    one, two = (run_on(get_backend("numpy"), plan, threads) for threads in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_clear_forgets_nan(backend, dtype):
    row = np.zeros((1, t.COLUMNS), dtype=np.int64)
    row[0, [t.KIND, t.M, t.N, t.C_OFFSET, t.C_STRIDE]] = t.CLEAR, 2, 2, 1, 3
    buffer = backend.asarray(np.full(7, np.nan, dtype=dtype))
    backend.kernels.run_products(row, np.zeros(1, dtype), np.array([0, 1]), np.ones(1), (buffer,))
    host = backend.to_host(buffer)
    np.testing.assert_array_equal(np.flatnonzero(host == 0), [1, 2, 4, 5])
    assert np.isnan(host).sum() == 3


def test_an_empty_plan_does_nothing(backend):
    rows = np.zeros((0, t.COLUMNS), dtype=np.int64)
    buffer = backend.asarray(np.ones(3))
    backend.kernels.run_products(rows, np.zeros(0), np.array([0]), np.zeros(0), (buffer,))
    np.testing.assert_array_equal(backend.to_host(buffer), np.ones(3))
