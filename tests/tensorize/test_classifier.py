"""MPS classifiers: they learn, their gradients are right, and their bonds tell what may be dropped."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.strict_device import sync_budget
from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.measure import entropy
from tnsim.tensorize import GradientTraining, MPSClassifier, SweepTraining, classifier_report, drop_bonds, snake
from tnsim.tensorize.classifier_training import cross_entropy, loss_and_gradients


def bars(count, seed=0):
    """Images of 4 x 4: a bright row (label 0) or a bright column (label 1) in the middle, with noise."""
    rng = np.random.default_rng(seed)
    x, y = 0.25 * rng.random((count, 4, 4)), rng.integers(0, 2, count)
    for image, label in zip(x, y, strict=True):
        image[(1, slice(None)) if label == 0 else (slice(None), 2)] += 0.7
    return x, y


@pytest.fixture(scope="module")
def digits():
    datasets = pytest.importorskip("sklearn.datasets", reason="the digits come with scikit-learn (extra bench)")
    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = found.images[order] / 16, found.target[order]
    return x[:1257], y[:1257], x[1257:], y[1257:]


@pytest.fixture(scope="module")
def trained(digits):
    x, y, _, _ = digits
    return GradientTraining().solve(MPSClassifier.new((8, 8), 10, chi=16), x, y)


def test_c2_digits_are_told_apart_and_small_values_may_go(digits, trained, tmp_path):
    pytest.importorskip("matplotlib")
    _, _, x, y = digits
    accuracy = trained.accuracy(x, y)
    assert accuracy >= 0.98
    smaller = trained.dropped(3e-2)
    assert smaller.accuracy(x, y) > accuracy - 0.01
    assert smaller.numbers < 0.3 * trained.numbers and smaller.numbers <= 10_000
    report = classifier_report(trained)
    assert report.heatmap.shape == (8, 8) and (report.heatmap >= 0).all()
    # the corners of the first and the last column are always dark: nothing to be learned there
    assert report.heatmap[:, 2:6].mean() > 2 * report.heatmap[:, [0, 7]].mean()
    report.plot(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_the_bonds_that_rank_last_can_be_dropped(digits, trained):
    _, _, x, y = digits
    ranking = classifier_report(trained).ranking
    weak, strong = [bond.bond for bond in ranking[-6:]], [bond.bond for bond in ranking[:6]]
    assert drop_bonds(trained, weak).accuracy(x, y) > trained.accuracy(x, y) - 0.05
    assert drop_bonds(trained, strong).accuracy(x, y) < 0.6
    assert drop_bonds(trained, weak).bond_dimensions[weak[0]] == 1


@pytest.mark.parametrize("kind", ["affine", "angle"])
def test_sweeps_of_two_sites_learn_and_grow_bonds(kind):
    x, y = bars(200)
    start = MPSClassifier.new((4, 4), 2, chi=1, kind=kind)
    _, (found, loss) = SweepTraining(chi_max=4, sweeps=2).passes(start, x, y)
    assert found.accuracy(*bars(100, seed=1)) == 1.0 and loss < 0.05
    assert 1 < max(found.bond_dimensions) <= 4


def test_gradients_are_those_of_the_loss():
    x, y = bars(7)
    classifier = MPSClassifier.new((4, 4), 2, chi=3, noise=0.1, seed=3)
    phi, cores = classifier.inputs(x), list(classifier.cores)
    _, gradients = loss_and_gradients(cores, classifier.center, phi, y)
    rng = np.random.default_rng(0)
    for k in (0, 3, classifier.center, 12, 15):
        change, step = rng.standard_normal(cores[k].shape), 1e-6
        losses = []
        for sign in (1, -1):
            moved = cores.copy()
            moved[k] = cores[k] + sign * step * change
            losses.append(loss_and_gradients(moved, classifier.center, phi, y)[0])
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(float((gradients[k] * change).sum()), rel=1e-6)
    loss, slope = cross_entropy(np.zeros((4, 5)), np.arange(4))
    assert loss == pytest.approx(np.log(5)) and np.allclose(slope.sum(axis=1), 0)


def test_scores_are_those_of_the_state_and_reports_those_of_numpy():
    classifier = MPSClassifier.new((2, 3), 3, chi=4, noise=0.3, seed=1)
    x = np.random.default_rng(0).random((5, 2, 3))
    phi = classifier.inputs(x)
    weights = classifier.state.to_dense().reshape([2] * 4 + [3] + [2] * 2)
    expected = np.einsum("abcdzef,na,nb,nc,nd,ne,nf->nz", weights, *phi)
    found = classifier.scores(x)
    np.testing.assert_allclose(found / np.linalg.norm(found, axis=1, keepdims=True),
                               expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-12)  # fmt: skip
    report = classifier_report(classifier)
    table = weights.reshape(2**2, -1)
    values = np.linalg.svd(table, compute_uv=False)
    np.testing.assert_allclose(report.bonds[1].values, values[values > 1e-13] / np.linalg.norm(values), atol=1e-12)
    np.testing.assert_allclose(report.bonds[1].entropy, entropy(classifier.state)[1], atol=1e-12)
    rho = np.tensordot(weights, weights, axes=(range(1, 7), range(1, 7))) / (weights**2).sum()
    p = np.linalg.eigvalsh(rho)
    np.testing.assert_allclose(report.heatmap[0, 0], -(p * np.log(p)).sum(), atol=1e-12)


def test_c3_long_chains_stay_finite_and_decay_changes_the_norm():
    long = MPSClassifier.new(500, 3, chi=6, noise=1.0)
    scores = long.scores(np.random.default_rng(0).random((4, 500)))
    assert np.isfinite(scores).all() and (np.abs(scores).max(axis=1) > 0).all()
    x, y = bars(40)
    sizes = []
    for decay in (0.0, 1.0):
        found = GradientTraining(epochs=30, decay=decay).solve(MPSClassifier.new((4, 4), 2, chi=3), x, y)
        sizes.append(sum((core**2).sum() for core in found.cores))
    assert sizes[1] < 0.9 * sizes[0]


def test_c3_chains_of_500_sites_learn():
    """A bright half, the first or the second: 500 tensors, and every loss on the way is finite."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    x = 0.1 * rng.random((60, 500)) + 0.4 * ((np.arange(500) < 250) == (y[:, None] == 0))
    passes = list(GradientTraining(epochs=6, batch=20, rate=2e-3).passes(MPSClassifier.new(500, 2, chi=2), x, y))
    losses = [loss for _, loss in passes]
    assert np.isfinite(losses).all() and losses[-1] < 0.5 * losses[0]
    assert passes[-1][0].accuracy(x, y) == 1.0


