"""Successive randomised compression against the best that truncation does, on random pairs."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tnsim.linalg import Truncation
from tnsim.networks.apply import apply, apply_exact, apply_with_weight
from tnsim.networks.mpo import MPO
from tnsim.networks.mps import MPS, overlap
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import custom_site, spin_sites
from tnsim.symmetry import TRIVIAL, trivial_leg
from tnsim.tensor import from_dense


def decaying(legs, rng, flow_axes, rate):
    """A random dense tensor whose bonds decay."""
    shape = tuple(leg.dim for leg in legs)
    array = rng.standard_normal(shape)
    for axis in flow_axes:
        array = array * (rate ** np.arange(shape[axis])).reshape([-1 if n == axis else 1 for n in range(len(shape))])
    return from_dense(array, legs)


def random_pair(seed, *, L=9, d=2, w=5, chi=12):
    """An operator and a state without symmetry; no canonical form anywhere."""
    rng = np.random.default_rng(seed)
    site = custom_site("level", [str(n) for n in range(d)], TRIVIAL, [()] * d, {})
    ops, states = [], []
    for i in range(L):
        a, b = (1 if i == 0 else w), (1 if i == L - 1 else w)
        left, right = (1 if i == 0 else chi), (1 if i == L - 1 else chi)
        legs = [trivial_leg(n, flow) for n, flow in zip((a, d, d, b), (1, 1, -1, -1), strict=True)]
        ops.append(decaying(legs, rng, (0, 3), 0.6))
        legs = [trivial_leg(n, flow) for n, flow in zip((left, d, right), (1, 1, -1), strict=True)]
        states.append(decaying(legs, rng, (0, 2), 0.8))
    return MPO(ops), MPS(states, [site] * L)


def spin_pair(seed, *, L=8, chi=12):
    """A random sum of couplings and a random state of one charge, with symmetric tensors."""
    rng = np.random.default_rng(seed)
    sites, H = spin_sites(L, 0.5, "Sz"), OperatorSum()
    for i in range(L):
        for j in range(i + 1, L):
            H += plus_hc(rng.normal() * 0.5 ** (j - i), "S+", i, "S-", j)
            H += rng.normal() * 0.5 ** (j - i), "Sz", i, "Sz", j
    charge = [(0,), (2,)][seed % 2]
    return H.mpo(sites), MPS.random(sites, chi=chi, charge=charge, seed=seed)


def distance(state, exact):
    square = state.norm() ** 2 + exact.norm() ** 2 - 2 * overlap(state, exact).real
    return np.sqrt(max(square, 0.0)) / exact.norm()


@pytest.mark.parametrize("pair", [random_pair, spin_pair])
def test_b18_src_is_near_the_best_on_twenty_pairs(pair):
    ratios = []
    for seed in range(10):
        H, psi = pair(seed)
        exact, rule = apply_exact(H, psi), Truncation(chi_max=6)
        found, weight = apply_with_weight(H, psi, rule, "src")
        error = distance(found, exact)
        ratios.append(error / distance(apply(H, psi, rule, method="svd"), exact))
        assert max(found.bond_dimensions) <= 6 and found.charge == psi.charge
        assert error / 2 < np.sqrt(weight) < 2 * error
    assert max(ratios) < 1.5


def test_the_same_numbers_on_host_and_device_and_again():
    H, psi = spin_pair(0)
    rule = Truncation(chi_max=6)
    one, two = (apply(H, psi, rule, method="src") for _ in range(2))
    strict = backend_or_skip("strict")
    device = apply(H.to(strict), psi.to(strict), rule, method="src")
    for a, b, c in zip(one.tensors, two.tensors, device.tensors, strict=True):
        assert (a.data == b.data).all()
        np.testing.assert_allclose(np.abs(strict.to_host(c.data)), np.abs(a.data), atol=1e-9)
