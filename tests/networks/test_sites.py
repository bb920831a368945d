"""Sites: states in leg order, spin algebra, names and their errors."""

import numpy as np
import pytest

from tnsim.errors import OperatorError, SettingsError, StateError
from tnsim.networks.sites import Site, spin_site, spin_sites
from tnsim.symmetry import U1

SPINS = [0.5, 1, 1.5, 2, 3.5]
CONSERVED = ["Sz", "parity", None]


@pytest.mark.parametrize("conserve", CONSERVED)
@pytest.mark.parametrize("S", SPINS)
def test_spin_algebra(S, conserve):
    site = spin_site(S, conserve)
    x, y, z, identity = (site.op(name) for name in ("Sx", "Sy", "Sz", "Id"))
    np.testing.assert_allclose(x @ y - y @ x, 1j * z, atol=1e-13)
    np.testing.assert_allclose(x @ x + y @ y + z @ z, S * (S + 1) * identity, atol=1e-12)
    np.testing.assert_allclose(site.op("S+"), x + 1j * y, atol=1e-13)
    np.testing.assert_allclose(site.op("S-"), site.op("S+").T)
    assert site.dim == 2 * S + 1 == site.leg.dim and site.leg.flow == 1


@pytest.mark.parametrize("conserve", CONSERVED)
@pytest.mark.parametrize("S", SPINS)
def test_states_stand_in_leg_order_and_carry_their_charge(S, conserve):
    site = spin_site(S, conserve)
    assert list(site.charges) == sorted(site.charges)
    assert [charge for charge, dim in zip(site.leg.charges, site.leg.dims, strict=True) for _ in range(dim)] == list(
        site.charges
    )
    m = site.op("Sz").diagonal()
    names = {"down": -0.5, "up": 0.5}
    for place, state in enumerate(site.states):
        if S != 0.5:
            assert float(np.prod([float(x) ** (-1) ** k for k, x in enumerate(state.split("/"))])) == m[place]
        else:
            assert names[state] == m[place]
    if conserve == "Sz":
        assert site.charges == tuple((round(2 * value),) for value in m)
        assert site.charge_of("S+") == (2,) and site.charge_of("S-") == (-2,) and site.charge_of("Sz") == (0,)
    if conserve == "parity":
        assert site.charge_of("Sx") == (1,) == site.charge_of("S-")


def test_pauli_matrices_of_spin_half():
    site = spin_site(conserve=None)
    np.testing.assert_array_equal(site.op("Z"), np.diag([-1, 1]))
    np.testing.assert_allclose(site.op("X") @ site.op("Y"), 1j * site.op("Z"))
    assert "X" not in spin_site(1).operators


def test_aliases_and_state_errors():
    site = spin_site()
    assert site.state("up") == site.state("1/2") == site.state("+1/2") == 1
    assert spin_site(1).state("+1") == 2
    with pytest.raises(StateError, match='Did you mean "down"'):
        site.state("donw")


def test_products_matrices_and_unknown_operators():
    site = spin_site()
    np.testing.assert_allclose(site.op("S+ S-"), np.diag([0, 1]))
    np.testing.assert_allclose(site.op("S+*S-*Sz"), np.diag([0, 0.5]))
    np.testing.assert_array_equal(site.op(np.eye(2)), np.eye(2))
    with pytest.raises(OperatorError, match="no operator 'Szz'.*Did you mean \"Sz\""):
        site.op("Szz")
    with pytest.raises(OperatorError, match="Did you mean"):
        site.op("Sz S++")
    with pytest.raises(OperatorError, match=r"needs shape \(2, 2\), found \(3, 3\)"):
        site.op(np.eye(3))
    with pytest.raises(OperatorError, match="NaN"):
        site.op(np.full((2, 2), np.nan))
    with pytest.raises(OperatorError, match="name or a matrix"):
        site.op(3)
    with pytest.raises(OperatorError, match="changes the charge by"):
        site.charge_of("Sx")


def test_own_operators_and_own_sites():
    site = spin_site(1).with_operator("Q", np.diag([1, 0, 1]))
    assert site.op("Q").dtype == np.float64 and "Q" not in spin_site(1).operators
    assert site != spin_site(1) and site == spin_site(1).with_operator("Q", np.diag([1.0, 0.0, 1.0]))
    boson = Site("boson", ("0", "1", "2"), U1("N"), (0, 1, 2), {"n": np.diag([0, 1, 2])})
    assert boson.leg.charges == ((0,), (1,), (2,))
    np.testing.assert_array_equal(boson.op("Id"), np.eye(3))
    with pytest.raises(ValueError):
        boson.op("n")[0, 0] = 1
    with pytest.raises(StateError, match="ascending charge"):
        Site("boson", ("1", "0"), U1("N"), (1, 0), {})
    with pytest.raises(StateError, match="different names"):
        Site("boson", ("0", "0"), U1("N"), (0, 1), {})


@pytest.mark.parametrize("S", [0, -1, 0.3, np.nan, "1/2"])
def test_wrong_spin_length(S):
    with pytest.raises(SettingsError, match="positive multiple of 1/2"):
        spin_site(S)


def test_wrong_conserved_quantity_and_length():
    with pytest.raises(SettingsError, match='Did you mean "Sz"'):
        spin_site(conserve="sz")
    with pytest.raises(SettingsError, match="at least one site"):
        spin_sites(0)
