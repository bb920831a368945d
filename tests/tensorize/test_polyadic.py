"""Canonical polyadic forms: exact where there is one, of zeros too, and refused where numbers are none."""

import numpy as np
import pytest

from tnsim.errors import NumericalError
from tnsim.tensorize.polyadic import polyadic


def whole(factors):
    return np.einsum("ar,br,cr->abc", *factors)


def test_planted_terms_are_found_and_more_terms_do_no_harm():
    rng = np.random.default_rng(0)
    tensor = whole([rng.standard_normal((n, 2)) for n in (4, 5, 6)])
    for rank in (2, 3, 9):
        np.testing.assert_allclose(whole(polyadic(tensor, rank, sweeps=500)), tensor, atol=1e-4)


def test_errors_fall_with_the_rank_and_sizes_are_shared_evenly():
    tensor = np.random.default_rng(1).standard_normal((4, 5, 6))
    errors = []
    for rank in (1, 2, 4, 8):
        factors = polyadic(tensor, rank)
        errors.append(np.linalg.norm(whole(factors) - tensor))
        sizes = [np.linalg.norm(factor, axis=0) for factor in factors]
        np.testing.assert_allclose(sizes[0], sizes[1])
        np.testing.assert_allclose(sizes[0], sizes[2])
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.6 * errors[0]


def test_zeros_have_factors_of_zeros_and_nan_is_refused():
    factors = polyadic(np.zeros((2, 3, 4)), 2)
    assert [factor.shape for factor in factors] == [(2, 2), (3, 2), (4, 2)] and not any(f.any() for f in factors)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        polyadic(np.full((2, 2, 2), np.inf), 1)
