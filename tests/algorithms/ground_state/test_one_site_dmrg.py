"""DMRG with one site at a time: exact answers, equality with two sites, growth, resuming, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.ground_state.test_dmrg import SYMMETRIES, StopAfter, numbers_of, random_sum, start_state
from tests.devices import BACKENDS, backend_or_skip
from tests.exact import dense
from tnsim.errors import SettingsError
from tnsim.models import Heisenberg, Hubbard, TransverseIsing

KEPT = {"sites": 1, "expansion": 0.0}


def one_site(chi: int, **options) -> tn.DMRG:
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi), sites=1, **({"second_start": False} | options))


@pytest.mark.parametrize("conserve", SYMMETRIES)
@pytest.mark.parametrize(("S", "L"), [(0.5, 8), (1, 5)])
@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_random_hamiltonians_against_exact_diagonalisation(conserve, S, L, complex_):
    sites = tn.spin_sites(L, S, conserve)
    H = random_sum(L, complex_=complex_, seed=L, conserve=conserve)
    psi = start_state(sites, "float64")
    result = one_site(64, noise=1e-2, noise_sweeps=4, gradient_tol=1e-7).solve(H.mpo(sites), psi)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert result.energy == pytest.approx(exact, abs=1e-9)
    assert result.variance < 1e-8
    assert abs(result.state.norm() - 1) < 1e-12
    assert result.status.converged


@pytest.mark.parametrize("place", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("conserve", SYMMETRIES)
def test_every_backend_gives_the_same_run(place, dtype, conserve):
    backend = backend_or_skip(place)
    sites = tn.spin_sites(6, 0.5, conserve)
    H = random_sum(6, complex_=dtype == "complex128", seed=5, conserve=conserve)
    psi = start_state(sites, dtype).to(backend)
    result = one_site(16, max_sweeps=8, noise=1e-2, gradient_tol=1e-7).solve(H.mpo(sites).to(backend), psi)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert result.energy == pytest.approx(exact, abs=1e-9)
    assert result.state.backend is backend


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision_sweeps_are_polished_in_double(dtype):
    sites = tn.spin_sites(8)
    H = random_sum(8, complex_=dtype == "complex64", seed=3)
    psi = start_state(sites, dtype)
    run = one_site(32, float32_sweeps=4, max_sweeps=12, noise=1e-2, noise_sweeps=3).solve(H.mpo(sites), psi)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    assert [report.dtype for report in run.history[:4]] == [dtype] * 4
    assert abs(run.history[3].energy - exact) < 1e-3
    assert run.energy == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "chi"),
    [(Heisenberg(L=40), 80), (TransverseIsing(L=40), 40), (Hubbard(L=10, U=4.0), 300)],
    ids=["Bethe", "free fermions", "Hubbard"],
)
def test_product_states_grow_to_exact_energies(model, chi):
    result = one_site(chi).solve(model.mpo(), model.product())
    weight = result.history[-1].sum_trunc_err
    assert result.status.converged
    assert -1e-11 < result.energy - model.facts.energy < 1e-8 + 20 * weight
    assert max(result.state.bond_dimensions) <= chi


@pytest.mark.parametrize(("model", "chi"), [(Heisenberg(L=40), 20), (Heisenberg(L=24, S=1, conserve="none"), 24)])
def test_one_site_ends_at_or_below_two_at_equal_bond_dimension(model, chi):
    H, psi = model.mpo(), model.product()
    two = tn.DMRG(truncation=tn.Truncation(chi_max=chi), second_start=False).solve(H, psi)
    one = one_site(chi).solve(H, psi)
    weight = two.history[-1].sum_trunc_err
    assert weight > 1e-9  # the bond dimension is felt
    assert one.energy - two.energy < 0.1 * weight
    # it cuts what the expansion had found, which is a part of all that two sites reach
    assert 0.05 * weight < one.history[-1].sum_trunc_err < 1.1 * weight


def test_without_expansion_a_product_state_stays_one():
    model = Heisenberg(L=20)
    H, psi = model.mpo(), model.product()
    kept = tn.DMRG(truncation=tn.Truncation(chi_max=32), second_start=False, **KEPT).solve(H, psi)
    grown = one_site(32, noise_sweeps=0).solve(H, psi)
    assert set(kept.state.bond_dimensions) == {1}
    assert {report.noise for report in kept.history} == {0.0}
    assert kept.energy > model.facts.energy + 1
    assert max(grown.state.bond_dimensions) == 32
    assert grown.energy == pytest.approx(model.facts.energy, abs=1e-7)


def test_noise_opens_sectors_that_no_bond_alone_leads_to():
    # the wall of the start state lies where no coupling crosses it from one neighbour to the other
    L, rng = 10, np.random.default_rng(0)
    H = tn.OperatorSum()
    for i in range(L):
        for j in range(i + 2, L):
            coupling = rng.normal()
            H += tn.plus_hc(coupling / 2, "S+", i, "S-", j)
            H += coupling, "Sz", i, "Sz", j
    sites = tn.spin_sites(L)
    psi = tn.MPS.product(sites, ["up"] * 5 + ["down"] * 5)
    exact = dense.ground_energy(dense.hamiltonian(H, sites), sites, psi.charge)
    stuck = one_site(32, noise_sweeps=0).solve(H.mpo(sites), psi)
    freed = one_site(32, gradient_tol=1e-7).solve(H.mpo(sites), psi)
    assert stuck.energy > exact + 1e-2
    assert freed.energy == pytest.approx(exact, abs=1e-9)


def test_expansion_is_off_in_the_last_sweeps_and_on_again_at_a_larger_bond_dimension():
    model = Heisenberg(L=20)
    H = model.mpo()
    result = one_site(12).solve(H, model.product())
    shares = [report.expansion for report in result.history]
    assert result.status.converged
    assert shares[0] == 0.1 and shares[-1] == 0.0
    assert shares == sorted(shares, reverse=True)
    # what truncation costs is known from the sweeps before
    assert result.history[-1].sum_trunc_err > 1e-8
    raised = one_site(24, min_sweeps=result.progress.sweep + 2)
    more = raised.solve(H, result.state, progress=result.progress)
    assert more.history[len(shares)].expansion == 0.1
    assert more.history[-1].expansion == 0.0
    assert more.energy < result.energy - 1e-7


@pytest.mark.parametrize("float32_sweeps", [0, 1])
def test_stopped_anywhere_and_resumed_gives_the_uninterrupted_run(float32_sweeps):
    model = Heisenberg(L=8)
    H, psi = model.mpo(), model.product()
    dmrg = one_site(8, max_sweeps=5, min_sweeps=3, float32_sweeps=float32_sweeps, energy_tol=1e-6)
    whole = [numbers_of(report) for report in dmrg.sweeps(H, psi)]
    for steps in range(1 + float32_sweeps, len(whole) * 2 * 7, 2):
        run = dmrg.start(H, psi)
        list(run.sweeps([StopAfter(steps)]))
        rest = dmrg.start(H, run.state, run.progress())
        list(rest.sweeps())
        found = [numbers_of(report) for report in rest.progress().history]
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12, err_msg=f"stopped after {steps} updates")


def test_a_one_site_end_lowers_the_energy_of_a_two_site_run():
    model = Heisenberg(L=30)
    H, psi = model.mpo(), model.product()
    stages = [
        tn.DMRG(truncation=tn.Truncation(chi_max=16), max_sweeps=6),
        tn.DMRG(truncation=tn.Truncation(chi_max=16), **KEPT),
    ]
    first = stages[0].solve(H, psi)
    both = tn.run_stages(stages, H, psi)
    assert both.status.converged
    assert both.energy < first.energy
    assert both.energy > model.facts.energy
    assert both.history[-1].sum_trunc_err >= first.history[-1].sum_trunc_err > 0
    assert max(both.state.bond_dimensions) == 16


def test_a_run_on_threads_gives_the_same_energy():
    model = Heisenberg(L=16, S=1)
    energies = []
    for threads in (1, 2):
        tn.set_threads(threads)
        try:
            energies.append(one_site(48, max_sweeps=4).solve(model.mpo(), model.product()).energy)
        finally:
            tn.set_threads(None)
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)


def test_a_shorter_bond_dimension_cuts_the_start_state():
    model = Heisenberg(L=16)
    H = model.mpo()
    wide = one_site(40).solve(H, model.product())
    narrow = tn.DMRG(truncation=tn.Truncation(chi_max=10), second_start=False, **KEPT).solve(H, wide.state)
    assert max(narrow.state.bond_dimensions) == 10
    assert narrow.energy == pytest.approx(one_site(10).solve(H, model.product()).energy, abs=1e-6)


def test_two_sites_refuse_an_expansion_and_a_count_of_sites_is_checked():
    truncation = tn.Truncation(chi_max=8)
    with pytest.raises(SettingsError, match="sites = 1"):
        tn.DMRG(truncation=truncation, expansion=0.2)
    for sites in (0, 3):
        with pytest.raises(SettingsError, match="sites must lie between 1 and 2"):
            tn.DMRG(truncation=truncation, sites=sites)
    with pytest.raises(SettingsError, match="expansion must lie between 0 and 1"):
        tn.DMRG(truncation=truncation, sites=1, expansion=1.5)
    assert replace(tn.DMRG(truncation=truncation), sites=1).expansion == 0.1