@pytest.mark.parametrize("name", ["strict", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(
    "training", [GradientTraining(epochs=2), SweepTraining(chi_max=4, sweeps=1)], ids=["all", "pairs"]
)
def test_training_scores_and_reports_where_the_cores_are(name, training):
    backend = backend_or_skip(name)
    x, y = bars(40)
    start = MPSClassifier.new((4, 4), 2, chi=2, seed=1)
    here, there = training.solve(start, x, y), training.solve(start.to(backend), x, y)
    assert there.backend is backend and there.bond_dimensions == here.bond_dimensions
    np.testing.assert_allclose(backend.to_host(there.scores(x)), here.scores(x), atol=1e-6)
    assert (there.predict(x) == here.predict(x)).all()
    np.testing.assert_allclose(classifier_report(there).heatmap, classifier_report(here).heatmap, atol=1e-6)
    for smaller in (there.dropped(0.1), drop_bonds(there, [3])):
        assert smaller.backend is backend and smaller.numbers < there.numbers
    np.testing.assert_allclose(there.dropped(0.1).accuracy(x, y), here.dropped(0.1).accuracy(x, y))


def test_gradients_read_the_device_once_a_batch():
    strict = backend_or_skip("strict")
    x, y = bars(24)
    start = MPSClassifier.new((4, 4), 2, chi=2).to(strict)
    with sync_budget(3 * 2):
        GradientTraining(epochs=2, batch=8).solve(start, x, y)


def test_bad_input():
    x, y = bars(5)
    classifier = MPSClassifier.new((4, 4), 2, chi=2)
    with pytest.raises(ShapeError, match="reads 16 pixels, found 9"):
        classifier.scores(np.zeros((2, 3, 3)))
    with pytest.raises(NumericalError, match="NaN or Inf"):
        classifier.scores(np.full((2, 16), np.nan))
    with pytest.raises(ShapeError, match="from 0 to 1"):
        GradientTraining(epochs=1).solve(classifier, x, y + 1)
    with pytest.raises(SettingsError, match='Did you mean "angle"'):
        MPSClassifier.new(4, 2, chi=2, kind="angel")
    with pytest.raises(ShapeError, match=r"rows and columns of an image, are needed, found \(4,\)"):
        MPSClassifier.new((4,), 2, chi=2)
    with pytest.raises(SettingsError, match="chi_max"):
        classifier.dropped(0.1, chi_max=0)
    with pytest.raises(SettingsError):
        SweepTraining(svd_min=2.0)
    with pytest.raises(ShapeError, match="found one pixel"):
        SweepTraining().solve(MPSClassifier.new(1, 2, chi=2), x[:, 0, :1], y)
    for training in (GradientTraining(), SweepTraining()):
        with pytest.raises(ShapeError, match="at least one sample"):
            training.solve(classifier, x[:0], y[:0])
    for wrong in (y[:, None], y[:3]):
        with pytest.raises(ShapeError, match="one label for each of 5 samples"):
            classifier.accuracy(x, wrong)
    with pytest.raises(ShapeError, match="bonds 0 to 14"):
        drop_bonds(classifier, [15])
    with pytest.raises(ShapeError, match="no image"):
        _ = classifier_report(MPSClassifier.new(4, 2, chi=2)).heatmap
    assert snake(2, 2) == (0, 1, 3, 2)
