"""Loop-TNR: exact small tori, entanglement that circles in loops, the critical point without drift, fixed points."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact.grids import torus_value
from tests.suites.chains import PLACES
from tnsim.algorithms.plane.loop_optimization import LoopOptimization, halved
from tnsim.algorithms.plane.loop_tnr import LoopTNR
from tnsim.errors import SettingsError
from tnsim.models.classical import Ising, Potts
from tnsim.models.exact.ising_2d import CRITICAL, square_log_z
from tnsim.networks.ring import cut_bonds
from tnsim.networks.square_network import InfiniteNetwork

ALL = tn.Truncation(chi_max=64, svd_min=1e-11)


def torus(array: np.ndarray) -> InfiniteNetwork:
    legs = [tn.Leg(tn.TRIVIAL, [()], [d], flow) for d, flow in zip(array.shape, (1, -1, -1, 1), strict=True)]
    return InfiniteNetwork([[tn.from_dense(array, legs)]])


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_a_torus_of_four_spins_is_exact(device, dtype):
    model = Ising(beta=0.4, conserve="parity")
    network = model.network(dtype=dtype, backend=backend_or_skip(device))
    single = dtype.char in "fF"
    step = LoopTNR(chi_max=8, filter_min=1e-5 if single else 1e-12, svd_min=1e-6 if single else 1e-12)
    run = tn.CoarseGraining(step=step, max_steps=1).solve(network)
    assert run.log_z == pytest.approx(model.torus_log_z(2, 2) / 4, rel=1e-5 if single else 1e-13)
    assert run.cell.transfer().dtype == dtype and run.cell.transfer().backend is network.backend


def test_a_torus_of_sixteen_spins_is_exact():
    model = Ising(beta=CRITICAL)
    run = tn.CoarseGraining(step=LoopTNR(chi_max=16), max_steps=3).solve(model)
    assert 16 * run.log_z == pytest.approx(model.torus_log_z(4, 4), rel=1e-12)


def test_complex_tensors_without_any_symmetry():
    rng = np.random.default_rng(3)
    array = rng.random((2, 3, 2, 3)) + 1j * rng.standard_normal((2, 3, 2, 3))
    array = array + array.transpose(2, 1, 0, 3).conj()  # the transfer matrix is Hermitian
    run = tn.CoarseGraining(step=LoopTNR(chi_max=9), max_steps=1).solve(torus(array))
    assert 4 * run.log_z == pytest.approx(np.log(torus_value(array, 2, 2)), rel=1e-10)


def ring_of(tensors: int, seed: int) -> list[tn.Tensor]:
    """Random sites on a ring whose bonds carry beside 3 states two more that circle inside."""
    rng, sites = np.random.default_rng(seed), []
    for _ in range(tensors):
        core, circling = rng.standard_normal((3, 2, 2, 3)), np.diag(rng.random(2) + 0.5)
        site = np.einsum("lpqr,ab->lapqrb", core, circling).reshape(6, 2, 2, 6)
        sites.append(tn.from_dense(site))
    return sites


def on_the_ring(sites: list[tn.Tensor]) -> np.ndarray:
    return np.einsum("apqb,brsc,ctud,dvwa->pqrstuvw", *(site.array for site in sites), optimize=True)


def test_what_circles_inside_a_ring_is_cut_away():
    sites = ring_of(4, 0)
    cut = cut_bonds(sites, ALL)
    assert [site.shape for site in cut] == [(3, 2, 2, 3)] * 4
    # up to a factor: the trace of what circles
    before, after = (state / np.linalg.norm(state) for state in map(on_the_ring, (sites, cut)))
    np.testing.assert_allclose(after, before, atol=1e-9 * np.abs(before).max())


def test_sweeps_never_raise_the_error_and_halves_stand_for_the_ring():
    rng = np.random.default_rng(1)
    ring = [tn.from_dense(rng.random((4, 4, 4, 4))) for _ in range(4)]
    truncation = tn.Truncation(chi_max=5)
    loop = LoopOptimization(ring, halved(ring, truncation))
    errors = [loop.error, *(loop.sweep() for _ in range(12))]
    assert all(after <= before * (1 + 1e-9) for before, after in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.5 * errors[0]
    joined = [np.einsum("lpx,xqr->lpqr", *(half.array for half in loop.halves[2 * k : 2 * k + 2])) for k in range(4)]
    exact = on_the_ring(ring)
    distance = np.linalg.norm(np.einsum("apqb,brsc,ctud,dvwa->pqrstuvw", *joined, optimize=True) - exact)
    assert (distance / np.linalg.norm(exact)) ** 2 == pytest.approx(loop.error, rel=1e-6)


def test_free_energy_at_the_critical_point():
    """At most 5e-7 with 8 states: 60 times below TRG, and below the bound of TNRKit.jl's own test (1e-6)."""
    run = tn.CoarseGraining(step=LoopTNR(chi_max=8, tol=0.1)).solve(Ising(beta=CRITICAL, conserve="parity"))
    assert abs(run.log_z / square_log_z(CRITICAL, CRITICAL) - 1) <= 5e-7 and run.status.converged


