"""Threads: the same numbers as one thread, and safe beside each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tnsim as tn
from tnsim.algorithms.evolution.adaptive_steps import distance
from tnsim.models import XXZ, Heisenberg, TransverseIsing


@pytest.fixture
def two_threads():
    tn.set_threads(2)
    yield
    tn.set_threads(None)


def energy(model, chi=48) -> float:
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=chi), max_sweeps=3, second_start=False)
    start = "neel" if isinstance(model, Heisenberg) else "up"
    return dmrg.solve(model.mpo(), model.product(start)).energy


@pytest.mark.parametrize("model", [Heisenberg(L=24, S=1), TransverseIsing(L=24)], ids=["blocks", "one block"])
def test_two_threads_give_the_energy_of_one(model, two_threads):
    with_two = energy(model, chi=120)
    tn.set_threads(1)
    assert with_two == pytest.approx(energy(model, chi=120), abs=1e-10)


def test_two_threads_give_the_levels_of_one(two_threads):
    model = Heisenberg(L=16, S=1)
    dmrg = tn.DMRG(truncation=tn.Truncation(chi_max=100), max_sweeps=2, second_start=False)
    with_two = dmrg.excited(model.mpo(), model.product(), n=2).energies
    tn.set_threads(1)
    np.testing.assert_allclose(dmrg.excited(model.mpo(), model.product(), n=2).energies, with_two, rtol=0, atol=1e-8)


def test_runs_in_several_python_threads(two_threads):
    model = Heisenberg(L=20, S=1)
    with ThreadPoolExecutor(2) as pool:
        energies = list(pool.map(lambda chi: energy(model, chi), [100, 100, 100]))
    assert np.ptp(energies) < 1e-10


@pytest.mark.parametrize("imaginary", [False, True], ids=["real", "imaginary"])
@pytest.mark.parametrize(
    ("model", "start"), [(XXZ(L=12, delta=0.5), "neel"), (TransverseIsing(L=11, conserve=None), "up")],
    ids=["Sz", "no symmetry"],
)  # fmt: skip
def test_both_halves_of_a_chain_side_by_side_give_the_state_of_one_thread(model, start, imaginary, two_threads):
    """Exact where nothing is cut; the norm, which gates in imaginary time change, too."""
    evolution = tn.TEBD(
        dt=0.1, truncation=tn.Truncation(chi_max=64, svd_min=1e-14), imaginary=imaginary, order=4, every=3
    )
    with_two = evolution.run(model.operator_sum(), model.product(start), time=0.9)
    tn.set_threads(1)
    with_one = evolution.run(model.operator_sum(), model.product(start), time=0.9)
    assert distance(with_one.state, with_two.state) < 1e-12
    for two, one in zip(with_two.history, with_one.history, strict=True):
        assert two.log_norm == pytest.approx(one.log_norm, abs=1e-12) and abs(two.chi - one.chi) < 3


def test_both_halves_of_a_chain_cut_as_one_thread_does(two_threads):
    model = XXZ(L=16, delta=0.5)
    evolution = tn.TEBD(dt=0.1, truncation=tn.Truncation(chi_max=10), order=2, every=4)
    with_two = evolution.run(model.operator_sum(), model.product("neel"), time=2.0)
    tn.set_threads(1)
    with_one = evolution.run(model.operator_sum(), model.product("neel"), time=2.0)
    assert with_two.sum_trunc_err == pytest.approx(with_one.sum_trunc_err, rel=0.02) and with_one.sum_trunc_err > 1e-7
    assert distance(with_one.state, with_two.state) < 0.1 * with_one.sum_trunc_err**0.5
    lost = 1 - with_two.state.norm() ** 2
    assert lost == pytest.approx(with_two.sum_trunc_err, rel=0.02)
