"""Terms in the plane against the Hamiltonians of the models that they come from."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim.models as models
from tests.exact.plane import dense_hamiltonian
from tnsim.errors import OperatorError, SettingsError, ShapeError
from tnsim.models import Lattice
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.peps import PlaneTerms
from tnsim.networks.sites import spin_sites

CLUSTERS = [
    models.Heisenberg(lattice=Lattice("square", 3, 2), field=0.3),
    models.Heisenberg(lattice=Lattice("square", 3, 2, order="snake")),
    models.Heisenberg(lattice=Lattice("triangular", 2, 3)),
    models.Heisenberg(lattice=Lattice("honeycomb", 2, 2)),
    models.Heisenberg(lattice=Lattice("kagome", 2, 1)),
    models.J1J2(lattice=Lattice("square", 3, 2), J2=0.5),
    models.XYZ(lattice=Lattice("square", 2, 2), Jx=0.5, Jy=-0.7, Jz=1.1),
    models.TransverseIsing(lattice=Lattice("square", 3, 2), h=1.3),
    models.KitaevHoneycomb(lattice=Lattice("honeycomb", 2, 2), hz=0.1),
    models.SpinlessFermions(lattice=Lattice("square", 3, 2), V=0.8),
    models.SpinlessFermions(lattice=Lattice("triangular", 2, 3), V=0.8),
    models.SpinlessFermions(lattice=Lattice("kagome", 2, 1), V=0.8),
    models.Hubbard(lattice=Lattice("square", 2, 2), U=4.0),
    models.TJ(lattice=Lattice("square", 2, 2)),
    models.BoseHubbard(lattice=Lattice("square", 2, 2), n_max=2),
    models.SSH(L=6),
    models.KitaevChain(L=5),
]


@pytest.mark.parametrize("model", CLUSTERS, ids=repr)
def test_the_terms_have_the_spectrum_of_the_model(model):
    terms = PlaneTerms.of(model)
    assert terms.is_hermitian
    exact = np.linalg.eigvalsh(model.mpo().to_dense())
    np.testing.assert_allclose(np.linalg.eigvalsh(dense_hamiltonian(terms)), exact, atol=1e-10)
    shared = replace(terms, singles={}, pairs=terms.bonds)
    np.testing.assert_allclose(np.linalg.eigvalsh(dense_hamiltonian(shared)), exact, atol=1e-10)


def test_fused_cells_have_the_same_spectrum():
    model = models.J1J2(lattice=Lattice("honeycomb", 2, 2), J2=0.3)
    terms = PlaneTerms.of(model, fused=True)
    assert terms.shape == (2, 2) and terms.site(0, 0).dim == 4
    np.testing.assert_allclose(
        np.linalg.eigvalsh(dense_hamiltonian(terms)), np.linalg.eigvalsh(model.mpo().to_dense()), atol=1e-12
    )


def test_a_finite_honeycomb_is_a_brick_wall():
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("honeycomb", 2, 2)))
    assert terms.shape == (2, 5) and all(term.is_nearest for term in terms.pairs)
    assert [[site.name for site in row] for row in terms.sites] == [
        ["empty", *["spin-1/2"] * 4],
        [*["spin-1/2"] * 4, "empty"],
    ]


@pytest.mark.parametrize(
    ("model", "pattern", "pairs", "nearest"),
    [
        (models.Heisenberg(lattice=Lattice("square", 2, 2)), [[0]], 2, 2),
        (models.Heisenberg(lattice=Lattice("square", 2, 2)), [[0, 1], [1, 0]], 8, 8),
        (models.J1J2(lattice=Lattice("square", 2, 2), J2=0.5), [[0, 1]], 8, 4),
        (models.Heisenberg(lattice=Lattice("triangular", 2, 2)), [[0]], 3, 2),
        (models.Heisenberg(lattice=Lattice("honeycomb", 2, 2)), [[0, 1], [1, 0]], 6, 6),
        (models.KitaevHoneycomb(lattice=Lattice("honeycomb", 2, 2)), [[0, 1], [1, 0]], 6, 6),
        (models.Heisenberg(lattice=Lattice("kagome", 1, 1)), [[0]], 3, 2),
    ],
    ids=repr,
)
def test_infinite_terms_are_those_that_begin_in_a_cell(model, pattern, pairs, nearest):
    terms = PlaneTerms.infinite_of(model, pattern)
    assert len(terms.pairs) == pairs and sum(term.is_nearest for term in terms.pairs) == nearest
    assert terms.infinite and terms.is_hermitian and terms.shape == (len(pattern), len(pattern[0]))
    assert all(0 <= i < terms.shape[0] and 0 <= j < terms.shape[1] for i, j in (term.first for term in terms.pairs))


def test_infinite_terms_hold_fields_and_constants():
    terms = PlaneTerms.infinite_of(models.TransverseIsing(lattice=Lattice("square", 2, 2), h=0.7), [[0]])
    assert list(terms.singles) == [(0, 0)]
    total = sum(np.trace(term.matrix @ term.matrix) for term in terms.bonds)
    field, (east, south) = terms.singles[0, 0], terms.pairs
    expected = [np.kron(field, np.eye(2)) / 4 + np.kron(np.eye(2), field) / 4 + pair.matrix for pair in (east, south)]
    np.testing.assert_allclose(total, sum(np.trace(matrix @ matrix) for matrix in expected))
    shared = [term.matrix for term in terms.bonds]
    np.testing.assert_allclose(shared, expected)


def test_fermions_stand_in_the_order_of_the_pair():
    """The hop of a vertical pair is written north before south, though the chain visits the south first."""
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=Lattice("square", 2, 2), conserve=None))
    vertical = next(term for term in terms.pairs if term.offset == (1, 0))
    lower, string = np.array([[0.0, 1.0], [0.0, 0.0]]), np.diag([1.0, -1.0])
    north, south = np.kron(lower, np.eye(2)), np.kron(string, lower)
    hop = -(north.T @ south + south.T @ north)
    mask = hop != 0
    np.testing.assert_allclose(vertical.matrix[mask], hop[mask])


def in_a_row(H: OperatorSum) -> PlaneTerms:
    return PlaneTerms.from_sum(H, spin_sites(2), [(0, 0), (0, 1)])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: PlaneTerms.from_sum(
                OperatorSum().add(1.0, "Sz", 0, "Sz", 1, "Sz", 2), spin_sites(3), [(0, 0), (0, 1), (1, 0)]
            ),
            OperatorError,
            "acts on 3 places",
        ),
        (lambda: in_a_row(OperatorSum().add(1.0, "Sq", 0)), OperatorError, "Sq"),
        (lambda: in_a_row(OperatorSum().add(1.0, "Sz", 5)), OperatorError, "names site 5"),
        (lambda: PlaneTerms.from_sum(OperatorSum(), spin_sites(2), [(0, 0)]), ShapeError, "needs a place"),
        (
            lambda: PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 3, 3, bc_x="periodic"))),
            SettingsError,
            "open along x",
        ),
        (lambda: PlaneTerms.infinite_of(models.SSH(L=4), [[0]]), SettingsError, "open Lattice"),
        (lambda: PlaneTerms.infinite_of(models.Heisenberg(L=4), [[0]]), SettingsError, "lives on a chain"),
        (
            lambda: PlaneTerms.infinite_of(models.Heisenberg(lattice=Lattice("ladder", 4, 2)), [[0]]),
            SettingsError,
            "lives on a ladder",
        ),
        (
            lambda: PlaneTerms.infinite_of(models.Heisenberg(lattice=Lattice("honeycomb", 2, 2)), [[0]]),
            SettingsError,
            "do not repeat",
        ),
        (
            lambda: PlaneTerms.of(models.Heisenberg(lattice=Lattice("kagome", 2, 2)), fused=False),
            SettingsError,
            "share a place",
        ),
        (
            lambda: PlaneTerms.from_sum(OperatorSum().add(1.0, "Sz", 0), spin_sites(1), [(0, 0)]).bonds,
            OperatorError,
            "no neighbour",
        ),
        (lambda: in_a_row(OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5)), OperatorError, "exponential"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
