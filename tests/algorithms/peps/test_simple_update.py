"""Simple update: exact on trees, of its order, and at the energies that are known for the infinite lattice."""

import numpy as np
import pytest
from scipy.linalg import expm

from tests.exact.plane import dense_hamiltonian, dense_state, distance, mean
from tests.strict_device import sync_budget
from tnsim.algorithms.peps.infinite.infinite_measure import measure_infinite
from tnsim.algorithms.peps.updates import path_update
from tnsim.algorithms.peps.updates.belief_propagation import gauge_error, super_orthogonal
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.plane.ctmrg import CTMRG
from tnsim.errors import OperatorError, SettingsError, ShapeError, StateError
from tnsim.io.evolved import EvolutionCheckpointer, write_evolved
from tnsim.io.files import load
from tnsim.linalg import Truncation
from tnsim.models import J1J2, Heisenberg, Lattice, TransverseIsing
from tnsim.networks.gates import gate_tensor
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.peps import PEPS, InfinitePEPS, PairTerm, PlaneTerms
from tnsim.networks.peps.bond_graph import Walk
from tnsim.networks.peps.weighted import WeightedPEPS
from tnsim.networks.sites import spin_site, spin_sites

AB = [[0, 1], [1, 0]]


def heisenberg(m, n, conserve="Sz"):
    terms = PlaneTerms.of(Heisenberg(lattice=Lattice("square", n, m), conserve=conserve))
    states = [["up" if (i + j) % 2 else "down" for j in range(n)] for i in range(m)]
    return terms, PEPS.product(terms.sites, states)


def infinite(conserve="Sz"):
    terms = PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 2), conserve=conserve), AB)
    return terms, InfinitePEPS.product([terms.site(0, 0)] * 2, ["up", "down"], AB)


@pytest.mark.parametrize("imaginary", [True, False])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_on_a_tree_it_is_exact_and_of_second_order(imaginary, shape):
    terms, psi = heisenberg(*shape)
    H = dense_hamiltonian(terms)
    exact = expm((-1 if imaginary else -1j) * 0.4 * H) @ dense_state(psi)
    errors = []
    for dt in (0.1, 0.05):
        update = SimpleUpdate(dt=dt, truncation=Truncation(chi_max=8, svd_min=1e-12), imaginary=imaginary, every=100)
        found = update.run(terms, psi, time=0.4)
        errors.append(distance(dense_state(found.state.psi), exact))
        assert gauge_error(found.state) < 1e-6
        assert found.energy == pytest.approx(mean(H, dense_state(found.state.psi)), abs=1e-9)
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2
    assert errors[1] < 1e-3


def test_the_energy_goes_down_in_imaginary_time():
    terms, psi = heisenberg(1, 6)
    update = SimpleUpdate(dt=0.05, truncation=Truncation(chi_max=8), imaginary=True)
    energies = [report.energy for report in update.steps(terms, psi, time=3.0)]
    assert np.all(np.diff(energies) < 0)


@pytest.mark.parametrize("order", [1, 2])
def test_orders_in_a_plaquette(order):
    """Nothing is cut, so loops do no harm."""
    terms, psi = heisenberg(2, 2)
    exact = expm(-0.2 * dense_hamiltonian(terms)) @ dense_state(psi)
    errors = []
    for dt in (0.1, 0.05):
        update = SimpleUpdate(dt=dt, truncation=Truncation(chi_max=64, svd_min=1e-13), imaginary=True, order=order)
        errors.append(distance(dense_state(update.run(terms, psi, time=0.2).state.psi), exact))
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.3


def test_fourth_order_on_a_chain():
    terms, psi = heisenberg(1, 5)
    exact = expm(-0.8j * dense_hamiltonian(terms)) @ dense_state(psi)
    errors = []
    for dt in (0.4, 0.2):
        update = SimpleUpdate(dt=dt, truncation=Truncation(chi_max=8, svd_min=1e-13), order=4)
        errors.append(distance(dense_state(update.run(terms, psi, time=0.8).state.psi), exact))
    assert abs(np.log2(errors[0] / errors[1]) - 4) < 0.2


@pytest.mark.parametrize("ends", [((0, 0), (1, 1)), ((0, 1), (1, 0)), ((0, 0), (0, 2)), ((0, 2), (1, 0))])
def test_a_gate_is_led_over_a_way(ends):
    """Over corners, along lines, and against the direction of bonds: exact where nothing is cut."""
    terms, _ = heisenberg(2, 3)
    start = PEPS.random(terms.sites, D=2, states=[["up", "down", "up"], ["down", "up", "down"]], seed=3)
    pair = PairTerm(*ends, heisenberg(1, 2)[0].pairs[0].matrix)
    single = PlaneTerms(terms.sites, {}, (pair,), False, True)
    update = SimpleUpdate(dt=0.3, truncation=Truncation(chi_max=64, svd_min=1e-13))
    found = update.run(single, start, time=0.3).state
    exact = expm(-0.3j * dense_hamiltonian(single)) @ dense_state(start)
    assert distance(dense_state(found.psi), exact) < 1e-9


