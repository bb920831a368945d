"""Infinite ground states against exact energies: free fermions, Bethe ansatz, valence bonds, published numbers."""

from functools import cache

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tnsim.errors import LegError, OperatorError, SettingsError, ShapeError, StateError
from tnsim.models import (
    AKLT,
    TJ,
    XX,
    XXZ,
    BoseHubbard,
    Heisenberg,
    Hubbard,
    KondoLattice,
    MajumdarGhosh,
    SpinlessFermions,
    TransverseIsing,
)
from tnsim.models.exact.free_fermions import infinite_ising_energy
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import fermion_site, spin_sites


def solve(H, psi, chi, **options):
    return tn.VUMPS(truncation=tn.Truncation(chi_max=chi), **options).solve(H, psi)


def ground(model, chi, start="neel", cell=None, **options):
    result = solve(model.infinite_mpo(cell), model.infinite_product(start, cell), chi, **options)
    assert result.status.converged, result
    assert result.history[-1].gradient <= options.get("gradient_tol", 1e-8)
    return result


@cache
def spin_one():
    return ground(Heisenberg(L=2, S=1), 40)


@pytest.mark.parametrize(("h", "cell", "chi"), [(0.5, 1, 12), (1.5, 1, 16), (1.5, 2, 16), (2.0, 3, 8)])
def test_ising_off_criticality(h, cell, chi):
    model = TransverseIsing(L=6, h=h)
    tilted = tn.InfiniteMPS.product(model.sites[:cell], [[0.9, 0.3]] * cell)
    result = solve(model.infinite_mpo(cell), tilted, chi)
    assert result.status.converged, result
    assert result.energy == pytest.approx(infinite_ising_energy(1.0, h), abs=1e-11)


def test_a_start_wider_than_chi_max_is_cut_first():
    """Below chi_max from the first sweep on, and at the minimum that a product state leads to."""
    model = TransverseIsing(L=2, h=1.5)
    wide = solve(model.infinite_mpo(1), model.infinite_product("up", 1), 16).state
    assert max(wide.bond_dimensions) > 6
    cut, grown = (solve(model.infinite_mpo(1), psi, 6) for psi in (wide, model.infinite_product("up", 1)))
    assert all(report.chi <= 6 for report in cut.history)
    assert cut.energy == pytest.approx(grown.energy, abs=1e-12)
    assert cut.energy > infinite_ising_energy(1.0, 1.5)


@pytest.mark.parametrize(("chi", "limit"), [(12, 2e-6), (20, 3.2e-7)])
def test_critical_ising(chi, limit):
    """-4/pi; the error falls as chi^-4 (finite entanglement, central charge 1/2)."""
    model, truncation = TransverseIsing(L=2), tn.Truncation(chi_max=chi, svd_min=1e-10)
    settings = tn.VUMPS(truncation=truncation, gradient_tol=1e-6)
    result = settings.solve(model.infinite_mpo(1), model.infinite_product("up", 1))
    assert result.status.converged
    assert 0 < result.energy + 4 / np.pi < limit


def test_critical_entropy_grows_with_the_correlation_length():
    """S = c/6 log xi + const with c = 1/2: P. Calabrese, J. Cardy, J. Stat. Mech. P06002 (2004)."""
    H, psi = TransverseIsing(L=2).infinite_mpo(1), tn.InfiniteMPS.product(spin_sites(1, 0.5, None), [[0.9, 0.3]])
    entropies, lengths = [], []
    for chi in (6, 10, 16):
        psi = solve(H, psi, chi, gradient_tol=1e-5).state
        entropies.append(tn.entropy(psi)[0])
        lengths.append(tn.correlation_length(psi))
    slope = np.polyfit(np.log(lengths), entropies, 1)[0]
    assert 6 * slope == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("chi", "limit"), [(8, 5e-4), (16, 1e-4)])
def test_heisenberg_error_falls_with_the_bond_dimension(chi, limit):
    error = ground(Heisenberg(L=2), chi, gradient_tol=1e-5).energy - (0.25 - np.log(2))
    assert limit / 5 < error < limit


