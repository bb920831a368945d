"""Infinite states: canonical form, gauges, starts, truncation, and input that cannot repeat."""

import numpy as np
import pytest

import tnsim as tn
from tests.suites.structures import dense
from tnsim.errors import ChargeError, LegError, ShapeError, StateError
from tnsim.networks.infinite_mps import InfiniteMPS, neutral_cell
from tnsim.networks.sites import Site, boson_site, spin_site, spin_sites
from tnsim.networks.transfer import LEFT, RIGHT, second_eigenvalue, transfer, transfer_eigenpairs
from tnsim.symmetry import TRIVIAL, U1, Leg
from tnsim.tensor import contract, eye, from_dense, random_tensor


def assert_canonical(psi: InfiniteMPS, close: float) -> None:
    """AL and AR are isometries, AL C = C AR on every bond, and the norm is 1."""
    for i in range(psi.L):
        left, right, c = psi.AL[i], psi.AR[i], psi.C[i]
        one = contract("l s a, l s b -> a b", left.conj(), left)
        np.testing.assert_allclose(dense(one), np.eye(one.shape[0]), atol=close)
        one = contract("a s r, b s r -> a b", right.conj(), right)
        np.testing.assert_allclose(dense(one), np.eye(one.shape[0]), atol=close)
        moved = contract("l m, m s r -> l s r", psi.C[i - 1], right)
        np.testing.assert_allclose(dense(psi.AC(i)), dense(moved), atol=close)
        assert c.norm() == pytest.approx(1, abs=close)


def aklt() -> list[np.ndarray]:
    """The AKLT state, spin states -1, 0, 1, in a gauge that is not canonical."""
    lower = np.array([[0.0, 0.0], [-np.sqrt(2 / 3), 0.0]])
    a = np.stack([lower, np.diag([-np.sqrt(1 / 3), np.sqrt(1 / 3)]), -lower.T], axis=1)
    gauge = np.array([[2.0, 0.7], [0.1, 0.5]])
    return [3.0 * np.einsum("ab,bsc,cd->asd", np.linalg.inv(gauge), a, gauge)]


@pytest.mark.parametrize(("conserve", "cell"), [("Sz", 1), ("Sz", 3), ("parity", 2), (None, 1)])
def test_random_states_are_canonical(conserve, cell, dtype):
    check_random_state(conserve, cell, dtype, "numpy")


def test_random_states_are_canonical_on_a_device(backend):
    check_random_state("Sz", 3, np.dtype(complex), backend)


def check_random_state(conserve, cell, dtype, backend):
    psi = InfiniteMPS.random(spin_sites(cell, 1, conserve), chi=9, seed=4, dtype=dtype, backend=backend)
    assert psi.L == len(psi) == cell and psi.dtype == dtype and max(psi.bond_dimensions) <= 9
    assert_canonical(psi, 1e-4 if dtype.char in "fF" else 1e-11)


def test_the_same_seed_gives_the_same_state():
    a, b = (InfiniteMPS.random(spin_sites(2), chi=6, seed=5) for _ in range(2))
    np.testing.assert_array_equal(dense(a.AL[0]), dense(b.AL[0]))


def test_any_gauge_and_norm_leads_to_the_same_state():
    psi = InfiniteMPS.from_tensors([from_dense(a) for a in aklt()], spin_sites(1, 1, None))
    assert_canonical(psi, 1e-12)
    np.testing.assert_allclose(psi.schmidt_values()[0].values, [np.sqrt(0.5)] * 2, atol=1e-12)
    pairs, matrices = transfer_eigenpairs(psi.AL, psi.AL, count=4)
    np.testing.assert_allclose(pairs.values, [1, -1 / 3, -1 / 3, -1 / 3], atol=1e-12)
    assert len(matrices) == 4
    fixed = contract("a b, c b -> c a", psi.C[-1], psi.C[-1].conj())
    assert second_eigenvalue(psi.AL, fixed) == pytest.approx(-1 / 3)


