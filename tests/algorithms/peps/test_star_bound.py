"""Lower bounds of energies from stars of places, beside exact ground states."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tnsim.algorithms.peps.star_bound import star_bound
from tnsim.models import J1J2, Heisenberg, Hubbard, KitaevHoneycomb, Lattice, TransverseIsing
from tnsim.networks.peps import PlaneTerms
from tnsim.networks.sites import spin_site

SQUARE = Lattice("square", 2, 2)


def dense(terms):
    """The Hamiltonian of a finite lattice of spins as one matrix."""
    rows, columns = terms.shape
    dims = [terms.site(i, j).dim for i in range(rows) for j in range(columns)]
    total = np.zeros((int(np.prod(dims)),) * 2)
    for term in terms.bonds:
        first, second = (i % rows * columns + j % columns for i, j in (term.first, term.second))
        rest = [n for n in range(len(dims)) if n not in (first, second)]
        own = np.kron(term.matrix, np.eye(int(np.prod([dims[n] for n in rest]))))
        order = [first, second, *rest]
        back = np.argsort(order)
        shape = [dims[n] for n in order]
        axes = (*back, *(len(dims) + back))
        total = total + own.reshape(shape * 2).transpose(axes).reshape(total.shape)
    return total


@pytest.mark.parametrize(
    ("model", "least"),
    [
        (Heisenberg(lattice=Lattice("square", 3, 3)), 0.15),
        (Heisenberg(lattice=Lattice("square", 2, 3), S=1, conserve=None), 0.15),
        (J1J2(lattice=Lattice("square", 3, 3), conserve=None, J2=0.5), 0.6),
        (TransverseIsing(lattice=Lattice("square", 3, 3), h=2.0), 0.05),
        (Heisenberg(lattice=Lattice("square", 2, 4, bc_y="periodic"), conserve=None), 0.2),
    ],
    ids=["heisenberg", "spin one", "frustrated", "ising", "cylinder"],
)
def test_no_exact_energy_lies_below_and_not_far_above(model, least):
    terms = PlaneTerms.of(model)
    exact = float(np.linalg.eigvalsh(dense(terms))[0])
    assert exact * (1 + least) < star_bound(terms) <= exact + 1e-10


@pytest.mark.parametrize("infinite", [False, True])
def test_classical_terms_are_tight(infinite):
    """All spins along one axis: no term is frustrated."""
    model = TransverseIsing(lattice=Lattice("square", 3, 4), conserve=None, h=0.0)
    terms = PlaneTerms.infinite_of(model, [[0, 1], [1, 0]]) if infinite else PlaneTerms.of(model)
    lowest = sum(np.linalg.eigvalsh(term.matrix)[0] for term in terms.bonds)
    assert star_bound(terms) == pytest.approx(lowest / 4 if infinite else lowest, abs=1e-10)


@pytest.mark.parametrize("pattern", [[[0]], [[0, 1], [1, 0]], [[0, 1, 2]]])
def test_a_cell_does_not_matter(pattern):
    """A spin and its four neighbours: S = 2 of these against it, half of every pair."""
    terms = PlaneTerms.infinite_of(Heisenberg(lattice=SQUARE), pattern)
    assert star_bound(terms) == pytest.approx(-0.75, abs=1e-10)


def test_what_is_published_or_exact_of_infinite_lattices_lies_above():
    kitaev = KitaevHoneycomb(lattice=Lattice("honeycomb", 2, 2))
    terms = PlaneTerms.infinite_of(kitaev, [[0, 1], [1, 0]])
    exact = kitaev.facts["bulk energy per site"].value
    # a spin with three others, of each along an axis of its own: in a field with three equal components; -0.7872983 is
    # the exact energy where that is half the root of three
    assert star_bound(terms) == pytest.approx(exact * np.sqrt(3) / 2 / 0.7872983, rel=1e-6)
    frustrated = PlaneTerms.infinite_of(J1J2(lattice=SQUARE, conserve=None, J2=0.5), [[0]])
    assert -1.0 < star_bound(frustrated) < -0.4968


def test_pairs_are_taken_alone_where_signs_or_sizes_say_so():
    hubbard = PlaneTerms.of(Hubbard(lattice=Lattice("square", 2, 2), U=4.0))
    alone = sum(np.linalg.eigvalsh(term.matrix)[0] for term in hubbard.bonds)
    assert star_bound(hubbard) == pytest.approx(alone)
    # 5/2 against all of its neighbours, half of every pair; with spins of 3 stars are too large, and pairs are singlets
    for spin, expected in ((5 / 2, -5 / 2 * 11 / 2), (3, -2 * 3 * 4)):
        terms = PlaneTerms.infinite_of(Heisenberg(lattice=SQUARE, S=spin, conserve=None), [[0]])
        assert star_bound(terms) == pytest.approx(expected)


def test_places_without_terms_and_sites_of_different_kinds():
    sites = [spin_site(S=spin, conserve=None) for spin in (0.5, 1.0, 0.5, 0.5)]
    H = tn.OperatorSum()
    for axis in ("Sx", "Sz"):
        H.add(1.0, axis, 0, axis, 1)
    H.add(0.7, "Sx", 0)
    terms = PlaneTerms.from_sum(H, sites, [(0, 0), (0, 1), (1, 0), (1, 1)])
    exact = np.linalg.eigvalsh(dense(terms))[0]
    # both halves of the only pair: exact; the places below have nothing
    assert star_bound(terms) == pytest.approx(exact)


@pytest.mark.parametrize("seed", range(3))
def test_complex_terms_with_directions(seed):
    """Every pair of a lattice has a matrix of its own."""
    rng = np.random.default_rng(seed)
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 2), conserve=None))
    pairs = []
    for term in terms.pairs:
        matrix = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
        pairs.append(replace(term, matrix=matrix + matrix.conj().T))
    terms = replace(terms, pairs=tuple(pairs))
    exact = float(np.linalg.eigvalsh(dense(terms))[0])
    assert 1.6 * exact < star_bound(terms) < exact


@pytest.mark.parametrize("state", ["cell", "lattice"])
def test_minimised_energies_are_held_to_it(state):
    few = tn.MinimizationSettings(max_iterations=2)
    rough = tn.EnvironmentSettings(chi_max=6, tol=1e-6, svd_min=1e-4, gradient_tol=1e-3)
    if state == "cell":
        model = Heisenberg(lattice=SQUARE, conserve=None)
        start, terms = tn.InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]]), model
        bound = -0.75
    else:
        terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", 3, 3), conserve=None))
        start, bound = (
            tn.PEPS.product(terms.sites, [["up", "down", "up"], ["down", "up", "down"], ["up", "down", "up"]]),
            star_bound(terms),
        )
    found = tn.VariationalPEPS(D=1, environment=rough, minimization=few).solve(terms, start)
    assert found.certificate.lower_bound == pytest.approx(bound) and found.energy > bound


@pytest.mark.parametrize("bound", [None, -0.25])
@pytest.mark.parametrize("infinite", [False, True])
def test_measured_energies_are_held_to_it_or_to_what_is_told(infinite, bound):
    model = Heisenberg(lattice=SQUARE, conserve=None)
    cut = tn.Truncation(chi_max=8)
    update = tn.SimpleUpdate(dt=0.1, truncation=tn.Truncation(chi_max=2), imaginary=True)
    cooling = tn.Cooling(update=update, dts=(0.1,), tol=1e-3)
    if infinite:
        terms = PlaneTerms.infinite_of(model, [[0, 1], [1, 0]])
        start = tn.InfinitePEPS.product(model.sites[:2], ["up", "down"], [[0, 1], [1, 0]])
        contraction, floor = tn.CTMRG(truncation=cut, symmetric=False, tol=1e-6), -0.75
    else:
        terms = PlaneTerms.of(model)
        start = tn.PEPS.product(terms.sites, [["up", "down"], ["down", "up"]])
        contraction, floor = tn.BoundaryMeasurement(truncation=cut), -0.5  # corners of two pairs: exact
    search = tn.PEPSGroundState(preparation=cooling, contraction=contraction, certify=infinite)
    found = search.solve(terms, start, bound=bound)
    assert floor < found.energy < -0.4
    assert (found.status.name == "below a bound") == (bound is not None)
    assert ("below the known bound -0.25" in found.status.advice) == (bound is not None)
    if infinite:
        assert found.certificate.bound == pytest.approx(floor if bound is None else bound)
