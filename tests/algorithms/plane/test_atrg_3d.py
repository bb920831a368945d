"""ATRG in three dimensions: small boxes exactly, the critical free energy, series."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.atrg_3d import ATRG3D
from tnsim.algorithms.plane.coarse_graining import CoarseGraining
from tnsim.algorithms.plane.hotrg_3d import HOTRG3D
from tnsim.errors import OperatorError, SettingsError
from tnsim.models.classical import CubicIsing, Ising
from tnsim.models.classical.cubic import CRITICAL, CRITICAL_FREE_ENERGY


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_the_smallest_boxes_are_exact(device, dtype):
    """One and two spins, closed in all directions: every bond joins a spin to itself, or two of them twice."""
    beta = 0.2
    network = CubicIsing(beta=beta, conserve="parity").network(dtype=dtype, backend=backend_or_skip(device))
    run = CoarseGraining(step=ATRG3D(chi_max=16), max_steps=1).solve(network)
    eps = 1e-5 if dtype.char in "fF" else 1e-13
    assert run.at(0).log_z == pytest.approx(np.log(2) + 3 * beta, rel=eps)
    two = np.log(2 * np.exp(6 * beta) * (1 + np.exp(-4 * beta)))
    assert 2 * run.log_z == pytest.approx(two, rel=eps)
    assert run.cell.transfer().dtype == dtype and run.cell.transfer().backend is network.backend


def test_a_box_of_four_spins_is_exact_where_nothing_is_cut():
    model = CubicIsing(beta=0.3)
    found, exact = (
        CoarseGraining(step=step, max_steps=2).solve(model).log_z for step in (ATRG3D(chi_max=64), HOTRG3D(chi_max=16))
    )
    assert found == pytest.approx(exact, abs=1e-7)  # what lies below the root of rounding is cut


def test_the_critical_free_energy_at_bond_dimension_12():
    """TNRKit.jl's bound in its tests is 5e-3 against f = -3.508358 (series to order 24); ours is -3.50929."""
    model = CubicIsing(beta=CRITICAL, conserve="parity")
    run = CoarseGraining(step=ATRG3D(chi_max=12), max_steps=24).solve(model)
    assert abs(-run.log_z / CRITICAL / CRITICAL_FREE_ENERGY - 1) < 2e-3
    assert abs(-run.log_z / CRITICAL / -3.508358 - 1) < 2e-3
    assert run.history[-1].chi == 12 and np.isnan(run.history[-1].central_charge)


@pytest.mark.parametrize("conserve", [None, "parity"])
def test_off_the_critical_point_series_are_met(conserve):
    """Hot: ln Z per site = ln 2 + 3 ln cosh beta + 3 t^4 + 22 t^6 + 375 / 2 t^8; cold: 3 beta + exp(-12 beta)."""
    t = np.tanh(0.12)
    run = CoarseGraining(step=ATRG3D(chi_max=6)).solve(CubicIsing(beta=0.12, conserve=conserve))
    series = np.log(2) + 3 * np.log(np.cosh(0.12)) + 3 * t**4 + 22 * t**6 + 187.5 * t**8
    assert run.status.converged and run.log_z == pytest.approx(series, abs=1e-4)
    cold = CoarseGraining(step=ATRG3D(chi_max=6)).solve(CubicIsing(beta=0.6, conserve=conserve))
    assert cold.log_z == pytest.approx(1.8 + np.exp(-7.2), abs=1e-5)
    assert run.history[-1].phases == pytest.approx(1, abs=1e-6)
    if conserve:  # else rounding chooses one of two phases in the end
        assert cold.history[-1].phases == pytest.approx(2, abs=1e-6)


def test_bad_input_is_named():
    with pytest.raises(OperatorError, match="use ATRG for a square lattice"):
        CoarseGraining(step=ATRG3D(chi_max=4)).solve(Ising(beta=0.3))
    with pytest.raises(SettingsError, match="use HOTRG3D"):
        CoarseGraining(step=ATRG3D(chi_max=4), measure=("spin",)).solve(CubicIsing(beta=0.2))
    with pytest.raises(SettingsError, match="chi_max"):
        ATRG3D(chi_max=0)


def test_public_name():
    assert tn.ATRG3D is ATRG3D
