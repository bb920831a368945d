"""Chains on batches of vectors: every plan gives the product with the matrix, and none but two writes it."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import BackendError, LegError, SettingsError, ShapeError
from tnsim.models import Heisenberg
from tnsim.networks.apply_plan import ApplyPlan, kept_numbers, plans, quick_plan
from tnsim.networks.batch_apply import apply_to_rows, merge_sites, prepare, site_shapes
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.symmetry import trivial_leg
from tnsim.tensor import random_tensor


def numbers(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else 0)
    ).astype(dtype)


def every_plan(mpo, rows):
    return list(plans(site_shapes(mpo), rows, mpo.dtype.itemsize, 10**9))


@pytest.mark.parametrize(
    ("outs", "ins", "order"),
    [
        ((4, 6), (5, 3), "interleaved"),
        ((2, 3, 4), (3, 2, 2), "interleaved"),
        ((4, 6), (3, 5), "split"),
        ((2, 6, 2), (1, 15), "o1 i1 | o0 | o2 i0"),
        ((24,), (15,), "interleaved"),
    ],
)
def test_every_plan_is_the_product_with_the_matrix(outs, ins, order):
    W = numbers(24, int(np.prod(ins)))
    mpo = MPO.from_matrix(W, outs, ins, index=IndexOrder(order=order, rows=tuple(range(23, -1, -1))))
    x = numbers(7, W.shape[1], seed=1)
    choices = every_plan(mpo, 7)
    assert {plan.first for plan in choices} == ({"last", "first"} if mpo.L > 1 else {"last"})
    for plan in [*choices, *(replace(plan, block=block) for plan in choices for block in (1, 3))]:
        np.testing.assert_allclose(prepare(mpo, plan)(x), x @ W.T, atol=1e-12, err_msg=str(plan))


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_on_every_device_with_padding_and_leading_axes(device, dtype):
    backend = backend_or_skip(device)
    W, x = numbers(7, 11, dtype=dtype), numbers(3, 2, 11, dtype=dtype, seed=1)
    index = IndexOrder(pad=True, columns=(10, *range(10)))
    mpo = MPO.from_matrix(W, (2, 2, 2), (3, 2, 2), index=index).to(backend)
    for plan in (None, ApplyPlan(groups=(1, 2), block=4), ApplyPlan(groups=(3,), again=True)):
        found = apply_to_rows(mpo, backend.asarray(x), plan)
        assert found.dtype == dtype and found.shape == (3, 2, 7)
        np.testing.assert_allclose(backend.to_host(found), x @ W.T, atol=1e-4 if dtype.char in "fF" else 1e-12)


def test_one_vector_and_no_vector():
    W = numbers(6, 8)
    mpo = MPO.from_matrix(W, (2, 3), (2, 4))
    np.testing.assert_allclose(apply_to_rows(mpo, np.arange(8.0)), W @ np.arange(8.0), atol=1e-12)
    assert apply_to_rows(mpo, np.zeros((0, 8))).shape == (0, 6)
    assert apply_to_rows(mpo, np.zeros((0, 8)), ApplyPlan(groups=(1, 1), block=2)).shape == (0, 6)


def large_chain(rank):
    legs = [
        (trivial_leg(a), trivial_leg(64), trivial_leg(64, -1), trivial_leg(b, -1)) for a, b in ((1, rank), (rank, 1))
    ]
    return MPO([random_tensor(pair, dtype=np.float32, seed=seed) for seed, pair in enumerate(legs)])


@pytest.mark.parametrize("rows", [1, 16])
def test_the_product_never_builds_the_matrix(rows):
    mpo, x = large_chain(8), numbers(rows, 4096, dtype=np.float32)
    apply_to_rows(mpo, x)
    tracemalloc.start()
    apply_to_rows(mpo, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.05 * 4096 * 4096 * 4


def test_the_quick_plan_holds_little_and_blocks_large_batches():
    shapes = site_shapes(large_chain(8))
    plan = quick_plan(shapes, 256, 4)
    assert plan.groups == (1, 1) and 0 < plan.block < 256
    four = tuple((a, 8, 8, b) for a, b in ((1, 32), (32, 32), (32, 32), (32, 1)))
    assert quick_plan(four, 1, 4).groups == (2, 2)
    assert kept_numbers(four, ApplyPlan(groups=(2, 2))) == 2 * 64 * 64 * 32
    assert kept_numbers(four, ApplyPlan(groups=(4,), again=True)) == 0


def test_merged_sites_are_the_same_matrix():
    W = numbers(24, 16)
    mpo = MPO.from_matrix(W, (2, 3, 4), (4, 2, 2), index=IndexOrder(rows=tuple(range(23, -1, -1))))
    two = merge_sites(mpo, (2, 1))
    assert [tensor.shape[1:3] for tensor in two.tensors] == [(6, 8), (4, 2)]
    np.testing.assert_allclose(two.to_matrix(), W, atol=1e-12)
    assert merge_sites(mpo, (1, 1, 1)) is mpo
    np.testing.assert_allclose(merge_sites(Heisenberg(L=4).mpo(), (4,)).tensors[0].norm(), np.sqrt(3 * 3 / 16 * 16))


def test_bad_rows_and_plans_are_refused():
    mpo = MPO.from_matrix(numbers(6, 8), (2, 3), (2, 4))
    with pytest.raises(ShapeError, match=r"rows of 8 numbers, found shape \(3, 7\)"):
        apply_to_rows(mpo, np.ones((3, 7)))
    with pytest.raises(ShapeError, match="1 . 2 sites do not make 2"):
        prepare(mpo, ApplyPlan(groups=(1, 2)))
    with pytest.raises(BackendError, match="lies on strict"):
        apply_to_rows(mpo.to("strict"), np.ones((3, 8)), ApplyPlan(groups=(1, 1)))
    with pytest.raises(LegError, match="symmetric blocks"):
        prepare(Heisenberg(L=4).mpo(), ApplyPlan(groups=(1, 1, 1, 1)))
    for settings in [
        {"groups": ()},
        {"groups": (0, 2)},
        {"groups": (1, 1), "first": "x"},
        {"groups": (2,), "block": -1},
    ]:
        with pytest.raises(SettingsError):
            ApplyPlan(**settings)
