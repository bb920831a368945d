"""Fermions on the infinite lattice: finite clusters without bonds between them, and states that are known exactly."""

import numpy as np
import pytest

import tests.strict_device  # noqa: F401
import tnsim.models as models
from tests.algorithms.peps.test_fermions import half_filled
from tests.exact.fock import fock_state
from tests.exact.plane import dense_hamiltonian, embedded_pair
from tnsim.algorithms.peps.infinite.cylinder_spectrum import cylinder_spectrum
from tnsim.algorithms.peps.infinite.infinite_density import pair_density
from tnsim.algorithms.peps.infinite.infinite_measure import correlations, measure_infinite
from tnsim.algorithms.peps.updates.full_update import FullUpdate
from tnsim.algorithms.peps.updates.neighbourhood_update import NeighbourhoodUpdate
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.peps.variational.cell_problem import CellProblem
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.linalg import Truncation
from tnsim.models import Lattice
from tnsim.networks.peps import PEPS, InfinitePEPS, PairTerm, PlaneTerms, grown
from tnsim.networks.peps.purified import infinitely_hot, purified_terms
from tnsim.networks.sites import fermion_site
from tnsim.tensor import contract, random_tensor

SQUARE = Lattice("square", 2, 2)
CLUSTERS = {
    "t-V 2x2": (models.SpinlessFermions(lattice=SQUARE, V=0.8), 3, (1, 1)),
    "t-V 3x3, parity": (models.SpinlessFermions(lattice=Lattice("square", 3, 3), V=0.8, conserve="parity"), 2, (1, 2)),
    "triangular 3x2": (models.SpinlessFermions(lattice=Lattice("triangular", 2, 3), V=0.8), 2, (0, 0)),
    "Hubbard 2x2": (models.Hubbard(lattice=SQUARE, U=3.0), 2, (1, 0)),
    "t-J 2x2": (models.TJ(lattice=SQUARE), 2, (0, 1)),
}


def corners(chi: int, **changed) -> CTMRG:
    return CTMRG(truncation=Truncation(chi_max=chi, svd_min=1e-14), symmetric=False, check_every=2, **changed)


@pytest.mark.parametrize("name", CLUSTERS)
def test_clusters_without_bonds_between_them_are_what_one_of_them_is(name):
    """All pairs of a random cluster, wherever the cell is cut, against its vector in Fock space."""
    model, D, moved = CLUSTERS[name]
    terms = PlaneTerms.of(model)
    psi = PEPS.random(terms.sites, D, states=half_filled(terms), seed=3, dtype=np.complex128)
    vector, places = fock_state(psi), list(psi.places())
    sites, norm = [psi.site(*place) for place in places], np.vdot(vector, vector).real
    plane = InfinitePEPS(psi.tensors, np.roll(np.array(psi.pattern), moved, (0, 1)).tolist(), psi.kinds)
    found = corners(16, max_steps=3).solve(plane)
    assert abs(found.log_z * len(places) - np.log(norm)) < 1e-11
    for term in terms.pairs:
        matrix = embedded_pair(sites, places.index(term.first), places.index(term.second), term.matrix)
        value = np.vdot(vector, matrix @ vector).real / norm
        pair = [(i + moved[0], j + moved[1]) for i, j in (term.first, term.second)]
        for patch in (False, True):
            density = pair_density(found.environment, *pair, patch=patch)
            assert abs(np.sum(density.T * term.matrix) - value) < 1e-11
            assert np.linalg.eigvalsh(density)[0] > -1e-12 and np.abs(density - density.conj().T).max() < 1e-12


