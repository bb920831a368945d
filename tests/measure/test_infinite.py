"""Measurements of infinite states: the AKLT state in closed form, Ising off criticality, windows against dense ones."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tnsim.errors import NumericalError, OperatorError, ShapeError, StateError
from tnsim.models import AKLT, Heisenberg, TransverseIsing
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import spin_sites


def aklt(conserve: str | None) -> tn.InfiniteMPS:
    """Spin states -1, 0, 1; bond states -1/2, 1/2."""
    sites = spin_sites(1, 1, conserve)
    lower = np.array([[0.0, 0.0], [-np.sqrt(2 / 3), 0.0]])
    a = np.stack([lower, np.diag([-np.sqrt(1 / 3), np.sqrt(1 / 3)]), -lower.T], axis=1)
    bond = tn.Leg(sites[0].group, [(-1,), (1,)], [1, 1]) if conserve else tn.Leg(sites[0].group, [()], [2])
    return tn.InfiniteMPS.from_tensors([tn.from_dense(a, (bond, sites[0].leg, bond.dual))], sites)


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_the_aklt_state_in_closed_form(conserve):
    psi = aklt(conserve)
    assert tn.entropy(psi) == pytest.approx([np.log(2)]) and tn.entropy(psi, 2, base=2) == pytest.approx([1.0])
    exact = [2 / 3] + [4 / 3 * (-1 / 3) ** r for r in range(1, 6)]
    np.testing.assert_allclose(tn.correlation(psi, "Sz", "Sz", range(6))[0], exact, atol=1e-13)
    np.testing.assert_allclose(tn.correlation(psi, "S+", "S-", [3, 4])[0, 1], 2 * exact[1], atol=1e-13)
    string = [("Sz", -2), *((np.diag([-1.0, 1.0, -1.0]), i) for i in range(-1, 4)), ("Sz", 4)]
    assert tn.expect(psi, string) == pytest.approx(-4 / 9)
    assert tn.expect(psi, "Sz") == pytest.approx([0.0], abs=1e-14) and tn.expect(psi, "Sz Sz", 7) == pytest.approx(
        2 / 3
    )
    assert tn.correlation_length(psi) == pytest.approx(1 / np.log(3))
    assert tn.expect(psi, AKLT(L=2, conserve=conserve).infinite_mpo(cell=1)) == pytest.approx(-2 / 3)


def test_the_spectrum_of_every_charge_sector():
    psi = aklt("Sz")
    np.testing.assert_allclose(tn.transfer_spectrum(psi), [1, -1 / 3], atol=1e-13)
    np.testing.assert_allclose(tn.transfer_spectrum(psi, charge=2), [-1 / 3], atol=1e-13)
    assert len(tn.transfer_spectrum(psi, charge=4)) == 0
    assert tn.correlation_length(psi, charge=-2) == pytest.approx(1 / np.log(3))
    assert tn.correlation_length(psi, charge=4) == 0
    spectrum = tn.entanglement_spectrum(psi, 0)
    assert list(spectrum.by_charge()) == [(-1,), (1,)]


@pytest.mark.parametrize(("h", "length"), [(1.3, 1 / np.log(1.3)), (0.6, -0.5 / np.log(0.6))])
def test_ising_correlation_length(h, length):
    """1 / log(h / J) above, 1 / (2 log(J / h)) below the transition; P. Pfeuty, Ann. Phys. 57, 79 (1970)."""
    model = TransverseIsing(L=2, h=h)
    psi = tn.InfiniteMPS.product(model.sites[:1], [[0.9, 0.3]])
    states = []
    for chi in (6, 10, 16, 24):
        result = tn.VUMPS(truncation=tn.Truncation(chi_max=chi, svd_min=1e-10)).solve(model.infinite_mpo(1), psi)
        states.append(result.state)
    assert tn.correlation_length(states[-1]) == pytest.approx(length, rel=0.1)
    assert tn.extrapolate_correlation_length(states) == pytest.approx(length, rel=0.01)
    order = (1 - h**2) ** (1 / 8) if h < 1 else 0.0
    assert abs(tn.expect(states[-1], "X")[0]) == pytest.approx(order, abs=1e-7)


def test_a_symmetric_start_in_the_ordered_phase_is_told():
    """From a state that keeps X -> -X the search ends in the sum of both ordered states."""
    model = TransverseIsing(L=2, h=0.6)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=16))
    result = settings.solve(model.infinite_mpo(1), model.infinite_product("up", 1))
    assert result.status.name == "several states" and "one that breaks the symmetry" in result.status.advice


@pytest.mark.parametrize("conserve", ["Sz", None])
def test_windows_agree_with_each_other(conserve):
    psi = tn.InfiniteMPS.random(spin_sites(3, 1, conserve), chi=5, seed=2, dtype=complex)
    stretch = tn.window(psi, -2, 4)
    assert stretch.L == 9 and stretch.norm() == pytest.approx(1)
    values = tn.expect(psi, "Sz")
    assert values.shape == (3,)
    for i in range(-2, 5):
        assert tn.expect(stretch, "Sz", i + 3) == pytest.approx(values[i % 3])
        assert tn.expect(psi, "Sz", i) == pytest.approx(values[i % 3])
    pair = tn.correlation(psi, "S+", "S-", [-1, 3])
    assert pair[0, 1] == pytest.approx(tn.expect(psi, [("S+", 2), ("S-", 6)]))
    assert pair[1, 0] == pytest.approx(np.conj(pair[0, 1]))
    shifted = tn.correlation(psi, "Sz", "Sz", [2, 4], connected=True)
    assert shifted[0, 1] == pytest.approx(tn.expect(psi, [("Sz", 2), ("Sz", 4)]) - values[2] * values[1])
    rho = tn.reduced_density_matrix(psi, [-1, 2])
    np.testing.assert_allclose(rho, tn.reduced_density_matrix(stretch, [2, 5]), atol=1e-12)
    Sz = spin_sites(1, 1, conserve)[0].op("Sz")
    assert np.trace(rho @ np.kron(Sz, Sz)) == pytest.approx(tn.expect(psi, [("Sz", 2), ("Sz", 5)]))
    assert tn.mutual_information(psi, 2, -1) == pytest.approx(tn.mutual_information(stretch, 2, 5))


def test_far_correlations_decay_with_the_correlation_length():
    model = Heisenberg(L=2, S=1)
    psi = (
        tn.VUMPS(truncation=tn.Truncation(chi_max=24), gradient_tol=1e-6)
        .solve(model.infinite_mpo(), model.infinite_product())
        .state
    )
    far = np.abs(tn.correlation(psi, "Sz", "Sz", range(62))[0])
    # both sublattices decay alike, and the string of charge 0 and 2 belong to one triplet
    measured = 20 / np.log(far[40] / far[60])
    assert measured == pytest.approx(tn.correlation_length(psi, charge=0), rel=0.02)


def test_an_operator_that_is_not_hermitian_has_a_complex_value():
    psi = tn.InfiniteMPS.random(spin_sites(2), chi=4, seed=1, dtype=complex)
    H = InfiniteMPO.from_sum(OperatorSum().add(1.0, "S+", 0, "S-", 1), psi.sites)
    assert tn.expect(psi, H) == pytest.approx(tn.expect(psi, [("S+", 0), ("S-", 1)]))


def test_fidelity():
    a, b = (tn.InfiniteMPS.random(spin_sites(2), chi=6, seed=n) for n in (1, 2))
    assert tn.fidelity(a, a) == pytest.approx(1, abs=1e-12)
    assert 0 < tn.fidelity(a, b) < 1 and tn.fidelity(a, b) == pytest.approx(tn.fidelity(b, a), abs=1e-10)
    tilted = [tn.InfiniteMPS.product(spin_sites(1, 0.5, None), [[np.cos(x), np.sin(x)]]) for x in (0.2, 0.5)]
    assert tn.fidelity(*tilted) == pytest.approx(np.cos(0.3))
    with pytest.raises(ShapeError, match="same unit cell"):
        tn.fidelity(a, tn.InfiniteMPS.product(spin_sites(1, 0.5, None), ["up"]))


def test_an_extrapolation_needs_several_states():
    with pytest.raises(ShapeError, match="at least two"):
        tn.extrapolate_correlation_length([aklt("Sz")])
    with pytest.raises(NumericalError, match="do not extrapolate"):
        tn.extrapolate_correlation_length([tn.InfiniteMPS.random(spin_sites(1, 1), chi=n, seed=n) for n in (9, 5)])


def test_measurements_that_make_no_sense_are_refused():
    psi = aklt("Sz")
    with pytest.raises(ShapeError, match="count = 0"):
        tn.transfer_spectrum(psi, 0)
    with pytest.raises(OperatorError, match="InfiniteMPO"):
        tn.expect(psi, AKLT(L=4).mpo())
    with pytest.raises(ShapeError, match="from its first"):
        tn.window(psi, 3, 2)
    with pytest.raises(OperatorError):
        tn.expect(psi, "Sx Sw")
    with pytest.raises(OperatorError, match="found \\[\\]"):
        tn.expect(psi, [])
    with pytest.raises(ShapeError, match=r"ascending sites, found \[2, 1\]"):
        tn.reduced_density_matrix(psi, [2, 1])
    cut = tn.Truncation(chi_max=2)
    for measure in (lambda: tn.sample(psi, 2), lambda: tn.apply_gate(psi, np.eye(3), 0), lambda: tn.compress(psi, cut)):
        with pytest.raises(StateError, match=r"found InfiniteMPS: of an infinite one, window\(psi, first, last\)"):
            measure()
    with pytest.raises(StateError, match="infinite ones have a fidelity"):
        tn.overlap(psi, psi)


def test_a_solution_has_its_plot(tmp_path):
    model = TransverseIsing(L=2, h=1.5)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=6))
    result = settings.solve(model.infinite_mpo(), model.infinite_product("up"))
    result.plot(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 1000
    tn.plot_entropy(result.state)


def test_everything_is_measured_on_a_device():
    """The strict device refuses what a GPU library refuses."""
    backend = backend_or_skip("strict")
    host = tn.InfiniteMPS.random(spin_sites(2, 1), chi=5, seed=1)
    psi, H = host.to(backend), Heisenberg(L=2, S=1).infinite_mpo()
    assert tn.expect(psi, "Sz", 3) == pytest.approx(tn.expect(host, "Sz", 3))
    assert tn.expect(psi, H.to(backend)) == pytest.approx(tn.expect(host, H))
    np.testing.assert_allclose(
        tn.correlation(psi, "S+", "S-", range(4)), tn.correlation(host, "S+", "S-", range(4)), atol=1e-12
    )
    assert tn.correlation_length(psi) == pytest.approx(tn.correlation_length(host))
    assert tn.fidelity(psi, psi) == pytest.approx(1)
    small = psi.truncate(tn.Truncation(chi_max=3))
    assert small.backend is backend and max(small.bond_dimensions) == 3
    gaps = [tn.Quasiparticles().solve(h, p, 0.3).gap for h, p in ((H, host), (H.to(backend), psi))]
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-8)
