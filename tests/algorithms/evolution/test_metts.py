"""Typical thermal states against exact averages, within error bars that have to be honest."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.devices import BACKENDS, backend_or_skip
from tests.exact.dense import hamiltonian, place
from tnsim.errors import ChargeError, OperatorError, SettingsError, StateError

CUT = tn.Truncation(chi_max=32, svd_min=1e-8)
COOLING = tn.TEBD(dt=0.25, truncation=CUT, imaginary=True, every=100, order=4)


def heisenberg(L: int, conserve: str | None = None) -> tuple[tn.OperatorSum, tuple[tn.Site, ...], tn.MPS]:
    sites, H = tn.spin_sites(L, conserve=conserve), tn.OperatorSum()
    for i in range(L - 1):
        H += tn.plus_hc(0.5, "S+", i, "S-", i + 1)
        H += 1.0, "Sz", i, "Sz", i + 1
    return H, sites, tn.MPS.product(sites, ["up", "down"] * (L // 2))


def averages(matrix: np.ndarray, beta: float, *operators: np.ndarray) -> list[float]:
    values, vectors = np.linalg.eigh(matrix)
    weights = np.exp(-beta * (values - values[0]))
    density = (vectors * (weights / weights.sum())) @ vectors.conj().T
    return [float(np.trace(density @ operator).real) for operator in operators]


def test_energy_of_a_chain_within_honest_error_bars():
    beta = 1.0
    H, sites, psi = heisenberg(6)
    matrix, ends = hamiltonian(H, sites), place(sites, [("Sz", 0), ("Sz", 5)])
    energy, far = averages(matrix, beta, matrix, ends)
    observe = {"ends": lambda state: tn.expect(state, [("Sz", 0), ("Sz", 5)])}
    metts = tn.METTS(cooling=COOLING, samples=40, warm_up=4)
    pulls = []
    for seed in range(4):
        found = replace(metts, seed=seed).run(H, psi, beta=beta, observe=observe)
        assert found.status.converged and found.sum_trunc_err < 1e-10 and found.chi == 8
        pulls.append((found.energy.mean - energy) / found.energy.error)
        assert 0.01 < found.energy.error < 0.2
        assert abs(found.average("ends").mean - far) < 4 * found.average("ends").error
    assert max(np.abs(pulls)) < 3 and 0.3 < np.sqrt(np.mean(np.square(pulls))) < 2


def test_conserved_charges_give_their_sector():
    H, sites, psi = heisenberg(4, "Sz")
    matrix = hamiltonian(H, sites)
    total = np.diag(sum(place(sites, [("Sz", i)]) for i in range(4)))
    inside = np.flatnonzero(np.abs(total) < 1e-9)
    sector = matrix[np.ix_(inside, inside)]
    (energy,) = averages(sector, 3.0, sector)
    observe = {"Sz": lambda state: tn.expect(state, "Sz")}
    found = tn.METTS(cooling=COOLING, samples=40).run(H, psi, beta=3.0, observe=observe)
    assert abs(found.energy.mean - energy) < 3 * found.energy.error < 0.3
    assert found.average("Sz").mean.shape == (4,) and found.state.charge == (0,)
    np.testing.assert_allclose(found["Sz"].sum(axis=1), 0, atol=1e-10)


def test_the_walk_leaves_the_thermal_weights_as_they_are():
    """Every collapse of every typical state, with its exact chances: sum_i p_i P(i -> j) = p_j."""
    H, sites, _ = heisenberg(2)
    weights = np.diag(dense_exponential(hamiltonian(H, sites).real, -0.7))
    after = np.zeros(4)
    for i, weight in enumerate(weights):
        start = tn.MPS.product(sites, [np.eye(2)[i // 2], np.eye(2)[i % 2]])
        cooled = COOLING.run(H, start, time=0.35).state
        after += weight * np.abs(cooled.to_dense()) ** 2
    np.testing.assert_allclose(after, weights, atol=1e-6)


def dense_exponential(matrix: np.ndarray, factor: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.exp(factor * values)) @ vectors.conj().T


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_seed_gives_the_same_walk_everywhere(backend):
    if backend == "cuda-host":
        pytest.skip("its kernels are slow to compile, and those of evolutions are tested with these")
    H, sites, psi = heisenberg(4)
    metts = tn.METTS(cooling=tn.TDVP(dt=0.25, truncation=CUT, imaginary=True), samples=3, warm_up=0, seed=3)
    here = metts.run(H.mpo(sites), psi, beta=0.5)
    there = metts.run(H.mpo(sites).to(backend_or_skip(backend)), psi.to(backend_or_skip(backend)), beta=0.5)
    np.testing.assert_allclose(there.energies, here.energies, atol=1e-8)
    assert there.state.backend.name == backend


def test_single_precision_stays_and_real_states_stay_real():
    H, sites, psi = heisenberg(2)
    found = tn.METTS(cooling=COOLING, samples=2, warm_up=1).run(H, psi.astype(np.float32), beta=0.5)
    assert found.state.dtype == np.float32


def test_few_samples_and_spent_budgets_say_so():
    H, _, psi = heisenberg(4)
    found = tn.METTS(cooling=COOLING, samples=4, warm_up=0).run(H, psi, beta=0.5)
    assert found.status.name == "finished, few samples" and "raise samples" in repr(found)
    tight = replace(COOLING, every=1, truncation=tn.Truncation(chi_max=1), error_budget=1e-3)
    found = tn.METTS(cooling=tight, samples=4, warm_up=0).run(H, psi, beta=1.0)
    assert found.status.name == "error budget spent" and len(found.energies) == 0
    with pytest.raises(SettingsError, match="nothing was recorded as 'Sz'"):
        found["Sz"]


def test_bad_input():
    H, _, psi = heisenberg(4)
    metts = tn.METTS(cooling=COOLING, samples=4)
    for beta in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(SettingsError, match="temperatures above zero"):
            metts.run(H, psi, beta=beta)
    with pytest.raises(SettingsError, match="imaginary=True"):
        tn.METTS(cooling=replace(COOLING, imaginary=False), samples=4)
    for wrong in ({"samples": 1}, {"warm_up": -1}, {"seed": -1}):
        with pytest.raises(SettingsError, match="samples must be at least 2"):
            replace(metts, **wrong)
    with pytest.raises(SettingsError, match="bases are names"):
        replace(metts, bases=(3,))
    with pytest.raises(StateError, match="start from an MPS"):
        metts.run(H, None, beta=1.0)
    H, _, psi = heisenberg(4, "Sz")
    with pytest.raises(ChargeError, match="mixes the charges"):
        replace(metts, bases=(None, "Sx")).run(H, psi, beta=1.0)
    with pytest.raises(OperatorError):
        replace(metts, bases=("S+",)).run(H, psi, beta=1.0)
