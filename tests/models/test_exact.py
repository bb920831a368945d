"""Exact solutions against exact diagonalisation, published tables and limits."""

import numpy as np
import pytest

from tests.exact import dense
from tnsim.errors import NumericalError, SettingsError
from tnsim.models import AKLT, SSH, XX, Hubbard, KitaevChain, MajumdarGhosh, SpinlessFermions
from tnsim.models.exact.bethe import BULK_HEISENBERG, bulk_xxz_energy
from tnsim.models.exact.free_fermions import FermiSea, PairedGround
from tnsim.models.exact.lieb_wu import bulk_charge_gap, bulk_hubbard_energy, open_hubbard_energy
from tnsim.models.exact.newton import damped_newton
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import electron_site, fermion_site


def hubbard_energy(L, U, N):
    """By diagonalisation, in the sector of N electrons of spin 0."""
    H = OperatorSum()
    for i in range(L):
        H += U, "N_up N_down", i
        for spin in ("up", "down") if i else ():
            H += plus_hc(-1.0, f"Cdag_{spin}", i, f"C_{spin}", i - 1)
    sites = [electron_site()] * L
    return dense.ground_energy(dense.hamiltonian(H, sites).real, sites, (N, 0))


@pytest.mark.parametrize(("L", "N"), [(2, 2), (3, 2), (4, 2), (4, 4), (5, 4)])
@pytest.mark.parametrize("U", [0.1, 1.0, 4.0, 50.0])
def test_hubbard_against_exact_diagonalisation(L, N, U):
    assert open_hubbard_energy(L, U, N) == pytest.approx(hubbard_energy(L, U, N), abs=2e-12)


def test_hubbard_table():
    """Numbers of an independent solution of the same equations, and of DMRG (block2) for L = 8."""
    table = {(8, 2.0): -6.225634144681, (16, 4.0): -8.818767454812, (16, 8.0): -5.03713409165,
             (32, 4.0): -17.994578365132}  # fmt: skip
    for (L, U), energy in table.items():
        assert open_hubbard_energy(L, U) == pytest.approx(energy, abs=6e-12)


