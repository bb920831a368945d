"""Matrices as chains of cores: index orders, ranks, budgets, padding, and what is refused."""

from math import prod

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.matrix_index import IndexOrder, balanced_factors
from tnsim.networks.matrix_train import cut_values
from tnsim.networks.mpo import MPO
from tnsim.networks.rank_rule import RankRule, count_params, max_ranks, ranks_within

SHAPES = [
    ((2, 3), (3, 2)), ((4, 4), (4, 4)), ((8,), (5,)), ((2, 2, 2), (3, 1, 2)), ((1, 7), (5, 1)), ((4, 16), (4, 16)),
    ((2, 3, 2, 2), (2, 2, 3, 1)), ((11, 1), (1, 13)), ((3, 5), (1, 1)), ((1, 1), (4, 3)),
]  # fmt: skip
ORDERS = ["interleaved", "split"]
on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)


def random_matrix(rows, columns, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((rows, columns))
    if np.dtype(dtype).kind == "c":
        matrix = matrix + 1j * rng.standard_normal((rows, columns))
    return matrix.astype(dtype)


def relative_error(mpo, matrix):
    found = mpo.backend.to_host(mpo.to_matrix())
    return np.linalg.norm(found - matrix) / np.linalg.norm(matrix)


def numbers(mpo):
    return sum(tensor.size for tensor in mpo.tensors)


# -- A4, E6: the round trip ----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("outs", "ins"), SHAPES)
def test_the_full_rank_chain_is_the_matrix(outs, ins, order):
    for seed, dtype, bound in [(0, np.float64, 1e-13), (1, np.float32, 2e-6), (2, np.complex128, 1e-13)]:
        W = random_matrix(prod(outs), prod(ins), seed, dtype)
        mpo = MPO.from_matrix(W, outs, ins, index=IndexOrder(order=order))
        assert mpo.dtype == dtype and mpo.to_matrix().dtype == dtype
        assert relative_error(mpo, W) < bound


def test_fifty_random_shapes_come_back_with_primes_padding_and_permutations():
    rng = np.random.default_rng(0)
    for seed in range(50):
        sites = int(rng.integers(1, 5))
        outs, ins = (tuple(int(d) for d in rng.choice([1, 2, 3, 4, 5, 7], sites)) for _ in range(2))
        rows, columns = (max(1, prod(factors) - int(rng.integers(0, 3))) for factors in (outs, ins))
        W = random_matrix(rows, columns, seed)
        index = IndexOrder(
            order=ORDERS[seed % 2], rows=rng.permutation(rows), columns=rng.permutation(columns), pad=True
        )
        assert relative_error(MPO.from_matrix(W, outs, ins, index=index), W) < 1e-12


@on_every_device
def test_devices_give_the_chain_of_the_host_number_by_number(device, dtype):
    backend = backend_or_skip(device)
    W = random_matrix(6, 7, dtype=dtype)
    index = IndexOrder(order="o1 | o0 i0 | i1", rows=(3, 0, 1, 2, 5, 4), pad=True)
    there = MPO.from_matrix(backend.asarray(W), (2, 3), (2, 4), (3, 4), index=index)
    here = MPO.from_matrix(W, (2, 3), (2, 4), (3, 4), index=index)
    assert there.backend is backend and there.dtype == dtype
    for a, b in zip(there.tensors, here.tensors, strict=True):
        np.testing.assert_allclose(backend.to_host(a.array), b.array, atol=2e-4 if dtype.char in "fF" else 1e-12)
    assert relative_error(there, W) < (1e-5 if dtype.char in "fF" else 1e-13)


def test_interleaved_means_out_and_in_factor_on_one_site():
    a, b = random_matrix(2, 3), random_matrix(4, 5, seed=1)
    mpo = MPO.from_matrix(np.kron(a, b), (2, 4), (3, 5))
    assert mpo.bond_dimensions == (1, 1, 1)
    assert [tensor.shape for tensor in mpo.tensors] == [(1, 2, 3, 1), (1, 4, 5, 1)]
    np.testing.assert_allclose(mpo.to_dense(), np.kron(a, b), atol=1e-12)


def test_signs_are_fixed_whatever_the_sign_of_the_matrix():
    W = random_matrix(12, 12, dtype=np.complex128)
    first, second = MPO.from_matrix(W, (3, 4), (4, 3), 5), MPO.from_matrix(-W, (3, 4), (4, 3), 5)
    np.testing.assert_allclose(first.tensors[0].array, second.tensors[0].array, atol=1e-12)
    np.testing.assert_allclose(first.tensors[1].array, -second.tensors[1].array, atol=1e-12)


# -- A1, A2, A3, B5: ranks and counts ------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("outs", "ins"), SHAPES)
def test_max_ranks_are_the_ranks_of_the_unfoldings_of_a_random_matrix(outs, ins, order):
    W = random_matrix(prod(outs), prod(ins))
    mpo = MPO.from_matrix(W, outs, ins, index=IndexOrder(order=order))
    dims = [o * i for o, i in zip(mpo.axes.rows.dims, mpo.axes.columns.dims, strict=True)]
    whole = MPO.from_matrix(W, outs, ins, index=IndexOrder(order=order)).tensors
    joined = whole[0].array
    for core in whole[1:]:
        joined = np.tensordot(joined, core.array, 1)
    for cut, most in enumerate(max_ranks(dims)):
        assert np.linalg.matrix_rank(joined.reshape(prod(dims[: cut + 1]), -1)) == most == mpo.bond_dimensions[cut + 1]
    assert numbers(mpo) == count_params(dims, max_ranks(dims))


def test_a_rank_above_the_maximum_names_the_maximum_and_the_cut():
    W = random_matrix(64, 64)
    assert numbers(MPO.from_matrix(W, (8, 8), (8, 8), 64)) == 2 * 64 * 64
    with pytest.raises(ShapeError, match=r"rank 65 is above the maximum.*64 \(cut 0\)"):
        MPO.from_matrix(W, (8, 8), (8, 8), 65)
    with pytest.raises(ShapeError, match="rank 5 at cut 2 is above the maximum, 4"):
        MPO.from_matrix(W, (4, 4, 2, 2), (4, 4, 2, 2), (4, 4, 5))
    with pytest.raises(ShapeError, match="rank 16 at cut 1 is above the maximum, 8, that ranks 2"):
        MPO.from_matrix(W, (4, 2, 8), (4, 2, 8), (2, 16))


@pytest.mark.parametrize(
    ("outs", "ins", "rule", "index"),
    [
        ((8, 7), (8, 8), None, {}),
        ((8, 8), (8,), None, {}),
        ((8, 0), (8, 8), None, {}),
        ((8, 8.0), (8, 8), None, {}),
        ((), (8, 8), None, {}),
        ((64,), (64,), (3,), {}),
        ((8, 8), (8, 8), 0, {}),
        ((8, 8), (8, 8), (2, 2), {}),
        ((8, 8), (8, 8), (0,), {}),
        ((8, 8), (8, 8), None, {"order": "o0 i0 | o1"}),
        ((8, 8), (8, 8), None, {"order": "o0 i0 | | o1 i1"}),
        ((8, 8), (8, 8), None, {"rows": (0, 0, *range(2, 64))}),
        ((8, 8), (8, 8), None, {"columns": (1, 0)}),
    ],
)  # fmt: skip
def test_malformed_configurations_are_refused_before_anything_is_computed(monkeypatch, outs, ins, rule, index):
    monkeypatch.setattr("tnsim.networks.mpo.train_of_matrix", lambda *_: pytest.fail("the matrix was cut"))
    with pytest.raises(ValueError):
        MPO.from_matrix(np.zeros((64, 64)), outs, ins, rule, index=IndexOrder(**index))


def test_rules_that_contradict_are_refused():
    for settings in [
        {"ranks": 3, "tol": 0.1}, {"tol": 1.5}, {"params": -4}, {"method": "qr"}, {"method": "rsvd"}, {"ranks": ()},
        {"params": 100, "bytes": 100}, {"ranks": 2.5},
    ]:  # fmt: skip
        with pytest.raises(SettingsError):
            RankRule(**settings)
    with pytest.raises(SettingsError, match="found 0.5"):
        RankRule.of(0.5)


# -- A5 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_names_the_layer(bad):
    W = random_matrix(8, 8)
    W[3, 4] = bad
    with pytest.raises(NumericalError, match="'blocks.0.fc' holds NaN or Inf"):
        MPO.from_matrix(W, (2, 4), (4, 2), name="blocks.0.fc")


def test_other_arrays_than_matrices_are_refused():
    with pytest.raises(ShapeError, match="two axes"):
        MPO.from_matrix(np.zeros(4), (2, 2), (1, 1))
    assert MPO.from_matrix(np.eye(4, dtype=int), (2, 2), (2, 2)).dtype == np.float64
    assert MPO.from_matrix(np.eye(4, dtype=np.float16), (2, 2), (2, 2)).dtype == np.float32


# -- A10, tolerance and budgets ------------------------------------------------------------------------


def test_a_random_matrix_is_not_compressible():
    W = random_matrix(64, 64)
    full, half = (MPO.from_matrix(W, (8, 8), (8, 8), rank) for rank in (64, 32))
    assert numbers(full) / W.size == 2.0 and relative_error(full, W) < 1e-13
    assert 0.3 < relative_error(half, W) < 0.35


@pytest.mark.parametrize("tol", [0.5, 0.1, 0.01])
def test_a_tolerance_bounds_the_error_and_is_not_wasted(tol):
    factors = [[random_matrix(d, d, seed=10 * d + k) for d in (2, 3, 4)] for k in range(20)]
    W = sum(0.6**k * np.kron(np.kron(a, b), c) for k, (a, b, c) in enumerate(factors))
    mpo = MPO.from_matrix(W, (2, 3, 4), (2, 3, 4), RankRule(tol=tol))
    assert tol / 5 < relative_error(mpo, W) <= tol


def test_of_one_cut_a_budget_gives_the_largest_rank_that_fits():
    W = random_matrix(64, 64)
    assert MPO.from_matrix(W, (8, 8), (8, 8), RankRule(params=1000)).bond_dimensions[1] == 1000 // 128
    single = MPO.from_matrix(W.astype(np.float32), (8, 8), (8, 8), RankRule(bytes=4000))
    assert single.bond_dimensions[1] == 7 and numbers(single) * 4 <= 4000


def test_a_budget_is_kept_and_beats_equal_ranks_where_cuts_differ():
    rng = np.random.default_rng(3)
    W = np.kron(random_matrix(4, 4), random_matrix(16, 16, seed=1)) + 0.02 * rng.standard_normal((64, 64))
    uniform = MPO.from_matrix(W, (4, 4, 4), (4, 4, 4), 4)
    chosen = MPO.from_matrix(W, (4, 4, 4), (4, 4, 4), RankRule(params=numbers(uniform)))
    assert numbers(chosen) <= numbers(uniform)
    assert relative_error(chosen, W) < 0.8 * relative_error(uniform, W)


def test_a_budget_below_the_smallest_possible_says_what_that_is():
    with pytest.raises(ShapeError, match="budget of 100 numbers is below the smallest possible, 128"):
        MPO.from_matrix(random_matrix(64, 64), (8, 8), (8, 8), RankRule(params=100))
    with pytest.raises(ShapeError, match="budget of 0 numbers is below the smallest possible, 128"):
        MPO.from_matrix(random_matrix(64, 64), (8, 8), (8, 8), RankRule(bytes=7))


def test_budgets_of_three_cuts_are_near_the_best_of_all_choices():
    rng = np.random.default_rng(0)
    dims = (4, 6, 6, 4)
    tensor = np.einsum("abcd,a,b,c,d->abcd", rng.standard_normal(dims), *(0.5 ** np.arange(d) for d in dims))
    values = cut_values(tensor.reshape(-1), dims)
    tails = [np.append(np.cumsum((s**2)[::-1])[::-1], 0.0) for s in values]
    every = [r for r in np.ndindex(*(len(s) + 1 for s in values)) if min(r) > 0 and r[1] <= 6 * min(r[0], r[2])]
    for budget in (60, 100, 200):
        found = ranks_within(budget, dims, values)
        lost = sum(tail[r] for tail, r in zip(tails, found, strict=True))
        best = min(
            sum(tail[k] for tail, k in zip(tails, r, strict=True)) for r in every if count_params(dims, r) <= budget
        )
        assert count_params(dims, found) <= budget and lost <= 1.3 * best


def test_the_randomised_decomposition_is_nearly_as_good():
    W = random_matrix(64, 64) @ np.diag(0.8 ** np.arange(64.0)) @ random_matrix(64, 64, seed=1)
    best = MPO.from_matrix(W, (8, 8), (8, 8), 10)
    random = MPO.from_matrix(W, (8, 8), (8, 8), RankRule(ranks=10, method="rsvd"))
    again = MPO.from_matrix(W, (8, 8), (8, 8), RankRule(ranks=10, method="rsvd"))
    assert relative_error(random, W) < 1.01 * relative_error(best, W)
    assert all((a.data == b.data).all() for a, b in zip(random.tensors, again.tensors, strict=True))


# -- permutations, custom orders, padding --------------------------------------------------------------


def test_permutations_find_structure_and_are_undone():
    rng = np.random.default_rng(5)
    rows, columns = rng.permutation(12), rng.permutation(15)
    hidden = np.kron(random_matrix(3, 5), random_matrix(4, 3, seed=1))
    W = np.empty_like(hidden)
    W[np.ix_(rows, columns)] = hidden
    plain = MPO.from_matrix(W, (3, 4), (5, 3))
    ordered = MPO.from_matrix(W, (3, 4), (5, 3), index=IndexOrder(rows=rows, columns=columns))
    assert plain.bond_dimensions[1] > 1 and ordered.bond_dimensions[1] == 1
    np.testing.assert_allclose(ordered.to_matrix(), W, atol=1e-12)


def test_a_custom_order_puts_factors_where_it_says():
    W = random_matrix(6, 8)
    mpo = MPO.from_matrix(W, (2, 3), (2, 4), index=IndexOrder(order="i1 o1 | o0 | i0"))
    assert [tensor.shape[1:3] for tensor in mpo.tensors] == [(3, 4), (2, 1), (1, 2)]
    np.testing.assert_allclose(mpo.to_matrix(), W, atol=1e-13)
    tail = mpo.tensors[1].array[:, 1, 0] @ mpo.tensors[2].array[:, 0, 1]
    element = (mpo.tensors[0].array[0] @ tail)[..., 0]
    np.testing.assert_allclose(element, W.reshape(2, 3, 2, 4)[1, :, 1, :], atol=1e-13)


def test_padding_is_asked_for_recorded_and_taken_off():
    W = random_matrix(7, 13)
    with pytest.raises(ShapeError, match="pad=True"):
        MPO.from_matrix(W, (2, 4), (2, 7))
    mpo = MPO.from_matrix(W, (2, 4), (2, 7), index=IndexOrder(pad=True, rows=tuple(range(6, -1, -1))))
    assert (mpo.axes.rows.padding, mpo.axes.columns.padding) == (1, 1)
    np.testing.assert_allclose(mpo.to_matrix(), W, atol=1e-13)
    with pytest.raises(ShapeError, match="do not multiply"):
        MPO.from_matrix(W, (2, 3), (2, 7), index=IndexOrder(pad=True))


def test_prime_sizes_have_no_balanced_factors_unless_padded():
    with pytest.raises(ShapeError, match="4099 has no 2 balanced factors"):
        balanced_factors(4099)
    for size in (1, 2, 3, 5, 7, 97, 997, 4099):
        factors = balanced_factors(size, 2, pad=True)
        assert size <= prod(factors) <= size + 4 and factors[1] <= 4 * factors[0]
    assert balanced_factors(4096) == (64, 64) and balanced_factors(768, 3) == (8, 8, 12)


# -- the same class as in physics ----------------------------------------------------------------------


def test_chains_of_matrices_keep_the_algebra_of_operators():
    index = IndexOrder(order="interleaved", rows=(5, 4, 3, 2, 1, 0))
    V, W = random_matrix(6, 8), random_matrix(6, 8, seed=1)
    a, b = (MPO.from_matrix(x, (2, 3), (2, 4), index=index) for x in (V, W))
    np.testing.assert_allclose((a + 2 * b).to_matrix(), V + 2 * W, atol=1e-12)
    np.testing.assert_allclose((a @ b.H).to_matrix(), V @ W.T, atol=1e-12)
    small = (a + a).compress(Truncation(chi_max=100))
    assert small.bond_dimensions == a.bond_dimensions
    np.testing.assert_allclose(small.to_matrix(), 2 * V, atol=1e-12)
    plain = MPO.from_matrix(W, (2, 3), (2, 4))
    with pytest.raises(ShapeError, match="axes agree"):
        a + plain
    with pytest.raises(ShapeError, match="multiplied"):
        plain @ plain


# -- B3, B4 --------------------------------------------------------------------------------------------


def test_bond_dimension_one_is_a_kronecker_product():
    a, b, c = random_matrix(2, 3), random_matrix(3, 2, seed=1), random_matrix(4, 4, seed=2)
    mpo = MPO.from_matrix(np.kron(np.kron(a, b), c), (2, 3, 4), (3, 2, 4))
    assert mpo.bond_dimensions == (1, 1, 1, 1)
    cores = [tensor.array[0, :, :, 0] for tensor in mpo.tensors]
    np.testing.assert_allclose(np.kron(np.kron(cores[0], cores[1]), cores[2]), mpo.to_matrix(), atol=1e-12)


def test_matrix_rank_and_bond_dimension_are_independent():
    product = np.kron(random_matrix(8, 8), random_matrix(8, 8, seed=1))
    outer = np.outer(random_matrix(64, 1), random_matrix(64, 1, seed=1))
    assert np.linalg.matrix_rank(product) == 64 and MPO.from_matrix(product, (8, 8), (8, 8)).bond_dimensions[1] == 1
    assert np.linalg.matrix_rank(outer) == 1 and MPO.from_matrix(outer, (8, 8), (8, 8)).bond_dimensions[1] > 1