def test_random_states_are_the_same_seen_from_strips_and_plaquettes():
    site = fermion_site()
    psi = InfinitePEPS.random([site] * 2, 2, [[0, 1], [1, 0]], states=["full", "empty"], seed=5, dtype=np.complex128)
    terms = PlaneTerms.infinite_of(models.SpinlessFermions(lattice=SQUARE, V=0.8), psi.pattern)
    found = corners(16, max_steps=30).solve(psi)
    strips, plaquettes = (measure_infinite(found.environment, terms, patch=patch) for patch in (False, True))
    assert abs(strips.energy - plaquettes.energy) < 1e-7 and strips.negative > -1e-9 and strips.asymmetry < 1e-7
    there, back = (correlations(found.environment, psi.sites[0], *names, 2) for names in (("Cdag", "C"), ("C", "Cdag")))
    hop = PlaneTerms.infinite_of(models.SpinlessFermions(lattice=SQUARE, V=0.0), [[0]]).pairs[0].matrix
    for k, second in enumerate(((0, 1), (0, 2))):
        assert abs(back[k] - there[k] - np.sum(pair_density(found.environment, (0, 0), second).T * hop)) < 1e-7
    strict = measure_infinite(found.environment.to("strict"), terms)
    assert abs(strict.energy - strips.energy) < 1e-12


@pytest.mark.parametrize(("first", "second"), [((0, 0), (0, 1)), ((0, 1), (0, 2)), ((0, 0), (1, 0)), ((1, 0), (2, 0))])
def test_dimers_hop_as_two_levels_do(first, second):
    """Hops on one bond of a cell of two by two alone, by simple update and CTMRG: the bonding orbital is filled."""
    all_of_them = PlaneTerms.infinite_of(models.SpinlessFermions(lattice=SQUARE, V=0.0), [[0, 1], [2, 3]])
    hop = all_of_them.pairs[0].matrix
    other = [tuple((np.array(place) + (1, 1) - 2 * np.array(first)).tolist()) for place in (first, second)]
    terms = PlaneTerms(all_of_them.sites, {}, (PairTerm(first, second, hop), PairTerm(*other, hop)), True, True)
    psi = InfinitePEPS.product([fermion_site()] * 4, ["full", "empty", "empty", "full"], [[0, 1], [2, 3]])
    update = SimpleUpdate(dt=0.5, truncation=Truncation(chi_max=2), imaginary=True, every=20)
    state = update.run(terms, psi, time=15.0).state.psi
    measured = measure_infinite(corners(8, max_steps=4).solve(state).environment, terms)
    assert abs(measured.energy + 0.5) < 1e-10


def test_corners_tell_the_metric_of_a_bond():
    """Energies of a random cluster across the edge of the cell, as the full update sees them."""
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=SQUARE, V=0.8))
    psi = PEPS.random(terms.sites, 2, states=[["full", "empty"], ["empty", "empty"]], seed=3)
    vector, sites = fock_state(psi), [[psi.site(0, 0)] * 2] * 2
    exact = vector @ dense_hamiltonian(terms) @ vector / (vector @ vector)
    plane = InfinitePEPS(psi.tensors, [[3, 2], [1, 0]], psi.kinds)
    pairs = tuple(
        PairTerm(*(tuple(np.add(place, (1, 1)).tolist()) for place in (term.first, term.second)), term.matrix)
        for term in terms.pairs
    )
    update = FullUpdate(
        dt=0.1, truncation=Truncation(chi_max=2), environment=Truncation(chi_max=16), imaginary=True, env_tol=1e-3
    )
    propagator = update.propagator(PlaneTerms(tuple(map(tuple, sites)), {}, pairs, True, True), plane)
    assert abs(4 * propagator.energy(0.0) - exact) < 1e-10 and propagator.clipped < 1e-12


def insulator(pattern) -> tuple[PlaneTerms, float]:
    """Hops between levels at +2 and -2 in turn, and the exact energy per site of the filled band."""
    hops = PlaneTerms.infinite_of(models.SpinlessFermions(lattice=SQUARE, V=0.0), pattern)
    site = hops.sites[0][0]
    singles = {place: 2.0 * (-1) ** sum(place) * site.op("N") for place in np.ndindex(2, 2)}
    k = (np.arange(60) + 0.5) * 2 * np.pi / 60
    band = 2 * (np.cos(k)[:, None] + np.cos(k))
    return PlaneTerms(hops.sites, singles, hops.pairs, True, True), -0.5 * np.sqrt(band**2 + 4).mean()


