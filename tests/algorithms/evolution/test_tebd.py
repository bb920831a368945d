"""TEBD against exact diagonalisation and free fermions."""

from functools import cache

import numpy as np
import pytest
import scipy.linalg

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.exact.evolution import evolved, fitted_order, random_local
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, random_state, relative, tolerance, vector
from tnsim.errors import ChargeError, OperatorError, SettingsError, ShapeError, StateError
from tnsim.models import XXZ, Heisenberg, TransverseIsing
from tnsim.models.exact.quenches import HoppingState, MajoranaState, ising_matrix
from tnsim.symmetry import Leg
from tnsim.tensor import random_tensor

EXACT = tn.Truncation(chi_max=64, svd_min=1e-14)
STEPS = (1 / 4, 1 / 6, 1 / 8)
by_chain = pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)


def tebd(dt: float, *, truncation: tn.Truncation = EXACT, **settings) -> tn.TEBD:
    return tn.TEBD(dt=dt, truncation=truncation, **settings)


@pytest.mark.parametrize("imaginary", [False, True], ids=["real", "imaginary"])
@pytest.mark.parametrize(("order", "splitting"), [(1, "optimized"), (2, "optimized"), (4, "optimized"), (4, "suzuki")])
def test_order(order, splitting, imaginary):
    """A random Hamiltonian on eight spins, all terms that neighbours can have."""
    sites, rng = tn.spin_sites(8, conserve=None), np.random.default_rng(3)
    H = tn.OperatorSum()
    for i in range(7):
        for a in ("Sx", "Sy", "Sz"):
            H += rng.normal(), a, i
            for b in ("Sx", "Sy", "Sz"):
                H += rng.normal(), a, i, b, i + 1
    psi = tn.MPS.random(sites, chi=4, seed=0, dtype=complex)
    exact = evolved(H, sites, psi.to_dense(), -1.0 if imaginary else -1j)
    size = np.linalg.norm(exact)
    errors = []
    for dt in STEPS:
        result = tebd(dt, order=order, splitting=splitting, imaginary=imaginary, every=10).run(H, psi, time=1.0)
        errors.append(np.linalg.norm(result.state.to_dense() - exact / size))
    assert abs(fitted_order(STEPS, errors) - order) < 0.2
    assert result.history[-1].log_norm == pytest.approx(np.log(size), abs=5 * errors[-1])


def test_the_optimized_splitting_is_the_better_one():
    chain = CHAINS[1]
    H, psi = random_local(chain), random_state(chain, np.complex128, norm=1.0)
    exact = evolved(H, chain.sites, relative(psi), -1j)
    errors = [
        np.linalg.norm(vector(tebd(0.25, splitting=name).run(H, psi, time=1.0).state) / psi.norm() - exact)
        for name in ("suzuki", "optimized")
    ]
    assert errors[0] > 1.5 * errors[1]


@by_chain
@pytest.mark.parametrize("time", [0.3, -0.3])
def test_chains(chain, time):
    """All symmetries, fermions too, forwards and backwards; the norm and the charge stay what they were."""
    H, psi = random_local(chain), random_state(chain, np.complex128)
    result = tebd(0.1).run(H, psi, time=time)
    exact = evolved(H, chain.sites, vector(psi), -1j * time)
    np.testing.assert_allclose(vector(result.state), exact, atol=2e-5)
    assert result.state.charge == chain.charge and result.state.norm() == pytest.approx(psi.norm(), rel=1e-12)
    assert abs(result.history[-1].energy_drift) < 1e-4 and result.status.converged


@by_chain
def test_imaginary_time_in_single_and_double_precision(chain):
    H, psi = random_local(chain, real=True), random_state(chain, np.float64)
    expected = evolved(H, chain.sites, vector(psi), -0.3)
    for dtype in (np.float64, np.float32):
        result = tebd(0.1, imaginary=True).run(H, psi.astype(dtype), time=0.3)
        found = vector(result.state)
        assert found.dtype == (dtype if H.mpo(chain.sites).dtype.kind == "f" else np.result_type(dtype, np.complex64))
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=3e-5)
        assert result.state.norm() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
