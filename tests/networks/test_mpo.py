"""MPO algebra against dense matrices, over symmetries, dtypes and backends."""

import numpy as np
import pytest

from tests.exact.dense import hamiltonian
from tnsim.errors import LegError, ShapeError
from tnsim.linalg import Truncation
from tnsim.networks.mpo import MPO
from tnsim.networks.operator_sum import OperatorSum, plus_hc
from tnsim.networks.sites import spin_site, spin_sites
from tnsim.symmetry import trivial_leg
from tnsim.tensor import from_dense

L = 5
EXACT = Truncation(chi_max=1000, svd_min=1e-7)


def operators(conserve):
    """Two sums without and with a constant, a field and complex couplings, and their sites."""
    A, B = OperatorSum(), OperatorSum()
    for i in range(L - 1):
        A += plus_hc(0.5, "S+", i, "S-", i + 1)
        A += 1.0, "Sz", i, "Sz", i + 1
        B += plus_hc(0.3 + 0.4j, "S+", i, "S-", i + 1)
    for i in range(L):
        B += 0.2 * i - 0.3, "Sz", i
    B += 1.7, "Id", 0
    return A, B, spin_sites(L, conserve=conserve)


def dense(W):
    return W.backend.to_host(W.to_dense())


@pytest.fixture(params=["Sz", "parity", None])
def pair(request):
    """(MPO, matrix) twice."""
    A, B, sites = operators(request.param)
    return A.mpo(sites), hamiltonian(A, sites), B.mpo(sites), hamiltonian(B, sites)


def test_algebra(pair):
    A, a, B, b = pair
    one, eye = MPO.identity(A.sites), np.eye(2**L)
    for W, expected in [
        (A + B, a + b),
        (A - B, a - b),
        (3 * A, 3 * a),
        (np.float64(0.1) * B, 0.1 * b),
        (A * (1 - 2j), (1 - 2j) * a),
        (-B / 7, -b / 7),
        (A @ B, a @ b),
        (A @ B @ A, a @ b @ a),
        ((A @ B).H, (a @ b).conj().T),
        ((B * 2j).H, -2j * b),
        (one, eye),
        (2.5 * one, 2.5 * eye),
        (A - 3 * one, a - 3 * eye),
        (A + A + A, 3 * a),
    ]:
        np.testing.assert_allclose(dense(W), expected, atol=1e-12)
        assert all(left.legs[3].dual is right.legs[0] for left, right in zip(W.tensors, W.tensors[1:], strict=False))


def test_dtype(pair):
    A, a, _, _ = pair
    assert A.dtype == np.float64 and (2 * A).dtype == np.float64 and (2j * A).dtype == np.complex128
    single = A.astype(np.float32)
    assert (single * 2).dtype == (single + single).dtype == (single @ single).dtype == np.float32
    assert (single * 2j).dtype == np.complex64 == single.astype(np.complex64).dtype
    np.testing.assert_allclose(dense(single * 2j), 2j * a, atol=1e-5)


def test_hermitian_flag(pair):
    A, _, B, _ = pair
    assert A.is_hermitian and (A + B).is_hermitian and (2 * A).is_hermitian and A.H.is_hermitian
    assert (1j * A).is_hermitian is False and (A + 1j * B).is_hermitian is False
    for unknown in (1j * A + 1j * B, 1j * (1j * A), A @ B, A + A @ B):
        assert unknown.is_hermitian is None


def unit_channels(W):
    return [op.unit_left[0] >= 0 for op in W.site_operators], [op.unit_right[1] >= 0 for op in W.site_operators]


def test_sums_and_multiples_keep_identity_channels(pair):
    A, _, B, _ = pair
    lefts, rights = unit_channels(A)
    for W in (49.1 * A, A / 49, A + B, A - 2 * B, A + A + A):
        found = unit_channels(W)
        assert all(x <= y for x, y in zip(lefts, found[0], strict=True))
        assert all(x <= y for x, y in zip(rights, found[1], strict=True))
    assert max((A + B).bond_dimensions) == max(A.bond_dimensions) + max(B.bond_dimensions) - 2
    assert max((A + 2 * MPO.identity(A.sites)).bond_dimensions) == max(A.bond_dimensions)


