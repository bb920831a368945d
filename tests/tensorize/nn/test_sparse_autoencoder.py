"""Sparse autoencoders find the features that data were made of; with chains, also with a quarter of the numbers."""

import copy
from itertools import count

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")

from tnsim.errors import NumericalError, SettingsError, ShapeError  # noqa: E402
from tnsim.tensorize import SparseAutoencoder  # noqa: E402


def planted(is_chain):
    """64 features of 64 numbers: Gaussian, or a chain of rank 2."""
    rng = np.random.default_rng(0)
    if is_chain:
        D = sum(np.kron(*rng.standard_normal((2, 8, 8))) for _ in range(2))
    else:
        D = rng.standard_normal((64, 64))
    return torch.tensor(D / np.linalg.norm(D, axis=0), dtype=torch.float32)


def samples(D, count=20000, active=3):
    chooser = torch.Generator().manual_seed(1)
    places = torch.rand(count, 64, generator=chooser).topk(active, dim=1).indices
    code = torch.zeros(count, 64).scatter_(1, places, 0.5 + torch.rand(count, active, generator=chooser))
    return code @ D.T


def mean_max_cosine(D, found):
    """Of every planted feature the nearest one found."""
    return float((D.T @ found).abs().max(dim=1).values.mean())


@pytest.mark.parametrize(("chi", "rate", "least"), [(None, 1e-2, 0.9), (8, 3e-3, 0.85)])
def test_b16_planted_features_are_found(chi, rate, least):
    torch.manual_seed(0)
    D = planted(chi is not None)
    sae = SparseAutoencoder(64, 64, active=4, chi=chi, factors=((8, 8), (8, 8)))
    before = mean_max_cosine(D, sae.dictionary())
    losses = sae.train_(samples(D), steps=1200, rate=rate)
    found = mean_max_cosine(D, sae.dictionary())
    assert found >= least > before + 0.2, (found, before)
    assert np.mean(losses[-50:]) < 0.25 * losses[0]
    if chi is not None:
        assert sae.numbers * 4 == 2 * 64 * 64


def test_bonds_carry_features_of_their_own():
    torch.manual_seed(0)
    sae = SparseAutoencoder(64, 64, active=4, chi=3, factors=((4, 4, 4), (4, 4, 4)))
    x = torch.randn(5, 64)
    with torch.no_grad():
        first, second = sae.bond_features(x)
        assert first.shape == (5, 3, 64) and second.shape == (5, 3, 64)
        # the last core is all that stands between the second bond's features and the inputs
        core = sae.encoder.cores[2].numpy()
        expected = np.einsum("bijk,lok->blijo", x.numpy().reshape(5, 4, 4, 4), core[:, :, :, 0])
        np.testing.assert_allclose(first, expected.reshape(5, 3, 64), atol=1e-5)
        with pytest.raises(ShapeError, match="no bonds"):
            SparseAutoencoder(8, 8, active=1).bond_features(x)


@pytest.mark.parametrize("chi", [None, 8])
def test_where_the_loss_is_not_finite_the_best_weights_are_back(chi):
    torch.manual_seed(0)
    x, sae = samples(planted(False)), SparseAutoencoder(64, 64, active=4, chi=chi, factors=((8, 8), (8, 8)))
    start = copy.deepcopy(sae.state_dict())
    with pytest.raises(NumericalError, match=r"lower rate = 1e\+10.*put back to their best"):
        sae.train_(x, steps=100, rate=1e10)
    assert all(torch.equal(a, b) for a, b in zip(sae.state_dict().values(), start.values(), strict=True))
    with torch.no_grad():
        before = float((sae(x) - x).square().sum() / x.square().sum())
    calls = count()
    breaks = sae.register_forward_pre_hook(lambda _, args: (args[0] * (np.nan if next(calls) == 60 else 1),))
    with pytest.raises(NumericalError, match="nan in step 60"):
        sae.train_(x, steps=100)
    breaks.remove()
    with torch.no_grad():
        assert float((sae(x) - x).square().sum() / x.square().sum()) < 0.95 * before


def test_bad_input():
    with pytest.raises(SettingsError, match="between 1 and 8"):
        SparseAutoencoder(8, 8, active=9)
    with pytest.raises(ShapeError, match="8 numbers"):
        SparseAutoencoder(8, 8, active=2).train_(torch.ones(3, 7), steps=1)
    for useless in (torch.zeros(0, 8), torch.zeros(3, 8)):
        with pytest.raises(ShapeError, match="not all zero"):
            SparseAutoencoder(8, 8, active=2).train_(useless, steps=1)
