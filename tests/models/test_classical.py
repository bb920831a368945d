"""Classical models as tensors, against sums over all configurations, Kaufman's tori and relations between models."""

import itertools

import numpy as np
import pytest

from tests.exact.grids import dense, log_sum, torus_value, value
from tnsim.errors import LegError, SettingsError, ShapeError
from tnsim.models.classical import (
    BoltzmannWeights,
    Clock,
    Dimers,
    EightVertex,
    HardSquares,
    HoneycombIsing,
    Ising,
    Potts,
    RandomBondIsing,
    SixVertex,
    TriangularIsing,
)
from tnsim.models.exact import ising_2d
from tnsim.networks.square_network import FiniteNetwork, InfiniteNetwork, beside, stack

BETA_C = ising_2d.CRITICAL


def bonds(rows: int, columns: int) -> tuple[list, list, list]:
    """Horizontal, vertical and (south-west to north-east) diagonal pairs of an open lattice."""
    place = np.arange(rows * columns).reshape(rows, columns)
    horizontal = zip(place[:, :-1].ravel(), place[:, 1:].ravel())
    vertical = zip(place[:-1].ravel(), place[1:].ravel())
    diagonal = zip(place[1:, :-1].ravel(), place[:-1, 1:].ravel())
    return list(horizontal), list(vertical), list(diagonal)


def direct(model, rows: int, columns: int, states: int, extra: bool = False) -> float:
    """ln Z of an open lattice from the Hamiltonian's energies, bond by bond."""
    horizontal, vertical, diagonal = bonds(rows, columns)

    def log_weight(config):
        total = sum(model.log_site()[config])
        total += sum(model.log_bond(0)[config[a], config[b]] for a, b in horizontal)
        return total + sum(model.log_bond(1)[config[a], config[b]] for a, b in vertical)

    return log_sum(states, rows * columns, log_weight)


NEIGHBOURS = [
    Ising(beta=0.7, J=1.0, Jy=-0.4, field=0.3),
    Ising(beta=0.7, J=-1.0, conserve="parity"),
    Ising(beta=0.0),
    Potts(states=3, beta=0.8, field=0.2),
    Potts(states=3, beta=-0.8, conserve="charge"),
    Clock(states=3, beta=0.9, J=-1.0, conserve="charge"),
    Clock(states=4, beta=0.9, field=-0.1),
    HardSquares(z=1.7),
    BoltzmannWeights(
        bond=[[1, 2, 0], [3, 1, 1], [2, 0.5, 1]], vertical=[[1, 0, 1], [1, 1, 2], [4, 1, 1]], site=[1, 2, 0.3]
    ),
]


@pytest.mark.parametrize("model", NEIGHBOURS, ids=repr)
def test_open_lattices_sum_all_configurations(model):
    rows, columns = (3, 3) if model.q == 2 else (2, 3)
    found = np.log(value(model.finite(rows, columns)).real)
    with np.errstate(divide="ignore", invalid="ignore"):
        assert found == pytest.approx(direct(model, rows, columns, model.q), abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 1)])
def test_chains_and_single_sites(shape):
    model = Ising(beta=0.4, field=0.2)
    assert np.log(value(model.finite(*shape)).real) == pytest.approx(direct(model, *shape, 2), abs=1e-12)


@pytest.mark.parametrize("conserve", [None, "parity"])
@pytest.mark.parametrize("J", [1.0, -1.0])
def test_triangular_and_honeycomb_lattices_sum_all_configurations(J, conserve):
    spins = np.array([1.0, -1.0])
    rows, columns, K = 3, 3, 0.6 * J
    horizontal, vertical, diagonal = bonds(rows, columns)
    pairs = np.array(horizontal + vertical + diagonal)
    expected = log_sum(2, 9, lambda c: K * (spins[c[pairs[:, 0]]] * spins[c[pairs[:, 1]]]).sum())
    model = TriangularIsing(beta=0.6, J=J, conserve=conserve)
    assert np.log(value(model.finite(rows, columns)).real) == pytest.approx(expected, abs=1e-12)
    # two spins a cell: the second is tied to the first of the cells to the east and to the south
    horizontal, vertical, _ = bonds(2, 3)
    pairs = np.array([(2 * n, 2 * n + 1) for n in range(6)] + [(2 * a + 1, 2 * b) for a, b in horizontal + vertical])
    expected = log_sum(2, 12, lambda c: K * (spins[c[pairs[:, 0]]] * spins[c[pairs[:, 1]]]).sum())
    model = HoneycombIsing(beta=0.6, J=J, conserve=conserve)
    assert np.log(value(model.finite(2, 3)).real) == pytest.approx(expected, abs=1e-12)


