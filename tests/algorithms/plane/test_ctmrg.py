"""Corner transfer matrices against Onsager, Yang and Baxter, published errors, duality, and what has to be flagged."""

import numpy as np
import pytest

from tests.algorithms.plane.cells import gauged
from tests.devices import backend_or_skip
from tests.strict_device import sync_budget
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.corner_fixed_point import CornerFixedPoint
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.errors import LegError, OperatorError, SettingsError
from tnsim.linalg import Truncation
from tnsim.linalg.product_svd import _range
from tnsim.models.classical import (
    BoltzmannWeights,
    Clock,
    Dimers,
    HardSquares,
    HoneycombIsing,
    Ising,
    Potts,
    SixVertex,
    TriangularIsing,
)
from tnsim.models.exact.ising_2d import CRITICAL
from tnsim.networks.square_network import InfiniteNetwork
from tnsim.tensor import from_dense

LN_Z_CRITICAL = 0.929695398341610215


def corners(chi: int, **settings) -> CTMRG:
    return CTMRG(truncation=Truncation(chi_max=chi), **settings)


@pytest.mark.parametrize(
    ("beta", "conserve", "error"), [(0.3, None, 1e-14), (0.4, "parity", 1e-11), (0.5, None, 1e-14), (0.45, None, 3e-9)]
)
def test_ising_off_the_critical_point_is_exact(beta, conserve, error):
    model = Ising(beta=beta, conserve=conserve)
    result = corners(16).solve(model)
    assert result.status.converged
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=max(error / 10, 1e-14))
    means = result.means
    assert means["energy"] == pytest.approx(model.facts["energy per site"].value, abs=max(error, 1e-12))
    assert means["spin"] == pytest.approx(model.facts["magnetisation"].value, abs=max(10 * error, 1e-9))


def test_the_error_at_the_critical_point_is_the_published_one():
    """Measured before with independent code: 5.7e-7 at chi 8."""
    result = corners(8, tol=1e-4).solve(Ising(beta=CRITICAL))
    assert result.status.converged
    assert abs(result.log_z / LN_Z_CRITICAL - 1) == pytest.approx(5.7e-7, rel=0.02)
    assert result.means["energy"] == pytest.approx(-np.sqrt(2), abs=5e-3)


def test_the_critical_fixed_point_is_that_of_ten_thousand_plain_steps():
    """Measured before with independent code: 3.65e-8 at chi 16, 7.7e-9 at chi 24."""
    result = corners(16, tol=1e-8).solve(Ising(beta=CRITICAL))
    assert result.status.converged and result.history[-1].step < 200
    assert result.log_z / LN_Z_CRITICAL - 1 == pytest.approx(-3.65e-8, rel=5e-3)
    result = corners(24, tol=1e-4).solve(Ising(beta=CRITICAL))
    assert result.status.converged and abs(result.log_z / LN_Z_CRITICAL - 1) < 1e-8
    # the plain step agrees that nothing moves
    grown, _ = result.environment.grown(Truncation(chi_max=24))
    assert np.abs(grown.marks[0] - result.environment.marks[0]).max() < 1e-6


def test_qr_projectors_have_the_same_fixed_point():
    model = Ising(beta=0.42)
    by_eigh, by_qr = (corners(14, projector=name).solve(model) for name in ("eigh", "qr"))
    assert by_qr.status.converged
    assert by_qr.log_z == pytest.approx(model.facts["ln Z per site"].value, abs=1e-9)
    assert by_qr.log_z == pytest.approx(by_eigh.log_z, abs=1e-12)
    assert by_qr.means == pytest.approx(by_eigh.means, abs=1e-9)


