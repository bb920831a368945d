"""Gauges of operators: the matrix stays, forms do what they say, and a rotation is undone."""

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import NumericalError, SettingsError, ShapeError
from tnsim.models import Heisenberg
from tnsim.networks.mpo import MPO
from tnsim.networks.mpo_gauge import gauge, operator_schmidt_values, rotate


def random_matrix(rows, columns, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((rows, columns))
    if np.dtype(dtype).kind == "c":
        matrix = matrix + 1j * rng.standard_normal((rows, columns))
    return matrix.astype(dtype)


def example(device="numpy", dtype=np.float64):
    """A chain of three sites with small ranks, and its matrix."""
    W = random_matrix(12, 18, dtype)
    mpo = MPO.from_matrix(W, (2, 3, 2), (3, 2, 3), (4, 5)).to(backend_or_skip(device))
    return mpo, on_host(mpo)


def on_host(mpo):
    return mpo.backend.to_host(mpo.to_matrix())


def arrays(mpo):
    return [mpo.backend.to_host(tensor.array) for tensor in mpo.tensors]


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_a_rotation_keeps_the_matrix_and_the_balanced_form_undoes_it(device, dtype):
    """B1."""
    mpo, W = example(device, dtype)
    small = 1e-3 if dtype.char in "fF" else 1e-10
    turned = rotate(mpo, {0: random_matrix(4, 4, dtype, 1), 1: random_matrix(5, 5, dtype, 2)})
    assert turned.backend is mpo.backend and turned.dtype == dtype and turned.axes == mpo.axes
    assert np.abs(arrays(turned)[1] - arrays(mpo)[1]).max() > 0.1
    np.testing.assert_allclose(on_host(turned), W, atol=small)
    for a, b in zip(arrays(gauge(turned, "balanced")), arrays(gauge(mpo, "balanced")), strict=True):
        np.testing.assert_allclose(a, b, atol=small)


@pytest.mark.parametrize("center", [0, 1, 2])
def test_qr_gives_isometries_towards_the_centre(center):
    mpo, W = example(dtype=np.complex128)
    form = gauge(mpo, "qr", center=center)
    np.testing.assert_allclose(on_host(form), W, atol=1e-12)
    for k, core in enumerate(arrays(form)):
        if k == center:
            assert np.linalg.norm(core) == pytest.approx(np.linalg.norm(W))
            continue
        table = core.reshape(-1, core.shape[3]) if k < center else core.reshape(core.shape[0], -1).conj().T
        np.testing.assert_allclose(table.conj().T @ table, np.eye(table.shape[1]), atol=1e-12)


def test_balanced_parts_have_the_singular_values_as_gram_matrix_on_both_sides():
    mpo, W = example()
    form = gauge(mpo, "balanced")
    np.testing.assert_allclose(on_host(form), W, atol=1e-12)
    a, b, c = arrays(form)
    left, right = np.tensordot(a, b, 1).reshape(-1, 5), c.reshape(5, -1)
    values = operator_schmidt_values(mpo)[1].values * np.linalg.norm(W)
    np.testing.assert_allclose(left.T @ left, np.diag(values), atol=1e-11)
    np.testing.assert_allclose(right @ right.T, np.diag(values), atol=1e-11)


def test_operators_with_symmetry_keep_their_blocks():
    H = Heisenberg(L=6).mpo()
    for form in ("qr", "balanced"):
        other = gauge(H, form, center=0)
        assert [t.legs[1] for t in other.tensors] == [t.legs[1] for t in H.tensors] and other.sites == H.sites
        np.testing.assert_allclose(other.to_dense(), H.to_dense(), atol=1e-12)
    np.testing.assert_allclose(gauge(H * 0.0, "balanced").to_dense(), 0 * H.to_dense())


def test_bad_gauges_are_refused():
    mpo, _ = example()
    with pytest.raises(SettingsError, match='Did you mean "balanced"'):
        gauge(mpo, "balance")
    with pytest.raises(ShapeError, match="the centre is a site"):
        gauge(mpo, "qr", center=3)
    with pytest.raises(ShapeError, match="bonds 0 to 1, found 2"):
        rotate(mpo, {2: np.eye(4)})
    with pytest.raises(ShapeError, match=r"shape \(4, 4\)"):
        rotate(mpo, {0: np.eye(5)})
    for bad in (np.ones((4, 4)), np.full((4, 4), np.nan)):
        with pytest.raises(NumericalError, match="cannot be inverted"):
            rotate(mpo, {0: bad})
