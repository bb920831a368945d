"""Fits in the metric of the activations, against brute force over the samples and dense least squares."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import BackendError, NumericalError, SettingsError, ShapeError
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_gauge import gauge, rotate
from tnsim.networks.rank_rule import RankRule
from tnsim.tensorize import Gram, MetricFit, corrected_bias, functional_error, smallest_rank
from tnsim.tensorize.extrapolate_chain import extrapolated
from tnsim.tensorize.input_metric import metric_of, nearest_kronecker
from tnsim.tensorize.metric_sweep import MetricSweep


def layer(rows=12, columns=12, count=80, dtype=np.float64, seed=0):
    """A matrix, and inputs with a mean and a covariance that is far from equal."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((rows, columns))
    turn = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    x = rng.standard_normal((count, columns)) * 0.75 ** np.arange(columns) @ turn + rng.standard_normal(columns)
    if np.dtype(dtype).kind == "c":
        W = W + 1j * rng.standard_normal(W.shape)
        x = x + 0.3j * rng.standard_normal(x.shape)
    return W.astype(dtype), x.astype(dtype)


def brute_error(W, mpo, x, centered):
    y, other = x @ W.T, x @ mpo.to_matrix().T
    if centered:
        y, other = y - y.mean(axis=0), other - other.mean(axis=0)
    return np.linalg.norm(y - other) / np.linalg.norm(y)


# -- A11, A12, the bias --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_functional_error_is_that_of_all_samples_and_not_the_frobenius_error(dtype):
    W, x = layer(dtype=dtype)
    mpo = MPO.from_matrix(W, (3, 4), (4, 3), 5)
    gram = Gram.collect([x[:33], x[33:]])
    for centered in (False, True):
        assert functional_error(W, mpo, gram, centered=centered) == pytest.approx(
            brute_error(W, mpo, x, centered), abs=1e-10
        )
    frobenius = np.linalg.norm(W - mpo.to_matrix()) / np.linalg.norm(W)
    assert abs(functional_error(W, mpo, gram) - frobenius) > 0.02


def test_the_corrected_bias_makes_the_mean_output_exact():
    W, x = layer()
    mpo, bias = MPO.from_matrix(W, (3, 4), (4, 3), 2), np.arange(12.0)
    new = corrected_bias(W, mpo, Gram.collect([x]), bias)
    np.testing.assert_allclose((x @ mpo.to_matrix().T + new).mean(axis=0), (x @ W.T + bias).mean(axis=0), atol=1e-12)


def test_the_smallest_rank_passes_the_budget_and_one_less_fails():
    W, x = layer()
    gram = Gram.collect([x])
    rank, mpo = smallest_rank(W, lambda r: MPO.from_matrix(W, (3, 4), (4, 3), r), gram, 0.3)
    assert mpo.bond_dimensions == (1, rank, 1) and functional_error(W, mpo, gram) <= 0.3
    assert functional_error(W, MPO.from_matrix(W, (3, 4), (4, 3), rank - 1), gram) > 0.3
    with pytest.raises(SettingsError, match="above 0, found 0"):
        smallest_rank(W, lambda r: mpo, gram, 0)
    with pytest.raises(SettingsError, match="the largest rank, 12"):
        smallest_rank(W, lambda r: mpo, gram, 1e-9)


# -- the sweeps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("two_site_sweeps", [0, 1, 6])
@pytest.mark.parametrize("order", ["interleaved", "split", "i1 o1 | o0 | i0"])
def test_the_error_falls_with_every_update_and_is_the_functional_error(two_site_sweeps, order):
    W, x = layer()
    gram = Gram.collect([x])
    start = MPO.from_matrix(W, (3, 4), (4, 3), 3, index=IndexOrder(order=order))
    fit = MetricFit(two_site_sweeps=two_site_sweeps, max_sweeps=6).solve(W, start, gram)
    assert all(b <= a * (1 + 1e-9) for a, b in zip(fit.history, fit.history[1:], strict=False))
    assert fit.history[-1] == pytest.approx(fit.error, abs=1e-7) == brute_error(W, fit.mpo, x, True)
    assert fit.error < 0.85 * fit.start_error
    assert max(fit.mpo.bond_dimensions) <= 3 and fit.mpo.axes == start.axes
    shifted = x @ fit.mpo.to_matrix().T + fit.bias_shift
    np.testing.assert_allclose(shifted.mean(axis=0), (x @ W.T).mean(axis=0), atol=1e-10)


def test_one_update_is_dense_least_squares_over_the_samples():
    W, x = layer(6, 6)
    x = x - x.mean(axis=0)
    start = MPO.from_matrix(W, (2, 3), (3, 2), 2)
    _, errors = next(MetricFit(two_site_sweeps=0).sweeps(W, start, Gram.collect([x])))
    last = start.tensors[1].array[..., 0]
    y, pieces = (x @ W.T).reshape(-1, 2, 3), np.einsum("mpj,bij->bpim", last, x.reshape(-1, 3, 2))
    design = pieces.reshape(-1, 6)
    best, *_ = np.linalg.lstsq(design, y.transpose(0, 2, 1).reshape(-1, 2), rcond=None)
    left_over = np.linalg.norm(design @ best - y.transpose(0, 2, 1).reshape(-1, 2)) / np.linalg.norm(y)
    assert errors[0] == pytest.approx(left_over, rel=1e-8)


