"""Two-time correlations against free fermions, and spectra against the two-spinon continuum."""

import numpy as np
import pytest
import scipy.linalg

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.suites.chains import FEW_CHAINS, PLACES, random_state, tolerance, vector
from tnsim.errors import ChargeError, OperatorError, SettingsError, ShapeError, StateError
from tnsim.measure.time_series import linear_prediction, spectrum_of, window_of
from tnsim.measure.transition import transition_values
from tnsim.models import XX

L, SITE = 24, 12


@pytest.mark.parametrize(("device", "dtype"), PLACES)
@pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)
def test_matrix_elements(chain, device, dtype):
    backend = backend_or_skip(device)
    bra, ket = (random_state(chain, dtype, seed=seed).to(backend) for seed in (1, 2))
    found = transition_values(bra, chain.neutral[0], ket)
    expected = [
        np.vdot(vector(bra), dense.place(chain.sites, [(chain.neutral[0], i)]) @ vector(ket)) for i in range(bra.L)
    ]
    np.testing.assert_allclose(found, expected, atol=10 * tolerance(dtype))


@pytest.fixture(scope="module")
def correlation():
    """<Sz_x(t) Sz_0> in the ground state of the XX chain."""
    model = XX(L=L)
    ground = tn.DMRG(truncation=tn.Truncation(chi_max=48)).solve(model.mpo(), model.product())
    evolution = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=64, trunc_err=1e-9))
    return tn.dynamical_correlation(
        evolution, model.operator_sum(), ground.state, ("Sz", "Sz"), site=SITE, time=6.0, energy=ground.energy
    )


