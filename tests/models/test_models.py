"""Models: their MPO against Kronecker sums, their facts against exact diagonalisation and published tables."""

import numpy as np
import pytest

import tnsim as tn
import tnsim.models
from tests.exact import dense
from tnsim.errors import SettingsError, StateError
from tnsim.models import (
    MODELS,
    XX,
    XXZ,
    Heisenberg,
    QuantumChemistry,
    RandomFieldHeisenberg,
    TransverseIsing,
    find_model,
    hydrogen_chain,
)
from tnsim.models.exact.bethe import open_heisenberg_energy
from tnsim.models.exact.free_fermions import infinite_ising_energy, open_ising, open_xx


@pytest.mark.parametrize("name", MODELS)
def test_mpo_and_exact_energy(name):
    dim = example(name, 2).sites[0].dim
    check_model(example(name, {2: 6, 3: 6}.get(dim, 4 if dim < 8 else 3)))


def example(name, L):
    """A model of L sites: with its default settings, or of a molecule with as many orbitals."""
    if name != "chemistry":
        return MODELS[name](L=L)
    chain = hydrogen_chain(L, 1.0)
    return QuantumChemistry(
        one_body=chain.one_body, two_body=chain.two_body, core_energy=chain.core_energy, electrons=L
    )


def check_model(model):
    """The MPO equals the Kronecker sum, and the exact energy the lowest one in the sector of the product states."""
    matrix = dense.hamiltonian(model.operator_sum(), model.sites)
    np.testing.assert_allclose(model.mpo().to_dense(), matrix, atol=1e-12)
    assert model.mpo().is_hermitian
    if model.facts.energy is None:
        return None
    energy = dense.ground_energy(matrix, model.sites, model.product().charge)
    assert energy == pytest.approx(model.facts.energy, abs=1e-11)
    return energy


@pytest.mark.parametrize(("J", "h"), [(1.0, 0.5), (1.0, 1.5), (0.7, -1.2), (-1.0, 1.0)])
def test_ising_against_exact_diagonalisation(J, h):
    model = TransverseIsing(L=8, J=J, h=h)
    values, vectors = np.linalg.eigh(dense.hamiltonian(model.operator_sum(), model.sites))
    exact = open_ising(8, J, h)
    assert exact.energy == pytest.approx(values[0], abs=1e-12)
    if abs(h) > abs(J):
        state = vectors[:, 0]
        for cut in (1, 3, 4):
            assert exact.entropy(cut) == pytest.approx(dense.entropy(state, 2**cut), abs=1e-9)
        for i in range(8):
            z = dense.place(model.sites, [("Z", i)])
            assert exact.magnetization()[i] == pytest.approx(float(np.real(state.conj() @ z @ state)), abs=1e-10)
        for i in range(7):
            xx = dense.place(model.sites, [("X", i), ("X", i + 1)])
            expected = float(np.real(state.conj() @ xx @ state))
            assert abs(exact.bond_correlation()[i]) == pytest.approx(abs(expected), abs=1e-10)


def test_published_tables():
    """Numbers computed independently from the Bethe equations and free fermions."""
    heisenberg = {16: -6.9117371455751, 20: -8.6824733343990, 50: -21.9721102812505, 200: -88.4415555695009}
    for L, energy in heisenberg.items():
        assert open_heisenberg_energy(L) == pytest.approx(energy, abs=2e-12)
    assert open_xx(100).energy == pytest.approx(-31.6505945777101, abs=1e-12)
    ising = {(20, 1.0): -25.1077971116238, (100, 0.5): -105.4837699496422, (100, 1.5): -167.0086144764866}
    for (L, h), energy in ising.items():
        assert open_ising(L, 1.0, h).energy == pytest.approx(energy, abs=1e-11)
    assert infinite_ising_energy(1.0, 1.0) == pytest.approx(-4 / np.pi, abs=1e-12)


@pytest.mark.parametrize("L", [2, 4, 6, 8, 10])
def test_bethe_against_exact_diagonalisation(L):
    model = Heisenberg(L=L)
    exact = dense.ground_energy(dense.hamiltonian(model.operator_sum(), model.sites), model.sites, (0,))
    assert open_heisenberg_energy(L) == pytest.approx(exact, abs=1e-12)


def test_xx_entropy_against_exact_diagonalisation():
    model = XX(L=8)
    _, vectors = np.linalg.eigh(dense.hamiltonian(model.operator_sum(), model.sites))
    for cut in (1, 4, 5):
        assert open_xx(8).entropy(cut) == pytest.approx(dense.entropy(vectors[:, 0], 2**cut), abs=1e-10)


def test_product_states():
    model = Heisenberg(L=4, S=1)
    psi = model.product("neel")
    np.testing.assert_allclose(tn.expect(psi, "Sz"), [1, -1, 1, -1])
    np.testing.assert_allclose(tn.expect(model.product(["0", "1", "-1", "0"]), "Sz"), [0, 1, -1, 0])
    with pytest.raises(StateError, match="neel"):
        model.product("nell")


def test_random_fields_follow_the_seed():
    a, b = RandomFieldHeisenberg(L=5, seed=1), RandomFieldHeisenberg(L=5, seed=1)
    np.testing.assert_array_equal(a.fields, b.fields)
    assert not np.array_equal(a.fields, RandomFieldHeisenberg(L=5, seed=2).fields)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Heisenberg(L=1), "L >= 2"),
        (lambda: Heisenberg(L=4, J=float("nan")), "J must be finite"),
        (lambda: Heisenberg(L=4, conserve="Sx").sites, "Sz"),
        (lambda: RandomFieldHeisenberg(L=4, W=-1.0), "W must not be negative"),
        (lambda: find_model("heissenberg"), "heisenberg"),
        (lambda: open_heisenberg_energy(5), "even"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(SettingsError, match=message):
        make()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "chemistry"])
def test_repr_is_what_one_types(name):
    model = example(name, 4)
    assert eval(repr(model), {**vars(tnsim.models)}) == model


def test_repr_shows_what_differs_from_the_defaults():
    square = tnsim.models.Lattice("square", 2, 3)
    assert repr(XXZ(L=4)) == "XXZ(L=4)"
    assert repr(tnsim.models.MajumdarGhosh(L=4, J1=2.0)) == "MajumdarGhosh(L=4, J1=2.0)"
    assert repr(Heisenberg(lattice=square, field=2)) == f"Heisenberg(lattice={square!r}, field=2.0)"
    assert repr(Heisenberg(L=3, periodic=True, field=0.5)) == "Heisenberg(L=3, periodic=True, field=0.5)"


def test_facts_read_well():
    text = repr(XXZ(L=20, delta=0.0).facts)
    assert "energy" in text
    assert "free fermions" in text
    with pytest.raises(KeyError, match="middle entropy"):
        XX(L=20).facts["midle entropy"]