def test_second_neighbours_on_a_chain_are_exact():
    H = OperatorSum()
    for k in range(4):
        H += 1.0, "Sz", k, "Sz", k + 1
        H += 0.5, "S+", k, "S-", k + 1
        H += 0.5, "S-", k, "S+", k + 1
        if k < 3:
            H += 0.3, "Sz", k, "Sz", k + 2
    terms = PlaneTerms.from_sum(H, spin_sites(5), [(0, k) for k in range(5)])
    psi = PEPS.product(terms.sites, [["up", "down", "up", "down", "up"]])
    exact = expm(-0.4j * dense_hamiltonian(terms)) @ dense_state(psi)
    errors = []
    for dt in (0.2, 0.1):
        update = SimpleUpdate(dt=dt, truncation=Truncation(chi_max=16, svd_min=1e-13))
        errors.append(distance(dense_state(update.run(terms, psi, time=0.4).state.psi), exact))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2


def test_energies_go_down_and_reach_the_bethe_lattice():
    """The energies of belief propagation at D = 2, 3 (a NumPy program with the same gauge found -0.65048, -0.65211)."""
    for conserve, D, energy in (("Sz", 2, -0.650478), (None, 3, -0.652106)):
        terms, psi = infinite(conserve)
        update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=D, svd_min=1e-10), imaginary=True)
        found = Cooling(update=update, dts=(0.1, 0.03, 0.01)).solve(terms, psi)
        assert found.status.name == "converged"
        assert found.energy == pytest.approx(energy, abs=2e-6)
        energies = [report.energy for report in found.history]
        assert all(after <= before + 2e-5 for before, after in zip(energies, energies[1:], strict=False))
        assert found.history[-1].time < 20 and found.history[-1].dt is None


def test_the_vidal_gauge_changes_the_tensors_and_not_the_state():
    sites = heisenberg(2, 3, None)[0].sites
    psi = PEPS.random(sites, D=3, seed=1, dtype=np.complex128)
    found = super_orthogonal(psi, tol=1e-12)
    assert gauge_error(found) < 1e-8 < gauge_error(WeightedPEPS.plain(psi))
    assert distance(dense_state(found.psi), dense_state(psi)) < 1e-10
    for weight in found.weights:
        assert np.sum(weight.values**2) == pytest.approx(1)


def test_cooling_goes_on_where_it_was_stopped():
    terms, psi = infinite()
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    cooling = Cooling(update=update, dts=(0.1, 0.05), tol=1e-4)
    whole = cooling.solve(terms, psi)

    class Stop:
        def step(self, report, run):
            if report.step == 30:
                run.request_stop("enough")

    part = cooling.solve(terms, psi, [Stop()])
    assert part.status.name == "interrupted"
    rest = cooling.solve(terms, part.state, resume=part)
    assert rest.status.name == "converged" and rest.energy == pytest.approx(whole.energy, abs=1e-8)
    short = Cooling(update=update, dts=(0.1,), tol=1e-9, max_steps=10).solve(terms, psi)
    assert short.status.name == "max_steps reached" and "raise max_steps" in short.status.advice


def test_cooling_takes_no_more_steps_than_asked_for():
    """Between reports and after a stop alike: 25 of each length."""
    terms, psi = infinite()
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    cooling = Cooling(update=update, dts=(0.1, 0.05), tol=1e-9, max_steps=25, every=10)

    class Stop:
        def step(self, report, run):
            if report.step == 35:
                run.request_stop("enough")

    part = cooling.solve(terms, psi, [Stop()])
    rest = cooling.solve(terms, part.state, resume=part)
    assert [report.step for report in rest.history] == [0, 10, 20, 25, 35, 45, 50]
    # what came to its end goes on at the last length
    assert cooling.solve(terms, rest.state, resume=rest).history[-1].step == 75


@pytest.mark.parametrize("kind", [infinite, lambda: heisenberg(2, 3)])
def test_a_run_is_saved_and_goes_on(kind, tmp_path):
    terms, psi = kind()
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    whole = update.run(terms, psi, time=1.0)
    part = update.run(terms, psi, time=0.5, observers=[EvolutionCheckpointer(tmp_path / "run.h5", seconds=0)])
    write_evolved(tmp_path / "run.h5", part)
    found = load(tmp_path / "run.h5")
    assert repr(found.state) == repr(part.state)
    rest = update.run(terms, found.state, time=1.0, resume=found)
    assert rest.energy == pytest.approx(whole.energy, abs=1e-9) and len(rest.history) == len(whole.history)


def test_on_the_device():
    terms, psi = infinite()
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True, every=5)
    expected = update.run(terms, psi, time=1.0)
    with sync_budget(10 * 6 * 8 + 2500):
        found = update.run(terms, psi.to("strict"), time=1.0)
    assert found.state.backend.name == "strict" and found.energy == pytest.approx(expected.energy, abs=1e-10)