def exactly(times: np.ndarray) -> np.ndarray:
    """The same by Wick's theorem: <Cdag_x(t) C_0> <C_x(t) Cdag_0>, as <Sz> vanishes."""
    hopping = (np.eye(L, k=1) + np.eye(L, k=-1)) / 2
    levels, modes = np.linalg.eigh(hopping)
    filled = modes[:, : L // 2] @ modes[:, : L // 2].T
    rows = []
    for time in times:
        U = scipy.linalg.expm(-1j * hopping * time)
        rows.append((U.conj() @ filled)[:, SITE] * (U @ (np.eye(L) - filled))[:, SITE])
    return np.array(rows)


def test_correlation_of_the_xx_chain(correlation):
    np.testing.assert_allclose(correlation.values, exactly(correlation.times), atol=1e-4)
    assert "61 times up to 6, 24 sites" in repr(correlation)


def test_structure_factor_of_the_xx_chain(correlation):
    """Two spinons, G. Mueller et al., Phys. Rev. B 24, 1429 (1981): 1 / (pi sqrt(4 sin^2(k / 2) - omega^2)) between
    |sin k| and 2 sin(k / 2), of integral k / (2 pi)."""
    momentum, omega = 0.75 * np.pi, np.linspace(-3, 5, 401)
    step, width = omega[1] - omega[0], 3 / 6.0
    low, high = abs(np.sin(momentum)), 2 * np.sin(momentum / 2)
    found = correlation.structure_factor([momentum], omega)[0]
    fine = np.linspace(low, high, 4002)[1:-1]
    shape = 1 / np.sqrt(high**2 - fine**2)
    peaks = np.exp(-((omega[:, None] - fine[None, :]) ** 2) / (2 * width**2)) / np.sqrt(2 * np.pi * width**2)
    expected = (peaks * shape).sum(axis=1) * (fine[1] - fine[0]) / np.pi
    assert found.sum() * step == pytest.approx(correlation.at_momentum([momentum])[0, 0].real, rel=5e-3)
    np.testing.assert_allclose(found, expected, atol=0.06 * expected.max())
    longer = correlation.structure_factor([momentum], omega, predict=3.0)[0]
    outside = (omega < low - 0.5) | (omega > high + 0.5)
    assert np.abs(longer[outside]).max() < 0.05 * longer.max() and longer.max() > 1.1 * found.max()
    assert abs(omega[longer.argmax()] - high) < 0.2


def test_figure(correlation):
    pytest.importorskip("matplotlib")
    cone, weight = correlation.plot(np.linspace(0, 3, 31)).axes[:2]
    assert [axis.get_title() for axis in (cone, weight)] == ["correlation in time", "dynamical structure factor"]
    assert cone.collections[0].get_array().shape == correlation.values.shape
    assert weight.collections[0].get_array().shape == (31, L // 2 + 1)


def test_prediction_of_exponentials():
    times = 0.2 * np.arange(60)
    modes = np.array([-0.1 + 1j, -0.05 - 2j, 0.3j])
    series = (np.exp(np.multiply.outer(times, modes)) @ np.array([[1.0, 0.5], [0.5j, 1.0], [0.2, 0.7]])).T
    np.testing.assert_allclose(linear_prediction(series[:, :30], 30, order=3), series, atol=1e-8)
    growing = np.exp(0.05 * times[:30])
    assert np.abs(linear_prediction(growing, 100, order=1)).max() < 1.01 * growing[-1]


def test_windows_end_low():
    times = np.linspace(0, 5, 11)
    assert window_of("hann", times)[-1] == pytest.approx(0, abs=1e-15) and window_of("gauss", times)[-1] < 0.012
    with pytest.raises(SettingsError, match='Did you mean "hann"'):
        window_of("han", times)


def test_bad_input(correlation):
    model = XX(L=4)
    cut = tn.Truncation(chi_max=4)
    arguments = (model.operator_sum(), model.product(), ("Sz", "Sz"))
    with pytest.raises(SettingsError, match="in real time"):
        tn.dynamical_correlation(
            tn.TEBD(dt=0.1, truncation=cut, imaginary=True), *arguments, site=1, time=1.0, energy=0.0
        )
    with pytest.raises(ChargeError, match="breaks the conservation"):
        tn.dynamical_correlation(
            tn.TEBD(dt=0.1, truncation=cut), *arguments[:2], ("S-", "S+"), site=1, time=1.0, energy=0.0
        )
    with pytest.raises(SettingsError, match="predict is at least 1"):
        correlation.structure_factor([0.0], [0.0], predict=0.5)
    with pytest.raises(SettingsError, match="fix linear predictions of order 1 to 5"):
        linear_prediction(np.ones(10), 3, order=8)
    with pytest.raises(ShapeError, match="equally spaced times"):
        spectrum_of(np.array([0.0, 1.0, 3.0]), np.ones(3), [0.0])
    with pytest.raises(ShapeError, match="on the same sites"):
        transition_values(model.product(), "Sz", XX(L=2).product())
    with pytest.raises(ChargeError, match="do not lead from"):
        transition_values(model.product(), "Sz", model.product(["up"] * 4))


def test_times_backwards_give_the_same_spectrum():
    times, frequencies = np.linspace(0, 20, 201), np.linspace(-2, 2, 9)
    series = np.exp(-1.0j * times)
    forwards = spectrum_of(times, series, frequencies)
    assert forwards.max() > 1  # C(-t) = C(t)*
    assert np.allclose(spectrum_of(-times, series.conj(), frequencies), forwards)


def test_a_site_that_is_not_there_and_uneven_times():
    model, cut = XX(L=4), tn.Truncation(chi_max=4)
    evolution, arguments = tn.TEBD(dt=0.1, truncation=cut), (model.operator_sum(), model.product(), ("Sz", "Sz"))
    for site in (4, -1, 1.5):
        with pytest.raises(ShapeError, match="the state has sites 0 to 3, found site = "):
            tn.dynamical_correlation(evolution, *arguments, site=site, time=1.0, energy=0.0)
    uneven = tn.dynamical_correlation(evolution, *arguments, site=1, time=0.45, energy=0.0)
    for predict in (1.0, 2.0):
        with pytest.raises(ShapeError, match="equally spaced times"):
            uneven.structure_factor([0.5], [0.0, 1.0], predict=predict)
    with pytest.raises(SettingsError, match="predict must be real and finite"):
        uneven.structure_factor([0.5], [0.0], predict=np.inf)


def test_what_is_no_number_no_pair_and_no_state(correlation):
    model, evolution = XX(L=4), tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=4))
    H, psi, pair = model.operator_sum(), model.product(), ("Sz", "Sz")
    for energy in ("low", None, float("nan"), 1j, [0.0]):
        with pytest.raises(SettingsError, match="energy must be"):
            tn.dynamical_correlation(evolution, H, psi, pair, site=1, time=1.0, energy=energy)
    for operators in ("Sz", ("Sz",), ("Sz", "Sz", "Sz"), None):
        with pytest.raises(OperatorError, match="operators are a pair"):
            tn.dynamical_correlation(evolution, H, psi, operators, site=1, time=1.0, energy=0.0)
    for wrong in ((None, H, psi), (evolution, H, None)):
        with pytest.raises(StateError, match="takes an evolution, H and a finite state"):
            tn.dynamical_correlation(*wrong, pair, site=1, time=1.0, energy=0.0)
    for numbers in ("all", [np.nan], [1j], None):
        with pytest.raises(SettingsError, match="momenta must be real and finite"):
            correlation.at_momentum(numbers)
        with pytest.raises(SettingsError, match="frequencies must be real and finite"):
            correlation.structure_factor([0.5], numbers)
    for series in ("text", 1.0, [1.0, np.nan, 2.0, 3.0]):
        with pytest.raises(ShapeError, match="takes finite numbers"):
            linear_prediction(series, 2)
    with pytest.raises(SettingsError, match="whole numbers, found 1.5"):
        linear_prediction(np.ones(9), 1.5)
    with pytest.raises(StateError, match="correlation takes a state first"):
        tn.correlation(None, "Sz", "Sz")


def test_the_loschmidt_echo_is_that_of_free_fermions():
    """<psi| exp(-i H t) |psi> of the Neel state: the determinant of exp(-i h t) on the sites that are filled."""
    model = XX(L=14)
    psi, filled = model.product("neel"), np.arange(0, 14, 2)
    hopping = 0.5 * (np.eye(14, k=1) + np.eye(14, k=-1))
    evolution = tn.TEBD(dt=0.05, truncation=tn.Truncation(chi_max=128, svd_min=1e-12), order=4, every=10)
    amplitude = {"amplitude": lambda state: tn.overlap(psi, state)}
    evolved = evolution.run(model.operator_sum(), psi, time=3.0, observe=amplitude)
    parts = [scipy.linalg.expm(-1j * time * hopping)[np.ix_(filled, filled)] for time in evolved.times]
    exact = np.array([np.linalg.det(part) for part in parts])
    np.testing.assert_allclose(evolved["amplitude"], exact, atol=1e-6)
    assert abs(exact[-1]) ** 2 < 1e-2 < abs(exact[2]) ** 2
