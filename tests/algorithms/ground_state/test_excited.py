"""Excited states against exact diagonalisation, free fermions and the published gap of the spin-1 chain."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.ground_state.test_dmrg import StopAfter, random_sum, start_state
from tests.devices import BACKENDS, ON_DEVICES, backend_or_skip
from tests.exact import dense, sparse
from tnsim.algorithms.ground_state.convergence import judge
from tnsim.algorithms.ground_state.excited import collect_levels
from tnsim.errors import BackendError, LegError, SettingsError, ShapeError, StateError
from tnsim.models import Heisenberg, Hubbard, TransverseIsing
from tnsim.models.exact.free_fermions import open_ising


def exact_levels(H: tn.OperatorSum, sites, charge, count: int) -> np.ndarray:
    """The lowest eigenvalues in one sector, by dense diagonalisation."""
    inside = (dense.charges(sites) == np.array(charge)).all(axis=1)
    return np.linalg.eigvalsh(dense.hamiltonian(H, sites)[np.ix_(inside, inside)])[:count]


def search(chi: int = 64, **options) -> tn.DMRG:
    options = {"max_sweeps": 20, "gradient_tol": 1e-7} | options
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi), **options)


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize(("S", "L"), [(0.5, 8), (1, 5)])
@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_lowest_levels_of_random_hamiltonians(conserve, S, L, complex_):
    sites = tn.spin_sites(L, S, conserve)
    H = random_sum(L, complex_=complex_, seed=L + 1, conserve=conserve)
    psi = start_state(sites, "float64")
    levels = search(noise=1e-2, noise_sweeps=4).excited(H.mpo(sites), psi, n=5)
    np.testing.assert_allclose(levels.energies, exact_levels(H, sites, psi.charge, 5), rtol=0, atol=1e-9)
    np.testing.assert_allclose(levels.overlaps, np.eye(5), rtol=0, atol=1e-7)
    assert levels.variances.max() < 1e-8
    assert levels.status.converged


def test_electrons_in_a_sector_of_two_charges():
    model = Hubbard(L=5, U=3.0, N=4, Sz=1)
    levels = search().excited(model.mpo(), model.product(), n=4)
    exact = exact_levels(model.operator_sum(), model.sites, (4, 2), 4)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("place", "complex_"), ON_DEVICES)
def test_every_device_finds_the_same_levels(place, complex_):
    backend = backend_or_skip(place)
    sites = tn.spin_sites(6)
    H = random_sum(6, complex_=complex_, seed=2)
    psi = start_state(sites, "float64")
    levels = search(chi=16, noise=1e-2).excited(H.mpo(sites).to(backend), psi.to(backend), n=4)
    np.testing.assert_allclose(levels.energies, exact_levels(H, sites, psi.charge, 4), rtol=0, atol=1e-9)
    assert {state.backend.name for state in levels.states} == {place}


def test_degenerate_levels_come_one_by_one():
    # without conserved Sz, a singlet, three triplets and nothing that tells their states apart
    model = Heisenberg(L=6, conserve="none")
    levels = search(chi=16).excited(model.mpo(), model.product(), n=10)
    exact = np.linalg.eigvalsh(dense.hamiltonian(model.operator_sum(), model.sites))[:10]
    assert np.ptp(exact[1:4]) < 1e-12 < 0.4 < exact[1] - exact[0]
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)
    np.testing.assert_allclose(levels.overlaps, np.eye(10), rtol=0, atol=1e-7)


def test_levels_above_a_doubly_degenerate_ground_state():
    # two spins of a cut chain are free: every level of the rest appears four times
    H = tn.OperatorSum()
    for i in range(1, 5):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
        H += 0.7, "Sz", i, "Sz", i + 1
    sites = tn.spin_sites(7, conserve=None)
    exact = np.linalg.eigvalsh(dense.hamiltonian(H, sites))[:8]
    assert np.ptp(exact[:4]) < 1e-12
    levels = search().excited(H.mpo(sites), tn.MPS.product(sites, ["up", "down"] * 3 + ["up"]), n=8)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)


def test_all_states_of_a_small_sector_and_one_more():
    model = Heisenberg(L=4)
    levels = search(chi=8).excited(model.mpo(), model.product(), n=6)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 6)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)
    with pytest.raises(StateError, match=r"holds 6 states, and n = 7.*ask for fewer"):
        search(chi=8).excited(model.mpo(), model.product(), n=7)
    with pytest.raises(StateError, match="holds 6 states, and 6 are excluded"):
        search(chi=8).solve(model.mpo(), model.product(), orthogonal_to=levels.states)


def test_a_start_inside_the_span_of_the_lower_states_leaves_it():
    model = Heisenberg(L=8)
    H, dmrg = model.mpo(), search(noise_sweeps=0)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 3)
    ground = dmrg.solve(H, model.product())
    first = dmrg.solve(H, ground.state, orthogonal_to=[ground.state])
    assert first.energy == pytest.approx(exact[1], abs=1e-9)
    mixture = ground.state + first.state * 0.5
    second = dmrg.solve(H, mixture, orthogonal_to=[ground.state, first.state])
    assert second.energy == pytest.approx(exact[2], abs=1e-9)
    assert max(second.overlaps) < 1e-7
    assert "overlap" in repr(second)


def test_states_to_be_orthogonal_to_may_depend_on_each_other():
    model = Heisenberg(L=8)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 2)
    ground = search().solve(model.mpo(), model.product()).state
    lower = [ground, ground * -3.0, ground + ground, model.product("up")]
    result = search().solve(model.mpo(), model.product(), orthogonal_to=lower)
    assert result.energy == pytest.approx(exact[1], abs=1e-9)
    assert len(result.overlaps) == 3


def test_a_complex_lower_state_under_a_real_hamiltonian():
    model = Heisenberg(L=8)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 2)
    ground = search().solve(model.mpo(), model.product()).state * np.exp(0.3j)
    result = search().solve(model.mpo(), model.product(), orthogonal_to=[ground])
    assert result.state.dtype == np.complex128
    assert result.energy == pytest.approx(exact[1], abs=1e-9)


def test_single_precision_sweeps_are_polished():
    model = Heisenberg(L=8)
    levels = search(float32_sweeps=3).excited(model.mpo(), model.product(), n=3)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 3)
    np.testing.assert_allclose(levels.energies, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("chi", [1, 2, 5, 12])
def test_levels_stay_orthogonal_where_the_bond_dimension_is_too_small_for_them(chi):
    model = Heisenberg(L=12)
    levels = search(chi=chi).excited(model.mpo(), model.product(), n=4)
    exact = sparse.ground_energies(model.operator_sum(), model.sites, (0,), 4)
    np.testing.assert_allclose(levels.overlaps, np.eye(4), rtol=0, atol=1e-6)
    # the energies of orthogonal states lie above the exact ones in sum
    assert np.cumsum(levels.energies - exact).min() > -1e-9


def test_gaps_of_the_heisenberg_chain_in_two_sectors():
    model = Heisenberg(L=12)
    start = model.product(), model.product(["up"] * 2 + ["up", "down"] * 5)
    levels = search(chi=64).excited(model.mpo(), start, n=3)
    exact = [(energy, charge) for charge in (0, 2)
             for energy in sparse.ground_energies(model.operator_sum(), model.sites, (charge,), 3)]  # fmt: skip
    np.testing.assert_allclose(levels.energies, sorted(energy for energy, _ in exact), rtol=0, atol=1e-9)
    assert sorted(levels.charges) == [(0,)] * 3 + [(2,)] * 3
    assert max(map(len, repr(levels).splitlines())) <= 80
    assert levels.gap == pytest.approx(exact[3][0] - exact[0][0], abs=1e-9)
    # the triplet lies in both sectors at the same energy
    np.testing.assert_allclose(levels.energies[1:3] - levels.energies[1], 0, atol=1e-9)


@pytest.mark.parametrize("h", [0.5, 1.0, 1.5])
def test_free_fermion_excitations_of_the_ising_chain(h):
    model = TransverseIsing(L=30, h=h, conserve="parity")
    fermions = open_ising(30, 1.0, h)
    modes = fermions.levels
    # even numbers of quasiparticles stay in the sector of the ground state
    pairs = sorted(a + b for i, a in enumerate(modes[:6]) for b in modes[:i])[:2]
    levels = search(chi=40).excited(model.mpo(), model.product(), n=3)
    np.testing.assert_allclose(levels.energies, fermions.energy + np.array([0, *pairs]), rtol=0, atol=1e-8)
    assert levels.status.converged


def haldane_gap(L: int) -> float:
    """Spin 1 with spins 1/2 at the ends, which screen the edge spins: singlet and triplet of the bulk, both Sz = 0."""
    sites = (*tn.spin_sites(1), *tn.spin_sites(L, S=1), *tn.spin_sites(1))
    H = tn.OperatorSum()
    for i in range(L + 1):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
        H += 1.0, "Sz", i, "Sz", i + 1
    psi = tn.MPS.product(sites, ["up", *["-1", "1"] * (L // 2), "down"])
    levels = search(chi=60, gradient_tol=1e-5).excited(H.mpo(sites), psi, n=2)
    assert levels.status.converged
    return levels.gap


def test_haldane_gap_above_a_ground_state_without_edge_spins():
    # a magnon at rest costs the gap; between the ends its momentum is pi / L: gap + velocity^2 pi^2 / (2 gap L^2)
    short, long = haldane_gap(40), haldane_gap(60)
    published = Heisenberg(L=60, S=1).facts["Haldane gap"].value
    assert published < long < short < published + 0.06
    extrapolated = (long * 60**2 - short * 40**2) / (60**2 - 40**2)
    assert extrapolated == pytest.approx(published, abs=5e-3)


def test_haldane_gap_between_sectors_of_the_open_chain():
    # the edge spins of the open chain give four low states: the magnon is found above Sz = 1, in Sz = 2
    def gap(L):
        sites = tn.spin_sites(L, S=1)
        H = Heisenberg(L=L, S=1).mpo()
        raised = [["1", "-1"] * (L // 2) for _ in range(2)]
        for k, names in enumerate(raised):
            names[L // 2 - 1 : L // 2 + 2 * k : 2] = ["0"] * (k + 1)
        low, high = (search(chi=60, gradient_tol=1e-5).solve(H, tn.MPS.product(sites, names)) for names in raised)
        assert (low.state.charge, high.state.charge) == ((2,), (4,))
        return high.energy - low.energy

    short, long = gap(40), gap(60)
    published = Heisenberg(L=60, S=1).facts["Haldane gap"].value
    assert (long * 60**2 - short * 40**2) / (60**2 - 40**2) == pytest.approx(published, abs=5e-3)


def test_more_levels_are_added_to_those_found():
    model = Heisenberg(L=8)
    exact = exact_levels(model.operator_sum(), model.sites, (0,), 4)
    two = search().excited(model.mpo(), model.product(), n=2)
    four = search().excited(model.mpo(), model.product(), n=4, found=two)
    assert four[0] is two[0]
    assert four[1] is two[1]
    np.testing.assert_allclose(four.energies, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_levels_of_another_hamiltonian_are_refused(precision):
    model, other = Heisenberg(L=6), Heisenberg(L=6, J=1.001)
    levels = search(chi=8).excited(model.mpo(), model.product(), n=2)
    single = [replace(level, state=level.state.astype(precision)) for level in levels]
    assert len(search(chi=8).excited(model.mpo(), model.product(), 2, found=collect_levels(single))) == 2
    with pytest.raises(StateError, match="level 0 of `found` has the energy -2.4935.*, but -2.4960.*the same one"):
        search(chi=8).excited(other.mpo(), model.product(), n=3, found=collect_levels(single))
    with pytest.raises((StateError, ShapeError), match="6|sites"):
        search(chi=8).excited(Heisenberg(L=8).mpo(), Heisenberg(L=8).product(), n=3, found=levels)


@pytest.mark.parametrize("steps", [5, 40, 60])
def test_an_interrupted_search_goes_on_where_it_stopped(steps):
    model = Heisenberg(L=8)
    H, psi = model.mpo(), model.product()
    dmrg = search(max_sweeps=6)
    whole = dmrg.excited(H, psi, n=3)
    part = dmrg.excited(H, psi, 3, [StopAfter(steps)])
    assert part.status.name == "interrupted"
    assert [level.status.name for level in part].count("interrupted") == 1
    rest = dmrg.excited(H, psi, 3, found=part)
    np.testing.assert_allclose(rest.energies, whole.energies, rtol=0, atol=1e-11)
    assert [len(level.history) for level in rest] == [len(level.history) for level in whole]


def test_a_level_that_did_not_settle_is_named():
    model = Heisenberg(L=16)
    levels = search(chi=24, max_sweeps=1).excited(model.mpo(), model.product(), n=2)
    assert not levels.status.converged
    assert "2 of 2 levels not converged, the first is level 0" in levels.status.advice
    lines = repr(levels).splitlines()
    assert lines[0].startswith(f"ExcitedStates({levels[0].status.name}): 2 levels")
    assert len(lines) == 5


def test_an_overlap_that_truncation_does_not_explain_is_named():
    model = Heisenberg(L=8)
    done = search().solve(model.mpo(), model.product())
    assert judge(search(), done.progress, done.variance, "", (1e-7, 1e-9)).converged
    status = judge(search(), done.progress, done.variance, "", (1e-3, 1e-9))
    assert (status.name, status.converged) == ("not orthogonal", False)
    assert "raise chi_max" in status.advice


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_levels_with_one_site_at_a_time(conserve, complex_):
    sites = tn.spin_sites(8, 0.5, conserve)
    H = random_sum(8, complex_=complex_, seed=3, conserve=conserve)
    psi = start_state(sites, "float64")
    levels = search(sites=1, max_sweeps=40).excited(H.mpo(sites), psi, n=3)
    np.testing.assert_allclose(levels.energies, exact_levels(H, sites, psi.charge, 3), rtol=0, atol=1e-8)
    np.testing.assert_allclose(levels.overlaps, np.eye(3), rtol=0, atol=1e-6)
    with pytest.raises(SettingsError, match="two sites at a time"):
        search(sites=1).excited(H.mpo(sites), psi, n=2, averaged=True)


@pytest.mark.parametrize("place", BACKENDS[1:])
def test_one_site_at_a_time_on_every_device(place):
    backend = backend_or_skip(place)
    sites = tn.spin_sites(6)
    H = random_sum(6, complex_=True, seed=2)
    psi = start_state(sites, "float64")
    levels = search(chi=16, sites=1, noise=1e-2).excited(H.mpo(sites).to(backend), psi.to(backend), n=3)
    np.testing.assert_allclose(levels.energies, exact_levels(H, sites, psi.charge, 3), rtol=0, atol=1e-9)


def test_one_level_has_no_gap():
    model = Heisenberg(L=6)
    alone = search().excited(model.mpo(), model.product(), n=1)
    assert alone.gaps.tolist() == [0.0]
    with pytest.raises(StateError, match="n >= 2"):
        assert alone.gap


@pytest.mark.parametrize("n", [0, 1.5, True, "2"])
def test_a_number_of_levels_is_an_integer_of_at_least_one(n):
    model = Heisenberg(L=6)
    with pytest.raises(SettingsError, match="number of levels"):
        search().excited(model.mpo(), model.product(), n=n)


def test_lower_states_that_do_not_fit_are_refused():
    model = Heisenberg(L=6)
    H, psi, dmrg = model.mpo(), model.product(), search(chi=8)
    with pytest.raises(ShapeError, match="8 sites.*6"):
        dmrg.solve(H, psi, orthogonal_to=[Heisenberg(L=8).product()])
    with pytest.raises(LegError, match="physical leg"):
        dmrg.solve(H, psi, orthogonal_to=[Heisenberg(L=6, conserve=None).product()])
    with pytest.raises(BackendError, match="strict"):
        dmrg.solve(H, psi, orthogonal_to=[psi.to("strict")])
    with pytest.raises(StateError, match="finite norm"):
        dmrg.solve(H, psi, orthogonal_to=[psi * 0.0])
    with pytest.raises(StateError, match=r"list of MPS.*found \['Solution'\]"):
        dmrg.solve(H, psi, orthogonal_to=[dmrg.solve(H, psi)])
    with pytest.raises(StateError, match="list of MPS.*found MPS"):
        dmrg.solve(H, psi, orthogonal_to=psi)
    with pytest.raises(StateError, match="different charges"):
        dmrg.excited(H, [psi, psi])