def test_wrong_input():
    terms, psi = infinite()
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    finite_terms, finite = heisenberg(2, 2)
    with pytest.raises(OperatorError, match="PlaneTerms"):
        update.run(Heisenberg(L=4), psi, time=1.0)
    with pytest.raises(StateError, match="PEPS"):
        update.run(terms, None, time=1.0)
    with pytest.raises(ShapeError, match="do not fit"):
        update.run(terms, finite, time=1.0)
    with pytest.raises(StateError, match="conserve"):
        update.run(terms, infinite(None)[1], time=1.0)
    with pytest.raises(SettingsError, match="step_tol"):
        SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), step_tol=1e-3)
    with pytest.raises(SettingsError, match="imaginary"):
        Cooling(update=SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2)))
    one = PlaneTerms.infinite_of(Heisenberg(lattice=Lattice("square", 2, 1)), [[0]])
    with pytest.raises(OperatorError, match="larger cell"):
        update.run(one, InfinitePEPS.product([one.site(0, 0)], ["up"], [[0]]), time=1.0)
    far = PlaneTerms.from_sum(
        OperatorSum().add(1.0, "Sz", 0, "Sz", 9), finite_terms.sites[0] * 5, [(0, k) for k in range(10)]
    )
    with pytest.raises(OperatorError, match="not neighbours"):
        update.run(far, PEPS.product(far.sites, [["up"] * 10]), time=1.0)


def test_a_term_on_one_site_is_shared_by_bonds():
    terms = PlaneTerms.of(TransverseIsing(lattice=Lattice("square", 3, 1), h=1.0))
    psi = PEPS.product(terms.sites, [[np.array([0.8, 0.6])] * 3])
    update = SimpleUpdate(dt=0.05, truncation=Truncation(chi_max=4, svd_min=1e-12), imaginary=True, every=200)
    exact = np.linalg.eigvalsh(dense_hamiltonian(terms))[0]
    assert update.run(terms, psi, time=20.0).energy == pytest.approx(exact, abs=2e-4)


def test_second_neighbours_on_the_infinite_lattice():
    """J1-J2 at J2 = 0.2, D = 2: above the optimum of J. Hasik's states, -0.581025, and near it."""
    pattern = [[0, 1], [2, 3]]
    terms = PlaneTerms.infinite_of(J1J2(lattice=Lattice("square", 2, 2), J2=0.2), pattern)
    psi = InfinitePEPS.product([terms.site(0, 0)] * 4, ["up", "down", "down", "up"], pattern)
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    found = Cooling(update=update, dts=(0.1, 0.03), tol=1e-3).solve(terms, psi)
    ctmrg = CTMRG(truncation=Truncation(chi_max=12), symmetric=False, tol=1e-6, check_every=4)
    energy = measure_infinite(ctmrg.solve(found.state.psi).environment, terms).energy
    assert -0.581025 < energy < -0.575
    checkerboard = PlaneTerms.infinite_of(J1J2(lattice=Lattice("square", 2, 2), J2=0.2), AB)
    with pytest.raises(OperatorError, match="larger cell"):
        update.run(checkerboard, InfinitePEPS.product([terms.site(0, 0)] * 2, ["up", "down"], AB), time=1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("way", range(4))
def test_bare_arrays_do_what_tensors_do(way, dtype, monkeypatch):
    """All directions of a walk, with and without a gate, an ancilla's leg beside."""
    site = spin_site(conserve=None)
    psi = PEPS.random([[site] * 2] * 2, D=3, seed=4, dtype=dtype)
    start = super_orthogonal(psi, tol=1e-3, max_rounds=1)
    number = (3, 0, 0, 1)[way]  # north, east, south, west of these there is a neighbour
    other = start.graph.neighbour(number, way)
    matrix = expm(-0.1 * heisenberg(1, 2, None)[0].pairs[0].matrix)
    gate = gate_tensor(matrix, (site, site)).astype(dtype)
    for operator in (gate, None):
        found = []
        for plain in (True, False):
            monkeypatch.setattr(path_update, "is_plain", lambda *_, plain=plain: plain)
            tensors, weights = start.dressed(), list(start.weights)
            walk, cut = Walk((number, other), (way,)), Truncation(chi_max=2)
            done = path_update.update_path(tensors, weights, start.graph, walk, operator, cut)
            state = WeightedPEPS.undressed(start.psi, tensors, weights)
            found.append((done, dense_state(state.psi), weights))
        (first, a, kept), (second, b, others) = found
        near = 1e-4 if dtype == np.float32 else 1e-10
        assert first == pytest.approx(second, rel=near) and distance(a, b) < near
        for one, two in zip(kept, others, strict=True):
            assert one.leg is two.leg and np.abs(one.values - two.values).max() < near
