"""Gates on one, two and three sites against Kronecker products."""

import numpy as np
import pytest
import scipy.linalg

from tests.devices import backend_or_skip
from tests.exact import dense
from tests.suites.chains import CHAINS, FEW_CHAINS, PLACES, Chain, all_on, random_state, relative, tolerance, vector
from tnsim.errors import ChargeError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.canonical import canonicalize, isometry_error
from tnsim.networks.gates import apply_gate
from tnsim.networks.mps import MPS
from tnsim.networks.sites import spin_sites


@pytest.fixture(params=CHAINS, ids=lambda chain: chain.name)
def chain(request: pytest.FixtureRequest) -> Chain:
    return request.param


on_every_device = pytest.mark.parametrize(("device", "dtype"), PLACES)
few_chains = pytest.mark.parametrize("chain", FEW_CHAINS, ids=lambda chain: chain.name)


def random_unitary(sites, *, seed: int, real: bool = False) -> np.ndarray:
    """exp(i h) (or exp of an antisymmetric matrix) that conserves the charge of the sites."""
    charges = dense.charges(sites)
    allowed = (charges[:, None, :] == charges[None, :, :]).all(axis=2)
    rng = np.random.default_rng(seed)
    h = rng.standard_normal(allowed.shape)
    if real:
        return scipy.linalg.expm((h - h.T) * allowed)
    h = h + 1j * rng.standard_normal(allowed.shape)
    return scipy.linalg.expm(1j * (h + h.conj().T) * allowed)


def on_chain(sites, gate: np.ndarray, first: int, count: int) -> np.ndarray:
    return dense.kron([*(np.eye(s.dim) for s in sites[:first]), gate, *(np.eye(s.dim) for s in sites[first + count :])])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_gates_are_kronecker_products(chain, count):
    psi = canonicalize(random_state(chain, np.complex128), 1)
    for first in range(psi.L - count + 1):
        gate = random_unitary(psi.sites[first : first + count], seed=first)
        result, weight = apply_gate(psi, gate, first)
        np.testing.assert_allclose(vector(result), on_chain(psi.sites, gate, first, count) @ vector(psi), atol=1e-12)
        assert weight < 1e-12 and result.center == first + count - 1
        errors = [isometry_error(t, left=i < result.center) for i, t in enumerate(result.tensors) if i != result.center]
        assert max(errors) < 1e-11


@on_every_device
@few_chains
def test_gates_on_every_device(chain, device, dtype):
    backend = backend_or_skip(device)
    psi = random_state(chain, dtype).to(backend)
    gate = random_unitary(psi.sites[1:3], seed=3, real=dtype.kind == "f")
    result, _ = apply_gate(psi, gate, 1)
    assert result.dtype == dtype and all_on(result, backend)
    expected = on_chain(psi.sites, gate, 1, 2) @ vector(psi)
    np.testing.assert_allclose(vector(result), expected, atol=10 * tolerance(dtype))


def test_complex_gates_make_real_states_complex():
    psi = MPS.random(spin_sites(4), chi=4, seed=0, dtype=np.float32)
    result, _ = apply_gate(psi, np.diag([1, 1j, 1j, 1]), 1)
    assert result.dtype == np.complex64 and all(tensor.dtype == np.complex64 for tensor in result.tensors)


def test_truncated_gates_report_what_they_drop():
    sites = spin_sites(4, conserve=None)
    psi = MPS.random(sites, chi=4, seed=1)
    gate = random_unitary(sites[1:3], seed=2)
    exact, _ = apply_gate(psi, gate, 1)
    result, weight = apply_gate(psi, gate, 1, Truncation(chi_max=2))
    values = np.linalg.svd(relative(exact).reshape(4, 4), compute_uv=False)
    assert weight == pytest.approx((values[2:] ** 2).sum(), rel=1e-9)
    assert np.linalg.norm(vector(result) - vector(exact)) ** 2 == pytest.approx(weight, rel=1e-9)
    assert result.bond_dimensions[2] == 2


def test_gates_may_change_the_norm():
    psi = MPS.product(spin_sites(2), ["up", "down"])
    assert apply_gate(psi, 2 * np.eye(2), 0)[0].norm() == pytest.approx(2)


@pytest.mark.parametrize(
    ("gate", "first", "error", "words"),
    [
        (np.ones((2, 2)), 0, ChargeError, "breaks the conservation"),
        (np.ones((2, 4)), 0, ShapeError, "square matrix"),
        (np.eye(3), 0, ShapeError, r"size 3 at site 0.*\[2, 2, 2\]"),
        (np.eye(4), 2, ShapeError, "size 4 at site 2"),
        (np.eye(2), 3, ShapeError, "from 0 to 2, found 3"),
    ],
)
def test_bad_gates_are_refused(gate, first, error, words):
    with pytest.raises(error, match=words):
        apply_gate(MPS.product(spin_sites(3), ["up", "down", "up"]), gate, first)