def test_a_cell_may_begin_anywhere():
    """The Schmidt values of the same state do not depend on where its cell begins, nor on how often it repeats."""
    psi = InfiniteMPS.random(spin_sites(3, 1), chi=8, seed=1, bond=Leg(U1("2Sz"), [(-1,), (1,)], [3, 3]))
    turned = InfiniteMPS.from_tensors([*psi.AL[1:], psi.AL[0]], psi.sites)
    double = InfiniteMPS.from_tensors([*psi.AR, *psi.AR], psi.sites * 2)
    for n in range(3):
        values = np.sort(psi.schmidt_values()[n].values)
        np.testing.assert_allclose(np.sort(turned.schmidt_values()[n - 1].values), values, atol=1e-10)
        np.testing.assert_allclose(np.sort(double.schmidt_values()[n + 3].values), values, atol=1e-10)


def test_product_states():
    psi = InfiniteMPS.product(spin_sites(2), ["up", "down"])
    assert psi.bond_dimensions == (1, 1) and repr(psi).startswith("InfiniteMPS with a cell of 2 sites")
    assert_canonical(psi, 1e-15)
    tilted = InfiniteMPS.product([spin_site(0.5, None)], [np.array([1, 1j])])
    assert tilted.dtype == np.complex128 and "1 site," in repr(tilted)


def test_transfer_from_both_sides_agrees():
    a, b = (InfiniteMPS.random(spin_sites(2, 1), chi=7, seed=n, dtype=complex) for n in (1, 2))
    left, _ = transfer_eigenpairs(a.AL, b.AL, side=LEFT, count=3)
    right, _ = transfer_eigenpairs(a.AL, b.AL, side=RIGHT, count=3)
    np.testing.assert_allclose(np.abs(left.values), np.abs(right.values), atol=1e-10)
    x = random_tensor((a.AL[0].legs[0], b.AL[0].legs[0].dual), (2,), seed=0)
    y = random_tensor((a.AL[1].legs[2], b.AL[1].legs[2].dual), (-2,), seed=1)
    forwards = contract("x y, x y -> ", transfer(LEFT, x, a.AL, b.AL), y).item()
    backwards = contract("x y, x y -> ", x, transfer(RIGHT, y, a.AL, b.AL)).item()
    assert forwards == pytest.approx(backwards)


def test_eigenvalues_of_a_charge_sector_against_the_whole_matrix():
    psi = InfiniteMPS.random(spin_sites(2), chi=6, seed=3)
    whole = []
    for charge in range(-20, 21):
        whole += transfer_eigenpairs(psi.AL, psi.AL, charge=charge, count=40)[0].values.tolist()
    plain = [from_dense(dense(a)) for a in psi.AL]
    exact = transfer_eigenpairs(plain, plain, count=36)[0].values
    whole = sorted(np.abs(whole), reverse=True)
    np.testing.assert_allclose(whole[:10], np.sort(np.abs(exact))[::-1][:10], atol=1e-8)
    assert len(transfer_eigenpairs(psi.AL, psi.AL, charge=100)[0].values) == 0


def test_truncation_keeps_what_matters():
    psi = InfiniteMPS.random(spin_sites(2, 1), chi=12, seed=2)
    small = psi.truncate(tn.Truncation(chi_max=9))
    assert_canonical(small, 1e-11)
    assert max(small.bond_dimensions) == 9
    weight = 1 - min(np.sort(s.values**2)[-9:].sum() for s in psi.schmidt_values())
    overlap = abs(transfer_eigenpairs(psi.AL, small.AL)[0].values[0])
    assert 1 - 20 * weight < overlap < 1
    same = psi.truncate(tn.Truncation(chi_max=12))
    assert abs(transfer_eigenpairs(psi.AL, same.AL)[0].values[0]) == pytest.approx(1, abs=1e-11)


def test_neutral_cell_gives_any_filling():
    cell = neutral_cell(spin_sites(3), (1,))
    psi = InfiniteMPS.random(cell, chi=8, seed=0)
    assert_canonical(psi, 1e-11)
    np.testing.assert_array_equal(cell[2].op("Sz"), np.diag([-0.5, 0.5]))
    parity = neutral_cell(spin_sites(1, 1, "parity"), (1,))[0]
    assert parity.states[0] == "0" and parity.op("Sz")[0, 0] == 0  # the basis follows the charges


