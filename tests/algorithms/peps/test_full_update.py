"""Full update: energies of known states, lower than simple update, and what it does with bad environments."""

import numpy as np
import pytest
from scipy.linalg import expm

from tests.algorithms.peps.test_simple_update import heisenberg, infinite
from tests.exact.plane import dense_hamiltonian, dense_state, distance, mean
from tnsim.algorithms.peps.updates import boundary_metric
from tnsim.algorithms.peps.updates.bond_fit import expectation
from tnsim.algorithms.peps.updates.bond_frame import BondFrame
from tnsim.algorithms.peps.updates.bond_truncation import positive
from tnsim.algorithms.peps.updates.boundary_metric import BoundaryMetric
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.corner_metric import CornerMetric
from tnsim.algorithms.peps.updates.full_update import FullUpdate
from tnsim.algorithms.peps.updates.path_update import act
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.errors import SettingsError
from tnsim.linalg import Truncation
from tnsim.models import Lattice, TransverseIsing
from tnsim.networks.gates import gate_tensor
from tnsim.networks.peps import PEPS, InfinitePEPS, PairTerm, PlaneTerms
from tnsim.networks.peps.weighted import WeightedPEPS
from tnsim.tensor import Tensor, contract, eye


def cooled(D, conserve="Sz"):
    terms, psi = infinite(conserve)
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=D, svd_min=1e-10), imaginary=True)
    return terms, Cooling(update=update, dts=(0.1, 0.03, 0.01), tol=1e-4).solve(terms, psi).state


def full(D, chi, **changes):
    settings = {"dt": 0.05, "truncation": Truncation(chi_max=D), "environment": Truncation(chi_max=chi)}
    return FullUpdate(**(settings | {"imaginary": True} | changes))


def test_it_measures_and_improves_simple_update():
    """Simple update at D = 2: -0.65923 (a NumPy program), -0.6594 (P. Corboz, Phys. Rev. B 94, 035133 (2016))."""
    terms, state = cooled(2)
    found = full(2, 10, every=5).run(terms, state, time=0.5)
    energies = [report.energy for report in found.history]
    assert energies[0] == pytest.approx(-0.65923, abs=5e-5)
    assert energies[-1] < energies[0] - 1.5e-4 and np.all(np.diff(energies) < 0)
    assert energies[-1] > -0.66024  # the optimum at D = 2, -0.66023109
    assert found.history[-1].clipped < 1e-6 and found.status.converged
    again = full(2, 20, projector="full").propagator(terms, found.state).energy(0.0)
    assert again == pytest.approx(energies[-1], abs=2e-5)


def published():
    """J. Hasik's state of one tensor at D = 3 with charges 0, 2, 0 on its bonds, second sublattice turned upside down.

    Its numbers on phys and on (north, west, south, east), each the norm of all that the symmetries of the square lead
    it to: j1j2_ipeps_states, single-site_pg-C4v-A1_internal-U1/j20.0, D = 3, chi_opt = 72.
    """
    numbers = {
        "11222": 1.0, "00222": 0.3566495454318669, "02222": -0.01732843774078798, "00202": 0.4227036534709078,
        "00022": 0.5107228093236208, "00002": 0.5809497493044713, "00000": 0.5577458563631746,
        "10212": 0.3351700271582805, "10122": 0.549873734412699, "10012": 0.32612061009482773,
        "10102": 0.2577024134288078, "10001": 0.23163428387994028,
    }  # fmt: skip
    array = np.zeros((3, 3, 3, 3, 2))
    for name, number in numbers.items():
        phys, *legs = map(int, name)
        turned = [legs[k:] + legs[:k] for k in range(4)]
        places = {tuple(places) for found in turned for places in (found, found[::-1])}
        for place in places:
            array[(*place, phys)] = number / len(places) ** 0.5
    terms, psi = infinite(None)
    like = InfinitePEPS.random(psi.kinds, 3, psi.pattern, seed=0)
    pair = array, array[..., ::-1] * np.array([1.0, -1.0])
    return terms, like.with_tensors([
        Tensor(tensor.legs, data.ravel().copy()) for tensor, data in zip(like.tensors, pair, strict=True)
    ])  # fmt: skip


def test_it_sees_the_energy_of_a_published_minimum_and_leaves_it():
    """-0.6646014336, the minimum over these charges: full update rises from there, by 2e-5 in a step of 0.1."""
    terms, psi = published()
    found = full(3, 12, dt=0.1, every=1, env_tol=1e-6).run(terms, psi, time=0.1)
    energies = [report.energy for report in found.history]
    assert energies[0] == pytest.approx(-0.6646014335619, abs=4e-6)  # 2.5e-6 is what chi = 12 cuts, 7e-7 at 16
    assert energies[1] > energies[0] + 1e-5


@pytest.mark.parametrize("way", range(2))
def test_the_metric_of_a_finite_lattice_is_exact(way):
    """Means of a bond in its metric against the whole state, rows and columns, complex with charges."""
    terms, _ = heisenberg(3, 3)
    states = [["up" if (i + j) % 2 else "down" for j in range(3)] for i in range(3)]
    psi = PEPS.random(terms.sites, D=2, states=states, seed=1, dtype=np.complex128)
    graph, vector = WeightedPEPS.plain(psi).graph, dense_state(psi)
    around = BoundaryMetric(Truncation(chi_max=64), graph, psi.tensors)
    matrix = terms.pairs[0].matrix
    operator = gate_tensor(matrix, (terms.sites[0][0],) * 2).astype(np.complex128)
    for link in graph.links[way::2]:
        frame = BondFrame.of(psi.tensors, link)
        metric, share = positive(around.metric(frame))
        found = expectation(metric, frame.theta, act(operator, frame.theta))
        pair = PairTerm(divmod(link.first, 3), divmod(link.second, 3), matrix)
        exact = mean(dense_hamiltonian(PlaneTerms(terms.sites, {}, (pair,), False, True)), vector)
        assert found / expectation(metric, frame.theta, frame.theta) == pytest.approx(exact, abs=1e-11)
        assert share < 1e-12


