"""Entropies of the cuts of operators and matrices, against NumPy and against random matrices."""

import numpy as np
import pytest

from tnsim.errors import NumericalError, ShapeError
from tnsim.measure import entanglement_spectrum, entropy, gaussian_entropy, gaussian_spectrum
from tnsim.networks.mpo import MPO


def shannon(values):
    p = values**2 / (values**2).sum()
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def unfolding(W, factors, cut):
    """Rows: out and in factors left of the cut, interleaved."""
    (a, b, c), (x, y, z) = factors
    tensor = W.reshape(a, b, c, x, y, z).transpose(0, 3, 1, 4, 2, 5)
    return tensor.reshape(a * x if cut == 0 else a * x * b * y, -1)


def test_entropies_of_cuts_are_those_of_the_unfoldings():
    factors = (2, 3, 2), (3, 2, 2)
    W = np.random.default_rng(0).standard_normal((12, 12))
    mpo = MPO.from_matrix(W, *factors)
    for cut in (0, 1):
        values = np.linalg.svd(unfolding(W, factors, cut), compute_uv=False)
        assert entropy(mpo)[cut] == pytest.approx(shannon(values), abs=1e-12)
        found = np.sort(entanglement_spectrum(mpo, cut).values)[::-1]
        np.testing.assert_allclose(found, values / np.linalg.norm(values), atol=1e-12)


def test_one_cut_carries_at_most_ln_chi_and_a_block_with_two_cuts_twice_that():
    """A16."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        chi, d = int(rng.integers(1, 4)), int(rng.integers(2, 4))
        a, c = rng.standard_normal((1, d, chi)), rng.standard_normal((chi, d, 1))
        b = rng.standard_normal((chi, d, chi)) * rng.random((chi, d, chi)) ** 3
        chain = np.einsum("axm,mys,szb->xyz", a, b, c)
        for rows, bound in [((0,), 1), ((2,), 1), ((1,), 2)]:
            table = np.moveaxis(chain, rows[0], 0).reshape(d, -1)
            assert shannon(np.linalg.svd(table, compute_uv=False)) <= bound * np.log(chi) + 1e-12
        mpo = MPO.from_matrix(rng.standard_normal((8, 8)), (2, 2, 2), (2, 2, 2), chi)
        assert (entropy(mpo) <= np.log(chi) + 1e-12).all()


@pytest.mark.parametrize(("m", "n"), [(1, 5), (2, 2), (3, 5), (8, 8), (4, 64)])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_baseline_is_the_mean_over_random_matrices(m, n, is_complex):
    rng = np.random.default_rng(0)
    sample = rng.standard_normal((3000, m, n)) + (1j * rng.standard_normal((3000, m, n)) if is_complex else 0)
    entropies = [shannon(values) for values in np.linalg.svd(sample, compute_uv=False)]
    noise = 4 * np.std(entropies) / np.sqrt(len(entropies))
    allowed = noise + (0 if is_complex else np.log(m) * (0.04 if n < 8 else 0.01))
    assert abs(np.mean(entropies) - gaussian_entropy(n, m, is_complex=is_complex)) <= allowed + 1e-12


def test_the_spectrum_of_the_baseline_is_that_of_a_random_matrix():
    sample = np.linalg.svd(np.random.default_rng(0).standard_normal((30, 40, 160)), compute_uv=False)
    values = (sample / np.linalg.norm(sample, axis=1)[:, None]).mean(axis=0)
    np.testing.assert_allclose(gaussian_spectrum(160, 40), values, atol=3e-3)
    assert (gaussian_spectrum(7, 7)[:-1] > gaussian_spectrum(7, 7)[1:]).all()


def test_structure_lies_below_the_baseline_and_noise_on_it():
    rng = np.random.default_rng(0)
    noise = MPO.from_matrix(rng.standard_normal((64, 64)), (8, 8), (8, 8))
    terms = [0.5**k * np.kron(rng.standard_normal((8, 8)), rng.standard_normal((8, 8))) for k in range(9)]
    structure = MPO.from_matrix(sum(terms), (8, 8), (8, 8))
    line = gaussian_entropy(64, 64)
    assert abs(entropy(noise)[0] - line) < 0.02 and entropy(structure)[0] < 0.5 * line


def test_the_zero_operator_has_no_entropy():
    with pytest.raises(NumericalError, match="the operator is zero"):
        entropy(MPO.from_matrix(np.zeros((4, 4)), (2, 2), (2, 2)))
    with pytest.raises(ShapeError, match="0 x 3"):
        gaussian_entropy(0, 3)