@pytest.mark.parametrize("device", ["strict", "cuda-host"])
def test_a_step_towards_the_fixed_point_stays_on_the_device(device):
    network = Ising(beta=0.42, conserve="parity").network(backend=backend_or_skip(device))
    start = corners(6, max_steps=40).solve(network).environment
    steps = CornerFixedPoint(start)
    for _ in range(3):
        found = steps.advance()
    assert found.edge.backend is network.backend
    host = CornerFixedPoint(corners(6, max_steps=40).solve(network.to("numpy")).environment)
    for _ in range(3):
        expected = host.advance()
    np.testing.assert_allclose(found.marks[0], expected.marks[0], atol=1e-9)


def test_the_magnetisation_near_the_critical_point():
    """Yang's curve at 1 % and 3 % below the critical temperature."""
    for share, error in ((1.01, 2e-5), (1.03, 1e-8)):
        model = Ising(beta=share * CRITICAL)
        result = corners(20, tol=1e-8).solve(model)
        assert result.means["spin"] == pytest.approx(model.facts["magnetisation"].value, abs=error)


def test_duality_of_the_potts_model():
    """ln Z(K) - ln Z(K*) = ln((e^K - 1)^2 / q) where (e^K - 1) (e^K* - 1) = q, exactly."""
    q, K = 3, 0.85
    dual = float(np.log(1 + q / (np.exp(K) - 1)))
    hot, cold = (corners(20, tol=1e-9).solve(Potts(states=q, beta=beta)) for beta in (K, dual))
    assert hot.log_z - cold.log_z == pytest.approx(2 * np.log(np.exp(K) - 1) - np.log(q), abs=2e-8)
    assert cold.means["order"] > 0.8 and abs(hot.means["order"]) < 1e-6


def test_the_four_state_clock_is_two_ising_models():
    model = Clock(states=4, beta=1.0)
    assert corners(16).solve(model).log_z == pytest.approx(model.facts["ln Z per site"].value, abs=1e-9)


def test_hard_squares_have_baxters_constant():
    model = HardSquares()
    with pytest.raises(OperatorError, match="plaquettes"):
        corners(8).solve(model)
    result = corners(12).solve(model.plaquettes())
    assert np.exp(result.log_z) == pytest.approx(1.503048082475332264322066, rel=1e-14)
    assert result.means["density"] == pytest.approx(0.226570815462713, abs=1e-12)  # Baxter 1999, all digits here


def test_antiferromagnets_without_order_by_plaquettes():
    model = Ising(beta=0.35, J=-1.0)
    result = corners(12).solve(model.plaquettes())
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-11)
    assert result.means["energy"] == pytest.approx(model.facts["energy per site"].value, rel=1e-8)


def test_fields_and_own_weights():
    """A field in the transfer matrix's own terms: weights given by hand are those of the model."""
    spins = np.array([1.0, -1.0])
    own = BoltzmannWeights(
        bond=np.exp(0.4 * np.outer(spins, spins)), site=np.exp(0.4 * 0.2 * spins), measure={"spin": spins}
    )
    expected = corners(10).solve(Ising(beta=0.4, field=0.2))
    found = corners(10).solve(own)
    assert found.log_z == pytest.approx(expected.log_z, abs=1e-12)
    assert found.means["spin"] == pytest.approx(expected.means["spin"], abs=1e-11)
    # the derivative of ln Z by the field is the magnetisation
    up, down = (corners(10).solve(Ising(beta=0.4, field=h)).log_z for h in (0.2 + 1e-4, 0.2 - 1e-4))
    assert (up - down) / 2e-4 / 0.4 == pytest.approx(expected.means["spin"], abs=1e-7)


def test_correlation_lengths_grow_towards_the_exact_one():
    for beta, conserve in ((0.35, "parity"), (0.5, None)):
        model = Ising(beta=beta, conserve=conserve)
        exact = model.facts["correlation length"].value
        small, large = (corners(chi).solve(model).correlation_length for chi in (6, 16))
        assert 0.8 * exact < small < large < exact and large == pytest.approx(exact, rel=0.08)


