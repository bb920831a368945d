"""Finite and infinite PEPS: their checks, product and random states, growth."""

import numpy as np
import pytest

import tests.strict_device  # noqa: F401
import tnsim as tn
from tests.exact.plane import dense_state
from tnsim.errors import BackendError, ChargeError, LegError, NumericalError, SettingsError, ShapeError, StateError
from tnsim.networks.peps import PEPS, InfinitePEPS, grown
from tnsim.networks.peps.fused_site import empty_site
from tnsim.networks.sites import electron_site, fermion_site, spin_site

PLAIN, SPIN = spin_site(conserve=None), spin_site()
NEEL = [["up", "down", "up"], ["down", "up", "down"]]


def test_product_states_are_products():
    psi = PEPS.product([[SPIN] * 3] * 2, NEEL)
    vector = dense_state(psi)
    places = [SPIN.state(name) for row in NEEL for name in row]
    assert vector[np.ravel_multi_index(places, (2,) * 6)] == 1.0 and np.count_nonzero(vector) == 1
    assert psi.shape == (2, 3) and psi.bond_dimension == 1 and psi.tensor(0, 0).charge == (1,)


def test_vectors_may_stand_for_states():
    psi = PEPS.product([[PLAIN, PLAIN]], [[[3.0, 4.0], [1j, 0.0]]])
    np.testing.assert_allclose(dense_state(psi), np.kron([0.6, 0.8], [1j, 0]))
    assert psi.dtype == np.complex128


@pytest.mark.parametrize("site", [SPIN, spin_site(conserve="parity"), fermion_site(), electron_site()])
def test_growth_without_noise_leaves_the_state_alone(site):
    states = [[site.states[(i + j) % 2 + (site.dim > 2)] for j in range(3)] for i in range(2)]
    psi = PEPS.random([[site] * 3] * 2, 2, states=states, seed=3)
    wider = grown(grown(psi, 3, noise=0.0), 5, noise=0.0)
    assert wider.bond_dimension == 5
    np.testing.assert_allclose(dense_state(wider), dense_state(psi), atol=1e-14)


def test_growth_with_noise_moves_it_a_little():
    psi = PEPS.random([[PLAIN] * 2] * 2, 2, seed=1)
    moved = grown(psi, 3, noise=1e-3, seed=5)
    distance = np.linalg.norm(dense_state(moved) - dense_state(psi)) / np.linalg.norm(dense_state(psi))
    assert 1e-5 < distance < 0.1
    np.testing.assert_array_equal(moved.tensors[0].data, grown(psi, 3, noise=1e-3, seed=5).tensors[0].data)


def test_a_symmetric_bond_gains_what_both_ends_exchange():
    psi = InfinitePEPS.product([SPIN] * 2, ["up", "down"], [[0, 1], [1, 0]])
    wider = grown(psi, 3, noise=0.1)
    assert wider.tensor(0, 0).legs[1].charges == ((-2,), (0,))  # a down spin is what an up spin becomes
    assert wider.tensor(0, 1).legs[1].charges == ((0,), (2,))
    assert wider.tensor(5, -3).charge == wider.tensors[0].charge == (1,)


def test_symmetric_states_keep_their_charge():
    psi = PEPS.random([[SPIN] * 3] * 2, 3, states=NEEL, seed=0)
    vector = dense_state(psi).reshape((2,) * 6)
    charges = np.array([sum(2 * s - 1 for s in index) for index in np.ndindex(vector.shape)])
    assert np.linalg.norm(vector) > 0 and not np.abs(vector.ravel()[charges != 0]).any()


def test_bonds_to_empty_places_do_not_grow():
    empty = empty_site(PLAIN.group)
    psi = PEPS.random([[PLAIN, PLAIN], [PLAIN, empty]], 3, seed=0)
    assert psi.tensor(0, 0).shape == (1, 3, 3, 1, 2) and psi.tensor(1, 1).shape == (1, 1, 1, 1, 1)
    assert grown(psi, 4).tensor(1, 1).shape == (1, 1, 1, 1, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_states_move_between_devices_and_dtypes(dtype):
    psi = PEPS.random([[PLAIN] * 2] * 2, 2, seed=0, dtype=dtype).to("strict")
    assert psi.backend.name == "strict" and psi.dtype == dtype
    wider = grown(psi, 3, noise=0.01)
    assert wider.backend is psi.backend and wider.dtype == dtype
    reference = grown(psi.to("numpy"), 3, noise=0.01)
    np.testing.assert_allclose(dense_state(wider), dense_state(reference), rtol=1e-4)
    assert psi.astype(np.complex64).dtype == np.complex64


def test_reprs_say_what_there_is():
    assert repr(PEPS.product([[SPIN] * 3] * 2, NEEL)).startswith("PEPS: 2 x 3 sites, spin-1/2, D = 1, symmetry U(1)")
    assert "a 1 x 1 cell with 1 tensors" in repr(InfinitePEPS.product([PLAIN], ["up"], [[0]]))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: PEPS.random([[PLAIN] * 2] * 2, 0), SettingsError, "at least 1, found 0"),
        (lambda: PEPS.random([[PLAIN] * 2] * 2, 2.5), SettingsError, "whole number"),
        (lambda: PEPS.random([[PLAIN] * 2, [PLAIN]], 2), ShapeError, "rows of one length"),
        (lambda: PEPS.random([], 2), ShapeError, "rows of one length"),
        (lambda: PEPS.product([[SPIN]], [["sideways"]]), StateError, "no state 'sideways'"),
        (lambda: PEPS.product([[SPIN]], [[[1.0, 1.0]]]), ChargeError, "mixes the charges"),
        (lambda: PEPS.product([[SPIN]], [["up", "up"]]), ShapeError, "as many states"),
        (lambda: PEPS.random([[SPIN] * 2], 2), ChargeError, "needs states="),
        (lambda: InfinitePEPS.random([PLAIN], 2, [[0, 1]]), ShapeError, "names each of 0 to 0"),
        (lambda: InfinitePEPS.random([PLAIN] * 2, 2, [[0, 1], [1]]), ShapeError, "tiles the plane"),
        (lambda: InfinitePEPS.product([PLAIN], ["up", "up"], [[0]]), ShapeError, "a state for each"),
        (lambda: PEPS.random([[PLAIN] * 2] * 2, 2, seed=0).tensor(0, 2), ShapeError, "have no place"),
        (lambda: grown(PEPS.random([[PLAIN] * 2] * 2, 3, seed=0), 2), ShapeError, "cannot grow to D = 2"),
    ],
)
def test_bad_input_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_tensors_that_do_not_fit_are_refused():
    narrow, wide = (InfinitePEPS.random([PLAIN], D, [[0]], seed=0).tensors[0] for D in (2, 3))
    with pytest.raises(LegError, match=r"east leg of the tensor at \(0, 0\) does not fit the west leg"):
        InfinitePEPS([narrow, wide], [[0, 1]], [PLAIN] * 2)
    with pytest.raises(ShapeError, match="leaves the lattice with dimension 2"):
        PEPS([[narrow]], [[PLAIN]])
    with pytest.raises(LegError, match="physical leg"):
        InfinitePEPS([narrow], [[0]], [spin_site(1, None)])
    with pytest.raises(LegError, match="needs legs"):
        InfinitePEPS([tn.from_dense(np.ones((2, 2)))], [[0]], [PLAIN])
    with pytest.raises(BackendError, match="lie on numpy and strict"):
        InfinitePEPS([narrow, narrow.to("strict")], [[0, 1]], [PLAIN] * 2)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        InfinitePEPS([narrow * float("nan")], [[0]], [PLAIN])
