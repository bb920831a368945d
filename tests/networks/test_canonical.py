"""Canonical forms: the state stays, the tensors become isometries, the Schmidt values are those of the vector."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, all_on, random_state, relative, tolerance, vector
from tnsim.errors import ShapeError
from tnsim.networks.canonical import (
    canonicalize,
    center_tensors,
    center_within,
    isometry_error,
    left_canonical,
    right_canonical,
    schmidt_values,
    vidal,
)
from tnsim.networks.mps import MPS
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.networks.sites import spin_sites
from tnsim.symmetry import Leg
from tnsim.tensor import zeros


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


def assert_canonical(psi: MPS, center: int, dtype) -> None:
    assert psi.center == center
    for i, tensor in enumerate(psi.tensors):
        if i != center:
            assert isometry_error(tensor, left=i < center) < 10 * tolerance(dtype)


def dense_schmidt(psi: MPS, bond: int) -> np.ndarray:
    rows = int(np.prod([site.dim for site in psi.sites[: bond + 1]]))
    return np.linalg.svd(relative(psi).reshape(rows, -1), compute_uv=False)


@on_every_device
@few_chains
def test_every_site_can_be_the_centre(chain, device, dtype):
    backend = backend_or_skip(device)
    psi = random_state(chain, dtype).to(backend)
    psi, amplitudes = psi + psi, 2 * vector(psi)
    for center in (0, 2, psi.L - 1):
        moved = canonicalize(psi, center)
        assert_canonical(moved, center, dtype)
        assert all_on(moved, backend) and moved.dtype == dtype
        np.testing.assert_allclose(vector(moved), amplitudes, atol=4 * tolerance(dtype))
        assert moved.norm() == pytest.approx(np.linalg.norm(amplitudes), rel=1e-5)


def test_the_centre_moves_both_ways_and_drops_redundant_bonds(chain):
    psi = random_state(chain, np.complex128)
    doubled = canonicalize(psi + psi, 2)
    assert max(doubled.bond_dimensions) <= 2 * max(psi.bond_dimensions)
    state = doubled
    for center in (3, 0, psi.L - 1, 1, 1):
        state = canonicalize(state, center)
        assert_canonical(state, center, np.complex128)
    np.testing.assert_allclose(vector(state), 2 * vector(psi), atol=1e-12)
    assert canonicalize(state, 1) is state
    assert left_canonical(psi).center == psi.L - 1 and right_canonical(psi).center == 0


def test_the_nearest_centre_of_a_block_is_taken():
    psi = MPS.random(spin_sites(6), chi=4, seed=0)
    assert center_within(canonicalize(psi, 5), 1, 3).center == 3
    assert center_within(canonicalize(psi, 0), 1, 3).center == 1
    assert center_within(canonicalize(psi, 2), 1, 3).center == 2
    assert center_within(MPS(psi.tensors, psi.sites), 1, 3).center == 1


def test_centre_tensors_of_some_sites(chain):
    psi = random_state(chain, np.float64)
    places = [0, 2, 3]
    for i, tensor in zip(places, center_tensors(psi, places), strict=True):
        assert tensor.norm() == pytest.approx(psi.norm())
        np.testing.assert_allclose(np.abs(tensor.data), np.abs(canonicalize(psi, i).tensors[i].data), atol=1e-12)


@on_every_device
@few_chains
def test_schmidt_values_and_the_vidal_form(chain, device, dtype):
    backend = backend_or_skip(device)
    psi = random_state(chain, dtype).to(backend)
    form = vidal(psi + psi)
    for bond, spectrum in enumerate(form.spectra):
        expected = dense_schmidt(psi, bond)
        found = np.sort(spectrum.values)[::-1]
        np.testing.assert_allclose(found, expected[: len(found)], atol=tolerance(dtype))
        assert expected[len(found) :].max(initial=0) < tolerance(dtype)
        assert (spectrum.values**2).sum() == pytest.approx(1, abs=1e-5)
    back = form.to_mps()
    assert_canonical(back, psi.L - 1, dtype)
    assert all_on(back, backend)
    np.testing.assert_allclose(vector(back), 2 * vector(psi), atol=20 * tolerance(dtype))


def test_gamma_times_lambda_is_isometric_on_both_sides(chain):
    """Lambda Gamma is left-isometric, Gamma Lambda right-isometric: what makes the form canonical."""
    form = vidal(random_state(chain, np.complex128))
    for i in range(1, len(form.gammas) - 1):
        assert isometry_error(scale_rows(form.gammas[i], form.spectra[i - 1]), left=True) < 1e-9
        assert isometry_error(scale_columns(form.gammas[i], form.spectra[i]), left=False) < 1e-9


def test_sectors_that_no_state_reaches_are_dropped():
    """A bond with charges that only one side offers, or none."""
    psi = MPS.random(spin_sites(4), chi=4, charge=0, seed=1)
    bond = psi.tensors[2].legs[0]
    wider = Leg(bond.group, [*bond.charges, (4,), (40,)], [*bond.dims, 2, 1])
    tensors = list(psi.tensors)
    for site, axis, leg in ((1, 2, wider.dual), (2, 0, wider)):
        old, legs = tensors[site], list(tensors[site].legs)
        legs[axis] = leg
        tensors[site] = zeros(legs)
        for places, block in old.blocks():
            tensors[site].block(tensors[site].layout.place[places])[...] = block
    for center in range(4):
        moved = canonicalize(MPS(tensors, psi.sites), center)
        assert max(moved.bond_dimensions) == 4
        assert_canonical(moved, center, np.float64)
        np.testing.assert_allclose(vector(moved), vector(psi), atol=1e-14)


def test_schmidt_charges_are_those_left_of_the_bond():
    spectra = schmidt_values(MPS.product(spin_sites(4), ["up", "up", "down", "up"]))
    assert [spectrum.by_charge() for spectrum in spectra] == [{(1,): [1.0]}, {(2,): [1.0]}, {(1,): [1.0]}]


def test_a_centre_outside_the_chain_is_refused():
    with pytest.raises(ShapeError, match="from 0 to 3, found 4"):
        canonicalize(MPS.random(spin_sites(4), chi=2), 4)