@pytest.mark.parametrize("chain", FEW_CHAINS[1:3], ids=lambda chain: chain.name)
def test_devices(chain, device, dtype):
    backend = backend_or_skip(device)
    H, psi = random_local(chain, real=True), random_state(chain, dtype, norm=1.0)
    result = tebd(0.1, order=2, truncation=tn.Truncation(chi_max=64)).run(H, psi.to(backend), time=0.2)
    assert result.state.backend is backend and result.state.dtype == np.result_type(dtype, np.complex64)
    exact = tebd(0.1, order=2).run(H, psi.astype(np.complex128), time=0.2)
    np.testing.assert_allclose(vector(result.state), vector(exact.state), atol=1e-7 + 10 * tolerance(dtype))


def test_quench_of_the_xx_chain():
    """Neel state: magnetisation, correlators, and growth of entanglement, to the error of the splitting."""
    L = 16
    model = XXZ(L=L, delta=0.0)
    psi = model.product("neel")
    record = {"Sz": lambda state: tn.expect(state, "Sz"), "entropy": lambda state: tn.entropy(state)}
    evolution = tebd(0.1, truncation=tn.Truncation(chi_max=64, svd_min=1e-9))
    result = evolution.run(model.operator_sum(), psi, time=2.0, observe=record)
    start = HoppingState(np.diag(tn.expect(psi, "Sz") + 0.5))
    hopping = (np.eye(L, k=1) + np.eye(L, k=-1)) / 2
    for n, time in enumerate(result.times):
        free = start.evolved(hopping, time)
        np.testing.assert_allclose(result["Sz"][n], free.occupations() - 0.5, atol=2e-7)
        assert result["entropy"][n][L // 2 - 1] == pytest.approx(free.entropy(L // 2), abs=2e-6)
        assert result.history[n].entropy == pytest.approx(free.entropy(L // 2), abs=2e-6)
    wick = np.diag(free.occupations()) - np.abs(free.correlation) ** 2  # <n_i n_j> - <n_i><n_j>
    np.testing.assert_allclose(tn.correlation(result.state, "Sz", "Sz", connected=True), wick, atol=1e-6)
    assert result.sum_trunc_err < 1e-9 and abs(result.history[-1].norm_drift) < 1e-9
    assert max(abs(report.energy_drift) for report in result.history) < 1e-6


def test_quench_of_the_ising_chain():
    """From all up to the critical point, without a symmetry."""
    L = 12
    model = TransverseIsing(L=L, J=1.0, h=1.0)
    record = {
        "Z": lambda state: tn.expect(state, "Z"),
        "XX": lambda state: tn.correlation(state, "X", "X").diagonal(1),
    }  # fmt: skip
    result = tebd(0.05, truncation=tn.Truncation(chi_max=64), every=5).run(
        model.operator_sum(), model.product("up"), time=1.0, observe=record
    )
    start = MajoranaState.of(np.eye(L))
    for n, time in enumerate(result.times):
        free = start.evolved(ising_matrix(L, 1.0, 1.0), time)
        np.testing.assert_allclose(result["Z"][n], free.magnetization(), atol=1e-6)
        np.testing.assert_allclose(result["XX"][n], free.bond_correlation(), atol=1e-6)
        assert result.history[n].entropy == pytest.approx(free.entropy(L // 2), abs=1e-5)


def test_imaginary_time_finds_the_ground_state():
    model = Heisenberg(L=6)
    result = tebd(0.1, imaginary=True, every=50).run(model.operator_sum(), model.product("neel"), time=25.0)
    assert result.energy == pytest.approx(model.facts.energy, abs=1e-9)
    assert result.status.converged and result.history[-1].energy_drift is None


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", ["U1", "electrons"])
def test_terms_over_a_distance(name, order):
    """Second and third neighbours by swaps, with the signs of fermions; the order is that of neighbours."""
    chain = next(chain for chain in CHAINS if chain.name == name)
    H = random_local(chain)
    for i, j, value in ((0, 2, 0.5), (3, 0, 0.4), (1, 3, 0.3 + 0.2j)):
        H += tn.plus_hc(value, chain.ladder[0], i, chain.ladder[1], j)
    psi = random_state(chain, np.complex128, norm=1.0)
    exact = evolved(H, chain.sites, vector(psi), -0.5j)
    errors = [
        np.linalg.norm(vector(tebd(dt, order=order).run(H, psi, time=0.5).state) - exact) for dt in (1 / 8, 1 / 12)
    ]
    assert abs(fitted_order((1 / 8, 1 / 12), errors) - order) < 0.2


def test_swaps_need_equal_sites():
    chain = CHAINS[-1]
    H = random_local(chain) + tn.OperatorSum().add(1.0, "Sz", 1, "Sz", 3)
    with pytest.raises(ShapeError, match="need equal sites in between"):
        tebd(0.1).run(H, random_state(chain, np.complex128), time=0.1)


def driven(time: float) -> tn.OperatorSum:
    """A chain in a field that turns, its exchange going up and down."""
    H = tn.OperatorSum()
    for i in range(4):
        H += np.cos(2 * time + i), "Sx", i
        H += np.sin(2 * time), "Sy", i
    for i in range(3):
        H += 1 + 0.5 * np.sin(3 * time), "Sz", i, "Sz", i + 1
    return H


@cache
def driven_exactly() -> tuple[tn.MPS, np.ndarray]:
    """A state before and after a unit of time: small exact steps at midpoints, extrapolated."""
    sites = tn.spin_sites(4, conserve=None)
    psi = tn.MPS.random(sites, chi=4, seed=1, dtype=complex)

    def steps(count: int) -> np.ndarray:
        state = psi.to_dense()
        for n in range(count):
            state = evolved(driven((n + 0.5) / count), sites, state, -1j / count)
        return state

    return psi, (4 * steps(200) - steps(100)) / 3


@pytest.mark.parametrize("order", [1, 2, 4])
def test_order_in_time(order):
    """A Hamiltonian that depends on time."""
    psi, exact = driven_exactly()
    errors = [np.linalg.norm(tebd(dt, order=order).run(driven, psi, time=1.0).state.to_dense() - exact) for dt in STEPS]
    assert abs(fitted_order(STEPS, errors) - order) < 0.3
    assert tebd(0.5).run(driven, psi, time=1.0).history[-1].energy_drift is None


def test_a_sum_that_becomes_complex_in_imaginary_time():
    """Real at time 0; the state has to be complex from the start."""
    sites = tn.spin_sites(3)
    psi = tn.MPS.random(sites, chi=2, charge=1, seed=2)

    def twisted(time: float) -> tn.OperatorSum:
        return tn.OperatorSum([tn.plus_hc(np.exp(1j * time), "S+", i, "S-", i + 1) for i in range(2)])

    exact = psi.to_dense().astype(complex)
    for n in range(200):
        exact = evolved(twisted((n + 0.5) / 200), sites, exact, -1 / 200)
    result = tebd(0.1, imaginary=True).run(twisted, psi, time=1.0)
    np.testing.assert_allclose(vector(result.state), exact / np.linalg.norm(exact), atol=1e-5)


@pytest.mark.parametrize("method", ["leading", "qr", "gram", "svd"])
def test_truncation(method):
    """The summed discarded weight is what the norm lost, and tells the distance from the exact state."""
    chain = CHAINS[1]
    H, psi = random_local(chain), tn.MPS.random(chain.sites, chi=6, charge=0, seed=1)
    evolution = tebd(0.05, split=method, truncation=tn.Truncation(chi_max=6), order=2)
    result = evolution.run(H, psi, time=0.5)
    assert max(result.state.bond_dimensions) == 6 and result.sum_trunc_err > 1e-5
    lost = 1 - result.state.norm() ** 2
    assert lost == pytest.approx(1 - np.exp(2 * result.history[-1].log_norm), rel=1e-9)
    assert lost == pytest.approx(result.sum_trunc_err, rel=0.3)
    exact = evolved(H, chain.sites, vector(psi), -0.5j)
    fidelity = abs(np.vdot(exact, relative(result.state))) ** 2
    assert 0.3 * lost < 1 - fidelity < 30 * lost  # the errors of many cuts add up coherently


def test_cuts_by_qr_of_bonds_with_sectors_that_lead_nowhere():
    """Two states a sector on every bond, most of which one end of the chain does not reach."""
    model = XXZ(L=6)
    legs = [Leg(model.sites[0].group, [(c,) for c in range(-6 - n % 2, 8, 2)], [2] * (7 + n % 2)) for n in range(7)]
    legs[0] = legs[6] = Leg(model.sites[0].group, [(0,)], [1])
    tensors = [random_tensor((legs[n], model.sites[n].leg, legs[n + 1].dual), seed=n) for n in range(6)]
    psi = tn.MPS(tensors, model.sites)
    ends = []
    for split in ("qr", "svd"):
        evolution = tebd(0.1, truncation=tn.Truncation(chi_max=6), order=2, split=split)
        ends.append(evolution.run(model.operator_sum(), psi / psi.norm(), time=0.3).state)
    assert abs(tn.overlap(*ends)) / (ends[0].norm() * ends[1].norm()) > 0.99


def test_resume_gives_the_same_numbers():
    model = XXZ(L=8)
    H, psi = model.operator_sum(), model.product("neel")
    evolution = tebd(0.1, truncation=tn.Truncation(chi_max=6))
    whole = evolution.run(H, psi, time=1.0)
    half = evolution.run(H, psi, time=0.5)
    again = evolution.run(H, half.state, time=1.0, resume=half)
    np.testing.assert_allclose(vector(again.state), vector(whole.state), atol=1e-13)
    for report, expected in zip(again.history, whole.history, strict=True):
        assert report.time == expected.time and report.energy == pytest.approx(expected.energy, abs=1e-13)
        assert report.sum_trunc_err == pytest.approx(expected.sum_trunc_err, rel=1e-9)


def test_evolution_without_hermiticity():
    """Particles that get lost: the norm falls as the exact one does."""
    chain = CHAINS[1]
    H = random_local(chain)
    loss = H + tn.OperatorSum().add(-0.3j, "S+ S-", 2)
    psi = random_state(chain, np.complex128, norm=1.0)
    with pytest.raises(OperatorError, match="say non_hermitian=True"):
        tebd(0.1).run(loss, psi, time=0.5)
    result = tebd(0.05, non_hermitian=True).run(loss, psi, time=0.5)
    exact = scipy.linalg.expm(-0.5j * dense.hamiltonian(loss, chain.sites)) @ vector(psi)
    np.testing.assert_allclose(vector(result.state), exact, atol=1e-6)
    assert result.energy is None and result.history[-1].norm_drift == pytest.approx(
        np.linalg.norm(exact) / psi.norm() - 1, abs=1e-6
    )


def test_two_sites():
    chain = tn.spin_sites(2)
    H = tn.OperatorSum().add(0.5, "S+", 0, "S-", 1).add(0.5, "S-", 0, "S+", 1)
    result = tebd(0.5, order=1).run(H, tn.MPS.product(chain, ["up", "down"]), time=1.0)
    assert tn.expect(result.state, "Sz")[0] == pytest.approx(0.5 * np.cos(1.0))


def test_bad_input():
    model = XXZ(L=4)
    H, psi = model.operator_sum(), model.product("neel")
    with pytest.raises(SettingsError, match="order must be one of 1, 2, 4, found 3"):
        tebd(0.1, order=3)
    with pytest.raises(SettingsError, match="splitting must be one of optimized, suzuki"):
        tebd(0.1, splitting="best")
    with pytest.raises(SettingsError, match="split must be one of"):
        tebd(0.1, split="lu")
    with pytest.raises(OperatorError, match="takes an OperatorSum, or a function of the time .* found MPO"):
        tebd(0.1).run(model.mpo(), psi, time=1.0)
    with pytest.raises(StateError, match="evolves an MPS or an InfiniteMPS, found OperatorSum"):
        tebd(0.1).run(H, H, time=1.0)
    with pytest.raises(OperatorError, match="must return an OperatorSum, found float"):
        tebd(0.1).run(lambda time: time, psi, time=1.0)
    with pytest.raises(ChargeError, match="changes the conserved charge"):
        tebd(0.1).run(H + tn.OperatorSum().add(1.0, "Sx", 0), psi, time=1.0)
    with pytest.raises(StateError, match="finite norm, not zero"):
        tebd(0.1).run(H, psi * 0.0, time=1.0)
    with pytest.raises(ShapeError, match="at least 2 sites"):
        tebd(0.1).run(H, tn.MPS.product(tn.spin_sites(1), ["up"]), time=1.0)
