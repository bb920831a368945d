"""Fermions in the plane: graded tensors against Fock space, free fermions, and chains wound through the lattice."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

import tests.strict_device  # noqa: F401
import tnsim.models as models
from tests.exact.fock import fock_state
from tests.exact.plane import dense_hamiltonian, embedded_pair
from tests.suites.gradients import check
from tnsim.algorithms.ground_state.dmrg import DMRG
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.finite.entanglement_cut import entanglement_below
from tnsim.algorithms.peps.updates.bond_fit import expectation
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.peps.updates.boundary_metric import BoundaryMetric
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.full_update import FullUpdate
from tnsim.algorithms.peps.updates.neighbourhood import Neighbourhood, neighbourhood_metric
from tnsim.algorithms.peps.updates.neighbourhood_update import NeighbourhoodUpdate
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.finite_energy import FiniteTerms
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.errors import ChargeError, OperatorError
from tnsim.io import load, save
from tnsim.linalg import Spectrum, Truncation
from tnsim.models import Lattice
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.infinite_mps import InfiniteMPS
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.peps import PEPS, CylinderPEPS, PlaneTerms
from tnsim.networks.peps.bond_graph import bond_graph
from tnsim.networks.peps.purified import infinitely_hot, purified_terms
from tnsim.networks.peps.weighted import WeightedPEPS
from tnsim.networks.sites import fermion_site
from tnsim.symmetry import Leg
from tnsim.tensor import Tensor, flip_leg, fuse, transpose

SQUARE = Lattice("square", 2, 2)
EXACT = BoundaryMeasurement(truncation=Truncation(chi_max=256, svd_min=1e-14))
CLUSTERS = {
    "t-V 2x3": models.SpinlessFermions(lattice=Lattice("square", 3, 2), V=0.8),
    "t-V 3x3": models.SpinlessFermions(lattice=Lattice("square", 3, 3), V=0.8),
    "t-V 3x3, parity": models.SpinlessFermions(lattice=Lattice("square", 3, 3), V=0.8, conserve="parity"),
    "triangular": models.SpinlessFermions(lattice=Lattice("triangular", 2, 3), V=0.8),
    "Hubbard": models.Hubbard(lattice=Lattice("square", 2, 2), U=3.0),
    "t-J": models.TJ(lattice=Lattice("square", 2, 2)),
}


def half_filled(terms: PlaneTerms) -> list[list[str]]:
    """Every second place occupied, or up and down in turn."""
    names = ("up", "down") if "up" in terms.sites[0][0].states else ("full", "empty")
    return [[names[(i + j) % 2] for j in range(terms.shape[1])] for i in range(terms.shape[0])]


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("D", [2, 3])
def test_random_states_give_what_their_fock_vectors_give(name, D):
    terms = PlaneTerms.of(CLUSTERS[name])
    psi = PEPS.random(terms.sites, D, states=half_filled(terms), seed=3, dtype=np.complex128)
    vector, places = fock_state(psi), list(psi.places())
    norm, sites = np.vdot(vector, vector).real, [psi.site(*place) for place in places]
    found = EXACT.measure(psi, terms)
    assert abs(found.energy - np.vdot(vector, dense_hamiltonian(terms) @ vector).real / norm) < 1e-10
    assert abs(found.log_norm - np.log(norm)) < 1e-10 and found.pair_error < 1e-10
    for term in terms.pairs:
        matrix = embedded_pair(sites, places.index(term.first), places.index(term.second), term.matrix)
        value = np.vdot(vector, matrix @ vector).real / norm
        assert abs(found.pairs[term.first, term.second] - value) < 1e-10


def wound(chain: MPS, width: int, sites) -> PEPS:
    """A chain as a path through the lattice: to the east, one down, to the west, one down, and so on."""
    group, rows = sites[0][0].group, []
    for n, tensor in enumerate(chain.tensors):
        legs = [Leg(group, leg.charges, leg.dims, leg.flow) for leg in tensor.legs]
        one = Leg(group, [group.identity], [1])
        westwards, step = (n // width) % 2, n % width
        into = "n" if step == 0 else "e" if westwards else "w"
        out = "s" if step == width - 1 else "w" if westwards else "e"
        free = [name for name in "nesw" if name not in (into, out)]
        spare = [one if name in "nw" else one.dual for name in free]
        site = Tensor((*legs, *spare), tensor.data)
        site = flip_leg(site, 0) if into == "e" else site
        site = flip_leg(site, 2) if out == "w" else site
        names = [into, "p", out, *free]
        site = transpose(site, [names.index(name) for name in "neswp"])
        if step == 0:
            rows.append([])
        rows[-1].insert(0 if westwards else step, site)
    return PEPS(rows, sites)


@pytest.mark.parametrize("V", [0.0, 1.5])
def test_a_chain_wound_through_4x4_sites_has_all_its_energies(V):
    """Hops between rows pass up to six sites of the chain, where DMRG has Jordan-Wigner strings and PEPS crossings."""
    model = models.SpinlessFermions(lattice=Lattice("square", 4, 4, order="snake"), V=V)
    start = MPS.product(model.sites, ["full", "empty"] * 8)
    found = DMRG(truncation=Truncation(chi_max=12), max_sweeps=6).solve(model.mpo(), start)
    terms = PlaneTerms.from_sum(model.operator_sum(), model.sites, [v.cell for v in model.geometry.vertices])
    psi = wound(found.state, 4, terms.sites)
    measured = BoundaryMeasurement(truncation=Truncation(chi_max=200, svd_min=1e-13), directions="rows").measure(
        psi, terms
    )
    assert abs(measured.energy - found.energy) < 1e-9 and abs(measured.log_norm) < 1e-10
    if V == 0:
        line = np.eye(4, k=1) + np.eye(4, k=-1)
        levels = np.linalg.eigvalsh(-np.kron(line, np.eye(4)) - np.kron(np.eye(4), line))
        assert levels[:8].sum() < measured.energy < 0.99 * levels[:8].sum()


def test_simple_update_finds_ground_states_of_fermions():
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=Lattice("square", 2, 2), V=1.0))
    psi = PEPS.product(terms.sites, half_filled(terms))
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=4), imaginary=True)
    found = Cooling(update=update, dts=(0.2, 0.05), tol=1e-3).solve(terms, psi)
    values = np.linalg.eigvalsh(dense_hamiltonian(terms))
    energy = EXACT.measure(found.state.psi, terms).energy
    assert values[0] - 1e-12 < energy < values[0] + 0.02


def test_metrics_of_a_bond_are_norms():
    """Of a state with odd tensors, from its neighbours and from boundaries: positive, and the norm in Fock space."""
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=SQUARE))
    psi = PEPS.random(terms.sites, 2, states=[["full", "empty"], ["empty", "empty"]], seed=3, dtype=np.complex128)
    graph = bond_graph(psi.pattern, psi.closed)
    ones = [Spectrum(weight.leg, np.ones(weight.leg.dim)) for weight in WeightedPEPS.plain(psi).weights]
    neighbours, boundaries = (
        Neighbourhood(psi.tensors, ones, graph),
        BoundaryMetric(EXACT.truncation, graph, psi.tensors),
    )
    norm = np.linalg.norm(fock_state(psi)) ** 2
    for link in graph.links:
        frame = BondFrame.of(psi.tensors, link)
        exact, other = neighbourhood_metric(neighbours, frame), boundaries.metric(frame)
        assert abs(expectation(exact, frame.theta, frame.theta) - norm) < 1e-12 * norm
        assert (exact / exact.norm() - other / other.norm()).norm() < 1e-12
        matrix = fuse(exact, [(0, 1), (2, 3)], [1, -1]).to_dense()
        assert np.linalg.eigvalsh(matrix)[0] > -1e-12 and np.abs(matrix - matrix.conj().T).max() < 1e-12


@pytest.mark.parametrize(("shape", "filled"), [((3, 2), 2), ((4, 1), 2), ((3, 2), 3)])
def test_gates_around_a_cylinder_are_those_of_fock_space(shape, filled):
    (m, n), tau = shape, 0.3
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=Lattice("square", n, m, bc_y="periodic"), V=0.8))
    states = [["full" if i * n + j < filled else "empty" for j in range(n)] for i in range(m)]
    psi = CylinderPEPS.random(terms.sites, 2, states=states, seed=2)
    vector, H = fock_state(psi.opened()), dense_hamiltonian(terms.opened())
    exact = vector @ H @ vector / (vector @ vector)
    assert abs(EXACT.measure(psi, terms).energy - exact) < 1e-11
    update = SimpleUpdate(dt=tau, truncation=EXACT.truncation, imaginary=True, order=1)
    for term in terms.pairs:
        one = replace(terms, pairs=(term,), singles={})
        found = fock_state(update.run(one, psi, time=tau).state.psi.opened())
        moved = expm(-tau * dense_hamiltonian(one.opened())) @ vector
        assert abs(abs(found @ moved) / np.linalg.norm(found) / np.linalg.norm(moved) - 1) < 1e-12


@pytest.mark.parametrize("full", [False, True])
def test_updates_by_metrics_find_ground_states_of_fermions(full):
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=SQUARE, V=0.8))
    settings = {"dt": 0.2, "truncation": Truncation(chi_max=3), "imaginary": True, "every": 10}
    kind = FullUpdate(environment=Truncation(chi_max=36), **settings) if full else NeighbourhoodUpdate(**settings)
    found = kind.run(terms, PEPS.product(terms.sites, half_filled(terms)), time=2.0)
    lowest = np.linalg.eigvalsh(dense_hamiltonian(terms))[0]
    assert lowest - 1e-12 < found.energy < lowest + 0.05
    assert abs(EXACT.measure(found.state.psi, terms).energy - found.energy) < 1e-10


@pytest.mark.parametrize("V", [0.0, 0.8])
def test_fermions_at_a_temperature(V):
    """The grand canonical ensemble of four sites: ancillas are fermions too."""
    beta, terms = 1.0, PlaneTerms.of(models.SpinlessFermions(lattice=SQUARE, V=V, mu=0.3))
    update = FullUpdate(
        dt=0.1, truncation=Truncation(chi_max=8), environment=Truncation(chi_max=64), imaginary=True, every=5
    )
    hot, wide, H = infinitely_hot(terms), purified_terms(terms), dense_hamiltonian(terms)
    assert abs(EXACT.measure(hot, wide).energy - np.trace(H) / 16) < 1e-12
    cold = update.run(terms, hot, time=beta / 2)
    values = np.linalg.eigvalsh(H)
    exact = (values * np.exp(-beta * values)).sum() / np.exp(-beta * values).sum()
    assert abs(cold.energy - exact) < 3e-4
    assert abs(EXACT.measure(cold.state.psi, wide).energy - cold.energy) < 1e-9


def test_bonds_that_hold_more_than_their_surroundings_see_stay_exact():
    """Nothing is cut, and around a loop nothing needs to be as large: least squares must not fit the rounding."""
    beta, terms = 1.0, PlaneTerms.of(models.SpinlessFermions(lattice=SQUARE, V=0.0, mu=0.3))
    update = NeighbourhoodUpdate(dt=0.1, truncation=Truncation(chi_max=16, svd_min=1e-10), imaginary=True, every=5)
    cold = update.run(terms, infinitely_hot(terms), time=beta / 2)
    values = np.linalg.eigvalsh(dense_hamiltonian(terms))
    exact = (values * np.exp(-beta * values)).sum() / np.exp(-beta * values).sum()
    # all splittings of four sites are exact where V = 0: hops to the east and to the south commute
    assert abs(cold.energy - exact) < 1e-9


@pytest.mark.parametrize(("name", "D", "row"), [("t-V 3x3", 2, 1), ("t-V 3x3, parity", 3, 0), ("Hubbard", 2, 0)])
def test_schmidt_weights_between_rows_of_fermions(name, D, row):
    terms = PlaneTerms.of(CLUSTERS[name])
    psi = PEPS.random(terms.sites, D, states=half_filled(terms), seed=3, dtype=np.complex128)
    upper = psi.site(0, 0).dim ** ((row + 1) * psi.shape[1])
    exact = np.linalg.svd(fock_state(psi).reshape(upper, -1), compute_uv=False) ** 2
    found = entanglement_below(psi, row, EXACT).weights
    count = min(len(found), len(exact))
    assert np.abs(found[:count] - exact[:count] / exact.sum()).max() < 1e-12 and found[count:].sum() < 1e-12


@pytest.mark.parametrize("dtype", ["d", "D"])
def test_gradients_of_the_energy_of_fermions(dtype):
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=Lattice("square", 2, 3), V=0.8))
    psi = PEPS.random(terms.sites, 2, states=half_filled(terms), seed=3, dtype=dtype)
    energies = FiniteTerms(terms, Truncation(chi_max=32, svd_min=1e-12))

    def energy(*tensors):
        return energies.energy([tensors[2 * i : 2 * i + 2] for i in range(3)])

    vector = fock_state(psi)
    exact = np.vdot(vector, dense_hamiltonian(terms) @ vector).real / np.vdot(vector, vector).real
    assert abs(energy(*psi.tensors).item() - exact) < 1e-11
    check(energy, *psi.tensors)


def test_free_fermions_are_found_by_gradient():
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=SQUARE, V=0.0))
    settings = EnvironmentSettings(chi_max=16, svd_min=1e-10)
    minimum = VariationalPEPS(D=2, environment=settings, noise=0.3, restarts=0)
    found = minimum.solve(terms, PEPS.product(terms.sites, half_filled(terms)))
    assert found.status.converged and abs(found.energy + 2) < 1e-9


def test_fermions_stay_on_the_device_and_in_files(tmp_path):
    terms = PlaneTerms.of(CLUSTERS["t-V 2x3"])
    psi = PEPS.random(terms.sites, 2, states=half_filled(terms), seed=1)
    here = EXACT.measure(psi, terms).energy
    assert abs(EXACT.measure(psi.to("strict"), terms).energy - here) < 1e-10
    assert psi.sites[0][0].group.fermionic == (0,) and "of fermions" in repr(psi)
    save(tmp_path / "tensor.h5", psi.tensors[0])
    assert load(tmp_path / "tensor.h5").group == psi.sites[0][0].group


def test_fermions_that_are_not_counted_are_refused():
    plain = fermion_site(None)
    with pytest.raises(ChargeError, match='take conserve = "N" or "parity"'):
        PEPS.random([[plain] * 2] * 2, 2, seed=0)
    psi = PEPS.product([[fermion_site()] * 2] * 2, [["full", "empty"]] * 2)
    with pytest.raises(ChargeError, match="not counted"):
        PEPS(psi.rows, [[fermion_site()] * 2] * 2)
    terms = PlaneTerms.of(models.SpinlessFermions(lattice=Lattice("square", 2, 2)))
    with pytest.raises(ChargeError, match="model.sites"):
        MPS.product(terms.sites[0], ["full", "empty"])
    with pytest.raises(ChargeError, match="Jordan-Wigner"):
        MPO.identity(terms.sites[0])
    for make in (InfiniteMPS.product, lambda sites, _: InfiniteMPO.from_sum(OperatorSum().add(1.0, "N", 0), sites)):
        with pytest.raises(ChargeError, match="Jordan-Wigner"):
            make([terms.sites[0][0]], ["empty"])
    with pytest.raises(OperatorError, match="is fermionic"):
        EXACT.correlation(psi, "C", (0, 0), "Cdag")
