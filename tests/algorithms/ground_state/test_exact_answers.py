"""Large chains against exact solutions: free fermions, Bethe equations, valence bonds, conformal field theory."""

from functools import cache

import numpy as np
import pytest

import tnsim as tn
from tnsim.kernels.cpu import lanczos
from tnsim.models import AKLT, XX, Heisenberg, Hubbard, MajumdarGhosh, TransverseIsing
from tnsim.models.exact.free_fermions import open_ising, open_xx


@cache
def solve(model, chi, start="neel", **options):
    options = {"max_sweeps": 12, "chi_ramp": (chi // 4, chi // 2)} | options
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi), **options).solve(model.mpo(), model.product(start))


@pytest.mark.parametrize("conserve", [None, "parity"])
@pytest.mark.parametrize(("L", "h"), [(100, 1.0), (100, 1.2), (60, 0.7)])
def test_ising_against_free_fermions(L, h, conserve):
    model = TransverseIsing(L=L, h=h, conserve=conserve)
    result = solve(model, 64, "up")
    assert result.status.converged, result
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-9)
    if h >= 1:
        exact = open_ising(L, 1.0, h)
        entropies = [exact.entropy(sites) for sites in range(1, L)]
        np.testing.assert_allclose(tn.entropy(result.state), entropies, atol=1e-7)
        np.testing.assert_allclose(tn.expect(result.state, "Z"), exact.magnetization(), atol=1e-6)


def test_xx_chain_against_free_fermions():
    model = XX(L=100)
    result = solve(model, 200, "neel")
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-9)
    sea = open_xx(100)
    entropies = [sea.entropy(sites) for sites in range(1, 100)]
    np.testing.assert_allclose(tn.entropy(result.state), entropies, atol=1e-7)


def test_heisenberg_against_the_bethe_equations():
    model = Heisenberg(L=100)
    result = solve(model, 200)
    assert result.status.converged, result
    assert result.energy == pytest.approx(-44.1277398932962, abs=1e-9)
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-9)
    assert result.variance < 1e-8


def test_majumdar_ghosh_is_a_product_of_singlets():
    model = MajumdarGhosh(L=40)
    result = solve(model, 16, noise=1e-2, noise_sweeps=4)
    assert result.energy == pytest.approx(-15.0, abs=1e-10)
    np.testing.assert_allclose(tn.entropy(result.state)[:4], [np.log(2), 0, np.log(2), 0], atol=1e-7)


def test_aklt_is_a_valence_bond_solid():
    model = AKLT(L=30)
    result = solve(model, 20, noise=1e-2, noise_sweeps=4)
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-9)
    assert result.variance < 1e-9


def test_spin_one_bulk_energy():
    model = Heisenberg(L=100, S=1)
    result = solve(model, 120)
    middle = [
        float(np.real(sum(
            factor * tn.expect(result.state, [(a, i), (b, i + 1)])
            for factor, a, b in ((0.5, "S+", "S-"), (0.5, "S-", "S+"), (1.0, "Sz", "Sz"))
        )))
        for i in (48, 49, 50)
    ]  # fmt: skip
    # a weak alternation is left over from the ends: the mean of neighbouring bonds cancels it
    bulk = (middle[0] + 2 * middle[1] + middle[2]) / 4
    assert bulk == pytest.approx(model.facts["bulk energy per site"].value, abs=1e-6)


def central_charge(entropies: np.ndarray, L: int) -> float:
    """c from S(l) = c/6 log sin(pi l / L) + const on an open chain, neighbouring bonds averaged."""
    smooth = (entropies[:-2] + 2 * entropies[1:-1] + entropies[2:]) / 4
    place = np.arange(2, L - 1)
    middle = slice(L // 4, 3 * L // 4 - 3)
    slope, _ = np.polyfit(np.log(np.sin(np.pi * place / L))[middle], smooth[middle], 1)
    return 6 * slope


@pytest.mark.parametrize(
    ("model", "chi", "start", "c"), [(TransverseIsing(L=100), 64, "up", 0.5), (XX(L=140), 240, "neel", 1.0)]
)
def test_central_charge_from_the_entropy_profile(model, chi, start, c):
    result = solve(model, chi, start)  # the runs above
    assert central_charge(tn.entropy(result.state), model.L) == pytest.approx(c, rel=0.02)


@pytest.mark.parametrize("worth", [lanczos._WORTH, 0.0])
@pytest.mark.parametrize("eigensolver", ["lanczos", "davidson"])
def test_electrons_that_repel_each_other_a_million_times_stronger_than_they_hop_are_spins(
    monkeypatch, eigensolver, worth
):
    """4 t^2 / U (S.S - 1/4) up to t^4 / U^3: the diagonal hides an energy of 1.5e-5 behind 1e6.

    Single precision must not be used where it hides it too: for small products (worth = 0) as for large ones."""
    monkeypatch.setattr(lanczos, "_WORTH", worth)
    settings = tn.DMRG(truncation=tn.Truncation(chi_max=60), max_sweeps=12, eigensolver=eigensolver)
    model = Hubbard(L=6, U=1e6)
    energy = settings.solve(model.mpo(), model.product(["up", "down"] * 3)).energy
    spins = -2.4935771338879262  # of the open chain of six sites
    assert energy == pytest.approx(4e-6 * (spins - 5 / 4), rel=1e-6)
