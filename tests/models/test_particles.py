"""Fermion and boson models: Hamiltonians written out in modes, exact facts, DMRG, and what is refused."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense, sparse
from tests.models.test_models import check_model
from tests.networks.test_fermions import full_modes
from tnsim.errors import SettingsError
from tnsim.models import SSH, TJ, BoseHubbard, Hubbard, KitaevChain, KondoLattice, SpinlessFermions
from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.hopping import hopping_matrix
from tnsim.models.lattice import Lattice


def matrix_of(model):
    return dense.hamiltonian(model.operator_sum(), model.sites)


def sector_energy(model):
    return dense.ground_energy(matrix_of(model), model.sites, model.product().charge)


def solve(model, chi=200, **options):
    options = {"max_sweeps": 20, "chi_ramp": (chi // 4, chi // 2), "energy_tol": 1e-11} | options
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi, svd_min=1e-10), **options).solve(model.mpo(), model.product())


# -- Hamiltonians in modes ---------------------------------------------------------------------------------


def test_hubbard_in_modes():
    """All terms on a ring of three sites with flux, in the states of six modes (up and down of each site in turn)."""
    model = Hubbard(L=3, t=0.7, U=3.0, V=0.9, mu=0.4, periodic=True, flux=0.6, conserve=None)
    c = full_modes(6)
    up, down = c[0::2], c[1::2]
    n = [u.T @ u + d.T @ d for u, d in zip(up, down, strict=True)]
    H = np.zeros((64, 64), complex)
    for i in range(3):
        j, amplitude = (i + 1) % 3, -0.7 * np.exp(0.6j * (i == 2))
        for kind in (up, down):
            H += amplitude * kind[j].T @ kind[i] + np.conj(amplitude) * kind[i].T @ kind[j]
        H += 3.0 * up[i].T @ up[i] @ down[i].T @ down[i] + 0.9 * n[i] @ n[j] - 0.4 * n[i]
    np.testing.assert_allclose(matrix_of(model), H, atol=1e-13)


def test_second_neighbours_in_modes():
    model = Hubbard(L=3, t=0.0, t2=0.5, U=0.0, conserve=None)
    c = full_modes(6)
    H = sum(-0.5 * (c[4 + s].T @ c[s] + c[s].T @ c[4 + s]) for s in range(2))
    np.testing.assert_allclose(matrix_of(model), H, atol=1e-14)


def test_spinless_fermions_and_kitaev_chain_in_modes():
    c = full_modes(4)
    n, half = [a.T @ a for a in c], np.eye(16) / 2
    hops = [(i, (i + 1) % 4) for i in range(4)]
    H = sum(-0.7 * (c[i].T @ c[j] + c[j].T @ c[i]) + 1.3 * (n[i] - half) @ (n[j] - half) - 0.2 * n[i] for i, j in hops)
    model = SpinlessFermions(L=4, t=0.7, V=1.3, mu=0.2, periodic=True, conserve="parity")
    np.testing.assert_allclose(matrix_of(model), H, atol=1e-13)
    H = sum(
        -0.7 * (c[i].T @ c[i + 1] + c[i + 1].T @ c[i]) + 0.4 * (c[i] @ c[i + 1] + c[i + 1].T @ c[i].T) for i in range(3)
    ) - sum(0.9 * (a - half) for a in n)
    np.testing.assert_allclose(matrix_of(KitaevChain(L=4, t=0.7, delta=0.4, mu=0.9)), H, atol=1e-13)


def test_tj_is_hubbard_without_double_occupancy_at_first_order():
    """The t-J Hamiltonian from projected modes."""
    model = TJ(L=3, t=0.8, J=0.5, conserve=None)
    c = full_modes(6)
    single = [k for k in range(64) if all((k >> (2 * i)) & 3 != 3 for i in range(3))]
    up, down = c[0::2], c[1::2]
    raising = [u.T @ d for u, d in zip(up, down, strict=True)]
    z = [(u.T @ u - d.T @ d) / 2 for u, d in zip(up, down, strict=True)]
    n = [u.T @ u + d.T @ d for u, d in zip(up, down, strict=True)]
    H = np.zeros((64, 64))
    for i in range(2):
        for kind in (up, down):
            H -= 0.8 * (kind[i].T @ kind[i + 1] + kind[i + 1].T @ kind[i])
        exchange = (raising[i] @ raising[i + 1].T + raising[i].T @ raising[i + 1]) / 2 + z[i] @ z[i + 1]
        H += 0.5 * (exchange - n[i] @ n[i + 1] / 4)
    np.testing.assert_allclose(matrix_of(model), H[np.ix_(single, single)], atol=1e-13)


def test_kondo_lattice_of_two_sites():
    """Strong coupling, by hand: two electrons in singlets, -3/2 J, and second order in the hopping between them."""
    model = KondoLattice(L=2, t=0.02, J=4.0)
    # a hop leaves an empty and a full site, 3/2 J higher; the squared amplitude of both directions is t^2
    assert sector_energy(model) == pytest.approx(-6.0 - 0.02**2 / 6.0, abs=1e-8)
    fully = KondoLattice(L=3, t=1.0, J=1.3, N=2, Sz=2.5)
    assert check_model(fully) == pytest.approx(-np.sqrt(2) + 1.3 / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("model", "width"),
    [
        (Hubbard(L=20), 6),
        (Hubbard(L=20, V=1.0, mu=0.3), 7),
        (Hubbard(L=20, t2=0.3), 10),
        (Hubbard(L=20, periodic=True), 10),
        (SpinlessFermions(L=20), 5),
        (TJ(L=20), 10),
        (BoseHubbard(L=20, V=1.0), 5),
        (KondoLattice(L=20), 6),
        (SSH(L=20), 4),
        (KitaevChain(L=20, delta=0.4), 4),
        (KitaevChain(L=20), 3),  # delta = t: only one Majorana of a site meets one of the next, as in Ising's chain
    ],
    ids=repr,
)
def test_bond_dimension_of_the_hamiltonian(model, width):
    """Two, and one for every operator that waits for its partner."""
    assert set(model.mpo().bond_dimensions[2:-2]) == {width}


# -- exact facts against exact diagonalisation -------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        Hubbard(L=4, U=2.5, mu=0.3),
        Hubbard(L=4, U=8.0, t=-0.5),
        Hubbard(L=4, U=-3.0, mu=0.2),
        Hubbard(L=5, U=4.0, N=4),
        Hubbard(L=5, U=1.0, N=2),
        Hubbard(L=4, U=0.0, N=5, Sz=0.5),
        Hubbard(L=5, U=0.0, N=4, Sz=1, t2=0.3),
        Hubbard(L=4, U=0.0, N=3, periodic=True, flux=0.4, mu=0.1),
        Hubbard(L=4, U=2.5, conserve="N"),
        Hubbard(L=4, U=0.0, N=3, conserve="N"),
        Hubbard(L=4, U=-3.0, conserve="N"),
        TJ(L=6, N=4, J=0.0, conserve="N"),
        TJ(L=4, N=4, conserve="N"),
        KondoLattice(L=3, J=0.0, N=2, conserve="N"),
        SpinlessFermions(L=8, V=2.0),
        SpinlessFermions(L=6, V=1.0, t=-0.5, mu=0.7),
        SpinlessFermions(L=8, V=0.0, N=3, periodic=True, flux=0.3),
        SpinlessFermions(L=7, V=0.0, mu=0.2),
        TJ(L=6, N=6),
        TJ(L=6, N=4, J=0.0, Sz=1),
        TJ(L=5, N=3, J=0.0),
        BoseHubbard(L=6, n_max=1, N=2, mu=0.3),
        BoseHubbard(L=4, n_max=3, N=3, U=0.0),
        BoseHubbard(L=4, t=0.0, N=6, U=2.0),
        KondoLattice(L=3, t=0.0),
        KondoLattice(L=2, t=0.0, J=0.7),
        KondoLattice(L=3, J=0.0, N=2),
        KondoLattice(L=3, J=0.0, N=3, Sz=1),
        SSH(L=8, t1=1.0, t2=0.5),
        SSH(L=7, N=3),
        KitaevChain(L=6, parity=1),
        KitaevChain(L=6, mu=3.0),
        KitaevChain(L=7, mu=-3.0, delta=0.3, parity=1),
        KitaevChain(L=6, mu=0.3, delta=-0.4, t=-0.8, conserve=None),
    ],
    ids=repr,
)
def test_exact_energies(model):
    assert check_model(model) is not None


def test_middle_entropies():
    for model in [
        Hubbard(L=5, U=0.0, N=4), SpinlessFermions(L=8, V=0.0), SpinlessFermions(L=7, V=0.0, N=3, periodic=True),
        SSH(L=8), KitaevChain(L=7, mu=0.8), KitaevChain(L=7, mu=0.8, parity=1), KitaevChain(L=6, mu=0.0),
    ]:  # fmt: skip
        inside = (dense.charges(model.sites) == np.array(model.product().charge)).all(axis=1)
        state = np.zeros(len(inside), complex)
        state[inside] = np.linalg.eigh(matrix_of(model)[np.ix_(inside, inside)])[1][:, 0]
        expected = dense.entropy(state, model.sites[0].dim ** (model.L // 2))
        assert model.facts["middle entropy"].value == pytest.approx(expected, abs=1e-9)


def test_facts_are_silent_where_nothing_is_known():
    for model in [
        Hubbard(L=4, V=1.0), Hubbard(L=4, N=3), Hubbard(L=4, conserve="parity"),
        Hubbard(L=4, U=0.0, Sz=1, conserve="N"), TJ(L=6), TJ(L=6, periodic=True), SpinlessFermions(L=6),
        SpinlessFermions(L=6, conserve=None), BoseHubbard(L=4), BoseHubbard(L=4, V=1.0, n_max=1), KondoLattice(L=4),
        KondoLattice(L=3, J=-0.6, N=4, Sz=-2.5), SSH(L=6, conserve=None),
    ]:  # fmt: skip
        assert model.facts.energy is None


def test_topological_facts():
    trivial, topological = SSH(L=40, t1=1.0, t2=0.5), SSH(L=40)
    assert trivial.facts["edge level"].value > 0.5 > 1e-6 > topological.facts["edge level"].value
    assert trivial.facts["bulk gap"].value == topological.facts["bulk gap"].value == 1.0
    # the fermion that the two ends share adds ln 2 to a cut through the middle
    whole = SSH(L=34).facts["middle entropy"].value
    ends_in_the_bulk = SSH(L=32, t1=1.0, t2=0.5).facts["middle entropy"].value
    assert whole - ends_in_the_bulk == pytest.approx(np.log(2), abs=1e-3)
    # a search cannot tell where the fermion of a long chain is
    assert "middle entropy" not in {fact.name for fact in SSH(L=60).facts}
    assert KitaevChain(L=40, mu=0.0).facts["edge mode"].value == pytest.approx(0, abs=1e-14)
    assert KitaevChain(L=40, mu=1.0).facts["edge mode"].value == pytest.approx(1.5 * 0.5**40, abs=1e-13)
    assert KitaevChain(L=40, mu=3.0).facts["edge mode"].value > 1.0
    even, odd = (KitaevChain(L=12, mu=1.0, parity=p).facts.energy for p in (0, 1))
    assert abs(even - odd) == pytest.approx(KitaevChain(L=12, mu=1.0).facts["edge mode"].value, abs=1e-13)


# -- DMRG --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("U", "energy"), [(4.0, -8.818767454812), (8.0, -5.03713409165)])
def test_hubbard_by_dmrg(U, energy):
    model = Hubbard(L=16, U=U)
    result = solve(model, 300)
    assert result.energy == pytest.approx(energy, abs=2e-8) == pytest.approx(model.facts.energy, abs=2e-8)
    assert tn.expect(result.state, "N").sum() == pytest.approx(16)


@pytest.mark.parametrize(
    "model",
    [
        SpinlessFermions(L=16, V=2.0),
        SpinlessFermions(L=12, V=0.0, periodic=True, N=5),
        TJ(L=10, J=0.0, N=6),
        BoseHubbard(L=12, n_max=1, N=6),
        KondoLattice(L=6, J=-1.0, N=3, Sz=4.5),
        SSH(L=16),
        KitaevChain(L=16, parity=1),
        KitaevChain(L=16, mu=2.5),
        Hubbard(L=8, U=0.0, N=6, t2=0.2),
        Hubbard(L=8, U=-2.0),
    ],
    ids=repr,
)
def test_exact_energies_by_dmrg(model):
    result = solve(model, 150)
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-7)
    if any(fact.name == "middle entropy" for fact in model.facts):
        assert tn.entropy(result.state)[model.L // 2 - 1] == pytest.approx(
            model.facts["middle entropy"].value, abs=1e-4
        )


def test_bose_hubbard_against_a_published_number():
    """block2's tutorial of custom Hamiltonians: L = 10, N = 10, U = 0.1, up to 5 bosons a site."""
    result = solve(BoseHubbard(L=10, U=0.1, n_max=5), 100)
    assert result.energy == pytest.approx(-18.587369421888, abs=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        TJ(L=8, N=6, periodic=True),
        TJ(L=8, N=5, J=0.7),
        BoseHubbard(L=8, n_max=2),
        BoseHubbard(L=6, n_max=3, V=0.3, N=5, periodic=True),
        Hubbard(L=6, U=3.0, V=0.7, t2=0.3, N=4, Sz=1),
        Hubbard(L=7, U=4.0, N=6, periodic=True),
        Hubbard(L=5, U=4.0, N=4, periodic=True, flux=0.7),
        KondoLattice(L=4, J=1.5),
        KondoLattice(L=4, J=-0.8, N=3, Sz=0.5),
        SpinlessFermions(L=10, V=3.0, N=4),
        SpinlessFermions(L=9, V=1.0, N=4, periodic=True, flux=1.0),
    ],
    ids=repr,
)
def test_clusters_by_dmrg(model):
    """Models without exact facts against exact diagonalisation in the sector."""
    (energy,) = sparse.ground_energies(model.operator_sum(), model.sites, model.product().charge)
    assert solve(model, 200).energy == pytest.approx(energy, abs=1e-8)


