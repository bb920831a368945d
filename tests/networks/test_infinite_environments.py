"""Environments of infinite states: energies against dense windows, gradients, and bonds that grow."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact.dense import place
from tests.suites.structures import dense
from tnsim.errors import ShapeError
from tnsim.networks.bond_expansion import expand
from tnsim.networks.infinite_effective import UniformHamiltonian
from tnsim.networks.infinite_environments import infinite_environments
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import spin_sites


def window_state(psi: tn.InfiniteMPS, length: int) -> np.ndarray:
    """Amplitudes of the first sites, as a matrix over the states outside."""
    state = dense(psi.AC(0))
    for i in range(1, length):
        state = np.tensordot(state, dense(psi.AR[i % psi.L]), 1)
    left, right = state.shape[0], state.shape[-1]
    return state.reshape(left, -1, right).transpose(1, 0, 2).reshape(-1, left * right)


def exact_energy(H: OperatorSum, psi: tn.InfiniteMPS, length: int) -> float:
    amplitudes = window_state(psi, length)
    sites = (psi.sites * length)[:length]
    total = 0.0
    for term in H.terms:
        matrix = place(sites, term.factors)
        matrix = term.coefficient * matrix + term.adjoint_coefficient * matrix.conj().T
        total += np.vdot(amplitudes, matrix @ amplitudes)
    return float(np.real(total))


def hamiltonian(cell: int) -> OperatorSum:
    H = OperatorSum()
    for i in range(cell):
        H += 0.3 + i, "Sz", i
        H += plus_hc(0.5 - 0.2j * i, "S+", i, "S-", i + 1)
        H += 0.7, "Sz", i, "Sz", i + 3
    return H


@pytest.mark.parametrize("cell", [1, 2, 3])
@pytest.mark.parametrize("conserve", ["Sz", None])
def test_energy_of_any_state(cell, conserve):
    sites = spin_sites(cell, 1, conserve)
    psi = tn.InfiniteMPS.random(sites, chi=5, seed=cell, dtype=complex)
    H = InfiniteMPO.from_sum(hamiltonian(cell), sites)
    environments = infinite_environments(psi, H)
    assert environments.energy == pytest.approx(exact_energy(hamiltonian(cell), psi, cell + 3), abs=1e-10)


def test_energy_with_exponentials():
    sites = spin_sites(1, 0.5, None)
    psi = tn.InfiniteMPS.random(sites, chi=3, seed=0)
    exact = sum(exact_energy(OperatorSum().add(0.3**r, "X", 0, "Z", r), psi, r + 1) for r in range(1, 11))
    H = InfiniteMPO.from_sum(OperatorSum().add_exponential(1.0, "X", "Z", 0.3), sites)
    assert infinite_environments(psi, H).energy == pytest.approx(exact, abs=1e-6)


def test_an_environment_nearby_is_only_a_start():
    sites = spin_sites(2)
    H = InfiniteMPO.from_sum(hamiltonian(2), sites)
    first, second = (tn.InfiniteMPS.random(sites, chi=6, seed=n, dtype=complex) for n in (1, 2))
    fresh = infinite_environments(second, H)
    warm = infinite_environments(second, H, infinite_environments(first, H))
    for a, b in zip((*fresh.lefts, *fresh.rights), (*warm.lefts, *warm.rights), strict=True):
        np.testing.assert_allclose(dense(a), dense(b), atol=1e-9)


def test_the_gradient_is_the_derivative_of_the_energy():
    sites = spin_sites(2)
    H = InfiniteMPO.from_sum(hamiltonian(2), sites)
    psi = tn.InfiniteMPS.random(sites, chi=6, seed=1, dtype=complex)
    heff = UniformHamiltonian(H, infinite_environments(psi, H), psi)
    direction = heff.gradient(0)
    # AC moves against the gradient, seen at the same C: AL moves by gradient C^-1
    step = tn.contract("l s r, m r -> l s m", direction, _inverse(psi.C[0]))
    energies = []
    for size in (1e-5, -1e-5):
        moved = tn.InfiniteMPS.from_tensors([psi.AL[0] + step * size, *psi.AL[1:]], sites)
        energies.append(infinite_environments(moved, H).energy)
    slope = (energies[0] - energies[1]) / 2e-5
    assert slope == pytest.approx(2 * direction.norm() ** 2, rel=1e-5)


def _inverse(c: tn.Tensor) -> tn.Tensor:
    """C^-1 with its legs in the order (left, right)."""
    inverse = np.linalg.inv(dense(c)).T
    return tn.from_dense(inverse, [leg.dual for leg in c.legs], tolerance=1e-8)


def test_growing_keeps_the_state():
    sites = spin_sites(2, 1)
    H = InfiniteMPO.from_sum(hamiltonian(2), sites)
    psi = tn.InfiniteMPS.random(sites, chi=6, seed=1, dtype=complex)
    environments = infinite_environments(psi, H)
    grown, norms = expand(UniformHamiltonian(H, environments, psi), [3, 0])
    assert grown.bond_dimensions == (9, 6) and min(norms) > 0.1
    assert infinite_environments(grown, H).energy == pytest.approx(environments.energy, abs=1e-11)
    for i in range(2):
        left, right = grown.AL[i], grown.AR[i]
        one = tn.contract("l s a, l s b -> a b", left.conj(), left)
        np.testing.assert_allclose(dense(one), np.eye(one.shape[0]), atol=1e-12)
        one = tn.contract("a s r, b s r -> a b", right.conj(), right)
        np.testing.assert_allclose(dense(one), np.eye(one.shape[0]), atol=1e-12)
        moved = tn.contract("l m, m s r -> l s r", grown.C[i - 1], right)
        np.testing.assert_allclose(dense(grown.AC(i)), dense(moved), atol=1e-12)


def test_a_repeated_cell_is_the_same_state_and_operator():
    H = OperatorSum().add(0.7, "Sz", 0, "Sz", 3)
    H += plus_hc(0.5, "S+", 0, "S-", 1)
    sites = spin_sites(1, 1)
    psi = tn.InfiniteMPS.random(sites, chi=5, seed=0)
    operator = InfiniteMPO.from_sum(H, sites)
    single = infinite_environments(psi, operator).energy
    assert operator.repeated(2).reach == 2 and operator.reach == 3
    for cells in (2, 3):
        whole = infinite_environments(psi.repeated(cells), operator.repeated(cells)).energy
        assert whole == pytest.approx(cells * single, abs=1e-10)
    for thing in (psi, operator):
        with pytest.raises(ShapeError, match="at least once"):
            thing.repeated(0)