def test_compression_finds_the_rank(pair):
    A, a, B, b = pair
    W = (A + B + A - B).compress(EXACT)
    assert W.bond_dimensions == A.bond_dimensions
    np.testing.assert_allclose(dense(W), 2 * a, atol=1e-12)
    square = (B @ B).compress(EXACT)
    np.testing.assert_allclose(dense(square), b @ b, atol=1e-12)
    assert max(square.bond_dimensions) < max((B @ B).bond_dimensions)


def test_compression_is_the_nearest_operator_of_one_bond():
    rng = np.random.default_rng(0)
    H = OperatorSum()
    for left in ("Sz", "Sx", "Sy"):
        for right in ("Sz", "Sx", "Sy"):
            H += rng.normal(), left, 0, right, 1
    sites = spin_sites(2, conserve=None)
    W, matrix = H.mpo(sites), hamiltonian(H, sites)
    values = np.linalg.svd(matrix.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4), compute_uv=False)
    error = np.linalg.norm(dense(W.compress(Truncation(chi_max=2))) - matrix)
    assert abs(error - np.linalg.norm(values[2:])) < 1e-12


def test_long_chains_do_not_overflow():
    length = 2200
    H = OperatorSum()
    for i in range(length - 1):
        H += 1.0, "Sz", i, "Sz", i + 1
    W = H.mpo(spin_sites(length))
    assert set((W + W).compress(Truncation(chi_max=10)).bond_dimensions[1:-1]) <= {2, 3}


def test_on_every_backend(backend, pair):
    A, a, B, b = (x.to(backend) if isinstance(x, MPO) else x for x in pair)
    assert A.backend is backend
    for W, expected in [
        (A + B, a + b),
        (2 * A - B, 2 * a - b),
        (A @ B, a @ b),
        (B.H, b),
        ((A + A).compress(EXACT), 2 * a),
        (MPO.identity(A.sites, backend=backend), np.eye(2**L)),
    ]:
        assert W.backend is backend
        np.testing.assert_allclose(dense(W), expected, atol=1e-12)


def weight_matrix():
    rng = np.random.default_rng(1)
    shapes = [(1, 2, 3, 4), (4, 3, 1, 5), (5, 2, 2, 1)]
    legs = [[trivial_leg(d, flow) for d, flow in zip(shape, (1, 1, -1, -1), strict=True)] for shape in shapes]
    arrays = [rng.normal(size=shape) for shape in shapes]
    return MPO([from_dense(array, leg) for array, leg in zip(arrays, legs, strict=True)]), np.einsum(
        "xaib,bcjd,dekx->aceijk", *arrays
    ).reshape(12, 6)


def test_out_and_in_of_different_sizes():
    W, matrix = weight_matrix()
    np.testing.assert_allclose(dense(W), matrix, atol=1e-12)
    np.testing.assert_allclose(dense(W.H), matrix.T, atol=1e-12)
    np.testing.assert_allclose(dense(W @ W.H), matrix @ matrix.T, atol=1e-10)
    np.testing.assert_allclose(dense(2 * W - W.compress(EXACT)), matrix, atol=1e-12)
    assert W.compress(EXACT).bond_dimensions == (1, 4, 4, 1)
    assert W.sites is None and repr(W) == "MPO on 3 sites, bond dimensions 1 4 5 1, float64 on numpy"


def test_bad_input():
    A, B, sites = operators("Sz")
    W = A.mpo(sites)
    with pytest.raises(ShapeError, match="at least one site tensor"):
        MPO([])
    with pytest.raises(LegError, match="flows"):
        MPO([W.tensors[0].conj()])
    with pytest.raises(LegError, match="bond between sites 0 and 1"):
        MPO([W.tensors[0], W.tensors[0]])
    with pytest.raises(ShapeError, match="bonds of dimension 1"):
        MPO(W.tensors[:2])
    with pytest.raises(LegError, match="do not fit the MPO's physical legs"):
        MPO(W.tensors, [spin_site(1)] * L)
    with pytest.raises(ShapeError, match="act on the same sites"):
        W + MPO.identity(spin_sites(L + 1))
    with pytest.raises(ShapeError, match="5 and 6 sites"):
        W @ MPO.identity(spin_sites(L + 1))
    with pytest.raises(TypeError):
        W + 1.0
    with pytest.raises(TypeError):
        W * "2"