def test_xx_chain():
    result = ground(XX(L=2), 16, gradient_tol=1e-5)
    assert 0 < result.energy + 1 / np.pi < 5e-5


def test_gapped_xxz_chain():
    """Bethe ansatz: J. des Cloizeaux, M. Gaudin, J. Math. Phys. 7, 1384 (1966); from any start."""
    eta = np.arccosh(2.0)
    n = np.arange(1, 40)
    exact = np.cosh(eta) / 4 - np.sinh(eta) * (0.5 + 2 * (1 / (1 + np.exp(2 * eta * n))).sum())
    model = XXZ(L=2, delta=2.0)
    assert ground(model, 24).energy == pytest.approx(exact, abs=1e-7)
    psi = tn.InfiniteMPS.random(model.sites, chi=6, seed=0)
    assert solve(model.infinite_mpo(), psi, 24).energy == pytest.approx(exact, abs=1e-7)


def test_spin_one_chain():
    """-1.401484038971: S. R. White, D. A. Huse, Phys. Rev. B 48, 3844 (1993)."""
    assert 0 < spin_one().energy + 1.401484038971 < 2e-7


def test_exact_states_stop_growing():
    """Valence-bond states need two states a bond: there is no direction left to grow along."""
    result = ground(AKLT(L=2), 20)
    assert result.energy == pytest.approx(-2 / 3, abs=1e-12)
    assert result.state.bond_dimensions == (2, 2)
    result = ground(MajumdarGhosh(L=2), 20)
    assert result.energy == pytest.approx(-3 / 8, abs=1e-12)
    assert sorted(result.state.bond_dimensions) == [1, 2]


def test_a_random_start_in_half_integer_sectors():
    """One site a cell: bonds of the spin-1 chain carry half-integer spin, which a product state cannot."""
    bond = tn.Leg(tn.U1("2Sz"), [(-3,), (-1,), (1,), (3,)], [1, 3, 3, 1])
    psi = tn.InfiniteMPS.random(spin_sites(1, 1), chi=8, bond=bond, seed=3)
    result = solve(Heisenberg(L=2, S=1).infinite_mpo(cell=1), psi, 24)
    assert result.status.converged
    assert 0 < result.energy + 1.401484038971 < 3e-6
    assert all(q % 2 for (q,) in result.state.AL[0].legs[0].charges)


def test_a_twist_changes_no_energy():
    """exp(i phi) S+ S- + h.c. is the XX chain in another gauge: a complex operator with the same spectrum."""
    H = OperatorSum()
    for i in range(2):
        H += plus_hc(0.5 * np.exp(0.4j), "S+", i, "S-", i + 1)
    twisted = solve(InfiniteMPO.from_sum(H, spin_sites(2)), XX(L=2).infinite_product(), 8, gradient_tol=1e-6)
    plain = ground(XX(L=2), 8, gradient_tol=1e-6)
    assert twisted.status.converged and twisted.state.dtype == np.complex128
    assert twisted.energy == pytest.approx(plain.energy, abs=1e-9)


def test_exponentials_equal_the_terms_written_out():
    decaying = OperatorSum().add_exponential(-1.0, "X", "X", 0.4)
    written = OperatorSum()
    for r in range(1, 26):
        written += -(0.4**r), "X", 0, "X", r
    energies = []
    for H in (decaying, written):
        H += -1.5, "Z", 0
        infinite = InfiniteMPO.from_sum(H, spin_sites(1, 0.5, None))
        start = tn.InfiniteMPS.product(infinite.sites, ["up"])
        result = solve(infinite, start, 8)
        assert result.status.converged
        energies.append(result.energy)
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


@pytest.mark.parametrize("name", ["strict"])
def test_the_device_path_gives_the_same_energy(name):
    backend = backend_or_skip(name)
    model = XX(L=2)
    host = ground(model, 4)
    device = solve(model.infinite_mpo().to(backend), model.infinite_product().to(backend), 4)
    assert device.status.converged and device.state.backend is backend
    assert device.energy == pytest.approx(host.energy, abs=1e-12)


