"""Searches that keep a third of a turn of the spins, where state and terms have it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.algorithms.peps.minimizations import HEISENBERG, NARROW, SQUARE, Stop
from tnsim.algorithms.peps.variational.cyclic_symmetry import CyclicSymmetry
from tnsim.algorithms.peps.variational.minimization import Attempt
from tnsim.algorithms.peps.variational.symmetric_energy import SymmetricTerms
from tnsim.algorithms.peps.variational.symmetric_environment import symmetrised
from tnsim.algorithms.peps.variational.symmetric_problem import SymmetricProblem
from tnsim.algorithms.peps.variational.symmetric_variational import half_turn
from tnsim.models import J1J2, XXZ, XYZ, Heisenberg
from tnsim.networks.peps import InfinitePEPS, PlaneTerms
from tnsim.networks.sites import spin_site
from tnsim.tensor import Tensor, inner


def rotation(size, rng):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def charged(charges, of_site, seed):
    """A tensor whose bonds carry charges that add up to those of its site modulo 3, in any bases; that of the site."""
    rng, D = np.random.default_rng(seed), len(charges)
    total = np.add.outer(np.add.outer(charges, charges), np.add.outer(charges, charges)) % 3
    weights = np.einsum("n,e,s,w->nesw", *[0.6 ** np.arange(D)] * 4)[..., None]
    array = (total[..., None] == of_site) * weights * rng.uniform(0.2, 1.0, size=(*total.shape, 2))
    psi = InfinitePEPS.random(HEISENBERG.sites[:1], D, [[0]])
    (tensor,) = psi.tensors
    site = symmetrised(Tensor(tensor.legs, array.ravel(), tensor.charge)).to_dense()
    bond, axis = rotation(D, rng), rotation(2, rng)
    site = np.einsum("neswp,Nn,Ee,Ss,Ww,Pp->NESWP", site, bond, bond, bond, bond, axis)
    return psi.with_tensors([Tensor(tensor.legs, site.ravel(), tensor.charge)]), axis


def charges_of_bonds(array, axis, of_site):
    """Those that a third of a turn of the spin is undone by, up to a phase, 0 first; in the basis that a tensor has."""
    third = np.exp(2j * np.pi / 3)
    turned = np.einsum("neswp,pq->neswq", array, axis @ np.diag(third ** np.asarray(of_site)) @ axis.T)
    found = []
    for charges in itertools.product(range(3), repeat=len(array) - 1):
        bond = third ** -np.array((0, *charges))
        undone = np.einsum("neswp,n,e,s,w->neswp", turned, bond, bond, bond, bond)
        phase = np.vdot(array, undone) / np.vdot(array, array)
        if np.abs(undone - phase * array).max() < 1e-10 * np.abs(array).max():
            found.append((0, *charges))
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("charges", "of_site"),
    [((0, 1), (0, 1)), ((0, 1), (1, 0)), ((0, 1, 2), (0, 1)), ((0, 2, 1), (2, 0)), ((0, 1, 1), (1, 2))],
)
@pytest.mark.parametrize("seed", range(3))
def test_noise_keeps_a_cyclic_symmetry_in_any_basis(seed, charges, of_site):
    small, axis = charged(charges, of_site, seed)
    symmetry = CyclicSymmetry.of(small)
    found = symmetry.start(1.5, np.random.default_rng(seed))
    array, D = found.tensors[0].to_dense(), len(charges)
    *embedded, new = charges_of_bonds(array, axis, of_site)
    assert sorted(embedded.count(charge) for charge in range(3)) == sorted(charges.count(charge) for charge in range(3))
    # of those that fewest states have, that of the largest weight, which comes first
    assert embedded.count(new) == min(embedded.count(charge) for charge in range(3))
    assert charges != (0, 1, 2) or new == embedded[0]
    # noise comes to elements of the new state, which stay as they are but for the symmetries of the square
    assert np.abs(array[D]).max() > 1e-3 and np.abs(array[:D, :D, :D, :D]).max() > 1e-3
    site = symmetrised(found.tensors[0])
    assert (symmetry.project(site) - site).norm() < 1e-12 * site.norm()
    (other,) = InfinitePEPS.random(HEISENBERG.sites[:1], D + 1, [[0]], seed=seed).tensors
    assert (symmetry.project(symmetry.project(other)) - symmetry.project(other)).norm() < 1e-12 * other.norm()
    assert abs(inner(symmetry.project(other), other) - symmetry.project(other).norm() ** 2) < 1e-12 * other.norm() ** 2
    assert 0.1 * other.norm() < symmetry.project(other).norm() < 0.9 * symmetrised(other).norm()


@pytest.mark.parametrize(("charges", "noise", "starts"), [((0, 1), 1.5, 4), ((0, 1, 2), 0.3, 3)])
def test_starts_with_a_cyclic_symmetry_come_after_the_one_without(charges, noise, starts):
    small, D = charged(charges, (0, 1), 1)[0], len(charges) + 1
    solver = tn.SymmetricVariationalPEPS(D=D, environment=NARROW)
    first = InfinitePEPS.random(HEISENBERG.sites[:1], 1, [[0]], seed=1)
    symmetry = CyclicSymmetry.of(small)
    for number in range(starts):
        attempt = Attempt(small, D, first, number=number, symmetric=True, cyclic=True)
        found = solver._start(attempt).tensors[0].to_dense()
        expected = symmetry.start(noise, np.random.default_rng([0, D, number])).tensors[0].to_dense()
        assert np.array_equal(found, expected) == (number > 0)
    assert solver._attempts(attempt) == starts


def distance(found, symmetry):
    """Of a symmetric tensor from those that keep a symmetry."""
    site = found.state.tensors[0]
    return (symmetry.project(site) - site).norm()


@pytest.mark.parametrize(("number", "after"), [(1, 1), (4, 3)], ids=["on trial", "chosen"])
def test_a_cyclic_symmetry_is_kept_to_the_end_also_from_files(number, after, tmp_path):
    """By a trial that has it and by what goes on from one, and from a finished result, which says the free slope."""
    small, _ = charged((0, 1), (0, 1), 1)
    few, narrow = tn.MinimizationSettings(max_iterations=4), tn.EnvironmentSettings(chi_max=6)
    # with so much noise those that keep the symmetry are lower
    solver = tn.SymmetricVariationalPEPS(D=3, noise=2.0, compare_after=2, environment=narrow, minimization=few)
    half = solver.solve(HEISENBERG, small, observers=[Stop(3, number, after)])
    symmetry = CyclicSymmetry.of(half.attempt.origin)
    assert half.attempt.number == number and distance(half, symmetry) < 1e-12
    whole = solver.solve(HEISENBERG, small)
    again = solver.solve(HEISENBERG, small, resume=tn.load(tn.save(tmp_path / "half.h5", half)))
    assert [r.energy for r in again.history] == [r.energy for r in whole.history]
    assert np.array_equal(again.optimizer.point, whole.optimizer.point)
    assert whole.attempt.trial > 0 and distance(whole, symmetry) < 1e-12
    further = replace(solver, minimization=tn.MinimizationSettings(max_iterations=7))
    found = further.solve(HEISENBERG, small, resume=tn.load(tn.save(tmp_path / "whole.h5", whole)))
    assert found.optimizer.iteration == 7 and distance(found, symmetry) < 1e-12
    # without it the gradient is no larger
    terms = SymmetricTerms.of(PlaneTerms.infinite_of(HEISENBERG, [[0]]), half_turn(HEISENBERG.sites[0]))
    slopes = []
    for project in (symmetrised, symmetry.project):
        problem = SymmetricProblem(terms, found.state.tensors[0], HEISENBERG.sites[0], narrow, project)
        slopes.append(np.linalg.norm(problem(problem.point(found.state.tensors[:1]))[1]))
    assert slopes[0] > 1e-4 and abs(slopes[0] - slopes[1]) < 1e-7 * slopes[0]


def test_what_stalls_keeps_its_cyclic_symmetry_after_restarts(tmp_path):
    small, _ = charged((0, 1), (0, 1), 1)
    early = tn.MinimizationSettings(stall_iterations=2, stall_tol=1.0, stall_slope=1e-9, slope_tol=1e-9)
    narrow = tn.EnvironmentSettings(chi_max=6)
    solver = tn.SymmetricVariationalPEPS(
        D=3, noise=2.0, compare_after=2, restarts=1, environment=narrow, minimization=early
    )
    stalled = solver.solve(HEISENBERG, small)
    assert early.stalled(stalled) and stalled.attempt.number == 4 and stalled.history[-1].attempt == 5
    more = replace(solver, minimization=tn.MinimizationSettings(max_iterations=stalled.optimizer.iteration + 3))
    found = more.solve(HEISENBERG, small, resume=tn.load(tn.save(tmp_path / "stalled.h5", stalled)))
    assert found.attempt.number == 4 and found.optimizer.iteration == stalled.optimizer.iteration + 3
    assert distance(found, CyclicSymmetry.of(found.attempt.origin)) < 1e-12


@pytest.mark.parametrize(
    ("terms", "kept"),
    [
        (Heisenberg(lattice=SQUARE, conserve=None), True),
        (J1J2(lattice=SQUARE, conserve=None, J2=0.5), True),
        (XXZ(lattice=SQUARE, conserve=None, delta=2.0), True),
        (XXZ(lattice=SQUARE, conserve=None, delta=0.999), False),
        (XYZ(lattice=SQUARE, conserve=None, Jx=1.0, Jy=0.999, Jz=2.0), False),
    ],
    ids=["heisenberg", "frustrated", "easy axis", "easy plane", "no axis"],
)
def test_starts_keep_no_symmetry_that_terms_have_not(terms, kept):
    """Around the axis of an order, which lies along one of the real spin components."""
    axis = "x" if getattr(terms, "delta", 2.0) < 1 else "z"
    rng, charges = np.random.default_rng(0), np.add.outer(np.arange(2), np.arange(2))
    total = np.add.outer(charges, charges)
    array = np.stack([total == 0, total == 1], axis=-1) * rng.uniform(0.2, 1.0, size=(2,) * 5)
    if axis == "x":
        array = array @ (np.array([[1, 1], [1, -1]]) / np.sqrt(2))
    psi = InfinitePEPS.random(HEISENBERG.sites[:1], 2, [[0]])
    (tensor,) = psi.tensors
    psi = psi.with_tensors([symmetrised(Tensor(tensor.legs, array.ravel(), tensor.charge))])
    assert CyclicSymmetry.of(psi) is not None
    solver = tn.SymmetricVariationalPEPS(D=3, environment=NARROW)
    assert solver._is_cyclic(PlaneTerms.infinite_of(terms, [[0]]), psi, 3) == kept
    assert not solver._is_cyclic(PlaneTerms.infinite_of(terms, [[0]]), psi, 5)


def test_cyclic_starts_are_the_same_on_the_device():
    """From bonds of 2 on, with a look at 3/2 chi at the end."""
    few, narrow = tn.MinimizationSettings(max_iterations=1), tn.EnvironmentSettings(chi_max=6)
    solver = tn.SymmetricVariationalPEPS(D=3, compare_after=1, environment=narrow, minimization=few)
    small, _ = charged((0, 1), (0, 1), 1)
    host, device = (solver.solve(HEISENBERG, small.to(backend)) for backend in ("numpy", "strict"))
    assert [r.attempt for r in device.history if r.D == 3] == [0, 1, 2, 3]
    assert max(abs(a.energy - b.energy) for a, b in zip(host.history, device.history, strict=True)) < 1e-8
    assert device.state.backend.name == "strict" and abs(host.energy - device.energy) < 1e-8


@pytest.mark.parametrize("bonds", [1, 2, 3])
def test_states_that_keep_no_cyclic_symmetry_have_one_start(bonds):
    """Random ones, such as the Ising model's, and those whose sites conserve something, whose bonds are charged."""
    psi = InfinitePEPS.random(HEISENBERG.sites[:1], bonds, [[0]], seed=1)
    assert CyclicSymmetry.of(psi) is None
    solver = tn.SymmetricVariationalPEPS(D=4, environment=NARROW)
    terms = PlaneTerms.infinite_of(HEISENBERG, [[0]])
    assert not solver._is_cyclic(terms, psi, bonds + 1)
    assert solver._attempts(Attempt(psi, bonds + 1, psi, symmetric=True)) == (3 if bonds == 1 else 1)
    assert CyclicSymmetry.of(InfinitePEPS.random([spin_site(conserve="parity")], bonds, [[0]], states=["up"])) is None