def test_conformal_data_do_not_drift():
    """1/8, 1, 9/8, 9/8 and c = 1/2 over eight steps, at 12 states."""
    run = tn.CoarseGraining(step=LoopTNR(chi_max=12, tol=0.1), max_steps=19, width=2, levels=5)
    history = run.solve(Ising(beta=CRITICAL, conserve="parity")).history[12:]
    assert len(history) == 8
    for report in history:
        assert report.dimensions[1] == pytest.approx(1 / 8, abs=2e-4)
        assert report.dimensions[2] == pytest.approx(1, abs=1e-3)
        assert report.dimensions[3:5] == pytest.approx((9 / 8, 9 / 8), abs=2e-3)
        assert report.central_charge == pytest.approx(1 / 2, abs=4e-4)


def test_conformal_data_of_the_three_state_potts_model():
    """c = 4/5 and the spin of dimension 2/15, twice."""
    model = Potts(states=3, beta=float(np.log(1 + np.sqrt(3))), conserve="charge")
    run = tn.CoarseGraining(step=LoopTNR(chi_max=12, tol=0.1), max_steps=8, width=2, levels=3).solve(model)
    assert run.at(8).central_charge == pytest.approx(4 / 5, abs=3e-3)
    assert run.at(8).dimensions[1:3] == pytest.approx((2 / 15, 2 / 15), abs=2e-3)


def test_dimensions_of_oblique_tori_are_not_told():
    site = Ising(beta=0.3).network()
    pair = InfiniteNetwork([[site.tensor] * 2], log_scale=2 * site.log_scale, sites=2)
    run = tn.CoarseGraining(step=LoopTNR(chi_max=8), width=2).solve(pair)
    assert run.log_z == pytest.approx(Ising(beta=0.3).facts["ln Z per site"].value, rel=1e-6)
    assert np.isnan(run.history[-1].dimensions).all() and np.isnan(run.history[-1].central_charge)


def test_off_the_critical_point_the_tensor_counts_phases():
    """One state remains on the bonds of the disordered phase, two on those of the ordered one."""
    for model, phases in ((Ising(beta=0.3), 1), (Ising(beta=0.6, conserve="parity"), 2)):
        run = tn.CoarseGraining(step=LoopTNR(chi_max=6, filter_min=1e-7)).solve(model)
        assert run.status.converged and run.history[-1].chi == phases, model
        assert run.log_z == pytest.approx(model.facts["ln Z per site"].value, rel=3e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LoopTNR(chi_max=0), "chi_max"),
        (lambda: LoopTNR(chi_max=4, sweeps=-1), "sweeps"),
        (lambda: LoopTNR(chi_max=4, filter_min=2.0), "svd_min"),
        (lambda: tn.CoarseGraining(step=LoopTNR(chi_max=4), measure=("spin",)).solve(Ising(beta=1.0)), "HOTRG"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


@pytest.mark.parametrize("step", [LoopTNR(chi_max=4), tn.ATRG(chi_max=4), tn.HOTRG(chi_max=4, derivatives=2)], ids=repr)
def test_a_result_from_a_file_goes_on_as_if_it_had_not_stopped(step, tmp_path):
    whole, half = (tn.CoarseGraining(step=step, max_steps=steps) for steps in (6, 4))
    model = Ising(beta=0.4, conserve="parity")
    tn.save(tmp_path / "half.h5", half.solve(model))
    resumed, expected = whole.solve(model, resume=tn.load(tmp_path / "half.h5")), whole.solve(model)
    assert resumed.log_z == pytest.approx(expected.log_z, abs=1e-13) and len(resumed.history) == 7
    assert resumed.derivatives == pytest.approx(expected.derivatives, rel=1e-10)


def test_public_name():
    assert tn.LoopTNR is LoopTNR
