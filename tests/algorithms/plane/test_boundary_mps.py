"""Finite networks by boundary MPS against full contractions, Kasteleyn's dimers and alternating sign matrices."""

import itertools

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact.grids import value
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.boundary_mps import BoundaryMPS
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.linalg import Truncation
from tnsim.models.classical import (
    BoltzmannWeights,
    Dimers,
    HardSquares,
    Ising,
    Potts,
    SixVertex,
    TriangularIsing,
)


def wide(chi: int = 32, **settings) -> BoundaryMPS:
    return BoundaryMPS(truncation=Truncation(chi_max=chi, svd_min=1e-14), **settings)


@pytest.mark.parametrize(
    "model",
    [
        Ising(beta=0.44, Jy=0.7, field=0.2),
        Potts(states=3, beta=0.9, conserve="charge"),
        TriangularIsing(beta=0.5, J=-1.0, conserve="parity"),
        BoltzmannWeights(bond=[[1, 2, 0], [3, 1, 1], [2, 0.5, 1]], vertical=[[1, 0, 1], [1, 1, 2], [4, 1, 1]]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shape", [(3, 4), (1, 3), (3, 1), (1, 1), (2, 2)])
def test_it_is_exact_where_nothing_is_cut(model, shape):
    network = model.finite(*shape)
    total = wide().solve(network)
    assert total.phase == 1 and total.status.converged and total.error < 1e-12
    assert total.log_z == pytest.approx(np.log(value(network).real), abs=1e-12)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_it_runs_on_every_device(device, dtype):
    network = Ising(beta=0.4, conserve="parity").finite(3, 3, dtype=dtype, backend=backend_or_skip(device))
    total = BoundaryMPS(truncation=Truncation(chi_max=4), tol=1e-4).solve(network)
    exact = np.log(value(Ising(beta=0.4).finite(3, 3)).real)
    assert total.log_z == pytest.approx(exact, abs=1e-4 if dtype.char in "fF" else 1e-12)
    assert total.status.converged
    boundaries = BoundaryMPS(truncation=Truncation(chi_max=4)).boundaries(network)
    energy = Ising(beta=0.4, conserve="parity").finite(3, 3, measure="energy", dtype=dtype, backend=network.backend)
    slope = [np.log(value(Ising(beta=0.4 + step).finite(3, 3)).real) for step in (1e-4, -1e-4)]
    expected = -(slope[0] - slope[1]) / 2e-4
    assert boundaries.means(energy).sum() == pytest.approx(expected, rel=1e-4 if dtype.char in "fF" else 1e-7)


def test_dimers_and_alternating_sign_matrices_are_counted():
    assert np.exp(wide(64).solve(Dimers().finite(8, 8)).log_z) == pytest.approx(12988816, rel=1e-9)
    walls = SixVertex(edge="domain-wall").finite(7, 7)
    assert np.exp(wide(64).solve(walls).log_z) == pytest.approx(218348, rel=1e-9)


@pytest.mark.parametrize(("model", "chi"), [(Dimers(), 6), (TriangularIsing(beta=0.5, J=-1.0), 5)], ids=repr)
def test_truncation_is_told_by_the_error(model, chi):
    """The same lattice at a bond dimension that cuts nothing is the answer."""
    network = model.finite(8, 8)
    exact = wide(32).solve(network).log_z
    total = wide(chi).solve(network)
    assert 1e-8 < abs(total.log_z - exact) < 4 * total.error < 0.2
    assert total.status.name == "truncated" and "chi_max" in total.status.advice
    assert "advice" in repr(total) and len(total.values) == 4


def test_means_are_those_of_the_sum_over_configurations():
    model = Ising(beta=0.5, J=0.8, Jy=0.5, field=0.3)
    spins = np.array(list(itertools.product([1, -1], repeat=6))).reshape(-1, 2, 3)
    across, down = spins[:, :, :-1] * spins[:, :, 1:], spins[:, :-1] * spins[:, 1:]
    energy = -0.3 * spins.astype(float)
    energy[:, :, :-1] -= 0.8 * across
    energy[:, :-1] -= 0.5 * down
    weight = np.exp(-0.5 * energy.sum((1, 2)))
    boundaries = wide().boundaries(model.finite(2, 3))
    for name, values in (("spin", spins), ("energy", energy)):
        expected = np.einsum("a,aij->ij", weight, values) / weight.sum()
        np.testing.assert_allclose(boundaries.means(model.finite(2, 3, measure=name)), expected, atol=1e-13)
    assert "2 x 3" in repr(boundaries)


def test_what_carries_a_charge_has_no_mean():
    model = Ising(beta=0.9, conserve="parity")
    boundaries = wide().boundaries(model.finite(2, 2))
    np.testing.assert_array_equal(boundaries.means(model.finite(2, 2, measure="spin")), np.zeros((2, 2)))


def test_densities_of_hard_squares():
    """Three places in a row: 5 states, the middle one is occupied in one of them."""
    boundaries = wide().boundaries(HardSquares().finite(1, 3))
    found = boundaries.means(HardSquares().finite(1, 3, measure="density"))
    np.testing.assert_allclose(found, [[2 / 5, 1 / 5, 2 / 5]], atol=1e-13)


def test_signs_and_zeros():
    network = Ising(beta=0.4).finite(3, 3)
    rows = [list(row) for row in network.rows]
    rows[1][1] = -rows[1][1]
    turned = wide().solve(tn.FiniteNetwork(rows, log_scale=network.log_scale))
    assert turned.phase == -1 and turned.log_z == pytest.approx(wide().solve(network).log_z)
    odd = wide().solve(Dimers().finite(3, 3))
    assert odd.status.name == "lost in rounding" and "zero" in odd.status.advice


def test_large_lattices_neither_overflow_nor_lose_digits():
    total = wide(4).solve(Ising(beta=40.0).finite(7, 7))
    assert total.log_z == pytest.approx(40.0 * 2 * 7 * 6 + np.log(2), rel=1e-14)


def test_a_fit_is_not_worse_than_zip_up():
    network = Ising(beta=0.44).finite(6, 6)
    fitted, rough = wide(4, sweeps=2).solve(network), wide(4).solve(network)
    assert 0 < fitted.trunc_err <= rough.trunc_err * (1 + 1e-6)
    assert fitted.log_z == pytest.approx(rough.log_z, abs=rough.error)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: BoundaryMPS(truncation=Truncation(chi_max=0)), SettingsError, "chi_max"),
        (lambda: wide(sweeps=-1), SettingsError, "at least 0"),
        (lambda: wide().solve(Ising(beta=0.4).network()), OperatorError, "FiniteNetwork is needed"),
        (lambda: wide().boundaries(3), OperatorError, "FiniteNetwork is needed"),
        (
            lambda: wide().boundaries(Dimers().finite(2, 2)).means(Dimers().finite(2, 3)),
            ShapeError,
            r"\(2, 2\) places",
        ),
        (lambda: Dimers().finite(2, 2, measure="vertical"), SettingsError, "horizontal"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def strip_log_z(beta: float, width: int) -> float:
    """Three spins high, by powers of the transfer matrix of a column."""
    spins = np.array(list(itertools.product([1, -1], repeat=3)))
    column = np.exp(beta * (spins[:, :-1] * spins[:, 1:]).sum(axis=1) / 2)
    values, vectors = np.linalg.eigh(column[:, None] * np.exp(beta * spins @ spins.T) * column)
    shares = (vectors.T @ column) ** 2 * (values / values[-1]) ** (width - 1)
    return float((width - 1) * np.log(values[-1]) + np.log(shares.sum()))


@pytest.mark.parametrize("method", ["zip-up", "svd", "density-matrix", "src", "variational"])
def test_wide_networks_do_not_overflow(method):
    """ln Z = 2202: a single row of 950 sites already is beyond every floating-point number."""
    network = Ising(beta=0.3).finite(3, 950)
    total = wide(8, method=method, estimate=False).solve(network)
    assert total.status.converged and len(total.values) == 1
    assert total.log_z == pytest.approx(strip_log_z(0.3, 950), abs=1e-7)


def test_means_of_wide_networks_are_those_of_their_middle():
    def energies(width: int) -> np.ndarray:
        network, energy = (Ising(beta=0.3).finite(2, width, measure=name) for name in (None, "energy"))
        return wide(8, method="svd").boundaries(network).means(energy)

    far, near = energies(950), energies(60)
    np.testing.assert_allclose(far[:, 700:720], near[:, 20:40], atol=1e-12)
    np.testing.assert_allclose(far[:, :20], near[:, :20], atol=1e-12)


def test_without_an_estimate_the_sum_is_that_of_boundaries_that_meet():
    network = Dimers().finite(8, 8)
    full, once = wide(6).solve(network), wide(6, estimate=False).solve(network)
    assert once.values == full.values[:1] and once.error == pytest.approx(once.trunc_err)
    assert "from 1 way to sum" in repr(once)
