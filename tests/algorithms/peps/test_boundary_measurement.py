"""Finite PEPS measured by boundary MPS: against state vectors, exactly known states, and itself."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import tests.strict_device  # noqa: F401
import tnsim.models as models
from tests.exact.plane import dense_hamiltonian, dense_state, embedded_pair, energy
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement, boundary_memory
from tnsim.algorithms.peps.finite.entanglement_cut import entanglement_below
from tnsim.algorithms.peps.finite.peps_samples import sample_peps
from tnsim.algorithms.peps.ground_state import PEPSGroundState
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.solution import Status
from tnsim.errors import NumericalError, OperatorError, SettingsError, ShapeError, StateError
from tnsim.linalg import Truncation
from tnsim.models import Lattice
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.peps import PEPS, InfinitePEPS, PlaneTerms, grown
from tnsim.networks.peps.weighted import WeightedPEPS
from tnsim.networks.sites import spin_site, spin_sites
from tnsim.tensor import contract, from_dense

EXACT = Truncation(chi_max=256, svd_min=1e-14)
PLAIN = spin_site(conserve=None)


def neel(shape):
    return [["up" if (i + j) % 2 else "down" for j in range(shape[1])] for i in range(shape[0])]


def random_state(terms: PlaneTerms, D: int, seed: int = 1, dtype=np.complex128) -> PEPS:
    return PEPS.random(terms.sites, D, states=neel(terms.shape), seed=seed, dtype=dtype)


def mean(vector, operator):
    return np.vdot(vector, operator @ vector) / np.vdot(vector, vector)


def exact_pairs(psi: PEPS, terms: PlaneTerms) -> dict:
    """Means of all pairs from the state vector."""
    vector, places = dense_state(psi), list(psi.places())
    sites = [psi.site(*place) for place in places]
    found = {}
    for term in terms.pairs:
        operator = embedded_pair(sites, places.index(term.first), places.index(term.second), term.matrix)
        found[term.first, term.second] = mean(vector, operator)
    return found


MODELS = [
    models.J1J2(lattice=Lattice("square", 3, 3), J2=0.5),
    models.J1J2(lattice=Lattice("square", 4, 2), J2=0.5, conserve=None),
    models.Heisenberg(lattice=Lattice("square", 2, 4), field=0.3),
    models.TransverseIsing(lattice=Lattice("square", 3, 3), h=1.3, conserve=None),
    models.Heisenberg(lattice=Lattice("triangular", 3, 2)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{type(model).__name__} {model.geometry.kind}")
@pytest.mark.parametrize("directions", ["rows", "columns", "both"])
def test_random_states_give_what_their_vectors_give(model, directions):
    terms = PlaneTerms.of(model)
    psi = random_state(terms, 2)
    vector = dense_state(psi)
    found = BoundaryMeasurement(truncation=EXACT, directions=directions).measure(psi, terms)
    assert abs(found.energy - mean(vector, dense_hamiltonian(terms)).real) < 1e-11
    assert abs(found.log_norm - np.log(np.vdot(vector, vector).real)) < 1e-11
    for pair, value in exact_pairs(psi, terms).items():
        assert abs(found.pairs[pair] - value.real) < 1e-11
    assert directions != "both" or max(found.error, found.pair_error, found.norm_error) < 1e-11


def test_bonds_of_dimension_three():
    terms = PlaneTerms.of(models.J1J2(lattice=Lattice("square", 3, 3), J2=0.5, conserve=None))
    psi = random_state(terms, 3, dtype=np.float64)
    found = BoundaryMeasurement(truncation=EXACT).measure(psi, terms)
    for pair, value in exact_pairs(psi, terms).items():
        assert abs(found.pairs[pair] - value.real) < 1e-10


def test_pairs_further_apart_in_a_line():
    H = OperatorSum()
    for a, b in ((0, 2), (0, 6), (3, 5), (1, 7), (2, 3), (0, 5)):
        H = H.add(1.0, "S+", a, "S-", b).add(1.0, "S-", a, "S+", b).add(0.7, "Sz", a, "Sz", b)
    terms = PlaneTerms.from_sum(H, spin_sites(9), [(n // 3, n % 3) for n in range(9)])
    psi = random_state(terms, 2, seed=4)
    found = BoundaryMeasurement(truncation=EXACT).measure(psi, terms)
    for pair, value in exact_pairs(psi, terms).items():
        assert abs(found.pairs[pair] - value.real) < 1e-11


def test_terms_that_are_not_hermitian():
    terms = PlaneTerms.from_sum(
        OperatorSum().add(1.0j, "S+", 0, "S-", 1), spin_sites(4), [(0, 0), (0, 1), (1, 0), (1, 1)]
    )
    psi = random_state(terms, 2)
    exact = mean(dense_state(psi), dense_hamiltonian(terms))
    assert abs(BoundaryMeasurement(truncation=EXACT).measure(psi, terms).energy - exact) < 1e-12


def test_means_and_correlations_against_the_vector():
    terms = PlaneTerms.of(MODELS[0])
    psi = random_state(terms, 2, seed=3)
    run, vector = BoundaryMeasurement(truncation=EXACT), dense_state(psi)
    Sz = [np.kron(np.kron(np.eye(2**k), PLAIN.op("Sz")), np.eye(2 ** (8 - k))) for k in range(9)]
    exact = np.array([mean(vector, matrix).real for matrix in Sz]).reshape(3, 3)
    found = run.means(psi, "Sz", "S+")
    assert np.abs(found[0] - exact).max() < 1e-12 and not found[1].any()
    pairs = np.array([mean(vector, Sz[4] @ matrix).real for matrix in Sz]).reshape(3, 3)
    assert np.abs(run.correlation(psi, "Sz", (1, 1), "Sz") - pairs).max() < 1e-11
    connected = run.correlation(psi, "Sz", (1, 1), "Sz", connected=True)
    assert np.abs(connected - (pairs - exact[1, 1] * exact)).max() < 1e-11


def regauged(psi: PEPS, seed: int) -> PEPS:
    """The same state with a random matrix and its inverse on every bond."""
    rng = np.random.default_rng(seed)
    tensors = list(psi.tensors)
    for bond in psi.bonds():
        a, b = psi.number(*bond.first), psi.number(*bond.second)
        leg = tensors[a].legs[bond.direction]
        matrix = np.eye(leg.dim) + 0.3 * rng.normal(size=(leg.dim, leg.dim))
        into = from_dense(matrix, [leg.dual, leg])
        back = from_dense(np.linalg.inv(matrix), [leg.dual, leg])
        east = bond.direction == 1
        tensors[a] = contract(
            "n e s w p, e x -> n x s w p" if east else "n e s w p, s x -> n e x w p", tensors[a], into
        )
        tensors[b] = contract(
            "n e s w p, x w -> n e s x p" if east else "n e s w p, x n -> x e s w p", tensors[b], back
        )
    return psi.with_tensors(tensors)


def test_energy_and_norm_do_not_depend_on_the_gauge():
    terms = PlaneTerms.of(models.J1J2(lattice=Lattice("square", 3, 3), J2=0.5, conserve=None))
    psi = random_state(terms, 2)
    run = BoundaryMeasurement(truncation=EXACT)
    one, other = run.measure(psi, terms), run.measure(regauged(psi, 0), terms)
    assert abs(one.energy - other.energy) < 1e-10 and abs(one.log_norm - other.log_norm) < 1e-10


def test_truncated_boundaries_converge_and_say_how_far_they_are():
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 4, 4), conserve=None))
    psi = grown(PEPS.product(terms.sites, neel((4, 4))), 3, noise=0.15, seed=0)
    vector, exact = dense_state(psi).reshape((2,) * 16), 0.0
    for term in terms.pairs:
        a, b = (4 * i + j for i, j in (term.first, term.second))
        moved = np.moveaxis(vector, (a, b), (0, 1)).reshape(4, -1)
        exact += np.vdot(moved, term.matrix @ moved).real / np.vdot(moved, moved).real
    errors = []
    for chi in (4, 8, 16):
        found = BoundaryMeasurement(truncation=Truncation(chi_max=chi)).measure(psi, terms)
        errors.append(abs(found.energy - exact))
        assert errors[-1] < 10 * found.error + 1e-10
    assert errors[2] < 1e-3 * errors[0] and errors[2] < 1e-6


def test_the_error_covers_that_of_random_states():
    """At least 13 of 15 true errors lie below the estimate, and none above four times it; of 36 states it was 34."""
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 4, 4), conserve=None))
    run, ratios = BoundaryMeasurement(truncation=Truncation(chi_max=4)), []
    for seed in range(5):
        states = [grown(PEPS.product(terms.sites, neel((4, 4))), 3, noise=noise, seed=seed) for noise in (0.15, 0.4)]
        for psi in (*states, PEPS.random(terms.sites, 2, seed=seed)):
            found = run.measure(psi, terms)
            ratios.append(abs(found.energy - energy(terms, dense_state(psi))) / found.error)
    assert np.sum(np.array(ratios) < 1) >= 13 and max(ratios) < 4, ratios


def test_the_error_is_seen_where_rows_and_columns_are_alike():
    """On a square lattice the energies from rows and from columns may agree however wrong both are."""
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 4, 4), conserve=None))
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=3), imaginary=True, every=10)
    psi = update.run(terms, PEPS.product(terms.sites, neel((4, 4))), time=2.0).state.psi
    exact = BoundaryMeasurement(truncation=Truncation(chi_max=40)).measure(psi, terms)
    for chi in (4, 6):
        found = BoundaryMeasurement(truncation=Truncation(chi_max=chi)).measure(psi, terms)
        assert abs(found.energy - exact.energy) < 3 * found.error
        assert abs(found.energy / exact.energy - 1) < found.weight_per_cut


def test_a_rough_measurement_is_no_result():
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 2, 2)))
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    cooling = Cooling(update=update, dts=(0.1,), tol=1e-3)
    start = PEPS.product(terms.sites, neel((2, 2)))

    def found(chi, resume=None):
        rough = BoundaryMeasurement(truncation=Truncation(chi_max=chi))
        return PEPSGroundState(preparation=cooling, contraction=rough).solve(terms, start, resume=resume)

    assert found(4).status.converged and found(4).measurement.weight == 0
    few = found(1)
    assert few.prepared.status.converged and few.status.name == "measured roughly"
    assert "raise chi" in few.status.advice and few.energy - found(4).energy > 0.01
    # that the preparation has not converged either hides neither
    hasty = replace(few.prepared, status=Status("max_steps reached", False, "bonds still change."))
    both = found(1, replace(few, prepared=hasty)).status
    assert both.name == "measured roughly" and "raise chi. Before that, bonds still change." in both.advice


def test_operators_that_change_a_charge_are_measured_without_it():
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 3, 2)))
    psi = random_state(terms, 2, seed=5)
    run, free, vector = BoundaryMeasurement(truncation=EXACT), psi.without_symmetry(), dense_state(psi)
    up, down = PLAIN.op("S+"), PLAIN.op("S-")
    exact = [mean(vector, np.kron(np.kron(up, np.eye(2**k)), np.kron(down, np.eye(2 ** (4 - k))))) for k in range(5)]
    assert np.abs(run.correlation(free, "S+", (0, 0), "S-").ravel()[1:] - exact).max() < 1e-12
    with pytest.raises(OperatorError, match=r"without_symmetry\(\)"):
        run.correlation(psi, "S+", (0, 0), "S-")


def test_the_norm_alone_is_that_of_the_measurement():
    terms = PlaneTerms.of(MODELS[0])
    psi = random_state(terms, 2)
    run = BoundaryMeasurement(truncation=EXACT)
    norm = run.norm(psi)
    assert abs(norm.log - run.measure(psi, terms).log_norm) < 1e-11 and norm.error < 1e-11
    assert "ln <psi|psi>" in repr(norm) and "between rows and columns" in repr(run.measure(psi, terms))


@pytest.mark.parametrize(("D", "chi"), [(2, 16), (3, 18)])
def test_the_memory_that_boundaries_take_is_known_before(D, chi):
    """More than the allocations at their peak, by less than a factor of six."""
    terms = PlaneTerms.of(models.Heisenberg(lattice=Lattice("square", 4, 5), conserve=None))
    psi, run = random_state(terms, D, dtype=float), BoundaryMeasurement(truncation=Truncation(chi_max=chi))
    run.measure(psi, terms)  # plans
    tracemalloc.start()
    run.measure(psi, terms)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < boundary_memory(psi, chi) < 6 * peak
    assert boundary_memory(psi, 10**6) == boundary_memory(psi, D**5)  # no boundary has more


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_measurements_stay_on_the_device(dtype):
    terms = PlaneTerms.of(MODELS[0])
    psi = random_state(terms, 2, dtype=dtype)
    run = BoundaryMeasurement(truncation=Truncation(chi_max=64, svd_min=1e-6))
    here, there = run.measure(psi, terms), run.measure(psi.to("strict"), terms)
    assert abs(here.energy - there.energy) < 1e-4


def test_bad_input_is_refused():
    terms = PlaneTerms.of(MODELS[0])
    psi = random_state(terms, 2)
    run = BoundaryMeasurement(truncation=EXACT)
    with pytest.raises(SettingsError, match="unknown directions 'row'"):
        BoundaryMeasurement(truncation=EXACT, directions="row")
    with pytest.raises(ShapeError, match="of one shape"):
        run.measure(psi, PlaneTerms.of(MODELS[1]))
    with pytest.raises(ShapeError, match="differ in the site"):
        run.measure(psi, PlaneTerms.of(models.J1J2(lattice=Lattice("square", 3, 3), conserve=None)))
    far = PlaneTerms.from_sum(
        OperatorSum().add(1.0, "Sz", 0, "Sz", 8), spin_sites(9), [(n // 3, n % 3) for n in range(9)]
    )
    with pytest.raises(OperatorError, match=r"do not see the pair \(0, 0\), \(2, 2\)"):
        run.measure(psi, far)
    endless = InfinitePEPS.product([PLAIN], ["up"], [[0]])
    for measured in (run.norm, lambda psi: run.means(psi, "Sz"), lambda psi: run.measure(psi, terms)):
        with pytest.raises(StateError, match="CTMRG for an InfinitePEPS"):
            measured(endless)
    with pytest.raises(StateError, match="psi of a WeightedPEPS"):
        sample_peps(WeightedPEPS.plain(psi), 2, run)
    with pytest.raises(SettingsError, match="one row"):
        entanglement_below(PEPS.product([[PLAIN]], [["up"]]), 0, run)
    with pytest.raises(OperatorError, match="measured by PlaneTerms"):
        run.measure(psi, MODELS[0].mpo())
    with pytest.raises(ShapeError, match="0 sites"):
        PlaneTerms.from_sum(OperatorSum(), [], [])
    with pytest.raises(ShapeError, match="rows of one length"):
        PlaneTerms.infinite_of(MODELS[0], [])
    with pytest.raises(OperatorError, match="changes a charge"):
        run.correlation(psi, "S+", (0, 0), "S-")
    with pytest.raises(NumericalError, match="vanishes"):
        run.norm(psi.with_tensors([psi.tensors[0] * 0.0, *psi.tensors[1:]]))
