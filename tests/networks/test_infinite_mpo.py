"""Infinite operators: their open pieces against Kronecker sums, their channels, and terms that cannot repeat."""

import numpy as np
import pytest

import tnsim as tn
from tests.exact.dense import hamiltonian, schmidt_ranks
from tests.suites.structures import dense
from tnsim.errors import ChargeError, LegError, OperatorError, SettingsError, ShapeError, StateError
from tnsim.models import (
    J1J2,
    XXZ,
    HaldaneShastry,
    Heisenberg,
    PowerLawHeisenberg,
    RandomFieldHeisenberg,
    TransverseIsing,
)
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import fermion_site, spin_site, spin_sites


def repeated(H: OperatorSum, cell: int, length: int) -> OperatorSum:
    """All translations by whole cells that fit an open chain."""
    total = OperatorSum()
    for shift in range(-length, length, cell):
        for term in H.terms:
            places = [i + shift for _, i in term.factors]
            if min(places) >= 0 and max(places) < length:
                total += type(term)(
                    term.coefficient, tuple((op, i + shift) for op, i in term.factors), term.adjoint_coefficient
                )
    return OperatorSum(total.terms, H.exponentials)


def assert_repeats(H: OperatorSum, sites, cells: int) -> InfiniteMPO:
    infinite = InfiniteMPO.from_sum(H, sites)
    exact = hamiltonian(repeated(H, len(sites), cells * len(sites)), sites * cells)
    found = infinite.open_chain(cells)
    np.testing.assert_allclose(np.asarray(found.to_dense()), exact, atol=1e-12)
    assert infinite.is_hermitian == found.is_hermitian == bool(np.allclose(exact, exact.conj().T))
    return infinite