def test_fields_on_cells_of_two_spins():
    h, K = 0.3, 0.5
    expected = log_sum(2, 2, lambda c: K * (1 - 2 * c[0]) * (1 - 2 * c[1]) + K * h * (2 - 2 * c.sum()))
    found = np.log(value(HoneycombIsing(beta=0.5, field=h).finite(1, 1)).real)
    assert found == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("conserve", [None, "parity"])
@pytest.mark.parametrize("beta", [0.3, BETA_C, 0.5])
def test_tori_are_those_of_kaufman(beta, conserve):
    model = Ising(beta=beta, conserve=conserve)
    network = model.network()
    for rows, columns in ((4, 4), (3, 5), (8, 8)):
        found = np.log(torus_value(dense(network.tensor), rows, columns)) + rows * columns * network.log_scale
        assert found == pytest.approx(model.torus_log_z(rows, columns), rel=1e-13)


def test_large_tori_tend_to_onsager():
    for beta in (0.3, 0.5):
        torus = Ising(beta=beta).torus_log_z(2**7, 2**7)
        ground_states = np.log(2) if beta > BETA_C else 0.0
        assert torus - ground_states == pytest.approx(2**14 * ising_2d.square_log_z(beta, beta), abs=1e-7)


def test_energies_are_derivatives_of_ln_z():
    # published values, checked there by differentiation: energy a site
    for beta, energy in ((0.3, -0.704499070832445), (0.45, -1.513045805998303), (BETA_C, -np.sqrt(2))):
        assert Ising(beta=beta).facts["energy per site"].value == pytest.approx(energy, abs=1e-12)
    step = 1e-5
    for K in ((0.3, 0.7), (-0.4, 0.6), (0.9, -0.2)):
        for axis in (0, 1):
            up, down = (ising_2d.square_log_z(*np.add(K, np.eye(2)[axis] * s)) for s in (step, -step))
            assert ising_2d.square_energy(*K)[axis] == pytest.approx((up - down) / (2 * step), abs=1e-8)


def test_plaquettes_are_the_same_lattice():
    """Two plaquettes on a torus of four sites along the diagonals: each site in two of them."""
    model = Ising(beta=0.4, J=0.8, Jy=0.5, field=0.3)
    network = model.plaquettes()
    assert network.sites == 2
    spins = np.array(list(itertools.product([1, -1], repeat=2)))
    # one plaquette closed on itself: corners north = south, east = west, two sites, each bond twice
    energy = -2 * (0.8 + 0.5) * spins[:, 0] * spins[:, 1] - 0.3 * spins.sum(1)
    weight = np.exp(-0.4 * energy)
    T = dense(network.tensor)
    total = torus_value(T, 1, 1)
    assert np.log(total) + network.log_scale == pytest.approx(np.log(weight.sum()), rel=1e-13)
    for name, expected in (("energy", (energy * weight).sum() / 2), ("spin", (spins[:, 0] * weight).sum())):
        found = torus_value(dense(network.impurity(name)), 1, 1) / total
        assert found == pytest.approx(expected / weight.sum(), abs=1e-13)


@pytest.mark.parametrize("make", [RandomBondIsing.signs, RandomBondIsing.gaussian])
def test_random_bonds_sum_all_configurations(make):
    glass = make(3, 4, beta=0.9, seed=5)
    glass = RandomBondIsing(beta=0.9, Jx=glass.Jx, Jy=glass.Jy, field=np.linspace(-1, 1, 12).reshape(3, 4))
    spins = np.array(list(itertools.product([1, -1], repeat=12))).reshape(-1, 3, 4)
    log_weight = 0.9 * (
        (glass.Jx * spins[:, :, :-1] * spins[:, :, 1:]).sum((1, 2))
        + (glass.Jy * spins[:, :-1] * spins[:, 1:]).sum((1, 2))
        + (glass.field * spins).sum((1, 2))
    )
    total = np.exp(log_weight).sum()
    assert np.log(value(glass.finite()).real) == pytest.approx(np.log(total), rel=1e-13)
    changed = [list(row) for row in glass.finite().rows]
    changed[1][2] = glass.finite(measure="spin").rows[1][2]
    found = value(FiniteNetwork(changed, log_scale=glass.finite().log_scale)).real / total
    assert found == pytest.approx((spins[:, 1, 2] * np.exp(log_weight)).sum() / total, abs=1e-12)


