"""The strict device refuses what a GPU library refuses, and counts what crosses."""

import h5py
import numpy as np
import opt_einsum
import pytest
import scipy.linalg
from numba import njit
from numba.core.errors import TypingError

from tests.strict_device import STRICT, StrictArray, sync_budget
from tnsim.backend import Backend, get_backend


@pytest.fixture
def matrix() -> StrictArray:
    return STRICT.asarray(np.eye(2))


@pytest.mark.parametrize(
    "leak",
    [
        np.asarray, np.sum, np.linalg.norm, lambda x: np.dot(x, x), lambda x: np.ones((2, 2)) @ x,
        lambda x: x @ np.ones((2, 2)), lambda x: x + np.ones((2, 2)), lambda x: np.ones((2, 2)) + x,
        lambda x: np.float64(2) * x, lambda x: x * np.float64(2), lambda x: np.concatenate([x, x]),
        lambda x: np.add(x, 1), lambda x: np.zeros((2, 2)).__setitem__(slice(None), x),
        lambda x: x.__setitem__(slice(None), np.ones((2, 2))), lambda x: x[np.array([0, 1])], lambda x: x[[0, 1]],
        scipy.linalg.svd, lambda x: opt_einsum.contract("ij,jk->ik", x, x), njit(lambda x: x + 1),
        list, len, bool, lambda x: float(x[0, 0]), lambda x: int(x[0, 0]), lambda x: complex(x[0, 0]),
        lambda x: range(x[0, 0]), lambda x: [1, 2][x[0, 0]], lambda x: 1 in x, lambda x: x[0, 0].item(),
        lambda x: x.tolist(), lambda x: hash(x), lambda x: x[0, 0] and 1, lambda x: x == x and 1, sum, max,
    ],
)  # fmt: skip
def test_every_implicit_way_is_refused(matrix, leak):
    with pytest.raises((TypeError, TypingError)):
        leak(matrix)


def test_h5py_is_refused(matrix, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file, pytest.raises(TypeError):
        file["x"] = matrix


def test_views_share_memory_and_stay_in_their_buffer():
    buffer = STRICT.zeros(12, "d")
    view = STRICT.strided(buffer, 1, (2, 3), (6, 1))
    view += 2
    view[0, 0] = 5.0
    np.testing.assert_array_equal(STRICT.to_host(buffer), [0, 5, 2, 2, 0, 0, 0, 2, 2, 2, 0, 0])
    with pytest.raises(IndexError, match="leaves a buffer"):
        STRICT.strided(buffer, 1, (2, 3), (9, 1))
    with pytest.raises(IndexError):
        STRICT.strided(buffer, -1, (2,), (1,))


def test_fresh_memory_is_no_zero():
    assert np.isnan(STRICT.to_host(STRICT.empty(3, "F"))).all()


def test_transfers_copy(matrix):
    host = np.ones(3)
    device = STRICT.asarray(host)
    host[:] = 0
    STRICT.to_host(device)[:] = 7
    assert STRICT.read(STRICT.sum(device)) == 3


def test_the_budget_counts_reads(matrix):
    with sync_budget(2) as spent:
        STRICT.read(STRICT.norm(matrix))
        STRICT.to_host(matrix)
    assert spent.reads == 2
    with pytest.raises(AssertionError, match="1 reads of the device, 0 allowed"), sync_budget(0):
        STRICT.all_finite(matrix)


def test_scalars_stay_in_their_precision(matrix):
    single = STRICT.astype(matrix, "f")
    assert (single * 2.0).dtype == np.float32
    assert (1 / (STRICT.norm(single) + 1e-30)).dtype == np.float32


def test_it_is_a_backend():
    assert isinstance(STRICT, Backend) and get_backend("strict") is STRICT
