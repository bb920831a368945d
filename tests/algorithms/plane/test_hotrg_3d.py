"""Three dimensions: exact small tori, the published free energy and critical temperature, order."""

import itertools
import math

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.hotrg_3d import HOTRG3D
from tnsim.errors import LegError, OperatorError, SettingsError
from tnsim.models.classical import CubicIsing, Ising
from tnsim.models.classical.cubic import CRITICAL, CRITICAL_FREE_ENERGY
from tnsim.networks.cubic_network import CubicNetwork


def torus(model: CubicIsing, *shape: int) -> tuple[float, float, float]:
    """ln Z, and means of spin and energy a site; a bond between two spins of a row of two counts twice."""
    spins = np.array(list(itertools.product([1, -1], repeat=math.prod(shape)))).reshape(-1, *shape)
    pairs = sum((spins * np.roll(spins, 1, axis)).sum((1, 2, 3)) for axis in (1, 2, 3))
    energy = -model.J * pairs - model.field * spins.sum((1, 2, 3))
    weight = np.exp(-model.beta * energy)
    total = weight.sum()
    mean = float(energy @ weight / total / math.prod(shape))
    return float(np.log(total)), float(spins[:, 0, 0, 0] @ weight / total), mean


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_a_torus_of_two_spins_is_exact(device, dtype):
    network = CubicIsing(beta=0.3, conserve="parity").network(dtype=dtype, backend=backend_or_skip(device))
    run = tn.CoarseGraining(step=HOTRG3D(chi_max=4), max_steps=1).solve(network)
    # two bonds between the two spins, two more from each to itself
    exact = np.log(4 * np.cosh(0.6)) + 4 * 0.3
    assert 2 * run.log_z == pytest.approx(exact, rel=1e-5 if dtype.char in "fF" else 1e-13)
    assert run.cell.transfer().dtype == dtype and run.cell.transfer().backend is network.backend


def test_a_torus_of_four_spins_is_exact_with_its_means():
    model = CubicIsing(beta=0.3, J=-0.7, field=0.2)
    run = tn.CoarseGraining(step=HOTRG3D(chi_max=16, svd_min=0.0), max_steps=2, measure=("spin", "energy")).solve(model)
    log_z, spin, energy = torus(model, 2, 2, 1)
    assert 4 * run.log_z == pytest.approx(log_z, rel=1e-12)
    assert (run.means["spin"], run.means["energy"]) == pytest.approx((spin, energy), abs=1e-10)


def test_a_torus_of_eight_spins_is_exact():
    model = CubicIsing(beta=0.3, conserve="parity")
    run = tn.CoarseGraining(step=HOTRG3D(chi_max=16, svd_min=0.0), max_steps=3).solve(model)
    assert 8 * run.log_z == pytest.approx(torus(model, 2, 2, 2)[0], rel=1e-9)


def test_the_free_energy_at_the_critical_point_is_the_published_one():
    """-3.50929 (an extrapolated series); 2.6e-3 off with 4 states, 1.4e-3 with 6: always above."""
    model = CubicIsing(beta=CRITICAL, conserve="parity")
    for chi, error in ((4, 2.7e-3), (6, 1.5e-3)):
        run = tn.CoarseGraining(step=HOTRG3D(chi_max=chi), max_steps=30).solve(model)
        assert -run.log_z / CRITICAL == pytest.approx(CRITICAL_FREE_ENERGY, rel=error)
        assert run.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=error)


def test_the_critical_free_energy_is_that_of_the_series():
    """Closed graphs with n bonds a site, n = 4, 6, ... 24, and the rest by the law that the last four of them obey."""
    counts = [3, 22, 192, 2046, 24853, 329334, 4649601, 68884356, 1059830112, 16809862992, 273374177222]
    orders, beyond, power = np.arange(4.0, 25, 2), np.arange(26.0, 1e6, 2), 0.11 - 3  # alpha - 3
    terms = np.array(counts) * np.tanh(CRITICAL) ** orders
    corrections = [0, -0.83, -1, -2]  # the leading correction to scaling, and analytic ones
    powers = np.stack([orders[-4:] ** (power + k) for k in corrections], axis=1)
    rest = sum(c * (beyond ** (power + k)).sum() for c, k in zip(np.linalg.solve(powers, terms[-4:]), corrections))
    log_z = np.log(2) + 3 * np.log(np.cosh(CRITICAL)) + np.log(1 + terms.sum() + rest)
    assert -log_z / CRITICAL == pytest.approx(CRITICAL_FREE_ENERGY, abs=1e-5)


def test_order_sets_in_where_it_does():
    """T_c = 4.5115 (Monte Carlo; 4.511544 from HOTRG with 16 states); with 5 states it lies at 4.5257."""
    step = HOTRG3D(chi_max=5)
    phases = []
    for temperature in (4.51, 4.54):
        model = CubicIsing(beta=1 / temperature, conserve="parity")
        *_, last = tn.CoarseGraining(step=step, max_steps=45).steps(model)
        phases.append(last.phases)
        assert last.dimensions == () and np.isnan(last.central_charge)
    assert phases == pytest.approx([2, 1], abs=1e-3)


def test_the_ordered_phase_has_a_magnetisation():
    """The low-temperature series 1 - 2 u^3 - 12 u^5 + 14 u^6 - 90 u^7 + 192 u^8, u = exp(-4 beta), to 1e-5 here."""
    u = np.exp(-4 * 0.5)
    series = 1 - 2 * u**3 - 12 * u**5 + 14 * u**6 - 90 * u**7 + 192 * u**8
    run = tn.CoarseGraining(step=HOTRG3D(chi_max=4), max_steps=40, measure=("spin",))
    assert run.solve(CubicIsing(beta=0.5, field=1e-9)).means["spin"] == pytest.approx(series, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: HOTRG3D(chi_max=0), SettingsError, "chi_max"),
        (lambda: tn.CoarseGraining(step=HOTRG3D(chi_max=2)).solve(Ising(beta=0.4)), OperatorError, "use HOTRG for a"),
        (lambda: tn.CoarseGraining(step=tn.BTRG(chi_max=2)).solve(CubicIsing(beta=0.4)), OperatorError, "HOTRG3D"),
        (
            lambda: tn.CoarseGraining(step=HOTRG3D(chi_max=2), width=2).solve(CubicIsing(beta=0.4)),
            SettingsError,
            "two dimensions",
        ),
        (lambda: CubicIsing(beta=0.4, field=0.1, conserve="parity"), SettingsError, "breaks the conservation"),
        (lambda: CubicIsing(beta=np.inf), SettingsError, "zero temperature"),
        (lambda: CubicNetwork(Ising(beta=0.4).network().tensor), LegError, "up, down"),
        (lambda: CubicIsing(beta=0.4).network().impurity("spni"), KeyError, 'Did you mean "spin"'),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_bonds_that_do_not_fit_are_named():
    tensor = CubicIsing(beta=0.4).network().tensor
    legs = list(tensor.legs)
    legs[4] = tn.Leg(tn.TRIVIAL, [()], [3], 1)
    with pytest.raises(LegError, match="up and down legs do not fit"):
        CubicNetwork(tn.zeros(legs))


def test_public_names():
    assert tn.HOTRG3D is HOTRG3D and tn.CubicNetwork is CubicNetwork
    assert repr(CubicIsing(beta=0.4).network()) == "CubicNetwork, bond dimension 2, float64 on numpy"