def test_a_band_insulator_near_its_exact_energy():
    terms, exact = insulator([[0, 1], [1, 0]])
    psi = InfinitePEPS.product([terms.sites[0][0]] * 2, ["empty", "full"], [[0, 1], [1, 0]])
    update = SimpleUpdate(dt=0.05, truncation=Truncation(chi_max=2), imaginary=True, every=40)
    state = update.run(terms, psi, time=2.0).state.psi
    found = measure_infinite(corners(8, max_steps=8).solve(state).environment, terms)
    assert exact < found.energy < exact + 6e-3 and found.moments[0, 0]["N"] < 0.2 < 0.8 < found.moments[0, 1]["N"]


@pytest.mark.parametrize(("kind", "beta", "D", "tolerance"), [(SimpleUpdate, 0.2, 4, 4e-4),
                                                              (NeighbourhoodUpdate, 0.5, 6, 2e-4)])  # fmt: skip
def test_free_fermions_of_the_plane_at_a_temperature(kind, beta, D, tolerance):
    """The grand canonical energy per site: the Fermi function over the band."""
    cell = [[0, 1], [1, 0]]
    terms = PlaneTerms.infinite_of(models.SpinlessFermions(lattice=SQUARE, V=0.0), cell)
    update = kind(dt=0.05, truncation=Truncation(chi_max=D, svd_min=1e-8), imaginary=True, every=100)
    state = update.run(terms, infinitely_hot(terms, cell), time=beta / 2).state.psi
    found = measure_infinite(corners(8, max_steps=4).solve(state).environment, purified_terms(terms))
    k = (np.arange(60) + 0.5) * 2 * np.pi / 60
    band = -2 * (np.cos(k)[:, None] + np.cos(k))
    exact = (band / (np.exp(beta * band) + 1)).mean()
    assert abs(found.energy - exact) < tolerance and abs(found.moments[0, 0]["N"] - 0.5) < 1e-9


def test_gradients_of_the_energy_of_a_cell():
    terms, _ = insulator([[0, 1], [1, 0]])
    psi = InfinitePEPS.product([terms.sites[0][0]] * 2, ["empty", "full"], [[0, 1], [1, 0]])
    settings = EnvironmentSettings(chi_max=8, tol=1e-10, svd_min=1e-7, gradient_tol=1e-8)
    problem = CellProblem(terms, psi := grown(psi, 2, noise=0.3, seed=2), settings)
    point, way, step = (
        problem.point(psi.tensors),
        np.random.default_rng(0).standard_normal(len(problem.point(psi.tensors))),
        1e-4,
    )
    energy, slope = problem(point)
    energies = [problem(point + sign * step * way)[0] for sign in (1, -1)]
    assert abs(slope @ way - (energies[0] - energies[1]) / (2 * step)) < 1e-6
    measured = measure_infinite(corners(12, max_steps=12).solve(psi).environment, terms)
    assert abs(energy - measured.energy) < 1e-8


@pytest.mark.parametrize("filled", [(1, 0, 0, 0), (1, 0, 0, 1)])
def test_a_cut_around_a_cylinder_of_fermions(filled):
    """Two sites around, two along, and no bonds further: the vector in Fock space of the left pair and the right."""
    psi = PEPS.product([[fermion_site()] * 2] * 2, [["empty"] * 2] * 2)
    site = psi.site(0, 0)
    one, bond = psi.tensors[0].legs[0], site.leg
    legs = [(bond, bond.dual, bond.dual, one, bond), (bond, one.dual, bond.dual, bond, bond)] * 2
    tensors = [random_tensor(legs[n], (filled[n],), dtype="D", seed=n) for n in range(4)]
    words = ("n a s x p", "n2 y s2 a q", "s b n z r", "s2 w n2 b t")
    whole = contract(f"{', '.join(words)} -> x y z w p r q t", *tensors)
    exact = np.linalg.svd(whole.to_dense().reshape(4, 4), compute_uv=False) ** 2
    plane = InfinitePEPS(tensors, [[1, 0], [3, 2]], [site] * 4)
    weights = cylinder_spectrum(plane, 2).weights
    assert np.abs(weights[:4] - exact / exact.sum()).max() < 1e-12 and len(weights) == 4
    assert cylinder_spectrum(InfinitePEPS(tensors, [[0, 1], [2, 3]], [site] * 4), 2).weights[0] == 1