def test_a_superposition_of_both_magnetisations_has_no_correlation_length():
    result = corners(12).solve(Ising(beta=0.55, conserve="parity"))
    assert result.log_z == pytest.approx(Ising(beta=0.55).facts["ln Z per site"].value, abs=1e-12)
    assert result.correlation_length > 1e6 and result.means["spin"] == 0


@pytest.mark.parametrize(("device", "dtype"), [place for place in PLACES if place.values[1].kind == "f"])
def test_it_runs_on_every_device(device, dtype):
    network = Ising(beta=0.3, conserve="parity").network(dtype=dtype, backend=backend_or_skip(device))
    result = corners(6, max_steps=40, check_every=10).solve(network)
    exact = Ising(beta=0.3).facts["ln Z per site"].value
    assert result.environment.edge.dtype == dtype and result.environment.edge.backend is network.backend
    assert result.log_z == pytest.approx(exact, abs=1e-5 if dtype.char == "f" else 1e-9)
    assert result.means["energy"] == pytest.approx(-0.704499070832445, abs=1e-4 if dtype.char == "f" else 1e-6)


# -- four corners ---------------------------------------------------------------------------------------------------


def four(chi: int, **settings) -> CTMRG:
    return corners(chi, symmetric=False, **settings)


@pytest.mark.parametrize(
    "model",
    [
        Ising(beta=0.5),
        Ising(beta=0.3, Jy=-0.5),
        Ising(beta=0.3, Jy=0.6, conserve="parity"),
        TriangularIsing(beta=0.35),
        TriangularIsing(beta=0.3, J=-1.0, conserve="parity"),
        HoneycombIsing(beta=0.5),
        HardSquares(),
        SixVertex(a=1.0, b=1.0, c=8.0),
    ],
    ids=repr,
)
def test_networks_without_the_symmetries_of_the_square(model):
    result = four(16).solve(model)
    assert result.status.converged
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-12)
    for name, measured in (("magnetisation", "spin"), ("energy per site", "energy")):
        if measured in result.means and name in {fact.name for fact in model.facts}:
            assert abs(result.means[measured]) == pytest.approx(abs(model.facts[name].value), abs=1e-9)


def test_four_corners_and_one_agree():
    model = Ising(beta=0.42, field=0.05)
    one, more = corners(14).solve(model), four(14).solve(model)
    assert more.log_z == pytest.approx(one.log_z, abs=1e-12)
    assert more.means == pytest.approx(one.means, abs=1e-9)
    assert more.correlation_length == pytest.approx(one.correlation_length, rel=0.05)
    certificate = four(6).certify(model, four(6).solve(model))
    assert certificate.error < 1e-7 and certificate.problems == ()


def test_random_projections_have_the_same_fixed_point(monkeypatch):
    """Of a bond of dimension 3, where the ring would be decomposed in full; with it no projection is ever made."""
    model = Potts(states=3, beta=0.95)
    full, random = four(12).solve(model), four(12, projector="randomized").solve(model)
    assert random.log_z == pytest.approx(full.log_z, abs=1e-12) and random.status.converged
    np.testing.assert_allclose(random.environment.spectrum.values, full.environment.spectrum.values, atol=1e-9)
    made = []
    monkeypatch.setattr("tnsim.linalg.product_svd._range", lambda *words: made.append(words) or _range(*words))
    four(12, max_steps=20).solve(model)
    assert not made
    four(12, max_steps=20, projector="randomized").solve(model)
    assert len(made) >= 20


def test_monomers_and_dimers():
    """The entropy of all matchings of the square lattice: 0.662798972834 (Baxter, J. Math. Phys. 9, 650 (1968))."""
    assert four(12).solve(Dimers(z=1.0)).log_z == pytest.approx(0.662798972834, abs=1e-12)