def test_topological_chains_by_dmrg():
    """ln 2 at the cut strong bonds; Majorana modes at both ends, tied by the parity."""
    result = solve(SSH(L=12, t1=1.0, t2=0.0), 20)
    np.testing.assert_allclose(tn.entropy(result.state), [np.log(2), 0] * 5 + [np.log(2)], atol=1e-6)
    a, b = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, -1j], [1j, 0.0]])  # C + Cdag, i (Cdag - C)
    ends = []
    for parity in (0, 1):
        state = solve(KitaevChain(L=12, mu=0.0, parity=parity), 20).state
        ends.append(tn.expect(state, [(a, 0), (b, 11)]) * 1j)
        assert tn.expect(state, "N").sum() == pytest.approx(6)
        np.testing.assert_allclose(tn.entropy(state), np.log(2), atol=1e-7)
    assert np.abs(ends) == pytest.approx([1, 1], abs=1e-7) and ends[0] == pytest.approx(-ends[1], abs=1e-7)


# -- sectors and bad input ---------------------------------------------------------------------------------


def test_product_states_lie_in_the_sector():
    for L, N in [(4, 3), (5, 7), (6, 0), (3, 6), (7, 7)]:
        largest = min(N, 2 * L - N)
        for two_sz in range(-largest, largest + 1, 2):
            assert Hubbard(L=L, N=N, Sz=two_sz / 2).product().charge == (N, two_sz)
        for two_sz in range(-largest - L, largest + L + 1, 2):
            assert KondoLattice(L=L, N=N, Sz=two_sz / 2).product().charge == (N, two_sz)
        if N <= L:
            assert TJ(L=L, N=N).product().charge == (N, N % 2)
            assert SpinlessFermions(L=L, N=N).product().charge == (N,)
        assert BoseHubbard(L=L, N=N).product().charge == (N,)
    for L, parity in [(4, 0), (5, 1), (6, 1), (7, 0)]:
        for name in ("neel", "empty"):
            assert KitaevChain(L=L, parity=parity).product(name).charge == (parity,)
    assert tn.expect(Hubbard(L=4).product(), "Sz").tolist() == [0.5, -0.5, 0.5, -0.5]
    # by sublattice, where there are two
    square = Hubbard(lattice=Lattice("square", 2, 2))
    assert tn.expect(square.product(), "Sz").tolist() == [0.5, -0.5, -0.5, 0.5]
    triangle = SpinlessFermions(lattice=Lattice("triangular", 2, 2))
    assert tn.expect(triangle.product(), "N").tolist() == [1.0, 0.0, 1.0, 0.0]
    assert TJ(lattice=cylinder("square", 3, 4), N=9, Sz=1.5).product().charge == (9, 3)