def test_signs_are_drawn_with_their_share():
    glass = RandomBondIsing.signs(30, 30, beta=1.0, share=0.2, seed=0)
    assert np.mean(glass.Jx < 0) == pytest.approx(0.2, abs=0.05) and set(np.unique(glass.Jy)) == {-1.0, 1.0}


def test_impurities_measure_on_a_torus():
    """Spin and energy of a 2 x 2 torus against the sum over configurations."""
    model = Ising(beta=0.4, J=0.8, Jy=0.5, field=0.3)
    network = model.network()
    spins = np.array(list(itertools.product([1, -1], repeat=4))).reshape(-1, 2, 2)
    energy = -(2 * 0.8 * (spins[:, :, 0] * spins[:, :, 1]).sum(1) + 2 * 0.5 * (spins[:, 0] * spins[:, 1]).sum(1))
    energy = energy - 0.3 * spins.sum((1, 2))
    weight = np.exp(-0.4 * energy)
    T = dense(network.tensor)
    total = torus_value(T, 2, 2)
    for name, expected in (("spin", (spins[:, 0, 0] * weight).sum()), ("energy", (energy / 4 * weight).sum())):
        changed = dense(network.impurity(name))
        # one changed tensor, three as they are
        found = np.einsum("abcd,edfb,cgah,fheg->", changed, T, T, T)
        assert found / total == pytest.approx(expected / weight.sum(), abs=1e-13)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (3, 4), (4, 5), (6, 6)])
def test_dimers_are_those_of_kasteleyn(rows, columns):
    model = Dimers(x=1.3, y=0.6)
    assert np.log(value(model.finite(rows, columns)).real) == pytest.approx(model.open_log_z(rows, columns), abs=1e-12)
    assert value(Dimers().finite(3, 3)) == 0 and Dimers().open_log_z(3, 3) == -np.inf
    assert value(Dimers(z=1.0).finite(2, 2)).real == pytest.approx(7)  # matchings of a square


def test_dimers_of_a_large_lattice_tend_to_the_bulk():
    # two lattices cancel what an edge costs
    log_z = [Dimers(x=1.3, y=0.6).open_log_z(n, n) for n in (100, 200, 400)]
    bulk = (log_z[2] - 4 * log_z[1] + 4 * log_z[0]) / 40000
    assert bulk == pytest.approx(Dimers(x=1.3, y=0.6).facts["ln Z per site"].value, abs=1e-4)


def test_vertex_models_on_small_tori():
    # states of square ice on tori of 2 x 2 and 4 x 4 vertices: 18 and 2970 (Lieb's transfer matrix by hand)
    T = dense(SixVertex().network().tensor)
    assert torus_value(T, 2, 2) == pytest.approx(18) and torus_value(T, 4, 4) == pytest.approx(2970)
    conserving = dense(SixVertex(a=1.0, b=0.5, c=1.2, conserve="arrows").network().tensor)
    np.testing.assert_allclose(conserving, dense(SixVertex(a=1.0, b=0.5, c=1.2).network().tensor))
    # the free-fermion eight-vertex model with all weights equal is a sum over all even graphs: 2^(cycles)
    equal = dense(EightVertex(d=1.0, conserve="parity").network().tensor)
    assert torus_value(equal, 2, 3) == pytest.approx(2 ** (12 - 6 + 1))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_domain_walls_count_alternating_sign_matrices(size):
    assert value(SixVertex(edge="domain-wall").finite(size, size)).real == pytest.approx([1, 2, 7, 42][size - 1])


def test_six_vertex_regimes_join():
    steps = [SixVertex(c=2.0 + step).facts["ln Z per site"].value for step in (-1e-6, 0.0, 1e-6)]
    assert steps[2] - steps[1] == pytest.approx(steps[1] - steps[0], rel=1e-3)
    assert SixVertex(a=3.0, b=1.0, c=1.0).facts["ln Z per site"].value == pytest.approx(np.log(3))


def test_critical_potts_models_are_consistent():
    for q in (2, 3, 4):
        facts = Potts(states=q, beta=np.log(1 + np.sqrt(q))).facts
        assert facts["energy per site"].value == pytest.approx(-(1 + q**-0.5))
    two = Potts(states=2, beta=2 * BETA_C).facts["ln Z per site"].value
    assert two == pytest.approx(ising_2d.square_log_z(BETA_C, BETA_C) + 2 * BETA_C, abs=1e-12)


