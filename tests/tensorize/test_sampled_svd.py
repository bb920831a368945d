"""Low rank from samples, beside the best there is."""

import numpy as np
import pytest

from tnsim.errors import ShapeError
from tnsim.tensorize import sampled_svd


def test_the_error_is_within_a_half_of_the_best_on_average(capsys):
    """D3: twenty seeds, rank 5 of a matrix with falling singular values; the cost of preprocessing is told."""
    rng = np.random.default_rng(0)
    u, v = (np.linalg.qr(rng.standard_normal((n, 60)))[0] for n in (150, 120))
    matrix = u * 0.8 ** np.arange(60) @ v.T
    best = np.sqrt((0.8 ** (2 * np.arange(5, 60))).sum())
    errors = []
    for seed in range(20):
        found = sampled_svd(matrix, 5, 60, seed=seed)
        V = found.directions
        np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-12)
        errors.append(np.linalg.norm(matrix - matrix @ V @ V.T))
    assert best <= min(errors) and np.mean(errors) < 1.5 * best
    assert found.passed == matrix.size and found.read == 60 * (120 + 60)
    with pytest.raises(ShapeError, match="rank lies in 1 to 4"):
        sampled_svd(matrix, 5, 4)
