"""Fitted orders of the integrators on random local Hamiltonians of eight spins; those of TEBD are in test_tebd.py."""

import numpy as np
import pytest
from scipy.linalg import expm

import tnsim as tn

SITES = tn.spin_sites(8, conserve=None)
ALL = tn.Truncation(chi_max=16, svd_min=1e-14)
TIME = 0.4


@pytest.fixture(scope="module")
def problem():
    """Every term that neighbours can have, a random state, and its exact evolution."""
    rng, H = np.random.default_rng(5), tn.OperatorSum()
    for i in range(7):
        for a in ("Sx", "Sy", "Sz"):
            H += rng.normal(), a, i
            for b in ("Sx", "Sy", "Sz"):
                H += rng.normal(), a, i, b, i + 1
    mpo, psi = H.mpo(SITES), tn.MPS.random(SITES, chi=4, seed=0, dtype=complex)
    return mpo, psi, expm(-1j * TIME * mpo.to_dense()) @ psi.to_dense()


def fitted(steps: list[int], errors: list[float]) -> float:
    return -float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


@pytest.mark.parametrize(("method", "order"), [("W-I", 1), ("W-II", 1), ("W-II", 2), ("W-II", 3), ("W-II", 4)])
def test_evolution_mpos(problem, method, order):
    mpo, psi, exact = problem
    steps, errors = [8, 12], []
    for count in steps:
        evolution = tn.MPOEvolution(
            dt=TIME / count, order=order, method=method, truncation=ALL, every=count, apply="svd"
        )
        errors.append(float(np.linalg.norm(evolution.run(mpo, psi, time=TIME).state.to_dense() - exact)))
    assert fitted(steps, errors) == pytest.approx(order, abs=0.2)


def test_tdvp_towards_its_own_limit(problem):
    """Bonds of four states: what they cannot hold is an error that no step lowers, so the limit is that of small dt."""
    mpo, psi, _ = problem
    ends, steps = [], [8, 12, 60]
    for count in steps:
        evolution = tn.TDVP(
            dt=TIME / count, scheme="one-site", truncation=tn.Truncation(chi_max=4), krylov_tol=1e-13, every=count
        )
        ends.append(evolution.run(mpo, psi, time=TIME).state.to_dense())
    errors = [float(np.linalg.norm(end - ends[-1])) for end in ends[:-1]]
    assert fitted(steps[:-1], errors) == pytest.approx(2, abs=0.2)


def test_krylov_keeps_its_tolerance_at_any_step(problem):
    (mpo, psi, exact), tolerance = problem, 1e-5
    for count in (1, 2):
        evolution = tn.KrylovEvolution(dt=TIME / count, krylov_tol=tolerance, truncation=ALL, every=count, apply="svd")
        error = np.linalg.norm(evolution.run(mpo, psi, time=TIME).state.to_dense() - exact)
        assert error < 3 * count * tolerance
