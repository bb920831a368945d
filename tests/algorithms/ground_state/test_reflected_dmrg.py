"""DMRG of states that a reflection keeps: levels of each parity, resumed runs, threads, devices, and bad input."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.exact import dense
from tests.networks.test_reflection import MODELS, flip_of
from tnsim.algorithms.ground_state.dmrg_run import DMRGRun
from tnsim.models import J1J2, Heisenberg, Lattice


def settings(parity, chi=64, **changes):
    return tn.DMRG(truncation=tn.Truncation(chi_max=chi), reflection="Flip", parity=parity, **changes)


def levels_of(model, states, parity, count):
    """The lowest energies among the states of a charge and a parity."""
    psi = tn.MPS.product(model.sites, states)
    kept = (dense.charges(model.sites) == np.array(psi.charge)).all(axis=1)
    H, flip = (matrix[np.ix_(kept, kept)] for matrix in (np.asarray(model.mpo().to_dense()), flip_of(model.sites)))
    signs, vectors = np.linalg.eigh(flip)
    basis = vectors[:, np.sign(signs) == parity]
    return np.linalg.eigvalsh(basis.T @ H @ basis)[:count]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("parity", [1, -1])
def test_levels_of_each_parity_are_exact(name, parity):
    """Ground state and first excited one, from a product state that has no parity."""
    model, states = MODELS[name]
    found = settings(parity).excited(model.mpo(), tn.MPS.product(model.sites, states), n=2)
    np.testing.assert_allclose(found.energies, levels_of(model, states, parity, 2), atol=1e-9)


def test_truncated_runs_find_the_energies_of_runs_without_it():
    """At equal bond dimension, to a fraction of what the cut costs; in single precision first too."""
    model = J1J2(J2=0.5, lattice=Lattice("square", 4, 4, bc_y="periodic"))
    H, psi = model.mpo(), model.product("neel")
    plain = tn.DMRG(truncation=tn.Truncation(chi_max=40), second_start=False, max_sweeps=6).solve(H, psi)
    exact = tn.DMRG(truncation=tn.Truncation(chi_max=256), second_start=False, max_sweeps=6).solve(H, psi)
    lost = plain.energy - exact.energy
    for changes in ({}, {"float32_sweeps": 2}, {"split": "svd"}):
        one = settings(1, 40, second_start=False, max_sweeps=6, **changes).solve(H, psi)
        assert max(one.state.bond_dimensions) <= 40
        assert abs(one.energy - plain.energy) < 0.1 * lost


def test_resumed_runs_go_on_as_if_never_stopped():
    model = Heisenberg(L=16)
    H, psi = model.mpo(), model.product("neel")
    chosen = settings(1, 20, max_sweeps=4, energy_tol=1e-14)
    whole = chosen.solve(H, psi)
    for stop in (9, 21, 40):
        run = chosen.start(H, psi)
        count = 0
        while count < stop:
            bond, rightwards = run._position(run.progress().step)
            run.update_bond(bond, rightwards)
            count += 1
            if run.progress().step == 2 * run.bonds:
                run._close_sweep()
        resumed = DMRGRun(chosen, H, run.state, run.progress())
        for _ in resumed.sweeps():
            pass
        assert abs(resumed.progress().energy - whole.energy) < 1e-11


@pytest.mark.parametrize("backend", ["strict"])
def test_runs_on_devices(backend):
    model, states = MODELS["spins 1"]
    H, psi = model.mpo(), tn.MPS.product(model.sites, states)
    chosen = settings(-1, 16, max_sweeps=3, second_start=False)
    host, device = (chosen.solve(H.to(place), psi.to(place)) for place in ("numpy", backend))
    assert abs(device.energy - host.energy) < 1e-10


def test_second_starts_take_the_same_parity():
    """Of a random state, where the variance is above what the settings allow."""
    model, states = MODELS["spins"]
    solution = settings(-1, variance_tol=0.0).solve(model.mpo(), tn.MPS.product(model.sites, states))
    assert solution.progress.restarts == 1
    assert abs(solution.energy - levels_of(model, states, -1, 1)[0]) < 1e-9


def test_all_levels_of_a_parity_and_no_more():
    """Three even and three odd states of four spins: constraints fill the space, and random vectors keep the parity."""
    model = Heisenberg(L=4)
    H, psi = model.mpo(), model.product("neel")
    for parity in (1, -1):
        found = settings(parity).excited(H, psi, n=3)
        np.testing.assert_allclose(found.energies, levels_of(model, ["up", "down"] * 2, parity, 3), atol=1e-9)
        with pytest.raises(tn.errors.StateError, match=f"parity {parity} holds 3 states"):
            settings(parity).excited(H, psi, n=4)
    # those of the other parity take no room
    odd = settings(-1).excited(H, psi, n=3)
    one = settings(1).solve(H, psi, orthogonal_to=odd.states)
    assert abs(one.energy - levels_of(model, ["up", "down"] * 2, 1, 1)[0]) < 1e-9


@pytest.mark.parametrize("noise_sweeps", [0, 2])
def test_starts_from_single_precision_and_from_runs_without_it(noise_sweeps):
    model = Heisenberg(L=16)
    H, psi = model.mpo(), model.product("neel")
    chosen = settings(1, 64, second_start=False, noise_sweeps=noise_sweeps, max_sweeps=5)
    best = chosen.solve(H, psi).energy
    rough = settings(1, 64, float32_sweeps=3, max_sweeps=3, second_start=False).solve(H, psi).state
    plain = tn.DMRG(truncation=tn.Truncation(chi_max=64, svd_min=1e-13), max_sweeps=3).solve(H, psi).state
    for start in (psi.astype("float32"), rough, plain, tn.symmetrized(psi, "Flip", 1) + plain * 0.0):
        assert abs(chosen.solve(H, start).energy - best) < 1e-9


@pytest.mark.parametrize("name", ["X", "Z"])
def test_reflections_where_nothing_is_conserved(name):
    """Even and odd states of a chain of Z Z and X X, which keeps the product of all X and that of all Z."""
    sites, H = tn.spin_sites(6, conserve=None), tn.OperatorSum()
    for i in range(5):
        H += -1.0, "Z", i, "Z", i + 1
        H += 0.3, "X", i, "X", i + 1
    mpo, psi = H.mpo(sites), tn.MPS.product(sites, [[0.8, 0.6]] * 6)
    matrix, flip = mpo.to_dense(), np.asarray(dense.kron([sites[0].op(name)] * 6))
    for parity in (1, -1):
        projector = (np.eye(64) + parity * flip) / 2
        exact = np.linalg.eigvalsh(matrix + 100 * (np.eye(64) - projector))[0]
        chosen = replace(settings(parity, 16), reflection=name)
        assert abs(chosen.solve(mpo, psi).energy - exact) < 1e-9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parity": 0}, "needs parity = 1"),
        ({"reflection": "", "parity": 1}, "name one"),
        ({"sites": 1}, "two sites"),
    ],
)
def test_settings_that_do_not_fit(changes, said):
    with pytest.raises(tn.errors.SettingsError, match=said):
        replace(settings(1), **changes)


def test_input_that_does_not_fit():
    model = Heisenberg(L=6)
    H, psi = model.mpo(), model.product("neel")
    with pytest.raises(tn.errors.SettingsError, match="averaged"):
        settings(1).excited(H, psi, averaged=True)
    with pytest.raises(tn.errors.StateError, match="even under 'Flip'"):
        settings(-1, noise_sweeps=0).solve(H, tn.symmetrized(psi, "Flip", 1))
    plain = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=1).solve(H, psi)
    with pytest.raises(tn.errors.StateError, match="without the progress"):
        settings(1, max_sweeps=4).solve(H, tn.MPS.random(model.sites, chi=3, like=psi, seed=2), progress=plain.progress)
    field = model.operator_sum()
    field += 0.1, "Sz", 0
    with pytest.raises(tn.errors.OperatorError, match="its own reflection"):
        settings(1).solve(field.mpo(model.sites), psi)
    with pytest.raises(tn.errors.OperatorError, match="no operator 'Flop'"):
        replace(settings(1), reflection="Flop").solve(H, psi)