def test_larger_cells_and_complex_numbers():
    """Four sites in a cell, and bonds in a complex basis, leave everything as it is."""
    T, expected = Ising(beta=0.3, Jy=0.5).network(), Ising(beta=0.3, Jy=0.5).facts["ln Z per site"].value
    cell = InfiniteNetwork([[T.tensor, T.tensor]], log_scale=2 * T.log_scale)
    assert four(10).solve(cell).log_z == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(0)
    turn, other = (np.eye(2) + 0.3 * (rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2))) for _ in "ab")
    array = np.einsum("nesw,na,eb,sc,wd->abcd", T.tensor.array, turn, other, np.linalg.inv(turn).T,
                      np.linalg.inv(other).T)  # fmt: skip
    network = InfiniteNetwork([[from_dense(array, T.tensor.legs)]], log_scale=T.log_scale)
    assert four(8).solve(network).log_z == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("shape", "projector"), [((1, 2), "full"), ((2, 1), "half"), ((2, 3), "half"), ((1, 2), "randomized")]
)
def test_cells_of_many_sites(shape, projector):
    model = Ising(beta=0.3, Jy=0.5)
    one = model.network()
    cell = InfiniteNetwork([[one.tensor] * shape[1]] * shape[0], log_scale=shape[0] * shape[1] * one.log_scale)
    result = four(8, projector=projector).solve(cell)
    assert result.status.converged
    assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-11)
    single = four(8).solve(one)
    assert result.correlation_length == pytest.approx(single.correlation_length, rel=0.02)


def test_a_cell_with_two_kinds_of_sites():
    """Gauge matrices on the bonds of a 2 x 2 cell make four different tensors of one model."""
    rng = np.random.default_rng(3)
    model = Ising(beta=0.35, Jy=0.5)
    cell = gauged(model.network(), lambda: np.eye(2) + 0.3 * rng.standard_normal((2, 2)))
    for projector in ("full", "half"):
        result = four(10, projector=projector).solve(cell)
        assert result.status.converged
        assert result.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=1e-10)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_four_corners_run_on_every_device(device, dtype):
    network = Ising(beta=0.3, Jy=0.4, conserve="parity").network(dtype=dtype, backend=backend_or_skip(device))
    result = four(4, max_steps=12, check_every=4).solve(network)
    assert result.environment.edges[0].dtype == dtype and result.environment.edges[0].backend is network.backend
    exact = Ising(beta=0.3, Jy=0.4).facts["ln Z per site"].value
    assert result.log_z == pytest.approx(exact, abs=2e-5 if dtype.char in "fF" else 1e-9)


def test_a_step_reads_the_device_three_times():
    """Finite numbers, the eigenvalues, the norm of the edge."""
    settings = corners(6)
    start = settings.solve(Ising(beta=0.3).network(backend=backend_or_skip("strict"))).environment
    with sync_budget(3):
        grown, weight = start.grown(settings.truncation)
    assert grown.chi == 6 and weight > 0


def test_a_certificate_tells_what_moves():
    model, run = Ising(beta=0.43), corners(6, tol=1e-8)
    result = run.solve(model)
    certificate = run.certify(model, result)
    actual = abs(result.log_z - model.facts["ln Z per site"].value)
    assert 0.3 * actual < certificate.error < 3 * actual and certificate.problems == ()
    assert "moves by" in repr(certificate) and "nothing is wrong" in repr(certificate)
    assert set(certificate.means) == {"spin", "energy"}


@pytest.mark.parametrize("cut", [{"svd_min": 1e-3}, {"trunc_err": 1e-10}], ids=repr)
def test_bonds_that_a_cutoff_ends_are_compared_with_larger_ones(cut):
    """At 3/2 chi_max the same environment would come out again, with a difference that means nothing."""
    model, run = Ising(beta=0.35), CTMRG(truncation=Truncation(chi_max=20, **cut), symmetric=False)
    result = run.solve(model)
    certificate = run.certify(model, result)
    actual = abs(result.log_z - model.facts["ln Z per site"].value)
    assert result.environment.chi < 5 < certificate.chis[1] and not certificate.saturated
    assert certificate.error == pytest.approx(actual, rel=0.01)


