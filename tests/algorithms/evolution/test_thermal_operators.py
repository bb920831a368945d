"""Mixed states as operators: from purifications, by squaring, and with turned ancillas; against dense exponentials."""

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.evolution.test_thermal import Exact
from tests.devices import BACKENDS, backend_or_skip
from tests.exact.dense import hamiltonian, place
from tests.networks.test_evolution_mpo import random_sum
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.models import XXZ, Heisenberg
from tnsim.networks.disentangle import disentangled
from tnsim.networks.purification import as_operator, as_state, infinite_temperature, operator_trace

CUT = tn.Truncation(chi_max=64, svd_min=1e-11)
COOLING = tn.TDVP(dt=0.1, truncation=CUT, imaginary=True, every=100, expansion=2)


def gibbs(matrix: np.ndarray, beta: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    weights = np.exp(-beta * (values - values[0]))
    return (vectors * (weights / weights.sum())) @ vectors.conj().T


@pytest.mark.parametrize("sites", [tn.spin_sites(4), [tn.fermion_site()] * 4], ids=["spins", "fermions"])
def test_a_purification_gives_the_density_operator(sites):
    ladder, local = (("S+", "S-"), "Sz") if sites[0].name.startswith("spin") else (("Cdag", "C"), "N")
    H = random_sum(4, ladder=ladder, local=local)
    thermal = tn.Purification(cooling=COOLING, specific_heat=False).run(H, [0.7], sites=sites)
    rho = thermal.density_operator(CUT)
    np.testing.assert_allclose(rho.to_dense(), gibbs(hamiltonian(H, sites), 0.7), atol=1e-6)
    assert operator_trace(rho) == pytest.approx(1) and rho.sites == tuple(sites)
    root = as_operator(thermal.state, sites)
    np.testing.assert_allclose(as_state(root).to_dense(), thermal.state.to_dense(), atol=1e-14)
    with pytest.raises(ShapeError, match="a purified state of these 4 sites"):
        as_operator(tn.MPS.product(sites, [site.states[0] for site in sites]), sites)


@pytest.mark.parametrize("model", [Heisenberg(L=6), XXZ(L=5, delta=0.5, conserve=None)], ids=["Sz", "none"])
def test_squaring_against_exact_diagonalisation(model):
    observe = {"SzSz": lambda psi: tn.correlation(psi, "Sz", "Sz").sum()}
    thermal = tn.ThermalDoubling(truncation=CUT, tau=0.05).run(model.mpo(), beta=4.0, observe=observe)
    np.testing.assert_allclose(thermal.betas, 4.0 / 2.0 ** np.arange(8)[::-1])
    exact = Exact(model.mpo().to_dense())
    exact.check(thermal, 2e-6)
    total = sum(place(model.sites, [("Sz", i)]) for i in range(model.L))
    wanted = [exact.average(beta, total @ total) for beta in thermal.betas]
    assert thermal.status.converged
    np.testing.assert_allclose(thermal["SzSz"], wanted, atol=5e-6)
    np.testing.assert_allclose(thermal.density_operator(CUT).to_dense(), gibbs(exact.matrix, 4.0), atol=5e-6)


def test_squaring_is_of_fourth_order_in_its_first_step():
    exact = Exact(Heisenberg(L=4).mpo().to_dense())
    taus = np.array([1.0, 0.5, 0.25])
    errors = []
    for tau in taus:
        found = tn.ThermalDoubling(truncation=CUT, tau=tau, specific_heat=False).run(Heisenberg(L=4).mpo(), beta=2.0)
        errors.append(abs(found.energies[-1] - exact.average(2.0)))
    assert np.polyfit(np.log(taus), np.log(errors), 1)[0] == pytest.approx(4, abs=0.5)


def test_turned_ancillas_keep_averages_and_lower_the_entropy():
    """At low temperatures the cooled state is nearly |ground><ground|, with twice the ground state's entropy."""
    model, betas = Heisenberg(L=6), [2.0, 5.0, 10.0]
    plain = tn.Purification(cooling=COOLING, specific_heat=False).run(model.mpo(), betas)
    lean = tn.Purification(cooling=COOLING, specific_heat=False, disentangle=2).run(model.mpo(), betas)
    np.testing.assert_allclose(lean.energies, plain.energies, atol=2e-6)
    np.testing.assert_allclose(lean.free_energies, plain.free_energies, atol=1e-6)
    before, after = (tn.entropy(thermal.state) for thermal in (plain, lean))
    assert (after < before).all() and after.sum() < 0.82 * before.sum()
    np.testing.assert_allclose(lean.density_operator(CUT).to_dense(), gibbs(model.mpo().to_dense(), 10.0), atol=1e-5)


def test_what_turned_ancillas_cut_is_told_and_spends_the_budget():
    model, cut = Heisenberg(L=4), tn.Truncation(chi_max=3)
    sums, spent, states = [], [], []
    for sweeps in (0, 1):
        cooling = tn.TDVP(dt=0.1, truncation=cut, imaginary=True, every=100, error_budget=0.3, scheme="two-site")
        thermal = tn.Purification(cooling=cooling, specific_heat=False, disentangle=sweeps).run(model.mpo(), [1.0])
        assert thermal.status.name == ("error budget spent" if sweeps else "finished")
        assert len(thermal.energies) == 1
        sums.append(thermal.evolved.sum_trunc_err)
        spent.append(thermal.evolved.history[-1].error_spent)
        states.append(thermal.state)
    _, weight = disentangled(states[0], model.sites, cut, sweeps=1)
    assert sums[1] - sums[0] == pytest.approx(weight) and weight > 1e-3
    assert spent[1] - spent[0] == pytest.approx((2 * weight) ** 0.5)  # of two layers: to the right and back


@pytest.mark.parametrize("place", BACKENDS)
def test_every_backend(place):
    backend = backend_or_skip(place)
    model = XXZ(L=3, delta=0.5)
    thermal = tn.ThermalDoubling(truncation=CUT, tau=0.25).run(model.mpo().to(backend), beta=1.0)
    Exact(model.mpo().to_dense()).check(thermal, 1e-3)
    assert thermal.state.backend.name == backend.name
    cooled = tn.Purification(cooling=COOLING, disentangle=1).run(model.mpo().to(backend), [1.0])
    assert abs(cooled.energies[0] - thermal.energies[-1]) < 1e-3
    assert operator_trace(cooled.density_operator(CUT)) == pytest.approx(1)


def test_bad_input():
    with pytest.raises(SettingsError, match="tau must be positive"):
        tn.ThermalDoubling(truncation=CUT, tau=0.0)
    with pytest.raises(SettingsError, match="temperatures above zero"):
        tn.ThermalDoubling(truncation=CUT).run(Heisenberg(L=4).mpo(), beta=0.0)
    for beta in ([1.0, 2.0], []):
        with pytest.raises(SettingsError, match="one inverse temperature"):
            tn.ThermalDoubling(truncation=CUT).run(Heisenberg(L=4).mpo(), beta=beta)
    with pytest.raises(OperatorError, match="not equal to its adjoint"):
        tn.ThermalDoubling(truncation=CUT).run(Heisenberg(L=4).mpo() * 1j, beta=1.0)
    for observe, message in (
        ({"Sz": 3}, "observed as 'Sz' must be a function"),
        ([len], "functions of the state by name"),
    ):
        with pytest.raises(SettingsError, match=message):
            tn.ThermalDoubling(truncation=CUT).run(Heisenberg(L=4).mpo(), beta=1.0, observe=observe)
        with pytest.raises(SettingsError, match=message):
            tn.Purification(cooling=COOLING).run(Heisenberg(L=4).mpo(), [1.0], observe=observe)
    with pytest.raises(OperatorError, match="an MPO with sites"):
        tn.ThermalDoubling(truncation=CUT).run(Heisenberg(L=4).operator_sum(), beta=1.0)
    with pytest.raises(SettingsError, match="not negative, found -1"):
        tn.Purification(cooling=COOLING, disentangle=-1)
    with pytest.raises(OperatorError, match="cannot be purified"):
        as_state(tn.MPO(Heisenberg(L=2).mpo().tensors, None))
    assert infinite_temperature(tn.spin_sites(2)).norm() == pytest.approx(1)