class Stopper:
    """Asks for a stop after some sweeps."""

    def __init__(self, after: int) -> None:
        self.after, self.seen = after, []

    def bond(self, report, run) -> None:
        raise AssertionError("VUMPS reports sweeps")

    def sweep(self, report, run) -> None:
        self.seen.append(report)
        if len(self.seen) == self.after:
            run.request_stop("stopped by the test")


def test_a_stopped_run_goes_on():
    model = TransverseIsing(L=2, h=1.5)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=8))
    H, start = model.infinite_mpo(1), model.infinite_product("up", 1)
    observer = Stopper(4)
    first = settings.solve(H, start, [observer])
    assert not first.status.converged and "resume" in first.status.advice and len(observer.seen) == 4
    second = settings.solve(H, first.state, progress=first.progress)
    assert second.status.converged and second.history[:4] == first.history
    assert second.energy == pytest.approx(infinite_ising_energy(1.0, 1.5), abs=1e-9)


def test_too_few_sweeps_are_a_result_with_advice():
    model = XX(L=2)
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=8), max_sweeps=3)
    result = settings.solve(model.infinite_mpo(), model.infinite_product())
    assert result.status.name == "max_sweeps reached" and "raise max_sweeps" in repr(result)
    assert len(list(settings.sweeps(model.infinite_mpo(), model.infinite_product()))) == 3