def test_hubbard_limits():
    L = 20
    sea = FermiSea(-np.eye(L, k=1) - np.eye(L, k=-1), L // 2)
    density = np.sum(np.diag(sea.correlation) ** 2).real
    # first order in U, and second order small
    assert open_hubbard_energy(L, 0.05) == pytest.approx(2 * sea.energy + 0.05 * density, abs=1e-3)
    long = [open_hubbard_energy(L, 4.0) for L in (150, 152)]
    assert (long[1] - long[0]) / 2 == pytest.approx(bulk_hubbard_energy(4.0), abs=1e-4)
    table = {2.0: -0.84437434112564, 4.0: -0.57372936789844, 8.0: -0.32753053437955, 12.0: -0.22508276291624}
    for U, energy in table.items():
        assert bulk_hubbard_energy(U) == pytest.approx(energy, abs=1e-12)
    assert bulk_charge_gap(100.0) == pytest.approx(100 - 4 + 8 * np.log(2) / 100, abs=1e-4)


def test_bulk_of_the_xxz_chain():
    """Free fermions, -3/8 at delta = 1/2, the isotropic point with <Sz Sz> as the slope there, and the Ising limit."""
    assert bulk_xxz_energy(0.0) == pytest.approx(-1 / np.pi, abs=1e-12)
    assert bulk_xxz_energy(0.5) == pytest.approx(-0.375, abs=1e-12)
    for step in (1e-4, 1e-6, 1e-8):
        for sign in (-1, 1):
            slope = (bulk_xxz_energy(1 + sign * step) - BULK_HEISENBERG) / (sign * step)
            assert slope == pytest.approx(BULK_HEISENBERG / 3, abs=1e-5)
    assert bulk_xxz_energy(-0.999999) == pytest.approx(-0.25, abs=1e-6)
    assert bulk_xxz_energy(1000.0) == pytest.approx(-250.0 - 1 / 4000, abs=1e-6)
    with pytest.raises(SettingsError, match="ferromagnet"):
        bulk_xxz_energy(-1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda L: XX(L=L, J=1.3),
        lambda L: AKLT(L=L, bilinear=0.7),
        lambda L: MajumdarGhosh(L=L, J1=1.4),
        lambda L: SSH(L=L, t1=1.0, t2=-0.5),
        lambda L: SSH(L=L, t1=0.3),
        lambda L: KitaevChain(L=L),
        lambda L: KitaevChain(L=L, mu=2.6, delta=0.3),
        lambda L: SpinlessFermions(L=L, t=0.9, V=1.8, mu=0.3),
        lambda L: SpinlessFermions(L=L, t=-1.1, V=0.0, mu=0.3, N=L // 4),
        lambda L: Hubbard(L=L, U=4.0, mu=0.2),
    ],
)
def test_bulk_energies_are_what_a_longer_chain_gains(make):
    """Gapped chains to rounding, critical ones up to 1/L^2."""
    short, long = make(80).facts, make(84).facts
    assert (long.energy - short.energy) / 4 == pytest.approx(short["bulk energy per site"].value, abs=6e-5)
    assert short["bulk energy per site"].value == pytest.approx(long["bulk energy per site"].value, abs=1e-13)


def test_a_bulk_energy_is_that_of_the_sector():
    """A magnetised Hubbard chain, or one whose number of electrons is free, has another."""
    for changed in ({"Sz": 2}, {"conserve": "none"}, {"N": 2}):
        assert "bulk energy per site" not in [fact.name for fact in Hubbard(L=4, **changed).facts]


@pytest.mark.parametrize(("L", "U", "N"), [(3, 4.0, 3), (4, 0.0, 4), (4, -1.0, 4), (4, 4.0, 6), (4, np.inf, 4)])
def test_hubbard_outside_its_range(L, U, N):
    with pytest.raises(SettingsError, match="even number of electrons"):
        open_hubbard_energy(L, U, N)


def random_hermitian(rng, L, dtype):
    h = rng.normal(size=(L, L)).astype(dtype)
    if dtype is complex:
        h += 1j * rng.normal(size=(L, L))
    return h + h.conj().T


@pytest.mark.parametrize("dtype", [float, complex])
def test_fermi_sea_against_exact_diagonalisation(dtype):
    L, rng = 6, np.random.default_rng(0)
    h = random_hermitian(rng, L, dtype)
    H = OperatorSum()
    for i in range(L):
        for j in range(L):
            H += h[i, j], "Cdag", i, "C", j
    sites = [fermion_site()] * L
    matrix = dense.hamiltonian(H, sites)
    for N in range(L + 1):
        sea = FermiSea(h, N)
        inside = np.flatnonzero((dense.charges(sites) == N).all(axis=1))
        values, vectors = np.linalg.eigh(matrix[np.ix_(inside, inside)])
        assert sea.energy == pytest.approx(values[0], abs=1e-12)
        assert sea.gap == (pytest.approx(values[1] - values[0], abs=1e-12) if 0 < N < L else np.inf)
        state = np.zeros(2**L, complex)
        state[inside] = vectors[:, 0]
        for i, j in [(0, 0), (1, 4), (5, 2)]:
            value = np.vdot(state, dense.place(sites, [("Cdag", i), ("C", j)]) @ state)
            assert sea.correlation[i, j] == pytest.approx(value, abs=1e-12)
        for cut in (1, 3):
            assert sea.entropy(cut) == pytest.approx(dense.entropy(state, 2**cut), abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_pairing_against_exact_diagonalisation(seed):
    L, rng = 5, np.random.default_rng(seed)
    A = random_hermitian(rng, L, float)
    B = rng.normal(size=(L, L))
    B -= B.T
    H = OperatorSum().add(-np.trace(A) / 2, "Id", 0)
    for i in range(L):
        for j in range(L):
            H += A[i, j], "Cdag", i, "C", j
            if i != j:
                H += plus_hc(B[i, j] / 2, "Cdag", i, "Cdag", j)
    sites = [fermion_site("parity")] * L
    matrix = dense.hamiltonian(H, sites).real
    ground = PairedGround(A + B)
    sectors = [dense.ground_energy(matrix, sites, (parity,)) for parity in (0, 1)]
    assert sectors[ground.parity] == pytest.approx(ground.energy, abs=1e-12)
    assert sectors[1 - ground.parity] == pytest.approx(ground.energy + ground.levels[0], abs=1e-12)
    for parity in (0, 1):
        lowest = PairedGround(A + B, parity)
        assert lowest.energy == pytest.approx(sectors[parity], abs=1e-12) and lowest.parity == parity
        inside = np.flatnonzero((dense.charges(sites) == parity).all(axis=1))
        state = np.zeros(2**L)
        state[inside] = np.linalg.eigh(matrix[np.ix_(inside, inside)])[1][:, 0]
        for cut in (1, 2, 4):
            assert lowest.entropy(cut) == pytest.approx(dense.entropy(state, 2**cut), abs=1e-9)


def test_newton_that_finds_nothing_says_so():
    with pytest.raises(NumericalError, match="x\\^2 = -1 did not converge"):
        damped_newton(np.ones(1), lambda x: x**2 + 1, lambda x: np.diag(2 * x), tolerance=1e-12, what="x^2 = -1")
