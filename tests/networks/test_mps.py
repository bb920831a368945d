"""States against their dense vectors, in every symmetry, dtype and on every device."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.devices import backend_or_skip
from tests.exact import dense
from tests.strict_device import sync_budget
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, all_on, random_state, tolerance, vector
from tnsim.errors import BackendError, ChargeError, LegError, ShapeError, StateError
from tnsim.linalg import Truncation
from tnsim.networks.mps import MPS, overlap
from tnsim.networks.sector_bonds import sector_bonds, sector_size
from tnsim.networks.sites import spin_sites
from tnsim.tensor import random_tensor


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


@on_every_device
@few_chains
def test_product_states_are_kronecker_products(chain, device, dtype):
    backend = backend_or_skip(device)
    names = [site.states[(2 * i + 1) % site.dim] for i, site in enumerate(chain.sites)]
    psi = MPS.product(chain.sites, names, dtype=dtype, backend=backend)
    places = [site.state(name) for site, name in zip(chain.sites, names, strict=True)]
    expected = np.zeros([site.dim for site in chain.sites])
    expected[tuple(places)] = 1
    assert psi.dtype == dtype and all_on(psi, backend) and psi.norm() == 1
    assert set(psi.bond_dimensions) == {1}
    np.testing.assert_array_equal(vector(psi).reshape(expected.shape), expected)


def test_product_states_of_vectors_and_aliases():
    free = spin_sites(3, conserve=None)
    psi = MPS.product(free, [[1, 1j], "1/2", np.array([3.0, 4.0])])
    expected = dense.kron([np.array([[1, 1j]]) / np.sqrt(2), np.array([[0, 1]]), np.array([[0.6, 0.8]])])
    np.testing.assert_allclose(psi.to_dense(), expected[0], atol=1e-15)
    assert psi.dtype == np.complex128
    assert MPS.product(spin_sites(2), ["1/2", [1.0, 0.0]]).charge == (0,)


@pytest.mark.parametrize(
    ("states", "error", "words"),
    [
        (["up", "down"], StateError, "found 3 sites and 2 states"),
        (["up", "dwn", "up"], StateError, 'site 1.*Did you mean "down"'),
        (["up", [1.0, 1.0], "up"], ChargeError, "site 1 mixes the charges"),
        (["up", [1.0, 0.0, 0.0], "up"], StateError, "vector of length 2"),
        (["up", [0.0, 0.0], "up"], StateError, "norm 0"),
        (["up", [np.nan, 0.0], "up"], StateError, "finite"),
    ],
)
def test_bad_product_states_are_refused(states, error, words):
    with pytest.raises(error, match=words):
        MPS.product(spin_sites(3), states)


def test_random_states_fill_their_sector(chain, dtype):
    """Enough bond dimension: every amplitude of the sector is there, and no other."""
    psi = MPS.random(chain.sites, chi=1000, charge=chain.charge, seed=4, dtype=dtype)
    inside = (dense.charges(chain.sites) == np.array(chain.charge)).all(axis=1)
    amplitudes = vector(psi)
    assert psi.dtype == dtype and psi.charge == chain.charge
    assert (amplitudes[inside] != 0).all() and (amplitudes[~inside] == 0).all()
    assert np.linalg.norm(amplitudes) == pytest.approx(1, abs=tolerance(dtype))
    assert inside.sum() == sector_size(chain.sites, chain.charge)


@few_chains
def test_random_states_repeat_with_their_seed_on_every_device(chain, backend):
    here = MPS.random(chain.sites, chi=5, charge=chain.charge, seed=9, dtype=np.complex128)
    there = MPS.random(chain.sites, chi=5, charge=chain.charge, seed=9, dtype=np.complex128, backend=backend)
    assert all_on(there, backend)
    np.testing.assert_allclose(abs(vector(there)), abs(vector(here)), atol=1e-12)
    assert max(here.bond_dimensions) <= 5


@given(
    L=st.integers(1, 9), chi=st.integers(1, 12), conserve=st.sampled_from(["Sz", "parity"]),
    S=st.sampled_from([0.5, 1]), pick=st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_bonds_of_a_sector(L, chi, conserve, S, pick):
    """Every charge that exists can be had with any chi; a bond is full wherever chi allows it."""
    sites = spin_sites(L, S, conserve)
    table = dense.charges(sites)
    total = tuple(table[pick % len(table)].tolist())
    bonds = sector_bonds(sites, total, chi)
    full = sector_bonds(sites, total, 10**9)
    assert [leg.dim for leg in bonds] == [min(chi, leg.dim) for leg in full]
    assert bonds[0].charges == ((0,),) and bonds[-1].charges == (total,)
    psi = MPS.random(sites, chi=chi, charge=total, seed=pick)
    assert psi.charge == total and max(psi.bond_dimensions) <= chi
    assert np.linalg.norm(psi.to_dense()) == pytest.approx(1)


def test_random_states_keep_to_chi_with_more_charges_than_chi():
    psi = MPS.random(spin_sites(30), chi=7, charge=4, seed=0)
    assert max(psi.bond_dimensions) == 7 and psi.charge == (4,)
    assert overlap(psi, psi) == pytest.approx(1)


def test_random_states_like_another():
    sites = spin_sites(4)
    assert MPS.random(sites, chi=3, like=["up", "up", "up", "down"]).charge == (2,)
    assert MPS.random(sites, chi=3, like=MPS.random(sites, chi=3, charge=-2)).charge == (-2,)


def test_impossible_sectors_are_refused():
    with pytest.raises(ChargeError, match="no state of these 4 sites has the total charge"):
        MPS.random(spin_sites(4), chi=4, charge=1)
    with pytest.raises(ShapeError, match="at least 1"):
        MPS.random(spin_sites(4), chi=0)


@on_every_device
@few_chains
def test_from_dense_and_back(chain, device, dtype):
    backend = backend_or_skip(device)
    amplitudes = vector(random_state(chain, dtype))
    psi = MPS.from_dense(backend.asarray(amplitudes), chain.sites)
    assert psi.dtype == dtype and psi.charge == chain.charge and all_on(psi, backend)
    np.testing.assert_allclose(vector(psi), amplitudes, atol=tolerance(dtype))
    assert psi.norm() == pytest.approx(1.3, rel=1e-5)


def test_from_dense_truncated_is_the_nearest_at_one_cut():
    sites = spin_sites(4, conserve=None)
    amplitudes = np.random.default_rng(3).standard_normal(16)
    psi = MPS.from_dense(amplitudes, sites, truncation=Truncation(chi_max=2))
    u, s, v = np.linalg.svd(amplitudes.reshape(4, 4))
    assert psi.bond_dimensions == (1, 2, 2, 2, 1)
    np.testing.assert_allclose(psi.to_dense().reshape(4, 4), (u[:, :2] * s[:2]) @ v[:2], atol=1e-12)


def test_from_dense_takes_a_list():
    psi = MPS.from_dense([0, 0.6, 0.8, 0], spin_sites(2))
    np.testing.assert_allclose(psi.to_dense().reshape(-1), [0, 0.6, 0.8, 0], atol=1e-15)


def test_from_dense_takes_rounding_outside_the_sector_and_no_more():
    sites = spin_sites(3)
    amplitudes = vector(MPS.product(sites, ["up", "down", "up"]))
    amplitudes[0] = 1e-17
    assert MPS.from_dense(amplitudes, sites).charge == (1,)
    amplitudes[0] = 1e-3
    with pytest.raises(ChargeError, match="breaks the conservation"):
        MPS.from_dense(amplitudes, sites)


@pytest.mark.parametrize(
    ("amplitudes", "error", "words"),
    [
        (np.ones(7), ShapeError, "need 8 amplitudes"),
        (np.zeros(8), StateError, "norm 0"),
        (np.full(8, np.nan), StateError, "finite"),
    ],
)
def test_bad_vectors_are_refused(amplitudes, error, words):
    with pytest.raises(error, match=words):
        MPS.from_dense(amplitudes, spin_sites(3, conserve=None))


def test_one_site_is_a_chain():
    sites = spin_sites(1, conserve=None)
    psi = MPS.from_dense(np.array([0.6, 0.8]), sites)
    assert psi.L == len(psi) == 1 and psi.norm() == pytest.approx(1)
    np.testing.assert_allclose((psi + psi).to_dense(), [1.2, 1.6])


@on_every_device
@few_chains
def test_algebra_is_that_of_vectors(chain, device, dtype):
    backend = backend_or_skip(device)
    a, b = random_state(chain, dtype).to(backend), random_state(chain, dtype, chi=3, seed=2).to(backend)
    va, vb, close = vector(a), vector(b), {"rtol": 0, "atol": 4 * tolerance(dtype)}
    np.testing.assert_allclose(vector(a + b), va + vb, **close)
    np.testing.assert_allclose(vector(a - 0.5 * b), va - 0.5 * vb, **close)
    np.testing.assert_allclose(vector(-a / 2), -va / 2, **close)
    np.testing.assert_allclose(vector(a.conj()), va.conj(), **close)
    np.testing.assert_allclose(overlap(a, b), np.vdot(va, vb), **close)
    np.testing.assert_allclose((a + b).norm(), np.linalg.norm(va + vb), **close)
    assert (2.0 * a).dtype == dtype and (1j * a).dtype == np.result_type(dtype, np.complex64)
    np.testing.assert_allclose(vector(1j * a), 1j * va, **close)
    assert (a + b).bond_dimensions[2] == a.bond_dimensions[2] + b.bond_dimensions[2]


def test_dtype_and_device_of_a_state_change_together():
    psi = MPS.random(spin_sites(4), chi=3, seed=0)
    assert psi.astype(np.complex64).dtype == np.complex64
    moved = psi.to("strict")
    assert moved.backend.name == "strict" and moved.to("numpy").backend.name == "numpy"
    copy = psi.copy()
    copy.tensors[0] = copy.tensors[0] * 2
    assert psi.norm() == pytest.approx(1) and copy.norm() == pytest.approx(2)
    with pytest.raises(BackendError, match=r"\.to\("):
        overlap(psi, moved)


def test_the_dense_vector_is_made_on_the_device():
    psi = MPS.random(spin_sites(5), chi=4, charge=1, seed=0).to("strict")
    with sync_budget(0):
        psi.to_dense()
        psi.without_symmetry()


def test_states_without_their_symmetry_are_the_same(chain, dtype):
    psi = random_state(chain, dtype)
    free = psi.without_symmetry()
    assert free.charge == () and free.bond_dimensions == psi.bond_dimensions and free.dtype == dtype
    assert [site.states for site in free.sites] == [site.states for site in psi.sites]
    np.testing.assert_array_equal(vector(free), vector(psi))


def test_algebra_in_every_symmetry(chain):
    a, b = random_state(chain, np.complex128), random_state(chain, np.complex128, chi=3, seed=2)
    va, vb = vector(a), vector(b)
    np.testing.assert_allclose(vector(a - 0.5j * b), va - 0.5j * vb, atol=1e-13)
    np.testing.assert_allclose(overlap(a, b), np.vdot(va, vb), atol=1e-13)
    np.testing.assert_allclose(vector(MPS.from_dense(va, chain.sites)), va, atol=1e-13)


def test_overlaps_between_sectors_vanish():
    sites = spin_sites(4)
    assert overlap(MPS.random(sites, chi=2, charge=0, seed=0), MPS.random(sites, chi=2, charge=2, seed=0)) == 0


def test_states_that_do_not_fit_are_refused():
    sites = spin_sites(4)
    psi = MPS.random(sites, chi=3, seed=0)
    with pytest.raises(ChargeError, match="cannot be added"):
        psi + MPS.random(sites, chi=3, charge=2)
    with pytest.raises(ShapeError, match="same sites"):
        psi + MPS.random(spin_sites(6), chi=3)
    with pytest.raises(ShapeError, match="same sites"):
        overlap(psi, MPS.random(spin_sites(4, S=1), chi=3))
    with pytest.raises(ShapeError, match="one tensor per site"):
        MPS(psi.tensors[:3], sites)
    with pytest.raises(LegError, match="bond between sites 0 and 1"):
        MPS([psi.tensors[1], psi.tensors[1]], sites[:2])
    with pytest.raises(LegError, match="physical leg"):
        MPS(psi.tensors, spin_sites(4, S=1))
    with pytest.raises(LegError, match="dimension 1"):
        MPS(psi.tensors[1:3], sites[1:3])
    legs = psi.tensors[0].legs
    with pytest.raises(LegError, match="flows"):
        MPS([random_tensor((legs[0].dual, legs[1], legs[2]))], sites[:1])


def test_the_repr_tells_what_matters():
    psi = MPS.random(spin_sites(4), chi=3, charge=2, seed=0)
    assert repr(psi) == "MPS on 4 sites, bond dimensions 1 2 2 2 1, charge (2,), float64 on numpy"
    assert repr(MPS.random(spin_sites(40), chi=5)) == (
        "MPS on 40 sites, bond dimensions up to 5, charge (0,), float64 on numpy"
    )