def test_no_two_tensors_come_nearer_to_a_gate():
    """Least squares over all numbers of either tensor, on whole vectors, gain less than a part in 10^4 of the error.

    The isometries of both tensors are square here (three bonds of 2), so that reduced tensors hold all there is.
    """
    terms, _ = heisenberg(2, 3, None)
    psi = PEPS.random(terms.sites, D=2, seed=3)
    pair = PairTerm((0, 1), (1, 1), terms.pairs[0].matrix)
    single = PlaneTerms(terms.sites, {}, (pair,), False, True)
    target = expm(-0.2 * dense_hamiltonian(single).real) @ dense_state(psi)
    errors = []
    for sweeps in (0, 50):
        found = full(2, 64, dt=0.2, sweeps=sweeps).run(single, psi, time=0.2).state.psi
        vector = dense_state(found)
        rest = target - vector * (vector @ target / (vector @ vector))
        errors.append(rest @ rest)
    assert errors[1] < 0.9 * errors[0]
    for number in (1, 4):
        site, tensors = found.tensors[number], list(found.tensors)
        columns = []
        for unit in np.eye(site.size):
            tensors[number] = Tensor(site.legs, unit)
            columns.append(dense_state(found.with_tensors(tensors)))
        least = np.linalg.lstsq(np.array(columns).T, target, rcond=None)[1].item()
        assert least * (1 - 1e-12) <= errors[1] < least * (1 + 1e-4)


def test_a_finite_lattice_against_exact_diagonalisation():
    """3 x 3 in the paramagnet at D = 2, and boundaries that are kept give what new ones give."""
    terms = PlaneTerms.of(TransverseIsing(lattice=Lattice("square", 3, 3), h=3.04438, conserve="parity"))
    psi = PEPS.product(terms.sites, [["up"] * 3] * 3)
    found = full(2, 16, dt=0.1, every=10).run(terms, psi, time=1.0)
    assert found.energy / 9 == pytest.approx(-28.455559567670 / 9, abs=4e-4)
    again = full(2, 16).propagator(terms, found.state).energy(0.0)
    assert again == pytest.approx(found.energy, abs=1e-9)
    assert found.energy == pytest.approx(mean(dense_hamiltonian(terms), dense_state(found.state.psi)), abs=1e-8)


def test_gates_row_by_row_are_those_of_the_layers(monkeypatch):
    """Where nothing is cut, all layers along rows, done row by row, are what they are one after the other; each
    boundary is made once for all of them."""
    terms, psi = heisenberg(3, 3)
    made, exact = [], boundary_metric.next_boundary
    monkeypatch.setattr(boundary_metric, "next_boundary", lambda *x: made.append(1) or exact(*x))
    rows, layers = (full(8, 64, dt=0.1, order=1).propagator(terms, psi) for _ in range(2))
    layers._passes = super(type(layers), layers)._passes
    counts = []
    for way in (rows, layers):
        made.clear()
        weight, _ = way.advance(0.0, 0.1, 1)
        counts.append(len(made))
        assert weight < 1e-12
    assert distance(*(dense_state(way.state.psi) for way in (rows, layers))) < 1e-6
    assert counts == [8, 16]


def test_real_time_on_a_finite_lattice():
    terms, psi = heisenberg(2, 3)
    exact = expm(-0.4j * dense_hamiltonian(terms)) @ dense_state(psi)
    update = full(4, 16, dt=0.1, imaginary=False, every=10, order=4)
    found = update.run(terms, psi, time=0.4)
    # what 4 states on every bond leave
    assert distance(dense_state(found.state.psi), exact) < 5e-3 and abs(found.history[-1].norm_drift) < 1e-4


def test_a_bad_environment_stops_the_run(monkeypatch):
    terms, state = cooled(2)
    exact = CornerMetric.metric

    def bent(self, frame):
        metric = exact(self, frame)
        a, b = (eye(leg) for leg in metric.legs[:2])
        return metric - contract("a c, b d -> a b c d", a, b) * (0.1 * metric.norm())

    monkeypatch.setattr(CornerMetric, "metric", bent)
    found = full(2, 12).run(terms, state, time=1.0)
    assert found.status.name == "environment not positive" and "raise chi_max" in found.status.advice
    assert found.history[-1].clipped > 0.05 and found.history[-1].time < 1.0


def test_settings_are_checked():
    with pytest.raises(SettingsError, match="env_steps"):
        full(2, 12, env_steps=0)
    with pytest.raises(SettingsError, match="projector"):
        full(2, 12, projector="quarter")
    with pytest.raises(SettingsError, match="step_tol"):
        full(2, 12, step_tol=1e-3)


@pytest.mark.slow
def test_on_the_device():
    terms, state = cooled(2)
    update = full(2, 6, env_tol=1e-3)
    expected = update.run(terms, state, time=0.05)
    found = update.run(terms, state.to("strict"), time=0.05)
    assert found.state.backend.name == "strict" and found.energy == pytest.approx(expected.energy, abs=1e-8)
