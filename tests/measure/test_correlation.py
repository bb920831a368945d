"""Two-point functions of all pairs against dense vectors."""

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tests.exact import dense
from tests.strict_device import sync_budget
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, random_state, relative, tolerance
from tnsim.errors import OperatorError

on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


def dense_table(psi: tn.MPS, a: str, b: str) -> np.ndarray:
    return dense.pair_table(psi.sites, relative(psi), a, b)


@on_every_device
@few_chains
def test_all_pairs_on_every_device(chain, device, dtype):
    psi = random_state(chain, dtype).to(backend_or_skip(device))
    for a, b in (chain.ladder, chain.neutral):
        table = tn.correlation(psi, a, b)
        np.testing.assert_allclose(table, dense_table(psi, a, b), atol=10 * tolerance(dtype))


def test_all_pairs_of_all_operators(chain):
    """Adjoint pairs, equal pairs and unlike pairs, whatever charges they carry."""
    psi = random_state(chain, np.complex128)
    names = sorted({*chain.neutral, *chain.ladder})
    for a in names:
        for b in names:
            np.testing.assert_allclose(
                tn.correlation(psi, a, b), dense_table(psi, a, b), atol=1e-12, err_msg=f"{a} {b}"
            )


def test_some_sites_in_any_order(chain):
    psi = random_state(chain, np.complex128)
    a, b = chain.ladder
    whole = tn.correlation(psi, a, b)
    for sites in ([1, 2], [3, 0, 2], [2, 2], [1]):
        np.testing.assert_allclose(tn.correlation(psi, a, b, sites), whole[np.ix_(sites, sites)], atol=1e-13)
    assert tn.correlation(psi, a, b, []).shape == (0, 0)


def test_connected_correlations_vanish_in_product_states():
    psi = tn.MPS.product(tn.spin_sites(5, conserve=None), [[1, 2], [3, 1], "up", [1, -1], "down"])
    table = tn.correlation(psi, "Sx", "Sz", connected=True)
    np.testing.assert_allclose(table - np.diag(table.diagonal()), 0, atol=1e-14)
    assert abs(tn.correlation(psi, "Sx", "Sz")[0, 1]) > 0.1


def test_long_chains_go_in_several_parts():
    """More left ends than one environment carries; the answer is that of pairs one by one."""
    psi = tn.MPS.random(tn.spin_sites(70), chi=4, charge=2, seed=3)
    table = tn.correlation(psi, "S+", "S-")
    assert table.shape == (70, 70) and table.dtype == np.float64
    for i, j in ((0, 69), (31, 32), (32, 31), (40, 66), (69, 3)):
        assert table[i, j] == pytest.approx(tn.expect(psi, [("S+", i), ("S-", j)]), abs=1e-13)
    np.testing.assert_allclose(table, table.T, atol=1e-13)


def test_sum_rule_of_the_total_spin():
    """sum_ij <S_i S_j> = S (S + 1) in a sector of maximal spin."""
    sites = tn.spin_sites(6)
    psi = tn.MPS.product(sites, ["up"] * 6)
    total = tn.correlation(psi, "Sz", "Sz").sum() + tn.correlation(psi, "S+", "S-").sum() / 2
    total += tn.correlation(psi, "S-", "S+").sum() / 2
    assert total == pytest.approx(3 * 4)


def test_reads_of_the_device_grow_with_the_length_not_with_the_pairs():
    psi = tn.canonicalize(tn.MPS.random(tn.spin_sites(12), chi=4, seed=0).to("strict"), 0)
    with sync_budget(40):
        # 11 steps of the centre for the environments and 11 for the diagonal, each checked for NaN
        tn.correlation(psi, "S+", "S-")


def test_unknown_sites_and_operators_are_refused():
    psi = tn.MPS.product(tn.spin_sites(4), ["up", "down"] * 2)
    with pytest.raises(OperatorError, match="sites 0 to 3, found 4"):
        tn.correlation(psi, "Sz", "Sz", [0, 4])
    with pytest.raises(OperatorError, match="Did you mean"):
        tn.correlation(psi, "Sz", "S++")