@pytest.mark.parametrize(("n", "charge"), [(3, (3,)), (4, (-8,)), (3, (2,)), (5, (-3,)), (2, (0,))])
def test_neutral_cell_spreads_the_charge_evenly(n, charge):
    """At integer densities all sites are one and the same; at others they differ by one unit, and add up."""
    sites = (boson_site(3),) * n
    cell = neutral_cell(sites, charge)
    shares = [site.charges[0][0] - sites[0].charges[0][0] for site in cell]
    assert sum(shares) == -charge[0] and max(shares) - min(shares) <= 1
    assert len(set(cell)) == len(set(shares)) and (charge != (0,) or cell == sites)
    for site in cell:
        assert site.op("N").diagonal().tolist() == [q - site.charges[0][0] for (q,) in site.charges]


def test_what_cannot_repeat_is_refused():
    with pytest.raises(ChargeError, match=r"carries the charge \(1,\).*neutral_cell"):
        InfiniteMPS.product(spin_sites(1), ["up"])
    with pytest.raises(ChargeError, match="1 site is neutral"):
        InfiniteMPS.random(spin_sites(1), chi=4)
    with pytest.raises(StateError, match="found 1 sites and 2 states"):
        InfiniteMPS.product(spin_sites(1), ["up", "down"])
    with pytest.raises(ShapeError, match="chi = 0"):
        InfiniteMPS.random(spin_sites(2), chi=0)
    site = spin_site(0.5, None)
    with pytest.raises(LegError, match="between the last site and the first"):
        InfiniteMPS.from_tensors([from_dense(np.ones((2, 2, 3)))], [site])
    with pytest.raises(LegError, match="flows"):
        InfiniteMPS.from_tensors([from_dense(np.ones((2, 3, 2)))], [site])
    with pytest.raises(ShapeError, match="one tensor per site"):
        InfiniteMPS.from_tensors([], [site])
    with pytest.raises(LegError, match="only reaches"):
        InfiniteMPS.from_tensors([from_dense(np.ones((2, 2, 8))), from_dense(np.ones((8, 2, 2)))], [site, site])
    with pytest.raises(ShapeError, match="AL, AR and C"):
        psi = InfiniteMPS.product([site], ["up"])
        InfiniteMPS(psi.AL, psi.AR, [], [site])
    leg = Leg(U1("2Sz"), [(-40,)], [1])
    with pytest.raises(ChargeError, match=r"U\(1\) other"):
        InfiniteMPS.random(spin_sites(2), chi=2, bond=Leg(U1("other"), [(0,)], [1]))
    assert InfiniteMPS.random(spin_sites(2), chi=2, bond=leg).bond_dimensions[1] == 1


def test_superpositions_are_refused():
    with pytest.raises(StateError, match="superposition"):
        InfiniteMPS.random(spin_sites(1), chi=4, bond=Leg(U1("2Sz"), [(-1,), (0,)], [2, 2]))
    cat = np.zeros((2, 2, 2))
    cat[0, 0, 0] = cat[1, 1, 1] = 1
    with pytest.raises(StateError, match="superposition"):
        InfiniteMPS.from_tensors([from_dense(cat)], [spin_site(0.5, None)])
    neel = np.zeros((2, 2, 2))
    neel[0, 0, 1] = neel[1, 1, 0] = 1
    with pytest.raises(StateError, match="superposition"):
        InfiniteMPS.from_tensors([from_dense(neel)], [spin_site(0.5, None)])


def test_trivial_transfer_of_one_state():
    site = Site("one", ("only",), TRIVIAL, ((),), {})
    psi = InfiniteMPS.product([site], ["only"])
    x = eye(psi.AL[0].legs[0])
    np.testing.assert_allclose(dense(transfer(LEFT, x, psi.AL, psi.AL)), [[1.0]])
