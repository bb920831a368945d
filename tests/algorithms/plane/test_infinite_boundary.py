"""Infinite boundary MPS against Onsager, Yang, Baxter, Lieb and corner transfer matrices."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.algorithms.plane.infinite_boundary import InfiniteBoundary
from tnsim.errors import OperatorError, SettingsError
from tnsim.linalg import Truncation
from tnsim.models.classical import (
    BoltzmannWeights,
    Dimers,
    HardSquares,
    HoneycombIsing,
    Ising,
    SixVertex,
    TriangularIsing,
)
from tnsim.models.exact.ising_2d import CRITICAL
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.tensor import from_dense

LN_Z_CRITICAL = 0.929695398341610215


def boundary(chi: int, **settings) -> InfiniteBoundary:
    return InfiniteBoundary(truncation=Truncation(chi_max=chi), **settings)


@pytest.mark.parametrize(
    "model",
    [
        Ising(beta=0.5),
        Ising(beta=0.3, conserve="parity"),
        Ising(beta=0.3, Jy=-0.5),
        TriangularIsing(beta=0.3),
        HoneycombIsing(beta=0.5, conserve="parity"),
        HardSquares(),
    ],
    ids=repr,
)
def test_exact_answers_off_criticality(model):
    result = boundary(16).solve(model)
    assert result.status.converged
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-12)
    for name, measured in (("magnetisation", "spin"), ("energy per site", "energy")):
        if measured in result.means and name in {fact.name for fact in model.facts}:
            assert abs(result.means[measured]) == pytest.approx(abs(model.facts[name].value), abs=1e-8)


def test_the_critical_point():
    result = boundary(24, tol=3e-6).solve(Ising(beta=CRITICAL))
    assert result.status.converged
    assert abs(result.log_z / LN_Z_CRITICAL - 1) < 2e-8
    assert result.means["energy"] == pytest.approx(-np.sqrt(2), abs=1e-3)


def test_the_power_method_has_the_same_fixed_point():
    model = Ising(beta=0.35)
    by_rows, solved = boundary(10, method="power", tol=1e-10).solve(model), boundary(10).solve(model)
    assert by_rows.log_z == pytest.approx(solved.log_z, abs=1e-10)
    assert by_rows.log_z == pytest.approx(model.facts["ln Z per site"].value, abs=1e-10)
    np.testing.assert_allclose(
        np.sort(by_rows.below.schmidt_values()[0].values)[-6:], np.sort(solved.below.schmidt_values()[0].values)[-6:],
        atol=1e-7,
    )  # fmt: skip


def test_correlation_lengths_are_those_of_corners():
    model = Ising(beta=0.5)
    result = boundary(16).solve(model)
    assert result.correlation_length == pytest.approx(model.facts["correlation length"].value, rel=0.12)
    corners = CTMRG(truncation=Truncation(chi_max=16)).solve(model)
    assert result.correlation_length == pytest.approx(corners.correlation_length, rel=0.1)


def test_both_sides_of_a_network_that_is_no_mirror_image_of_itself():
    """A chiral clock model: rows upwards and downwards differ; corners know the sum."""
    angles = 2 * np.pi * np.arange(3) / 3
    turned = np.exp(0.6 * np.cos(angles[:, None] - angles[None, :] + 0.4))
    model = BoltzmannWeights(bond=np.exp(0.5 * np.cos(angles[:, None] - angles[None, :])), vertical=turned)
    result = boundary(12).solve(model)
    assert result.status.converged and {report.side for report in result.history} == {"below", "above"}
    corners = CTMRG(truncation=Truncation(chi_max=12), symmetric=False).solve(model)
    assert result.log_z == pytest.approx(corners.log_z, abs=1e-11)


def test_cells_of_many_sites():
    rng = np.random.default_rng(4)
    model = Ising(beta=0.3, Jy=0.5)
    one = model.network()
    gauges = [[np.eye(2) + 0.3 * rng.standard_normal((2, 2)) for _ in "ab"] for _ in "ab"]

    def site(i: int, j: int):
        array = np.einsum("nesw,eb,wd->nbsd", one.tensor.array, gauges[i][j], np.linalg.inv(gauges[i][j - 1]).T)
        return from_dense(array, one.tensor.legs)

    cell = InfiniteNetwork([[site(i, j) for j in range(2)] for i in range(2)], log_scale=4 * one.log_scale)
    for method in ("vumps", "power"):
        result = boundary(10, method=method).solve(cell)
        assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-11)
        assert result.below.L == 2


@pytest.mark.slow
def test_the_entropy_of_square_ice():
    """3/2 ln(4/3) (Lieb), critical: errors fall as a power of chi, which three bond dimensions extrapolate."""
    exact = SixVertex().facts["ln Z per site"].value
    found = [
        InfiniteBoundary(truncation=Truncation(chi_max=chi, svd_min=1e-10), tol=3e-6).solve(SixVertex()).log_z
        for chi in (8, 16, 32)
    ]
    assert found[1] == pytest.approx(exact, abs=8e-6) and found[2] == pytest.approx(exact, abs=1.4e-6)
    first, second = np.diff(found)
    assert found[2] - second**2 / (second - first) == pytest.approx(exact, abs=3e-7)


def test_monomers_and_dimers():
    assert boundary(12).solve(Dimers(z=1.0)).log_z == pytest.approx(0.662798972834, abs=1e-11)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_it_runs_on_every_device(device, dtype):
    network = Ising(beta=0.3, conserve="parity").network(dtype=dtype, backend=backend_or_skip(device))
    result = boundary(4, tol=1e-4, max_steps=12).solve(network)
    exact = Ising(beta=0.3).facts["ln Z per site"].value
    assert result.below.dtype == dtype and result.below.backend is network.backend
    assert result.log_z == pytest.approx(exact, abs=2e-5 if dtype.char in "fF" else 1e-7)


def test_what_has_not_converged_says_so():
    result = boundary(8, max_steps=6).solve(Ising(beta=CRITICAL))
    assert result.status.name == "max_steps reached" and "below still changes" in result.status.advice
    assert "advice" in repr(result) and "below 1:" in repr(result.history[0])


def test_results_draw_themselves(tmp_path):
    result = boundary(4).solve(Ising(beta=0.3))
    left, right = result.plot(tmp_path / "run.svg").axes
    assert (left.get_title(), right.get_title()) == ("convergence", "Schmidt values")
    assert "<svg" in (tmp_path / "run.svg").read_text()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: boundary(4, method="powr"), SettingsError, 'Did you mean "power"'),
        (lambda: boundary(4, max_steps=0), SettingsError, "max_steps"),
        (lambda: boundary(4, start="open").solve(Ising(beta=0.3)), SettingsError, "no edge 'open'"),
        (lambda: boundary(4).solve(3), OperatorError, "InfiniteNetwork"),
        (lambda: boundary(0), SettingsError, "chi_max"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
