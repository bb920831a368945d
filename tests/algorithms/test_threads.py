"""Threads: the same numbers as one thread, and safe beside each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tnsim as tn
from tnsim.models import Heisenberg, TransverseIsing


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
