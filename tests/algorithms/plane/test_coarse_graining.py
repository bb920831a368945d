"""TRG, bond-weighted TRG and HOTRG: finite tori exactly, the published errors, conformal data, impurities."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact.grids import torus_value
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.atrg import ATRG
from tnsim.algorithms.plane.coarse_graining import CoarseGraining
from tnsim.algorithms.plane.hotrg import HOTRG
from tnsim.algorithms.plane.trg import BTRG, TRG
from tnsim.errors import OperatorError, SettingsError
from tnsim.models.classical import (
    BoltzmannWeights,
    Dimers,
    EightVertex,
    HardSquares,
    HoneycombIsing,
    Ising,
    Potts,
    SixVertex,
    TriangularIsing,
)
from tnsim.models.exact.ising_2d import CRITICAL
from tnsim.networks.square_network import InfiniteNetwork

LN_Z_CRITICAL = 0.929695398341610215  # ln 2 / 2 + 2 Catalan / pi
STEPS = [TRG(chi_max=64), BTRG(chi_max=64), HOTRG(chi_max=64), ATRG(chi_max=64)]


@pytest.mark.parametrize("step", STEPS[1:], ids=lambda step: type(step).__name__)
@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_a_torus_of_four_spins_is_exact(device, dtype, step):
    model = Ising(beta=0.4, conserve="parity")
    network = model.network(dtype=dtype, backend=backend_or_skip(device))
    result = CoarseGraining(step=step, max_steps=2).solve(network)
    eps = 1e-5 if dtype.char in "fF" else 1e-13
    assert result.log_z == pytest.approx(model.torus_log_z(2, 2) / 4, rel=eps)
    assert result.cell.transfer().dtype == dtype and result.cell.transfer().backend is network.backend
    assert result.status.name == "max_steps reached" and "4 sites" in result.status.advice


def test_a_torus_of_sixteen_spins_is_exact_by_atrg():
    run = CoarseGraining(step=ATRG(chi_max=16), max_steps=4).solve(Ising(beta=CRITICAL))
    assert 16 * run.log_z == pytest.approx(Ising(beta=CRITICAL).torus_log_z(4, 4), rel=1e-13)


def test_a_torus_of_sixteen_spins_is_exact_and_of_sixty_four_nearly():
    model = Ising(beta=CRITICAL, conserve="parity")
    run = CoarseGraining(step=HOTRG(chi_max=16, svd_min=0.0), max_steps=6).solve(model)
    assert [report.trunc_err for report in run.history[:5]] == [0.0] * 5 and run.at(6).trunc_err > 1e-6
    assert 16 * run.at(4).log_z == pytest.approx(model.torus_log_z(4, 4), rel=1e-13)
    assert 64 * run.at(6).log_z == pytest.approx(model.torus_log_z(8, 8), rel=1e-5)


# relative errors of ln Z per site at the critical point: measured before with independent code (dense NumPy, 2^50
# sites), and the bounds of the tests of TNRKit.jl (TRG 24: 2e-6, BTRG 24: 6e-8, HOTRG 16: 6e-7)
@pytest.mark.parametrize("conserve", [None, "parity"])
@pytest.mark.parametrize(
    ("step", "error"),
    [
        (TRG(chi_max=16), 4.6e-6),
        (BTRG(chi_max=8), 1.1e-5),
        (BTRG(chi_max=16), 3.3e-7),
        (HOTRG(chi_max=8), 1.4e-5),
        (HOTRG(chi_max=12), 1.7e-6),
    ],
    ids=repr,
)
def test_errors_at_the_critical_point_are_the_published_ones(step, error, conserve):
    result = CoarseGraining(step=step).solve(Ising(beta=CRITICAL, conserve=conserve))
    assert abs(result.log_z / LN_Z_CRITICAL - 1) == pytest.approx(error, rel=0.05)
    assert result.status.converged and len(result.history) > 30


def test_the_random_projection_loses_nothing():
    """At chi 24 the plaquette is never formed; a seed changes rounding only."""
    model = Ising(beta=CRITICAL, conserve="parity")
    found = [CoarseGraining(step=BTRG(chi_max=24, seed=seed)).solve(model).log_z for seed in (0, 1)]
    assert abs(found[0] / LN_Z_CRITICAL - 1) <= 6e-8
    assert found[0] == pytest.approx(found[1], rel=2e-10)
    # TNRKit.jl's bound for ATRG at chi 24 is 3e-6
    assert abs(CoarseGraining(step=ATRG(chi_max=20)).solve(model).log_z / LN_Z_CRITICAL - 1) <= 3e-6


def test_a_torus_of_2_to_the_30_spins_keeps_all_digits():
    """The logarithm of a number of 4e8 digits, where little is discarded."""
    for beta in (0.2, 1.0):
        *_, last = CoarseGraining(step=BTRG(chi_max=12), max_steps=30).steps(Ising(beta=beta))
        assert last.sites == 2**30
        assert last.log_z == pytest.approx(Ising(beta=beta).torus_log_z(2**15, 2**15) / 2**30, rel=1e-11)


@pytest.mark.parametrize("conserve", [None, "parity"])
@pytest.mark.parametrize("step", [BTRG(chi_max=16), HOTRG(chi_max=12)], ids=repr)
def test_conformal_data_of_the_critical_ising_model(step, conserve):
    """Central charge 1/2; identity, spin, energy, the two descendants of the spin, four of the next level."""
    run = CoarseGraining(step=step, max_steps=8, width=2, levels=9).solve(Ising(beta=CRITICAL, conserve=conserve))
    report = run.at(8)
    assert report.central_charge == pytest.approx(0.5, rel=1e-2)
    assert report.dimensions[:5] == pytest.approx((0, 1 / 8, 1, 9 / 8, 9 / 8), rel=4e-3)
    assert report.dimensions[5:9] == pytest.approx((2.0,) * 4, rel=3e-2)


def test_one_tensor_alone_is_cheaper_and_less_precise():
    run = CoarseGraining(step=BTRG(chi_max=16)).solve(Ising(beta=CRITICAL))
    assert run.at(8).dimensions[1:5] == pytest.approx((1 / 8, 1, 9 / 8, 9 / 8), rel=2e-2)
    assert np.mean([run.at(n).central_charge for n in (7, 8)]) == pytest.approx(0.5, rel=2e-2)
    hotrg = CoarseGraining(step=HOTRG(chi_max=12), max_steps=9).solve(Ising(beta=CRITICAL))
    assert np.isnan(hotrg.at(8).central_charge)  # two tori of too similar a shape
    assert hotrg.at(9).central_charge == pytest.approx(0.5, rel=2e-2)


def test_spectra_by_krylov_are_those_of_the_matrix(monkeypatch):
    run = CoarseGraining(step=BTRG(chi_max=8), max_steps=6, width=2, levels=3)
    full = run.solve(Ising(beta=CRITICAL, conserve="parity")).at(6)
    monkeypatch.setattr("tnsim.algorithms.plane.coarse_cell._FULL", 1)
    krylov = run.solve(Ising(beta=CRITICAL, conserve="parity")).at(6)
    assert krylov.dimensions == pytest.approx(full.dimensions, abs=1e-8)
    assert krylov.central_charge == pytest.approx(full.central_charge, abs=1e-8)


def test_conformal_data_of_the_three_state_potts_model():
    model = Potts(states=3, beta=np.log(1 + np.sqrt(3)), conserve="charge")
    run = CoarseGraining(step=BTRG(chi_max=15), max_steps=7, width=2).solve(model)
    assert run.at(6).central_charge == pytest.approx(0.8, rel=3e-2)
    assert run.at(6).dimensions[1:3] == pytest.approx((2 / 15, 2 / 15), rel=1e-2)
    assert run.at(6).dimensions[3] == pytest.approx(4 / 5, rel=8e-2)  # corrections fall as L^(-4/5)


# errors that these bond dimensions leave, measured; exact facts of the models
@pytest.mark.parametrize(
    ("model", "error"),
    [
        (SixVertex(a=1.0, b=1.0, c=3.0), 5e-5),
        (SixVertex(conserve="arrows"), 3e-4),
        (Dimers(), 2e-4),
        (HardSquares(), 3e-11),
        (TriangularIsing(beta=0.2), 6e-7),
        (TriangularIsing(beta=0.3, conserve="parity"), 2e-6),
        (HoneycombIsing(beta=0.6), 5e-7),
        (HoneycombIsing(beta=0.8, conserve="parity"), 1e-7),
        (Ising(beta=0.3, Jy=-0.5), 1e-10),
        (Potts(states=3, beta=float(np.log(1 + np.sqrt(3))), conserve="charge"), 1e-4),
    ],
    ids=repr,
)
def test_other_models_have_their_exact_free_energies(model, error):
    run = CoarseGraining(step=BTRG(chi_max=12)).solve(model)
    assert run.status.converged
    assert run.log_z == pytest.approx(model.facts["ln Z per site"].value, abs=error)


def test_an_eight_vertex_model_of_equal_weights_counts_even_graphs():
    model = EightVertex(a=1.0, b=1.0, c=1.0, d=1.0, conserve="parity")
    run = CoarseGraining(step=TRG(chi_max=8), max_steps=20).solve(model)
    assert run.log_z * 2**20 == pytest.approx(np.log(2) * (2**20 + 1), rel=1e-12)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_complex_tensors_without_any_symmetry(step):
    """A random tensor near a positive one; the torus of 2 x 2 is real where the tensor is Hermitian by reflection."""
    rng = np.random.default_rng(3)
    array = rng.random((2, 3, 2, 3)) + 1j * rng.standard_normal((2, 3, 2, 3))
    array = array + array.transpose(2, 1, 0, 3).conj()  # the transfer matrix is Hermitian
    legs = [tn.Leg(tn.TRIVIAL, [()], [d], flow) for d, flow in zip(array.shape, (1, -1, -1, 1), strict=True)]
    network = InfiniteNetwork([[tn.from_dense(array, legs)]])
    run = CoarseGraining(step=step, max_steps=2).solve(network)
    exact = torus_value(array, 2, 2)
    assert exact > 0 and 4 * run.log_z == pytest.approx(np.log(exact), rel=1e-12)


def test_a_partition_function_with_a_phase_has_no_logarithm():
    turned = InfiniteNetwork([[Ising(beta=0.3).network().tensor.astype(np.complex128) * np.exp(0.3j)]])
    truncation = tn.Truncation(chi_max=4)
    for run in (
        CoarseGraining(step=HOTRG(chi_max=4), max_steps=1),
        tn.CTMRG(truncation=truncation, symmetric=False),
        tn.InfiniteBoundary(truncation=truncation),
    ):
        found = run.solve(turned)
        assert found.status.name == "not positive" and np.isnan(found.log_z)


def test_impurities_measure_magnetisation_and_energy():
    facts = Ising(beta=0.5).facts
    run = CoarseGraining(step=HOTRG(chi_max=10), measure=("spin", "energy")).solve(Ising(beta=0.5, field=1e-7))
    assert run.means["spin"] == pytest.approx(facts["magnetisation"].value, abs=3e-5)
    assert run.means["energy"] == pytest.approx(facts["energy per site"].value, abs=2e-4)
    # exactly on a torus of sixteen spins: the derivative of Kaufman's partition function
    step, small = 1e-4, CoarseGraining(step=HOTRG(chi_max=16, svd_min=0.0), max_steps=4, measure=("energy",))
    slope = Ising(beta=0.4 + step).torus_log_z(4, 4) - Ising(beta=0.4 - step).torus_log_z(4, 4)
    assert small.solve(Ising(beta=0.4)).means["energy"] == pytest.approx(-slope / (2 * step) / 16, abs=1e-6)


def kaufman_derivatives(beta: float, rows: int, columns: int) -> tuple[float, float]:
    """First and second derivative of ln Z per spin by beta, to 1e-8, from five tori."""
    step = 4e-3
    z = [Ising(beta=beta + k * step).torus_log_z(rows, columns) / (rows * columns) for k in (-2, -1, 0, 1, 2)]
    first = (z[0] - 8 * z[1] + 8 * z[3] - z[4]) / (12 * step)
    return first, (-z[0] + 16 * z[1] - 30 * z[2] + 16 * z[3] - z[4]) / (12 * step**2)


@pytest.mark.parametrize("conserve", [None, "parity"])
def test_derivatives_of_a_torus_of_sixteen_spins_are_exact(conserve):
    step = HOTRG(chi_max=16, svd_min=0.0, derivatives=2)
    run = CoarseGraining(step=step, max_steps=4).solve(Ising(beta=0.4, conserve=conserve))
    assert run.derivatives == pytest.approx(kaufman_derivatives(0.4, 4, 4), rel=1e-6)


@pytest.mark.parametrize("beta", [0.4, 0.5])
def test_derivatives_are_those_of_what_is_computed_and_beat_impurities(beta):
    """Energy and specific heat by forward differentiation; at chi 12 also the second derivative has four digits."""
    model = Ising(beta=beta, conserve="parity")
    run = CoarseGraining(step=HOTRG(chi_max=12, derivatives=2), measure=("energy",), max_steps=26, tol=0.0)
    found = run.solve(model)
    up, down = (run.solve(Ising(beta=beta + h, conserve="parity")).log_z for h in (1e-4, -1e-4))
    assert found.derivatives[0] == pytest.approx((up - down) / 2e-4, abs=2e-6)
    exact = model.facts["energy per site"].value
    error, impurity = abs(-found.derivatives[0] / exact - 1), abs(found.means["energy"] / exact - 1)
    assert error < 6e-6 and error < 0.15 * impurity
    second = kaufman_derivatives(beta, 2**9, 2**9)[1]
    assert found.derivatives[1] == pytest.approx(second, rel=2e-4)
    assert "d ln Z / d beta" in repr(found) and "dd ln Z" in repr(found)


@pytest.mark.parametrize("beta", [0.4, 0.5])
def test_the_error_of_a_derivative_is_the_slope_of_the_error_of_ln_z(beta):
    """So nothing is lost by differentiation; but the slope is 20 to 40 times the error, which falls fast off beta_c."""

    def error(b: float) -> float:
        model = Ising(beta=b, conserve="parity")
        run = CoarseGraining(step=HOTRG(chi_max=12), max_steps=30, tol=0.0)
        return run.solve(model).log_z - model.facts["ln Z per site"].value

    model, step = Ising(beta=beta, conserve="parity"), 2e-3
    run = CoarseGraining(step=HOTRG(chi_max=12, derivatives=1), max_steps=30, tol=0.0).solve(model)
    found = run.derivatives[0] + model.facts["energy per site"].value
    assert found == pytest.approx((error(beta + step) - error(beta - step)) / (2 * step), rel=1e-2)
    assert 10 < abs(found / error(beta)) < 60


def test_the_energy_of_the_critical_potts_model_by_differentiation():
    model = Potts(states=3, beta=float(np.log(1 + np.sqrt(3))), conserve="charge")
    run = CoarseGraining(step=HOTRG(chi_max=12, derivatives=1), max_steps=24).solve(model)
    assert -run.derivatives[0] == pytest.approx(model.facts["energy per site"].value, rel=1e-2)


def test_steps_can_be_driven_one_by_one():
    reports = CoarseGraining(step=TRG(chi_max=4), max_steps=6).steps(Ising(beta=0.3).network())
    first, second = next(reports), next(reports)
    assert (first.sites, second.sites) == (1, 2) and second.seconds > 0
    assert len(list(reports)) == 5


def test_a_partition_function_that_is_not_positive_is_a_status():
    run = CoarseGraining(step=TRG(chi_max=4), max_steps=5).solve(BoltzmannWeights(bond=[[0, 1], [0, 0]]))
    assert np.isnan(run.log_z) or run.log_z == -np.inf
    assert run.status.name == "not positive" and "not positive" in repr(run)
    # one site alone has no dimer: no number there, and all is well after it
    dimers = CoarseGraining(step=TRG(chi_max=4), max_steps=1).solve(Dimers())
    assert np.isnan(dimers.at(0).log_z) and dimers.log_z == pytest.approx(np.log(4) / 2)


def test_results_say_what_they_are(tmp_path):
    run = CoarseGraining(step=HOTRG(chi_max=4), max_steps=6, measure=("spin",)).solve(Ising(beta=0.3, field=0.1))
    text = repr(run)
    assert "ln Z per site = " in text and "spin " in text and "max_steps reached" in text
    assert "CoarseReport(6: 64 sites" in repr(run.history[-1])
    left, right = run.plot(tmp_path / "run.svg").axes
    assert (left.get_title(), right.get_title()) == ("convergence", "transfer spectrum")
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), [r.dimensions[1] for r in run.history])
    assert "<svg" in (tmp_path / "run.svg").read_text()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: TRG(chi_max=0), SettingsError, "chi_max"),
        (lambda: TRG(chi_max=4, bond_weight=1.0), SettingsError, "bond_weight"),
        (lambda: HOTRG(chi_max=4.5), SettingsError, "chi_max"),
        (lambda: HOTRG(chi_max=4, derivatives=3), SettingsError, "0, 1 or 2 derivatives"),
        (
            lambda: CoarseGraining(step=HOTRG(chi_max=2, derivatives=1)).solve(Dimers()),
            SettingsError,
            "does not know its tensor's change",
        ),
        (lambda: ATRG(chi_max=0), SettingsError, "chi_max"),
        (lambda: CoarseGraining(step=ATRG(chi_max=2), measure=("spin",)).solve(Ising(beta=1)), SettingsError, "HOTRG"),
        (lambda: CoarseGraining(step=TRG), SettingsError, "BTRG"),
        (lambda: CoarseGraining(step=TRG(chi_max=4), max_steps=0), SettingsError, "max_steps"),
        (lambda: CoarseGraining(step=TRG(chi_max=4), max_steps=2.5), SettingsError, "max_steps must be of type int"),
        (lambda: CoarseGraining(step=HOTRG(chi_max=4), measure="spin"), SettingsError, "measure must be of type tuple"),
        (lambda: CoarseGraining(step=TRG(chi_max=4), width=3), SettingsError, "width is 1 or 2"),
        (lambda: CoarseGraining(step=TRG(chi_max=4)).solve(4), OperatorError, "InfiniteNetwork"),
        (
            lambda: CoarseGraining(step=TRG(chi_max=4), measure=("spin",)).solve(Ising(beta=0.4)),
            SettingsError,
            "HOTRG",
        ),
        (lambda: CoarseGraining(step=TRG(chi_max=4), max_steps=2).solve(Ising(beta=0.4)).at(3), SettingsError, "2 st"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_public_names():
    assert (
        tn.CoarseGraining is CoarseGraining
        and tn.BTRG is BTRG
        and tn.HOTRG is HOTRG
        and tn.ATRG is ATRG
        and tn.TRG is TRG
    )