def test_conjugate_gradients_reach_what_the_direct_solution_reaches():
    W, x = layer()
    gram, start = Gram.collect([x]), MPO.from_matrix(W, (3, 2, 2), (2, 2, 3), 3)
    for sweeps in (0, 1):
        direct = MetricFit(two_site_sweeps=sweeps, max_sweeps=1).solve(W, start, gram)
        iterative = MetricFit(two_site_sweeps=sweeps, max_sweeps=1, direct_max=0).solve(W, start, gram)
        assert iterative.error == pytest.approx(direct.error, rel=1e-3)


def test_two_sites_find_the_planted_chain_whatever_the_start():
    W, x = layer(16, 16, count=40)
    planted = MPO.from_matrix(W, (4, 4), (4, 4), 3)
    start = MPO.from_matrix(np.random.default_rng(9).standard_normal((16, 16)), (4, 4), (4, 4), 3)
    fit = MetricFit(max_sweeps=3).solve(planted.to_matrix(), start, Gram.collect([x]))
    assert fit.start_error > 0.5 and fit.error < 1e-4


def test_extrapolation_does_not_see_the_gauge_and_keeps_the_centre():
    W, x = layer(dtype=np.complex128)
    new, old = (gauge(MPO.from_matrix(V, (3, 2, 2), (2, 2, 3), 3)) for V in (W, W + 0.1 * W[::-1]))
    turn = np.linalg.qr(layer(3, 3, seed=3)[0])[0]
    ahead = extrapolated(new.tensors, old.tensors, 0.7)
    other = extrapolated(new.tensors, rotate(old, {0: turn, 1: turn.T}).tensors, 0.7)
    for a, b in ((ahead, other), (extrapolated(new.tensors, new.tensors, 3.0), new.tensors)):
        matrices = [MPO(tensors, axes=new.axes).to_matrix() for tensors in (a, b)]
        np.testing.assert_allclose(*matrices, atol=1e-11)
    for core in ahead[1:]:
        table = core.array.reshape(core.shape[0], -1)
        np.testing.assert_allclose(table @ table.conj().T, np.eye(len(table)), atol=1e-12)


def test_leaps_between_sweeps_save_sweeps(monkeypatch):
    # on several layers: how far eight sweeps lead on one of them depends on rounding
    jobs = []
    for seed in range(1, 5):
        W, x = layer(24, 24, count=200, seed=seed)
        jobs.append((W, MPO.from_matrix(W, (4, 6), (6, 4), 8), Gram.collect([x])))

    def errors(sweeps):
        return np.array([MetricFit(max_sweeps=sweeps, tol=1e-9).solve(*job).error for job in jobs])

    with_leaps = errors(8)
    monkeypatch.setattr(MetricSweep, "leap", lambda self: iter(()))
    assert (with_leaps < errors(8)).all() and with_leaps.mean() < errors(10).mean()


def test_three_sites_and_padding():
    W, x = layer(7, 11)
    index = IndexOrder(pad=True, columns=tuple(range(10, -1, -1)))
    start = MPO.from_matrix(W, (2, 2, 2), (3, 2, 2), 4, index=index)
    for sweeps in (0, 5):
        fit = MetricFit(two_site_sweeps=sweeps, max_sweeps=5).solve(W, start, Gram.collect([x]))
        assert (
            fit.error == pytest.approx(brute_error(W, fit.mpo, x, True), rel=1e-6) and fit.error < 0.8 * fit.start_error
        )


def test_a_fit_without_a_bias_takes_second_moments_and_one_site_is_exact():
    W, x = layer()
    gram, start = Gram.collect([x]), MPO.from_matrix(W, (3, 4), (4, 3), 3)
    plain, centred = (MetricFit(centered=centered).solve(W, start, gram) for centered in (False, True))
    assert plain.error == pytest.approx(brute_error(W, plain.mpo, x, False), abs=1e-9)
    assert plain.error < functional_error(W, centred.mpo, gram)
    single = MPO.from_matrix(W + 1, (12,), (12,))
    assert MetricFit().solve(W, single, gram).error < 1e-6


def test_a_singular_covariance_is_no_obstacle():
    W, x = layer()
    x[:, 3:] = x[:, :1]
    start = MPO.from_matrix(W, (3, 4), (4, 3), 4)
    fit = MetricFit().solve(W, start, Gram.collect([x]))
    assert np.isfinite(fit.mpo.to_matrix()).all() and fit.error < 1e-5
    constant = Gram.collect([np.ones((20, 12))])
    with pytest.raises(SettingsError, match="constant"):
        MetricFit().solve(W, start, constant)