@pytest.mark.parametrize("conserve", ["Sz", "parity", None])
@pytest.mark.parametrize("cell", [1, 2, 3])
def test_terms_that_reach_into_later_cells(cell, conserve):
    H = OperatorSum()
    for i in range(cell):
        H += 0.3 + i, "Sz", i
        H += plus_hc(0.5 - 0.1 * i, "S+", i, "S-", i + 1)
        H += 0.7, "Sz", i + 3, "Sz", i
        H += plus_hc(0.2j, "S+", i + 1, "Sz", i + 2, "S-", i)
    H += 0.25, "Id", 0
    assert_repeats(H, spin_sites(cell, 0.5, conserve), 6 // cell)


def test_bond_dimension_is_the_operator_schmidt_rank():
    for model, width in ((Heisenberg(L=2), 5), (TransverseIsing(L=2), 3), (J1J2(L=2, J2=0.5), 8)):
        H = model.infinite_mpo()
        assert H.bond_dimensions == (width, width), H
        chain = H.open_chain(3 if width < 8 else 4)
        exact = schmidt_ranks(np.asarray(chain.to_dense()), chain.sites)
        assert exact[len(exact) // 2] == width


def test_equal_translations_are_one_term():
    H = OperatorSum()
    H += 1.0, "Sz", 4, "Sz", 5
    H += 2.0, "Sz", 0, "Sz", 1
    H += plus_hc(1.0, "S+", 1, "S-", 2)
    same = OperatorSum()
    same += 3.0, "Sz", 0, "Sz", 1
    same += plus_hc(1.0, "S+", 1, "S-", 2)
    sites = spin_sites(2)
    for a, b in zip(InfiniteMPO.from_sum(H, sites).tensors, InfiniteMPO.from_sum(same, sites).tensors, strict=True):
        np.testing.assert_array_equal(dense(a), dense(b))


def test_exponentials_carry_themselves_on():
    H = OperatorSum().add_exponential(0.8, "Sz", "Sz", 0.6).add_exponential(0.5, "S+", "S-", -0.4, "Sz")
    H = H.add_exponential(0.5, "S-", "S+", -0.4, "Sz")
    infinite = assert_repeats(H, spin_sites(1), 6)
    assert infinite.bond_dimensions == (5,) and infinite.reach is None
    assert_repeats(H, spin_sites(2), 3)


def test_an_operator_that_is_not_hermitian_is_known():
    H = OperatorSum()
    H += 1.0, "S+", 0, "S-", 1
    assert assert_repeats(H, spin_sites(2), 2).is_hermitian is False


def test_models_of_open_chains_repeat():
    model = XXZ(L=2, delta=0.3, field=0.2)
    H = model.infinite_mpo()
    chain = np.asarray(H.open_chain(3).to_dense())
    exact = hamiltonian(XXZ(L=6, delta=0.3, field=0.2).operator_sum(), spin_sites(6))
    np.testing.assert_allclose(chain, exact, atol=1e-13)
    assert TransverseIsing(L=2).infinite_mpo(cell=1).L == 1
    assert J1J2(L=2, J2=0.3).infinite_mpo(cell=1).reach == 2


def test_models_that_do_not_repeat_are_refused():
    with pytest.raises(SettingsError, match="does not repeat every 2 sites"):
        RandomFieldHeisenberg(L=2, W=1.0).infinite_mpo()
    with pytest.raises(SettingsError, match="OperatorSum with exponentials"):
        PowerLawHeisenberg(L=2, alpha=2.0).infinite_mpo()
    with pytest.raises(SettingsError, match="HaldaneShastry on .* is closed along x"):
        HaldaneShastry(L=2).infinite_mpo()
    with pytest.raises(SettingsError, match="L must be a multiple"):
        Heisenberg(L=4).infinite_mpo(cell=3)
    with pytest.raises(StateError, match="'neel' of 2 sites does not repeat in a cell of 1"):
        TransverseIsing(L=2).infinite_product("neel", cell=1)
    with pytest.raises(ChargeError, match="neutral_cell"):
        Heisenberg(L=2).infinite_product("up", cell=1)
    with pytest.raises(StateError, match="knows no product state"):
        Heisenberg(L=2).infinite_product("neal")
    assert Heisenberg(L=4).infinite_product("neel").L == 4


def test_terms_that_cannot_repeat_are_refused():
    sites = spin_sites(2)
    with pytest.raises(OperatorError, match="empty sum"):
        InfiniteMPO.from_sum(OperatorSum(), sites)
    with pytest.raises(OperatorError, match="names site -1.*shift the term"):
        InfiniteMPO.from_sum(OperatorSum().add(1.0, "Sz", -1, "Sz", 0), sites)
    with pytest.raises(OperatorError, match="does not decay"):
        InfiniteMPO.from_sum(OperatorSum().add_exponential(1.0, "Sz", "Sz", 1.0), sites)
    with pytest.raises(OperatorError, match="equal sites"):
        InfiniteMPO.from_sum(
            OperatorSum().add_exponential(1.0, "Sz", "Sz", 0.5), (spin_site(0.5, None), spin_site(1, None))
        )
    with pytest.raises(ChargeError, match="changes the conserved charge"):
        InfiniteMPO.from_sum(OperatorSum().add(1.0, "S+", 0), sites)
    with pytest.raises(ShapeError, match="at least one site"):
        InfiniteMPO.from_sum(OperatorSum().add(1.0, "Sz", 0), ())
    H = Heisenberg(L=2).infinite_mpo()
    with pytest.raises(ShapeError, match="at least one cell"):
        H.open_chain(0)
    with pytest.raises(ShapeError, match="end channels"):
        InfiniteMPO(H.tensors, H.sites, H.starts, ())
    with pytest.raises(LegError, match="legs"):
        InfiniteMPO(H.tensors, spin_sites(2, 1), H.starts, H.finishes)
    other = TransverseIsing(L=2, conserve=None).infinite_mpo()
    wide = Heisenberg(L=2, conserve=None).infinite_mpo()
    with pytest.raises(LegError, match="does not fit the site before"):
        InfiniteMPO((other.tensors[0], wide.tensors[1]), wide.sites, (0, 0), (2, 2))


def test_moving_and_casting():
    H = Heisenberg(L=2).infinite_mpo()
    assert H.astype(np.complex64).dtype == np.complex64 and "2 sites" in repr(H)
    assert H.to("numpy").backend.name == "numpy" and len(H) == 2
    assert tn.InfiniteMPO is InfiniteMPO


@pytest.mark.parametrize("cell", [1, 2])
def test_fermions_carry_their_strings_from_cell_to_cell(cell):
    H = OperatorSum()
    for i in range(cell):
        H += plus_hc(-1.0, "Cdag", i, "C", i + 1)
        H += plus_hc(0.3, "C", i + 3, "Cdag", i)
        H += 0.7, "N", i + 2, "N", i
        H += plus_hc(0.2j, "Cdag", i + 1, "N", i + 2, "C", i)
    assert_repeats(H, (fermion_site(),) * cell, 6 // cell)


def test_fermions_with_exponentials():
    H = OperatorSum().add_exponential(0.8, "N", "N", 0.6)
    H += plus_hc(1.0, "Cdag", 0, "C", 1)
    assert_repeats(H, (fermion_site(),), 5)
