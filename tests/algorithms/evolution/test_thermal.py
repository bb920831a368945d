"""Thermal states by purification against exact diagonalisation: energies, free energies, entropies, specific heats."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

import tnsim as tn
from tests.devices import BACKENDS, backend_or_skip
from tests.exact.dense import hamiltonian, place
from tests.networks.test_evolution_mpo import random_sum
from tnsim.algorithms.evolution.evolution import Evolution
from tnsim.errors import OperatorError, SettingsError
from tnsim.models import Heisenberg
from tnsim.networks.purification import infinite_temperature, purified_operator, purified_site

CUT = tn.Truncation(chi_max=64, svd_min=1e-10)


@dataclass(frozen=True)
class Exact:
    """Everything about a Hermitian matrix in equilibrium."""

    matrix: np.ndarray

    @cached_property
    def levels(self) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.eigh(self.matrix)

    def average(self, beta: float, operator: np.ndarray | None = None) -> float:
        """Of the energy, without an operator."""
        values, vectors = self.levels
        weights = np.exp(-beta * (values - values[0]))
        inside = values if operator is None else np.einsum("ik,ij,jk->k", vectors.conj(), operator, vectors).real
        return float(weights @ inside / weights.sum())

    def log_z(self, beta: float) -> float:
        values, _ = self.levels
        return float(np.log(np.exp(-beta * (values - values[0])).sum()) - beta * values[0])

    def check(self, thermal: tn.ThermalStates, tolerance: float) -> None:
        for k, beta in enumerate(thermal.betas):
            energy = self.average(beta)
            assert thermal.energies[k] == pytest.approx(energy, abs=tolerance)
            assert thermal.free_energies[k] == pytest.approx(-self.log_z(beta) / beta, abs=2 * tolerance)
            assert thermal.entropies[k] == pytest.approx(self.log_z(beta) + beta * energy, abs=10 * tolerance)
            if np.isfinite(thermal.specific_heats[k]):
                spread = self.average(beta, self.matrix @ self.matrix) - energy**2
                assert thermal.specific_heats[k] == pytest.approx(beta**2 * spread, abs=30 * beta * tolerance)


def tdvp(**settings) -> tn.TDVP:
    return tn.TDVP(**{"dt": 0.1, "truncation": CUT, "imaginary": True, "every": 50, "expansion": 2, **settings})


def test_energies_of_ten_spins_to_a_millionth():
    model = Heisenberg(L=10)
    cooling = tdvp(dt=0.25, truncation=tn.Truncation(chi_max=96), expansion=0)
    thermal = tn.Purification(cooling=cooling, specific_heat=False).run(model.mpo(), [10.0, 0.1, 0.5, 2.0])
    np.testing.assert_array_equal(thermal.betas, [0.1, 0.5, 2.0, 10.0])
    Exact(model.mpo().to_dense()).check(thermal, 1e-6)
    assert np.isnan(thermal.specific_heats).all() and thermal.status.converged


@pytest.mark.parametrize(
    ("cooling", "tolerance", "conserve"),
    [
        (tdvp(), 1e-6, "Sz"),
        (tdvp(), 1e-6, None),
        (tn.MPOEvolution(dt=0.1, truncation=CUT, imaginary=True, order=4, every=50), 3e-6, "Sz"),
        (tn.TEBD(dt=0.1, truncation=CUT, imaginary=True, every=50), 3e-6, "Sz"),
    ],
    ids=["TDVP", "TDVP without symmetry", "MPO", "TEBD"],
)
def test_every_way_of_cooling(cooling: Evolution, tolerance, conserve):
    L, sites = 5, tn.spin_sites(5, conserve=conserve)
    rng, H = np.random.default_rng(0), tn.OperatorSum()
    for i in range(L - 1):
        H += tn.plus_hc(rng.normal(), "S+", i, "S-", i + 1)
        H += rng.normal(), "Sz", i, "Sz", i + 1
        H += rng.normal(), "Sz", i
    observe = {"Sz": lambda psi: tn.expect(psi, "Sz"), "SzSz": lambda psi: tn.correlation(psi, "Sz", "Sz").sum()}
    thermal = tn.Purification(cooling=cooling).run(H, [0.3, 2.0], sites=sites, observe=observe)
    exact = Exact(hamiltonian(H, sites))
    exact.check(thermal, tolerance)
    single = [place(sites, [("Sz", i)]) for i in range(L)]
    for k, beta in enumerate(thermal.betas):
        np.testing.assert_allclose(thermal["Sz"][k], [exact.average(beta, m) for m in single], atol=10 * tolerance)
        assert thermal["SzSz"][k] == pytest.approx(exact.average(beta, sum(single) @ sum(single)), abs=10 * tolerance)


@pytest.mark.parametrize(
    ("sites", "create", "annihilate", "local"),
    [([tn.fermion_site()] * 4, "Cdag", "C", "N"), ([tn.electron_site(conserve="N,Sz")] * 3, "Cdag_up", "C_up", "Sz")],
    ids=["fermions", "electrons"],
)
def test_fermions_with_terms_of_long_range(sites, create, annihilate, local):
    H = random_sum(len(sites), ladder=(create, annihilate), local=local)
    exact = Exact(hamiltonian(H, sites))
    hop = [(create, 0), (annihilate, 2)]
    observe = {"hop": lambda psi: tn.expect(psi, hop)}
    thermal = tn.Purification(cooling=tdvp()).run(H.mpo(sites), [0.2, 1.0], observe=observe)
    exact.check(thermal, 1e-6)
    matrix = place(sites, hop)
    for k, beta in enumerate(thermal.betas):
        assert thermal["hop"][k].real == pytest.approx(exact.average(beta, matrix + matrix.conj().T) / 2, abs=1e-5)


def test_infinite_temperature_and_the_operator_on_it():
    sites, H = tn.spin_sites(3, S=1), random_sum(3)
    psi, W = infinite_temperature(sites), H.mpo(sites)
    assert psi.norm() == pytest.approx(1) and psi.bond_dimensions == (1, 1, 1, 1) and psi.charge == (0,)
    matrix = hamiltonian(H, sites)
    found = tn.overlap(psi, tn.apply(purified_operator(W @ W), psi))
    assert found == pytest.approx(np.trace(matrix @ matrix) / len(matrix))
    assert purified_site(sites[0]) is purified_site(tn.spin_site(S=1))
    with pytest.raises(OperatorError, match="does not know its sites"):
        purified_operator(tn.MPO(W.tensors))


@pytest.mark.parametrize("place", BACKENDS)
def test_every_backend(place):
    if place == "cuda-host":
        pytest.skip("its kernels are slow to compile, and those of evolutions are tested with these")
    backend = backend_or_skip(place)
    sites, H = tn.spin_sites(3), random_sum(3)
    thermal = tn.Purification(cooling=tdvp(dt=0.2)).run(H.mpo(sites).to(backend), [0.4])
    assert thermal.state.backend is backend
    Exact(hamiltonian(H, sites)).check(thermal, 1e-6)


def test_a_spent_budget_keeps_what_was_reached():
    model = Heisenberg(L=8)
    cooling = tdvp(truncation=tn.Truncation(chi_max=6), every=1, error_budget=1e-2, expansion=0, scheme="two-site")
    thermal = tn.Purification(cooling=cooling).run(model.mpo(), [0.1, 0.2, 8.0])
    assert len(thermal.betas) == 2 and thermal.status.name == "error budget out of reach"
    assert "2 temperatures from 10 to 5" in repr(thermal)
    with pytest.raises(SettingsError, match="nothing was recorded as 'Sz'"):
        thermal["Sz"]


def test_temperatures_far_above_a_step_are_not_left_out():
    thermal = tn.Purification(cooling=tdvp()).run(Heisenberg(L=4).mpo(), [1e-12, 0.1])
    assert len(thermal.betas) == len(thermal.energies) == 2 and abs(thermal.energies[0]) < 1e-9


def test_bad_input():
    model = Heisenberg(L=4)
    purification = tn.Purification(cooling=tdvp())
    for betas in ([], [0.0], [-1.0], [1.0, np.inf], [np.nan], [1j], "a"):
        with pytest.raises(SettingsError, match="temperatures above zero"):
            purification.run(model.mpo(), betas)
    with pytest.raises(SettingsError, match="imaginary=True"):
        tn.Purification(cooling=tdvp(imaginary=False))
    with pytest.raises(SettingsError, match="Hermitian"):
        tn.Purification(cooling=tdvp(non_hermitian=True))
    with pytest.raises(OperatorError, match="an OperatorSum and its sites"):
        purification.run(random_sum(4), [1.0])
    with pytest.raises(OperatorError, match="needs an OperatorSum, with its sites"):
        tn.Purification(cooling=tn.TEBD(dt=0.1, truncation=CUT, imaginary=True)).run(model.mpo(), [1.0])
    with pytest.raises(OperatorError, match="a sequence of sites, such as"):
        tn.Purification(cooling=tn.TDVP(dt=0.1, truncation=CUT, imaginary=True)).run(tn.OperatorSum(), 1.0, sites=3)