def test_the_cost_does_not_depend_on_the_number_of_samples():
    W, x = layer(count=90)
    few, many = (Gram.collect([part]) for part in (x, np.concatenate([x] * 50)))
    start = MPO.from_matrix(W, (3, 4), (4, 3), 3)
    a, b = (MetricFit(max_sweeps=2).solve(W, start, gram) for gram in (few, many))
    np.testing.assert_allclose(a.mpo.to_matrix(), b.mpo.to_matrix(), atol=1e-7)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_fits_on_every_device(device, dtype):
    backend = backend_or_skip(device)
    W, x = layer(6, 8, dtype=dtype)
    index = IndexOrder(rows=(5, 4, 3, 2, 1, 0))
    start = MPO.from_matrix(W, (2, 3), (2, 4), 3, index=index)
    here = MetricFit(max_sweeps=2).solve(W, start, Gram.collect([x]))
    gram = Gram.collect([backend.asarray(x)])
    there = MetricFit(max_sweeps=2).solve(backend.asarray(W), start.to(backend), gram)
    assert there.mpo.backend is backend and there.mpo.dtype == dtype == there.bias_shift.dtype
    found = backend.to_host(there.mpo.to_matrix())
    np.testing.assert_allclose(found, here.mpo.to_matrix(), atol=2e-2 if dtype.char in "fF" else 1e-6)
    assert there.error == pytest.approx(here.error, rel=1e-3)


# -- B14: metrics --------------------------------------------------------------------------------------


def test_every_metric_lowers_the_functional_error_and_the_full_one_most():
    rng = np.random.default_rng(1)
    W = rng.standard_normal((16, 16))
    near_kronecker = np.kron(0.5 ** np.arange(4.0), 0.7 ** np.arange(4.0))
    mixing = np.kron(*(np.linalg.qr(rng.standard_normal((4, 4)))[0] + 1.5 * np.eye(4) for _ in range(2)))
    x = rng.standard_normal((200, 16)) * near_kronecker @ mixing
    gram, start = Gram.collect([x]), MPO.from_matrix(W, (4, 4), (4, 4), 4)
    errors = {
        kind: MetricFit(metric=kind).solve(W, start, gram).error for kind in ("none", "diagonal", "kronecker", "full")
    }
    assert errors["full"] < errors["kronecker"] < 0.98 * errors["none"]
    assert errors["diagonal"] < 0.98 * errors["none"]


def test_the_nearest_kronecker_product_is_exact_where_there_is_one_and_positive():
    rng = np.random.default_rng(0)
    a, b = (m @ m.T for m in (rng.standard_normal((3, 3)), rng.standard_normal((4, 4))))
    axes = MPO.from_matrix(np.ones((12, 12)), (4, 3), (3, 4)).axes
    np.testing.assert_allclose(nearest_kronecker(np.kron(a, b), axes), np.kron(a, b), atol=1e-10)
    noisy = rng.standard_normal((12, 12))
    found = nearest_kronecker(noisy @ noisy.T, axes)
    np.testing.assert_allclose(found, found.T, atol=1e-10)
    assert np.linalg.eigvalsh(found).min() > -1e-10


def test_metrics_of_few_samples_are_shrunk():
    W, x = layer(count=6)
    axes = MPO.from_matrix(W, (3, 4), (4, 3)).axes
    with pytest.warns(UserWarning, match="6 samples of 12 features"):
        full = metric_of(Gram.collect([x]), axes, "full", np.float64)
    assert np.linalg.eigvalsh(full).min() > 0


# -- refusals ------------------------------------------------------------------------------------------


def test_what_does_not_fit_together_is_refused():
    W, x = layer()
    gram, start = Gram.collect([x]), MPO.from_matrix(W, (3, 4), (4, 3), 3)
    with pytest.raises(ShapeError, match="Gram of 80 samples, 11 features"):
        MetricFit().solve(W, start, Gram.collect([x[:, :11]]))
    with pytest.raises(ShapeError, match="for no matrix"):
        MetricFit().solve(W, MPO(start.tensors), gram)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        MetricFit().solve(np.where(np.eye(12) > 0, np.nan, W), start, gram)
    with pytest.raises(BackendError, match="numpy, numpy, strict"):
        MetricFit().solve(W, start, gram.to("strict"))
    for settings in [{"metric": "ful"}, {"two_site_sweeps": -1}, {"max_sweeps": 0}, {"tol": 0.0}, {"direct_max": -1}]:
        with pytest.raises(SettingsError):
            MetricFit(**settings)


def test_not_converging_is_a_status_with_advice():
    W, x = layer()
    start = MPO.from_matrix(W, (3, 4), (4, 3), RankRule(params=60))
    fit = MetricFit(max_sweeps=1).solve(W, start, Gram.collect([x]))
    assert not fit.status.converged and "raise max_sweeps = 1" in fit.status.advice


def test_a_bias_of_another_shape_is_refused():
    rng = np.random.default_rng(2)
    matrix, gram = rng.standard_normal((8, 8)), Gram.collect([rng.standard_normal((50, 8))])
    mpo = MPO.from_matrix(matrix, (2, 4), (4, 2), 2)
    for bias in (np.ones(3), np.ones(1), np.ones((8, 1))):
        with pytest.raises(ShapeError, match=r"bias of this layer has shape \(8,\)"):
            corrected_bias(matrix, mpo, gram, bias)
