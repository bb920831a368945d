"""The XY model by characters, against sums over fine grids of angles (exact but for exponentially small terms)."""

import numpy as np
import pytest
from scipy.special import iv

import tnsim as tn
from tests.exact.grids import dense, torus_value, value
from tnsim.errors import SettingsError
from tnsim.models.classical import XY, Clock, Ising, Potts

GRID = 2 * np.pi * np.arange(32) / 32


def chain(model: XY) -> tuple[float, float, float]:
    """ln Z, mean energy and mean cosine of an open chain of three sites."""
    a, b, c = np.meshgrid(GRID, GRID, GRID, indexing="ij")
    energy = -model.J * (np.cos(a - b) + np.cos(b - c)) - model.field * (np.cos(a) + np.cos(b) + np.cos(c))
    weight = np.exp(-model.beta * energy)
    total = weight.mean()
    return float(np.log(total)), float((energy * weight).mean() / total), float((np.cos(a) * weight).mean() / total)


@pytest.mark.parametrize(("J", "field"), [(1.0, 0.0), (-0.8, 0.0), (1.0, 0.6), (-0.8, -0.6)])
def test_an_open_chain_is_the_integral_over_angles(J, field):
    model = XY(beta=0.9, J=J, field=field)
    log_z, energy, cosine = chain(model)
    network = model.finite(1, 3)
    assert np.log(value(network).real) == pytest.approx(log_z, abs=1e-12)
    total = 0.0
    for name in ("energy", "spin"):
        for place in range(3):
            row = list(network.rows[0])
            row[place] = model.finite(1, 3, measure=name).rows[0][place]
            found = value(tn.FiniteNetwork([row], log_scale=network.log_scale)).real / np.exp(log_z)
            if name == "energy":
                total += found
            elif place == 0:
                assert found == pytest.approx(cosine, abs=1e-12)
    assert total == pytest.approx(energy, abs=1e-12)


def test_charges_make_no_difference():
    plain, charged = XY(beta=0.9, modes=3), XY(beta=0.9, modes=3, conserve="charge")
    np.testing.assert_allclose(dense(charged.network().tensor), dense(plain.network().tensor), atol=1e-15)
    small = charged.finite(2, 2)
    assert np.log(value(small).real) == pytest.approx(np.log(value(plain.finite(2, 2)).real), rel=1e-13)


def test_a_torus_of_two_sites():
    """Two bonds between the sites, and two from each to itself."""
    model = XY(beta=0.7, field=-0.4, modes=6)
    a, b = np.meshgrid(GRID, GRID, indexing="ij")
    exact = np.exp(0.7 * (2 * np.cos(a - b) + 2 - 0.4 * (np.cos(a) + np.cos(b)))).mean()
    network = model.network()
    found = np.log(torus_value(dense(network.tensor), 1, 2)) + 2 * network.log_scale
    assert found == pytest.approx(np.log(exact), abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda beta: XY(beta=beta, field=-0.4, modes=3),
        lambda beta: XY(beta=beta, J=-0.8, modes=3, conserve="charge"),
        lambda beta: Ising(beta=beta, J=0.8, Jy=-0.5, conserve="parity"),
        lambda beta: Potts(states=3, beta=beta, conserve="charge"),
    ],
)
def test_changes_with_beta_are_those_of_the_tensor(change):
    beta, step = 0.7, 1e-3
    first, here = change(beta), change(beta).network()
    tensor, one, two = (dense(t) for t in (here.tensor, *here.taylor))
    for h in (step, -step):
        there = change(beta + h)
        moved = dense(there.network().tensor) * np.exp(there.log_scale - first.log_scale)
        np.testing.assert_allclose(tensor + h * one + h**2 * two, moved, atol=2e-9)


def test_it_is_the_limit_of_clock_models():
    """Clocks of 12 states differ by less than I_12(beta)."""
    run = tn.CoarseGraining(step=tn.BTRG(chi_max=9), max_steps=16)
    angles = run.solve(XY(beta=0.8, modes=6, conserve="charge"))
    clock = run.solve(Clock(states=12, beta=0.8, conserve="charge"))
    assert angles.log_z == pytest.approx(clock.log_z - np.log(12), abs=1e-7)


def test_high_temperatures():
    """ln I_0 a bond as if bonds were free, and charges 1 and -1 around squares and around pairs of them."""
    run = tn.CoarseGraining(step=tn.BTRG(chi_max=11), max_steps=16).solve(XY(beta=0.5, modes=5, conserve="charge"))
    t = iv(1, 0.5) / iv(0, 0.5)
    assert run.log_z == pytest.approx(2 * np.log(iv(0, 0.5)) + 2 * t**4 + 4 * t**6, abs=1e-4)


def test_bad_input_is_named():
    with pytest.raises(SettingsError, match="modes >= 0"):
        XY(beta=1.0, modes=-1)
    with pytest.raises(SettingsError, match="breaks the conservation"):
        XY(beta=1.0, field=0.1, conserve="charge")
    with pytest.raises(SettingsError, match="zero temperature"):
        XY(beta=float("inf"))
    assert (
        XY(beta=1.0, J=2.0).facts["critical beta"].value == pytest.approx(0.55995) and not XY(beta=1.0, field=1.0).facts
    )
