"""PEPS on cylinders: states, updates and measurement against vectors and exact diagonalisation of small rings."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn
from tests.command_line import call
from tests.exact.plane import dense_hamiltonian, dense_state, distance, mean
from tests.strict_device import sync_budget
from tnsim.algorithms.peps.finite.boundary_measurement import BoundaryMeasurement
from tnsim.algorithms.peps.finite.entanglement_cut import entanglement_below
from tnsim.algorithms.peps.finite.peps_samples import sample_peps
from tnsim.algorithms.peps.updates.cooling import Cooling
from tnsim.algorithms.peps.updates.full_update import FullUpdate
from tnsim.algorithms.peps.updates.neighbourhood_update import NeighbourhoodUpdate
from tnsim.algorithms.peps.updates.simple_update import SimpleUpdate
from tnsim.algorithms.peps.variational.environments import EnvironmentSettings
from tnsim.algorithms.peps.variational.variational import VariationalPEPS
from tnsim.errors import OperatorError, SettingsError, ShapeError, StateError
from tnsim.linalg import Truncation
from tnsim.models import J1J2, Heisenberg, Lattice, TransverseIsing
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.peps import PEPS, CylinderPEPS, PlaneTerms, finite_start
from tnsim.networks.sites import spin_site, spin_sites

EXACT = Truncation(chi_max=10**4, svd_min=1e-14)


def cylinder(Lx: int, Ly: int) -> Lattice:
    return Lattice("square", Lx, Ly, bc_y="periodic")


def one_way_around(m: int, n: int) -> PlaneTerms:
    """Terms that tell the first place of a pair from the second one, different on every bond."""
    H, rng = OperatorSum(), np.random.default_rng(1)
    for i, j in np.ndindex(m, n):
        a = i * n + j
        for b in [((i + 1) % m) * n + j, *([a + 1] if j + 1 < n else [])]:
            x, y, z = rng.normal(size=3)
            H = H.add(x + 1j * y, "S+", a, "S-", b).add(x - 1j * y, "S-", a, "S+", b).add(z, "Sz", a, "Sz", b)
        H = H.add(rng.normal(), "Sz", a)
    return PlaneTerms.from_sum(H, spin_sites(m * n), [divmod(k, n) for k in range(m * n)], is_cylinder=True)


@pytest.mark.parametrize("shape", [(3, 2), (4, 1), (4, 2)])
def test_random_states_give_what_their_vectors_give(shape):
    m, n = shape
    terms = one_way_around(m, n)
    states = [["up" if (i + j) % 2 else "down" for j in range(n)] for i in range(m)]
    psi = CylinderPEPS.random(terms.sites, 2, states=states, seed=2, dtype=np.complex128)
    vector = dense_state(psi)
    assert distance(dense_state(psi.opened()), vector) < 1e-12
    found = BoundaryMeasurement(truncation=EXACT).measure(psi, terms)
    assert found.energy == pytest.approx(mean(dense_hamiltonian(terms), vector), abs=1e-11)
    assert found.log_norm == pytest.approx(np.log(np.vdot(vector, vector).real), abs=1e-11)
    assert max(found.error, found.pair_error, found.norm_error) < 1e-11


def test_terms_across_the_seam_are_those_of_the_model():
    """Of nearest and second neighbours, by the spectrum of the Hamiltonian of an MPS."""
    model = J1J2(lattice=cylinder(2, 4), J2=0.4)
    terms = PlaneTerms.of(model)
    assert len(terms.pairs) == len(model.geometry.pairs(1)) + len(model.geometry.pairs(2))
    assert {term.offset[0] for term in terms.pairs} == {0, 1}
    assert "of a cylinder" in repr(terms)
    found = np.linalg.eigvalsh(dense_hamiltonian(terms))
    exact = np.linalg.eigvalsh(model.mpo().to_dense())
    assert np.abs(found - exact).max() < 1e-12
    assert np.abs(np.linalg.eigvalsh(dense_hamiltonian(terms.opened())) - exact).max() < 1e-12


@pytest.mark.parametrize("update", [SimpleUpdate, NeighbourhoodUpdate])
@pytest.mark.parametrize("shape", [(3, 1), (4, 1)])
def test_steps_around_a_ring_are_of_second_order(update, shape):
    """Nothing is cut, so loops do no harm; complex terms that differ on every bond, in both orders of their places."""
    terms = one_way_around(*shape)
    psi = CylinderPEPS.product(terms.sites, [["up" if i % 2 else "down"] for i in range(shape[0])])
    exact = expm(-0.2j * dense_hamiltonian(terms)) @ dense_state(psi)
    errors = []
    for dt in (0.1, 0.05):
        found = update(dt=dt, truncation=Truncation(chi_max=32, svd_min=1e-10)).run(terms, psi, time=0.2).state.psi
        errors.append(distance(dense_state(found), exact))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2


def test_ground_states_against_exact_diagonalisation():
    """A paramagnet at D = 2."""
    model = TransverseIsing(lattice=cylinder(2, 4), h=4.0)
    terms, psi = PlaneTerms.of(model), finite_start(model)
    H, errors = dense_hamiltonian(terms), []
    exact = np.linalg.eigvalsh(H)[0]
    for update in (SimpleUpdate, NeighbourhoodUpdate):
        run = update(dt=0.05, truncation=Truncation(chi_max=2), imaginary=True)
        psi = Cooling(update=run, dts=(0.1,), tol=1e-3, max_steps=20).solve(terms, psi).state
        errors.append(mean(H, dense_state(psi.psi)) / exact - 1)
    assert min(errors) > -3e-4 and max(errors) < 0


def test_samples_cuts_and_files_of_a_cylinder(tmp_path):
    psi = CylinderPEPS.random([[spin_site(conserve=None)] * 2] * 3, D=2, seed=4)
    vector = dense_state(psi) / np.linalg.norm(dense_state(psi))
    weights = np.linalg.svd(vector.reshape(4, 16))[1] ** 2
    found = entanglement_below(psi, 0, BoundaryMeasurement(truncation=EXACT)).weights
    assert np.abs(found[:4] - weights).max() < 1e-10
    drawn = sample_peps(psi, 20, BoundaryMeasurement(truncation=EXACT), seed=0)
    indices = drawn.outcomes.reshape(20, 6) @ (1 << np.arange(6)[::-1])
    assert np.abs(np.exp(drawn.log_probabilities) - np.abs(vector[indices]) ** 2).max() < 1e-10
    tn.save(tmp_path / "ring.h5", psi)
    again = tn.load(tmp_path / "ring.h5")
    assert type(again) is CylinderPEPS and distance(dense_state(again), vector) < 1e-14


def test_on_the_device():
    terms = PlaneTerms.of(Heisenberg(lattice=cylinder(2, 4)))
    psi = finite_start(Heisenberg(lattice=cylinder(2, 4)))
    update = SimpleUpdate(dt=0.1, truncation=Truncation(chi_max=2), imaginary=True)
    run = BoundaryMeasurement(truncation=Truncation(chi_max=8))
    expected = run.measure(update.run(terms, psi, time=0.2).state.psi, terms)
    with sync_budget(4000):
        found = run.measure(update.run(terms, psi.to("strict"), time=0.2).state.psi, terms)
    assert found.energy == pytest.approx(expected.energy, abs=1e-6)  # what is cut is near degenerate


def test_on_the_command_line(tmp_path):
    path = tmp_path / "ring.h5"
    words = ("--lattice", "square", "--Lx", 2, "--Ly", 4, "--bc-y", "periodic", "--D", 2, "--chi", 64)
    done = call("peps", "tfim", *words, "--h", 4.0, "--dts", "0.1", "--tol", 1e-3, "--max-steps", 20, "--out", path)
    assert done.exit_code == 0 and "of a cylinder" in done.output, done.output
    found = tn.load(path)
    H = dense_hamiltonian(PlaneTerms.of(TransverseIsing(lattice=cylinder(2, 4), h=4.0)))
    assert isinstance(found.state, CylinderPEPS)
    assert found.energy * 8 == pytest.approx(np.linalg.eigvalsh(H)[0], rel=1e-3)
    assert call("info", path).exit_code == 0 and call("plot", path).exit_code == 0


def test_what_a_cylinder_cannot_do_is_refused():
    model = Heisenberg(lattice=cylinder(2, 4))
    terms, psi = PlaneTerms.of(model), finite_start(model)
    assert isinstance(psi, CylinderPEPS)
    with pytest.raises(StateError, match="SimpleUpdate or NeighbourhoodUpdate"):
        FullUpdate(dt=0.1, truncation=EXACT, environment=EXACT).propagator(terms, psi)
    with pytest.raises(OperatorError, match="NeighbourhoodUpdate"):
        VariationalPEPS(D=1, environment=EnvironmentSettings(chi_max=2)).solve(terms, psi)
    with pytest.raises(ShapeError, match="cylinder"):
        SimpleUpdate(dt=0.1, truncation=EXACT).propagator(terms, PEPS(psi.rows, psi.sites))
    with pytest.raises(ShapeError, match="cylinder"):
        BoundaryMeasurement(truncation=EXACT).measure(PEPS(psi.rows, psi.sites), terms)
    with pytest.raises(SettingsError, match="open along x"):
        PlaneTerms.of(Heisenberg(lattice=Lattice("square", 4, 2, bc_x="periodic")))
    with pytest.raises(SettingsError, match="fused = True"):
        PlaneTerms.of(Heisenberg(lattice=Lattice("honeycomb", 3, 4, bc_y="periodic")))
    with pytest.raises(ShapeError, match="at least 2"):
        CylinderPEPS.random([[spin_site(conserve=None)] * 3], D=2)
