"""HOTRG with the environment of the whole lattice: closer to Onsager than without at the same bond dimension."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.coarse_graining import CoarseGraining
from tnsim.algorithms.plane.hosrg import HOSRG
from tnsim.algorithms.plane.hotrg import HOTRG
from tnsim.errors import LegError, OperatorError, SettingsError
from tnsim.models.classical import CubicIsing, HardSquares, Ising, Potts, SixVertex
from tnsim.models.exact.ising_2d import CRITICAL
from tnsim.networks.square_network import InfiniteNetwork


@pytest.mark.parametrize(
    ("beta", "chi", "error", "gain"),
    [(0.4, 8, 5e-7, 5), (0.5, 8, 2e-7, 5), (0.5, 12, 3e-9, 20), (CRITICAL, 12, 1.4e-6, 1.2)],
)
def test_errors_are_smaller_than_those_of_hotrg(beta, chi, error, gain):
    """gain: over HOTRG, less than half of what was measured off the critical point."""
    model = Ising(beta=beta, conserve="parity")
    exact = model.facts["ln Z per site"].value
    found, plain = (
        abs(CoarseGraining(step=step(chi_max=chi)).solve(model).log_z / exact - 1) for step in (HOSRG, HOTRG)
    )
    assert found < error and gain * found < plain


def test_a_wider_environment_changes_little():
    found = [CoarseGraining(step=HOSRG(chi_max=8, environment=n)).solve(Ising(beta=0.4)).log_z for n in (8, 12)]
    assert found[0] == pytest.approx(found[1], abs=1e-8) and found[0] != found[1]


def test_a_torus_of_sixteen_spins_is_exact():
    model, step = Ising(beta=0.4, conserve="parity"), 1e-4
    run = CoarseGraining(step=HOSRG(chi_max=16, svd_min=0.0), max_steps=4, measure=("energy",)).solve(model)
    assert 16 * run.log_z == pytest.approx(model.torus_log_z(4, 4), rel=1e-12)
    slope = Ising(beta=0.4 + step).torus_log_z(4, 4) - Ising(beta=0.4 - step).torus_log_z(4, 4)
    assert run.means["energy"] == pytest.approx(-slope / (2 * step) / 16, rel=1e-6)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_a_torus_of_four_spins_is_exact_on_any_device(device, dtype):
    model = Ising(beta=0.4, conserve="parity")
    network = model.network(dtype=dtype, backend=backend_or_skip(device))
    run = CoarseGraining(step=HOSRG(chi_max=4, environment=2, svd_min=0.0), max_steps=2).solve(network)
    assert run.log_z == pytest.approx(model.torus_log_z(2, 2) / 4, rel=1e-5 if dtype.char in "fF" else 1e-12)
    assert run.cell.transfer().dtype == dtype and run.cell.transfer().backend is network.backend


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (HardSquares(), 1e-11),
        (Ising(beta=0.3, Jy=-0.5), 1e-12),
        (SixVertex(), 2e-4),
        (Potts(states=3, beta=float(np.log(1 + np.sqrt(3))), conserve="charge"), 1e-4),
    ],
    ids=repr,
)
def test_other_models_have_their_exact_free_energies(model, error):
    run = CoarseGraining(step=HOSRG(chi_max=12)).solve(model)
    assert run.status.converged and run.log_z == pytest.approx(model.facts["ln Z per site"].value, abs=error)


def test_cells_of_several_sites():
    """Two rows as one tensor: the environment is that of the fused cell."""
    tensor = Ising(beta=0.35).network().tensor
    run = CoarseGraining(step=HOSRG(chi_max=8)).solve(
        InfiniteNetwork([[tensor], [tensor]], log_scale=2 * Ising(beta=0.35).log_scale)
    )
    assert run.log_z == pytest.approx(Ising(beta=0.35).facts["ln Z per site"].value, abs=1e-7)


def test_impurities_measure_the_magnetisation_in_a_small_field():
    model = Ising(beta=0.5, field=1e-6)
    run = CoarseGraining(step=HOSRG(chi_max=8), measure=("spin", "energy")).solve(model)
    facts = Ising(beta=0.5).facts
    assert run.means["spin"] == pytest.approx(facts["magnetisation"].value, abs=1e-4)
    assert run.means["energy"] == pytest.approx(facts["energy per site"].value, abs=2e-4)


def test_bad_input_is_named():
    with pytest.raises(SettingsError, match="environment"):
        HOSRG(chi_max=4, environment=-1)
    with pytest.raises(SettingsError, match="chi_max"):
        HOSRG(chi_max=0)
    with pytest.raises(OperatorError, match="HOTRG3D"):
        CoarseGraining(step=HOSRG(chi_max=4)).solve(CubicIsing(beta=0.2))
    with pytest.raises(KeyError, match="no impurity .*spn"):
        CoarseGraining(step=HOSRG(chi_max=4), measure=("spn",)).solve(Ising(beta=0.2))
    # from the neutral sector, arrows that all point one way would be the answer: ln Z = 0
    for run in (CoarseGraining(step=HOSRG(chi_max=4)), tn.CTMRG(truncation=tn.Truncation(chi_max=4), symmetric=False)):
        with pytest.raises(LegError, match="charges of one sign"):
            run.solve(SixVertex(conserve="arrows"))


def test_public_name():
    assert tn.HOSRG is HOSRG
