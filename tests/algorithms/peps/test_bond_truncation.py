"""Cuts of a bond in a metric: optimal, positive, and exact where the bond is large enough."""

import numpy as np
import pytest

from tnsim.algorithms.peps.updates.bond_fit import BondFit, expectation
from tnsim.algorithms.peps.updates.bond_truncation import cut_bond, positive, positive_norm
from tnsim.algorithms.peps.updates.plain_fit import PlainFit
from tnsim.errors import NumericalError
from tnsim.linalg import Truncation
from tnsim.symmetry import U1, Leg, trivial_leg
from tnsim.tensor import contract, eye, random_tensor


def case(symmetric, dtype, seed=0):
    """A metric that is far from a product, and a theta."""
    if symmetric:
        bond, phys = Leg(U1("Sz"), [(-1,), (1,)], [2, 2]), Leg(U1("Sz"), [(-1,), (1,)], [1, 1])
    else:
        bond, phys = trivial_leg(4), trivial_leg(2)
    outer = Leg(bond.group, bond.charges if symmetric else [()], [20] * len(bond.charges), -1)
    theta = random_tensor((bond, phys, bond, phys), dtype=dtype, seed=seed)
    root = random_tensor((bond, bond, phys, outer), dtype=dtype, seed=seed + 1)
    return theta, contract("a b r m, c d r m -> a b c d", root, root.conj())


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_no_small_change_lowers_the_error(symmetric, dtype):
    theta, metric = case(symmetric, dtype)
    norm = np.real(expectation(metric, theta, theta))
    cut = cut_bond(theta, metric, Truncation(chi_max=3), sweeps=500)

    def error(first, second):
        product = contract("k s m, m l t -> k s l t", first, second)
        factor = expectation(metric, product, theta) / expectation(metric, product, product)
        rest = theta - product * factor
        return np.real(expectation(metric, rest, rest)) / norm

    least = error(cut.first, cut.second)
    assert least == pytest.approx(cut.error, rel=1e-9)
    assert cut.norm == pytest.approx(np.sqrt(norm * (1 - cut.error)), rel=1e-9)
    for seed in range(6):
        a = cut.first + random_tensor(cut.first.legs, dtype=dtype, seed=seed) * 1e-3
        b = cut.second + random_tensor(cut.second.legs, dtype=dtype, seed=seed + 50) * 1e-3
        assert error(a, b) > least
    start = cut_bond(theta, metric, Truncation(chi_max=3), sweeps=0)
    assert cut.error < start.error and start.sweeps == 0


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_bare_arrays_are_fitted_as_tensors_are(dtype):
    theta, metric = case(False, dtype)
    tensors, arrays = BondFit(theta, metric), PlainFit(theta, metric)
    assert arrays.norm == pytest.approx(tensors.norm, rel=1e-12)
    cuts = []
    for fit in (tensors, arrays):
        first, second, error = fit.start(Truncation(chi_max=3))
        better = fit.first_solved(first, second)
        first, second = fit.balanced(better, fit.second_solved(better, second))
        *pair, spectrum = fit.ungauged(first, second)
        cuts.append((contract("k s m, m l t -> k s l t", *pair), spectrum.values, error, fit.error(first, second)))
    (product, *numbers), (other, *others) = cuts
    assert (product - other).norm() < 1e-10
    for number, same in zip(numbers, others, strict=True):
        np.testing.assert_allclose(number, same, rtol=1e-10)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        PlainFit(theta * float("nan"), metric)


def test_a_bond_that_is_large_enough_is_exact():
    theta, metric = case(True, np.float64)
    cut = cut_bond(theta, metric, Truncation(chi_max=8))
    product = contract("k s m, m l t -> k s l t", cut.first, cut.second)
    assert cut.error < 1e-12 and (theta / theta.norm() - product).norm() < 1e-9


def test_the_negative_part_is_taken_out_and_reported():
    _, metric = case(True, np.complex128)
    clean, share = positive(metric)
    assert share == 0 and (clean - metric).norm() < 1e-10 * metric.norm()
    bent = metric - _unit(metric) * (0.1 * metric.norm())
    fixed, share = positive(bent)
    assert 0 < share < 0.5
    again, nothing = positive(fixed)
    assert nothing < 1e-12 and (again - fixed).norm() < 1e-10 * fixed.norm()
    turned, share = positive(metric * -1j)
    assert share == 0 and (turned - clean).norm() < 1e-10 * metric.norm()
    with pytest.raises(NumericalError, match="no positive part"):
        positive(metric * 0.0)


def _unit(metric):
    a, b = (eye(leg, dtype=metric.dtype) for leg in metric.legs[:2])
    return contract("a c, b d -> a b c d", a, b)


def test_norms_that_are_not_positive_are_refused():
    with pytest.raises(NumericalError, match="Lower chi_max or raise svd_min"):
        positive_norm(-1e-17 + 0j)
    with pytest.raises(NumericalError, match="squared norm"):
        positive_norm(float("nan"))