def test_large_couplings_neither_overflow_nor_lose_digits():
    model = Ising(beta=1e4)
    assert model.network().log_scale == pytest.approx(2e4)
    network = model.finite(3, 3)
    bare = FiniteNetwork(network.rows)
    assert np.log(value(bare).real) + network.log_scale == pytest.approx(12e4 + np.log(2), rel=1e-14)


def test_turned_networks_have_the_same_value():
    for model in (
        SixVertex(a=1.0, b=0.5, c=1.2),
        TriangularIsing(beta=0.4, conserve="parity"),
        Potts(states=3, beta=0.4, conserve="charge"),
    ):
        network = model.finite(2, 3)
        expected = value(network)
        assert value(network.turned()) == pytest.approx(expected)
        assert network.turned().shape == (3, 2)
        assert value(network.mirrored()) == pytest.approx(expected)


def test_cells_become_one_tensor():
    network = TriangularIsing(beta=0.4).network()
    T = network.tensor
    cell = InfiniteNetwork([[T, T], [T, T]], log_scale=4 * network.log_scale)
    assert cell.sites == 4 and cell.tensor.shape == (4, 4, 4, 4)
    assert torus_value(dense(cell.tensor), 1, 2) == pytest.approx(torus_value(dense(T), 2, 4))
    assert stack(T, T).shape == (2, 4, 2, 4) and beside(T, T).shape == (4, 2, 4, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Ising(beta=float("inf")), "zero temperature"),
        (lambda: Ising(beta=0.4, field=0.1, conserve="parity"), "breaks the conservation"),
        (lambda: Ising(beta=0.4, conserve="Sz"), 'conserves "parity"'),
        (lambda: Potts(states=1, beta=0.4), "two states"),
        (lambda: HardSquares(z=-1.0), "z >= 0"),
        (lambda: SixVertex(a=-1.0), "a >= 0"),
        (lambda: SixVertex(edge="walls"), 'Did you mean "domain-wall"'),
        (lambda: SixVertex(conserve="arrows").finite(2, 2), "carry charge"),
        (lambda: Dimers(x=0.0, y=0.0), "weight above 0"),
        (lambda: BoltzmannWeights(bond=[[1, -1], [1, 1]]), "weights >= 0"),
        (lambda: BoltzmannWeights(bond=[[1, 1]]), "shape"),
        (lambda: BoltzmannWeights(bond=np.ones((2, 2)), measure={"m": [1, 2, 3]}), "function of 2 states"),
        (lambda: Ising(beta=0.4, Jy=0.3).torus_log_z(2, 2), "equal positive couplings"),
        (lambda: Ising(beta=0.4).finite(0, 3), "at least one row"),
        (lambda: RandomBondIsing(beta=1.0, Jx=np.ones((2, 2)), Jy=np.ones((2, 2))), "one row less"),
        (lambda: RandomBondIsing.signs(2, 2, beta=np.inf), "beta must be finite"),
        (lambda: RandomBondIsing.signs(2, 2, beta=1.0).finite(measure="energy"), "spin"),
    ],
)
def test_bad_models_are_named(make, words):
    with pytest.raises((SettingsError, ShapeError), match=words):
        make()


def test_networks_that_do_not_fit_are_named():
    T, small = Ising(beta=0.4).network().tensor, Ising(beta=0.4).finite(1, 1).rows[0][0]
    with pytest.raises(LegError, match=r"east leg of the tensor at \(0, 0\).*west leg of the tensor at \(0, 1\)"):
        InfiniteNetwork([[T, small]])
    with pytest.raises(ShapeError, match=r"north leg of the tensor at \(0, 0\) is open"):
        FiniteNetwork([[T]])
    with pytest.raises(ShapeError, match="rows of one length"):
        FiniteNetwork([[small], [small, small]])
    with pytest.raises(KeyError, match="energy"):
        Ising(beta=0.4).network().impurity("energi")


@pytest.mark.parametrize("beta", [0.5, -1.0])
def test_clock_models_of_many_states_keep_their_charges(beta):
    """Most characters are below rounding there: they must not mix charges, in the energy and the derivatives either."""
    plain = Clock(states=16, beta=beta)
    network = Clock(states=16, beta=beta, conserve="charge").network()
    assert network.tensor.group.moduli == (16,) and len(network.taylor) == 2
    found, expected = (float(np.real(np.einsum("abab->", dense(n.tensor)))) for n in (network, plain.network()))
    assert found == pytest.approx(expected, rel=1e-12)
    energy, expected = (
        float(np.einsum("abab->", dense(n.impurity("energy"))) / np.einsum("abab->", dense(n.tensor)))
        for n in (network, plain.network())
    )
    assert energy == pytest.approx(expected, rel=1e-9)