def test_input_that_does_not_fit_is_refused():
    settings = tn.VUMPS(truncation=tn.Truncation(chi_max=8))
    model = XX(L=2)
    H, psi = model.infinite_mpo(), model.infinite_product()
    lopsided = InfiniteMPO.from_sum(OperatorSum().add(1.0, "S+", 0, "S-", 1), spin_sites(2))
    with pytest.raises(OperatorError, match="VUMPS needs a Hermitian operator"):
        settings.solve(lopsided, psi)
    with pytest.raises(ShapeError, match="a cell of 2 sites, the state one of 4"):
        settings.solve(H, XX(L=4).infinite_product())
    with pytest.raises(LegError, match="same sites"):
        settings.solve(H, tn.InfiniteMPS.product(tn.neutral_cell(spin_sites(2), (2,)), ["up", "up"]))
    with pytest.raises(OperatorError, match="InfiniteMPO.from_sum"):
        settings.solve(model.mpo(), psi)
    for wrong in ({"growth": 1.0}, {"max_sweeps": 0}, {"gradient_tol": -1.0}, {"krylov_max": 1}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            tn.VUMPS(truncation=tn.Truncation(chi_max=8), **wrong)


def test_sectors_are_balanced_from_any_start():
    """iDMRG chooses sectors by Schmidt weight: VUMPS from a product state ends in the same ones."""
    model = Heisenberg(L=2, S=1)
    H, truncation = model.infinite_mpo(), tn.Truncation(chi_max=40)
    grown = spin_one()
    polished = tn.VUMPS(truncation=truncation).solve(
        H, tn.IDMRG(truncation=truncation).solve(H, model.infinite_product()).state
    )
    assert grown.energy == pytest.approx(polished.energy, abs=1e-10)
    unbalanced = solve(H, model.infinite_product(), 40, exchanges=0)
    assert unbalanced.energy > grown.energy + 1e-9


@pytest.mark.parametrize(("cell", "charge"), [(3, -1), (4, 2)])
def test_any_filling_that_fits_the_cell(cell, charge):
    """-sin(pi n) / pi for a share n of up spins: free fermions, filled to n."""
    sites = tn.neutral_cell(spin_sites(cell), (charge,))
    H = OperatorSum()
    for i in range(cell):
        H += plus_hc(0.5, "S+", i, "S-", i + 1)
    up = (charge + cell) // 2
    start = tn.InfiniteMPS.product(sites, ["up"] * up + ["down"] * (cell - up))
    result = solve(InfiniteMPO.from_sum(H, sites), start, 12, gradient_tol=1e-4)
    exact = -np.sin(np.pi * up / cell) / np.pi
    assert result.status.converged and exact < result.energy < exact + 2e-4
    assert tn.expect(result.state, "Sz").sum() == pytest.approx(charge / 2)


@pytest.mark.parametrize("sweeps", [10, 12, 14])
def test_bonds_end_at_chi_max_wherever_the_sweeps_end(sweeps):
    """An exchange of states between sectors, which grows the bonds for some sweeps, only begins where it can end."""
    result = solve(XXZ(L=2, delta=2.0).infinite_mpo(), XXZ(L=2).infinite_product(), 4, max_sweeps=sweeps)
    assert max(result.state.bond_dimensions) <= 4


def test_single_precision():
    model = TransverseIsing(L=2, h=1.5)
    psi = model.infinite_product("up", dtype=np.float32)
    result = solve(model.infinite_mpo(), psi, 8, gradient_tol=1e-4)
    assert result.status.converged and result.state.dtype == np.float32
    assert result.energy == pytest.approx(infinite_ising_energy(1.0, 1.5), abs=1e-5)


def test_a_lost_canonical_form_is_a_result(monkeypatch):
    def lost(*_):
        raise StateError("the canonical form was lost by the test.")

    monkeypatch.setattr(tn.InfiniteMPS, "from_left", lost)
    model = XX(L=2)
    result = solve(model.infinite_mpo(), model.infinite_product(), 8)
    assert result.status.name == "canonical form lost" and "by the test" in result.status.advice


def test_free_fermions_at_any_filling():
    """-2 sin(pi n) / pi: hopping across cells, with signs that pass through neutral_cell."""
    sites = tn.neutral_cell((fermion_site(),) * 3, (1,))
    H = OperatorSum()
    for i in range(3):
        H += plus_hc(-1.0, "Cdag", i, "C", i + 1)
    start = tn.InfiniteMPS.product(sites, ["full", "empty", "empty"])
    result = solve(InfiniteMPO.from_sum(H, sites), start, 24, gradient_tol=1e-4)
    exact = -2 * np.sin(np.pi / 3) / np.pi
    assert result.status.converged and exact < result.energy < exact + 4e-4
    hop = tn.expect(result.state, [("Cdag", 2), ("C", 3)])
    assert hop == pytest.approx(np.sin(np.pi / 3) / np.pi, abs=2e-2)
    assert tn.expect(result.state, H) == pytest.approx(3 * result.energy)


def test_the_hubbard_chain():
    """Lieb-Wu at U = 4 and half filling: -0.573729367898 t a site, after E. H. Lieb, F. Y. Wu, PRL 20, 1445 (1968)."""
    model = Hubbard(L=2, U=4.0)
    sites = tn.neutral_cell(model.sites, (2, 0))
    start = tn.InfiniteMPS.product(sites, ["up", "down"])
    settings = tn.IDMRG(truncation=tn.Truncation(chi_max=60))
    result = settings.solve(InfiniteMPO.from_sum(model.infinite_sum(), sites), start)
    assert -0.57372936789844 < result.energy < -0.57372936789844 + 1e-3


@pytest.mark.parametrize(
    ("model", "density", "exact"),
    [
        (SpinlessFermions(L=2, V=0.0), 0.5, -2 / np.pi),
        (BoseHubbard(L=3, n_max=1, N=2), 2 / 3, -2 * np.sin(2 * np.pi / 3) / np.pi),
        (TJ(L=2, N=1, J=0.0), 0.5, -2 / np.pi),
        (Hubbard(L=2, U=0.0), 1.0, -4 / np.pi),
        (KondoLattice(L=2, J=0.0), 1.0, -4 / np.pi),
    ],
    ids=repr,
)
def test_models_of_particles_at_their_own_filling(model, density, exact):
    """-2 sin(pi n) / pi for each kind of free fermion at density n; hard-core bosons and t-J at J = 0 are such too."""
    result = solve(model.infinite_mpo(), model.infinite_product(), 16, max_sweeps=20)
    assert exact < result.energy < exact + 1.5e-2
    assert tn.expect(result.state, "N").mean() == pytest.approx(density, abs=1e-10)