def test_rings_and_pairs():
    for L in (3, 4, 5, 8):
        pairs = Lattice("chain", L, bc_x="periodic").pairs()
        assert len({frozenset((pair.i, pair.j)) for pair in pairs}) == L == len(pairs)
    assert [(pair.i, pair.j) for pair in Lattice("chain", 5).pairs(2)] == [(0, 2), (1, 3), (2, 4)]
    steps = [(pair, 1.0) for pair in Lattice("chain", 6, bc_x="periodic").pairs()]
    matrix = hopping_matrix(6, steps, flux=np.pi)
    np.testing.assert_allclose(matrix, matrix.conj().T)
    levels = -2 * np.cos(2 * np.pi * (np.arange(6) + 0.5) / 6)
    np.testing.assert_allclose(FermiSea(matrix, 3).levels, np.sort(levels), atol=1e-12)
    assert TJ(L=4, N=4, J=1.0).facts.energy == pytest.approx(open_heisenberg_energy(4) - 0.75)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hubbard(L=4, N=9), "N = 9 electrons do not fit: there is room for 0 to 8"),
        (lambda: Hubbard(L=4, N=-1), "N = -1 electrons do not fit"),
        (lambda: Hubbard(L=4, N=2.5), "N must be of type int"),
        (lambda: Hubbard(L=4, N=3, Sz=1), "cannot have Sz = 1, but -1.5 to 1.5 in whole steps"),
        (lambda: Hubbard(L=4, N=7, Sz=1.5), "cannot have Sz = 1.5, but -0.5 to 0.5"),
        (lambda: Hubbard(L=4, Sz=0.3), "cannot have Sz = 0.3"),
        (lambda: Hubbard(L=2, periodic=True), "too narrow for nearest neighbours.*sites 1 and 0 .* in two ways"),
        (lambda: Hubbard(L=4, t2=0.1, periodic=True), "too narrow for second neighbours.*sites 2 and 0"),
        (lambda: Hubbard(L=4, conserve="Z").sites, "electron site conserves"),
        (lambda: TJ(L=4, N=5), "room for 0 to 4"),
        (lambda: SpinlessFermions(L=4, N=5), "room for 0 to 4"),
        (lambda: SSH(L=4, N=5), "room for 0 to 4"),
        (lambda: BoseHubbard(L=4, n_max=2, N=9), "N = 9 bosons do not fit: there is room for 0 to 8"),
        (lambda: BoseHubbard(L=4, n_max=0), "at least one boson"),
        (lambda: KondoLattice(L=4, N=9), "room for 0 to 8"),
        (lambda: KondoLattice(L=2, N=1, Sz=2), "cannot have Sz = 2, but -1.5 to 1.5"),
        (lambda: KitaevChain(L=4, parity=2), "parity is 0"),
        (lambda: KitaevChain(L=4, conserve="N"), "pairing breaks the number"),
        (lambda: Hubbard(L=4, flux=0.1), "a flux needs a periodic direction"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(SettingsError, match=message):
        make()


# -- lattices ----------------------------------------------------------------------------------------------


def cylinder(kind, *sizes):
    return Lattice(kind, *sizes, bc_y="periodic")


@pytest.mark.parametrize(
    "model",
    [
        SpinlessFermions(lattice=Lattice("triangular", 3, 2), V=0.7, t=lambda pair: 1 + 0.1 * pair.i, N=2),
        SpinlessFermions(lattice=cylinder("square", 3, 3), V=2.0, mu=0.3, flux=0.4, N=4),
        Hubbard(lattice=Lattice("ladder", 3, 2), U=3.0, V=0.6, t2=0.3, mu=0.2, N=4, Sz=1),
        Hubbard(lattice=cylinder("square", 2, 3), U=[4.0, 3.0, 2.0, 4.0, 3.0, 2.0], flux=0.8, N=5),
        Hubbard(lattice=Lattice("honeycomb", 2, 2, order="snake"), U=4.0, N=3),
        TJ(lattice=Lattice("square", 2, 3), J=0.4, N=4),
        TJ(lattice=cylinder("kagome", 1, 2), J=0.5, N=5, flux=-0.6),
        BoseHubbard(lattice=cylinder("triangular", 2, 3), n_max=2, V=0.2, N=4, flux=0.5),
        KondoLattice(lattice=Lattice("triangular", 2, 2), J=1.2, N=3),
    ],
    ids=repr,
)
def test_lattices_by_dmrg(model):
    """The MPO and its ground state on clusters of every kind against exact diagonalisation."""
    (energy,) = sparse.ground_energies(model.operator_sum(), model.sites, model.product().charge)
    assert solve(model, 250).energy == pytest.approx(energy, abs=1e-8)


@pytest.mark.parametrize("flux", [0.0, 0.7, np.pi])
@pytest.mark.parametrize("kind", ["square", "triangular", "honeycomb", "kagome"])
def test_flux_through_a_torus(kind, flux):
    """Levels of free fermions against the bands of the lattice, at momenta that the twist moves along y."""
    lattice = Lattice(kind, 4, 3, bc_x="periodic", bc_y="periodic")
    model = SpinlessFermions(lattice=lattice, V=0.0, flux=flux, N=5)
    steps = model.on_pairs("t")
    levels = []
    a1, a2 = np.array(lattice.cell.a1), np.array(lattice.cell.a2)
    reciprocal = 2 * np.pi * np.linalg.inv(np.array([a1, a2]))
    for m in range(4):
        for n in range(3):
            k = reciprocal @ [m / 4, (n - flux / (2 * np.pi)) / 3]
            levels += np.linalg.eigvalsh(bloch(lattice, k)).tolist()
    np.testing.assert_allclose(
        FermiSea(hopping_matrix(model.L, steps, flux=flux), 1).levels, np.sort(levels), atol=1e-12
    )
    assert model.facts.energy == pytest.approx(np.sort(levels)[:5].sum(), abs=1e-12)


def bloch(lattice, k):
    """-sum over the neighbours at distance 1 of exp(i k . (way there)), from the positions in a cell."""
    basis = [np.array(place) for place in lattice.cell.basis]
    a1, a2 = np.array(lattice.cell.a1), np.array(lattice.cell.a2)
    H = np.zeros((len(basis),) * 2, complex)
    for a, start in enumerate(basis):
        for b, end in enumerate(basis):
            for m in range(-3, 4):
                for n in range(-3, 4):
                    way = end + m * a1 + n * a2 - start
                    H[a, b] -= np.exp(1j * k @ way) * (abs(np.linalg.norm(way) - 1) < 1e-9)
    return H


def test_flux_reaches_the_many_body_energy():
    for model in [
        SpinlessFermions(lattice=cylinder("square", 2, 3), V=0.0, flux=0.9, N=2),
        Hubbard(lattice=cylinder("triangular", 1, 3), U=0.0, mu=0.3, flux=1.1, N=3),
        BoseHubbard(lattice=cylinder("square", 1, 3), U=0.0, n_max=2, N=2, flux=0.9),
        KondoLattice(lattice=cylinder("square", 1, 3), J=0.0, N=2, flux=0.9),
        Hubbard(L=4, U=0.0, t=[1.0, 0.5, 1.0], mu=[0.1, 0.2, 0.3, 0.4], N=2),
    ]:
        assert check_model(model) is not None