def test_bonds_that_end_at_rounding_are_said_to():
    model, run = Ising(beta=0.3), four(30)
    result = run.solve(model)
    certificate = run.certify(model, result)
    assert certificate.saturated and certificate.chis[0] == certificate.chis[1] < 20
    assert certificate.problems == () and 0 < certificate.cut <= certificate.error < 1e-12
    assert "bonds end at" in repr(certificate)


def test_collapsed_and_unconverged_environments_are_flagged():
    hot = Ising(beta=0.0)
    assert "rank 1" in corners(4).certify(hot, corners(4).solve(hot)).problems[-1]
    short = corners(16, max_steps=40)
    result = short.solve(Ising(beta=CRITICAL))
    assert result.status.name == "max_steps reached" and "still to go" in result.status.advice
    assert f"the last step changed the environment by {result.history[-1].corner_change:.1e}" in result.status.advice
    assert "advice" in repr(result)
    assert "max_steps reached" in short.certify(Ising(beta=CRITICAL), result).problems[0]


def test_quasi_one_dimensional_lattices_are_not_trusted_too_early():
    """Corners of chains are of rank 1 and stand still at once, while the edges still move along the chains."""
    chains = Ising(beta=1.5, Jy=0.0)
    result = four(6).solve(chains)
    assert result.history[-1].step > 100 and abs(result.means["spin"]) < 1e-8
    problems = four(6).certify(chains, result).problems
    assert "rank 1" in problems[0] and "set of chains" in problems[1]
    assert four(6).certify(chains, result).lengths[0][0] == pytest.approx(-1 / np.log(np.tanh(1.5)), rel=1e-6)
    nearly = Ising(beta=1.2, Jy=0.01)
    result = four(6).solve(nearly)
    assert result.log_z == pytest.approx(nearly.facts["ln Z per site"].value, abs=1e-12)
    assert abs(result.means["spin"]) < 1e-8 and four(6).certify(nearly, result).problems == ()


def test_a_start_that_superposes_states_is_flagged():
    ordered = Ising(beta=0.55)
    run = corners(8, start="free")
    certificate = run.certify(ordered, run.solve(ordered))
    assert "several states are superposed" in certificate.problems[-1]
    assert "correlation length along rows" in repr(certificate)


def test_results_draw_themselves(tmp_path):
    result = corners(4).solve(Ising(beta=0.3))
    left, right = result.plot(tmp_path / "run.svg").axes
    assert (left.get_title(), right.get_title()) == ("convergence", "corner spectrum")
    assert len(right.get_lines()[0].get_xdata()) == 4 and "<svg" in (tmp_path / "run.svg").read_text()
    assert "CornerReport(20:" in repr(result.history[0]) and "spin " in repr(result)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: corners(4, projector="full"), SettingsError, "one corner is eigh or qr"),
        (lambda: four(4, projector="eigh"), SettingsError, "four corners is full or half or randomized or qr"),
        (lambda: corners(4, max_steps=0), SettingsError, "max_steps"),
        (lambda: corners(4, start="open").solve(Ising(beta=0.3)), SettingsError, "no edge 'open'"),
        (lambda: corners(4).solve(Ising(beta=0.3, Jy=0.5)), OperatorError, "a quarter turn changes it"),
        (lambda: corners(4).solve(TriangularIsing(beta=0.3)), OperatorError, "symmetric=False"),
        (lambda: corners(4).solve(Potts(states=3, beta=0.3, conserve="charge")), LegError, "Z_2 charges"),
        (lambda: corners(4).solve(Ising(beta=0.3).network(dtype="D")), OperatorError, "real tensor"),
        (lambda: corners(4).solve(None), OperatorError, "InfiniteNetwork"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
