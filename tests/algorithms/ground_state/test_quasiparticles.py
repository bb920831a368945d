"""Excitations against the free-fermion dispersion of the Ising chain, the Haldane gap, and magnons of a ferromagnet."""

import numpy as np
import pytest

import tnsim as tn
from tests.suites.structures import dense
from tnsim.errors import ChargeError, OperatorError, SettingsError, ShapeError
from tnsim.models import Heisenberg, TransverseIsing
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import spin_sites
from tnsim.networks.tangent import TangentHamiltonian, complement


def ising_state(h, start, chi=12, cell=1):
    model = TransverseIsing(L=2, h=h)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=chi), gradient_tol=1e-8)
    psi = tn.InfiniteMPS.product(model.sites[:cell], [start] * cell)
    result = settings.solve(model.infinite_mpo(cell), psi)
    assert result.status.converged
    return model.infinite_mpo(cell), result.state


def band(h, p):
    """2 sqrt(1 + h^2 - 2 h cos p): P. Pfeuty, Ann. Phys. 57, 79 (1970)."""
    return 2 * np.sqrt(1 + h**2 - 2 * h * np.cos(p))


@pytest.mark.parametrize("cell", [1, 2])
def test_the_band_of_the_paramagnet(cell):
    H, psi = ising_state(1.5, [1, 0], cell=cell)
    momenta = [0.0, 0.4, np.pi / 2]
    found = tn.Quasiparticles().dispersion(H, psi, momenta)
    np.testing.assert_allclose(found.energies[:, 0], band(1.5, found.momenta), atol=1e-8)
    assert found.gap == pytest.approx(1.0, abs=1e-8) and "3 momenta" in repr(found)
    assert all(point.status.converged for point in found.points)


def test_a_cell_folds_the_band():
    """With two sites a cell, momenta p and p + pi are one: two levels at each, both below the continuum."""
    H, psi = ising_state(4.0, [1, 0], chi=8, cell=2)
    found = tn.Quasiparticles(count=2).solve(H, psi, 0.3)
    np.testing.assert_allclose(found.energies, [band(4.0, 0.3), band(4.0, 0.3 + np.pi)], atol=1e-6)


def test_domain_walls_of_the_ordered_phase():
    """The lowest excitation between the two ordered states is one kink, above one of them it takes two."""
    H, up = ising_state(0.5, [0.9, 0.3], 10)
    _, down = ising_state(0.5, [0.9, -0.3], 10)
    search = tn.Quasiparticles()
    for p in (0.0, 0.7, np.pi):
        assert search.solve(H, up, p, right=down).gap == pytest.approx(band(0.5, p), abs=1e-8)
    assert 2.0 <= search.solve(H, up, 0.0).gap < 2.2


def test_the_haldane_gap():
    """0.41047925: O. Golinelli, T. Jolicoeur, R. Lacaze, Phys. Rev. B 50, 3037 (1994); a triplet at momentum pi."""
    bond = tn.Leg(tn.U1("2Sz"), [(-3,), (-1,), (1,), (3,)], [1, 3, 3, 1])
    H = Heisenberg(L=2, S=1).infinite_mpo(cell=1)
    start = tn.InfiniteMPS.random(spin_sites(1, 1), chi=8, bond=bond, seed=3)
    psi = tn.VUMPS(truncation=tn.Truncation(chi_max=40)).solve(H, start).state
    gaps = [tn.Quasiparticles().solve(H, psi, np.pi, charge=q).gap for q in (-2, 0, 2)]
    np.testing.assert_allclose(gaps, 0.41047925, atol=2e-6)
    assert tn.Quasiparticles().solve(H, psi, 0.9 * np.pi, charge=2).gap > gaps[0] + 0.1


def test_magnons_of_a_ferromagnet_are_exact():
    """On a product state one flipped spin has 1 - cos p + field, and bonds of one state suffice."""
    H = OperatorSum()
    H += -1.0, "Sz", 0, "Sz", 1
    H += plus_hc(-0.5, "S+", 0, "S-", 1)
    H += -0.25, "Sz", 0
    sites = tn.neutral_cell(spin_sites(1), (1,))
    infinite = InfiniteMPO.from_sum(H, sites)
    psi = tn.InfiniteMPS.product(sites, ["up"])
    for p in (0.0, 0.5, 2.0, np.pi):
        found = tn.Quasiparticles().solve(infinite, psi, p, charge=-2)
        assert found.gap == pytest.approx(1 - np.cos(p) + 0.25, abs=1e-9)
    assert len(tn.Quasiparticles(count=3).solve(infinite, psi, 0.5, charge=-2).energies) == 1
    with pytest.raises(ChargeError, match="no excitation of charge"):
        tn.Quasiparticles().solve(infinite, psi, 0.0, charge=4)


def test_the_tangent_hamiltonian_is_hermitian():
    H, psi = ising_state(1.5, [1, 0], chi=4)
    heff = TangentHamiltonian(H, psi, psi, 0.7, ())
    columns = np.array([heff.apply(unit) for unit in np.eye(heff.size, dtype=complex)]).T
    np.testing.assert_allclose(columns, columns.conj().T, atol=1e-8)


def test_the_complement_is_one():
    psi = tn.InfiniteMPS.random(spin_sites(2, 1), chi=6, seed=0, dtype=complex)
    for site in psi.AL:
        rest = complement(site)
        matrix = np.concatenate([dense(x).reshape(-1, x.shape[2]) for x in (site, rest)], axis=1)
        assert matrix.shape[0] == matrix.shape[1]
        np.testing.assert_allclose(matrix.conj().T @ matrix, np.eye(len(matrix)), atol=1e-12)


def test_levels_in_a_continuum_are_told():
    H, psi = ising_state(1.5, [1, 0], chi=6)
    found = tn.Quasiparticles(tolerance=1e-14, krylov_max=4, restarts=1).solve(H, psi, 0.0)
    assert not found.status.converged and "restarts" in found.status.advice and "residual" in repr(found)


def test_input_that_does_not_fit_is_refused(tmp_path):
    H, psi = ising_state(2.0, [1, 0], chi=4)
    search = tn.Quasiparticles()
    with pytest.raises(OperatorError, match="finite number"):
        search.solve(H, psi, np.nan)
    with pytest.raises(OperatorError, match="dispersion takes several"):
        search.solve(H, psi, [0.0, 1.0])
    with pytest.raises(ShapeError, match="cell of 1 sites, the state one of 2"):
        search.solve(H, ising_state(2.0, [1, 0], chi=4, cell=2)[1], 0.0)
    with pytest.raises(SettingsError, match="count"):
        tn.Quasiparticles(count=0)
    search.dispersion(H, psi, [0.0, 1.0]).plot(tmp_path / "band.png")
    assert (tmp_path / "band.png").stat().st_size > 1000
