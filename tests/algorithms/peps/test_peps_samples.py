"""Samples of finite PEPS against the probabilities of their vectors."""

import numpy as np
import pytest
from scipy.stats import chi2

import tests.strict_device  # noqa: F401
from tests.exact.fock import fock_state
from tests.exact.plane import dense_state
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.finite.peps_samples import sample_peps
from tnsim.errors import ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.peps import PEPS, grown
from tnsim.networks.sites import fermion_site, spin_site

EXACT = BoundaryMeasurement(truncation=Truncation(chi_max=64, svd_min=1e-13))
PLAIN, SPIN = spin_site(conserve=None), spin_site()


def random_state(site, shape, seed, dtype=np.complex128):
    states = [["up" if (i + j) % 2 else "down" for j in range(shape[1])] for i in range(shape[0])]
    return PEPS.random([[site] * shape[1]] * shape[0], 2, states=states, seed=seed, dtype=dtype)


@pytest.mark.parametrize("site", [PLAIN, SPIN])
def test_samples_are_drawn_with_the_probabilities_of_the_vector(site):
    psi = random_state(site, (3, 3), seed=2)
    vector = dense_state(psi)
    exact = np.abs(vector) ** 2 / np.vdot(vector, vector).real
    found = sample_peps(psi, 4000, EXACT, seed=1)
    places = np.ravel_multi_index(found.outcomes.reshape(4000, 9).T, (2,) * 9)
    assert np.abs(np.exp(found.log_probabilities) - exact[places]).max() < 1e-10
    assert np.abs(np.exp(found.log_amplitudes) - np.abs(vector[places])).max() < 1e-12
    assert np.abs(found.weights - 1).max() < 1e-8
    counts = np.bincount(places, minlength=512)
    rare = exact * 4000 < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(exact[~rare], exact[rare].sum()) * 4000
    kept = expected > 1e-6
    statistic = ((observed[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    assert not counts[exact < 1e-14].any()
    assert chi2.sf(statistic, kept.sum() - 1) > 1e-4


def test_weights_correct_for_what_boundaries_cut():
    psi = grown(PEPS.product([[PLAIN] * 4] * 4, [["up", "down"] * 2, ["down", "up"] * 2] * 2), 3, noise=0.15, seed=3)
    few = BoundaryMeasurement(truncation=Truncation(chi_max=4))
    exact = BoundaryMeasurement(truncation=Truncation(chi_max=40)).means(psi, "Sz")[0]
    found = sample_peps(psi, 400, few, seed=0)
    assert 1e-8 < np.std(found.weights) < 0.2 and "weights spread" in repr(found)
    spins = PLAIN.op("Sz").diagonal()[found.outcomes]
    mean = (spins * found.weights[:, None, None]).mean(axis=0)
    assert np.abs(mean - exact).max() < 5 * 0.5 / np.sqrt(400)


def test_one_seed_gives_the_same_samples_on_every_device():
    psi = random_state(PLAIN, (2, 3), seed=0, dtype=np.float64)
    one, other = sample_peps(psi, 50, EXACT, seed=7), sample_peps(psi.to("strict"), 50, EXACT, seed=7)
    assert np.array_equal(one.outcomes, other.outcomes)


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(ShapeError, match="at least one shot"):
        sample_peps(random_state(PLAIN, (2, 2), 0), 0, EXACT)


def test_fermions_are_drawn_with_the_probabilities_of_their_vector():
    psi = PEPS.random([[fermion_site()] * 2] * 3, 2, states=[["full", "empty"]] * 3, seed=3, dtype=np.complex128)
    exact = np.abs(fock_state(psi)) ** 2
    found = sample_peps(psi, 40, EXACT, seed=1)
    places = np.ravel_multi_index(found.outcomes.reshape(40, 6).T, (2,) * 6)
    assert np.abs(np.exp(2 * found.log_amplitudes) / exact[places] - 1).max() < 1e-9
    assert np.abs(np.exp(found.log_probabilities) - exact[places] / exact.sum()).max() < 1e-11
    assert (found.outcomes.sum(axis=(1, 2)) == 3).all() and len(set(places.tolist())) > 2
