"""An operator as a product of sparse layers, and what the bonds hold for a vector."""

from functools import reduce

import numpy as np
import pytest

from tests.devices import backend_or_skip
from tests.suites.chains import PLACES
from tnsim.errors import LegError, SettingsError, ShapeError
from tnsim.models import Heisenberg
from tnsim.networks.matrix_index import IndexOrder
from tnsim.networks.mpo import MPO
from tnsim.networks.stack import bond_features, stack


def random_matrix(rows, columns, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, columns)) + (1j if np.dtype(dtype).kind == "c" else 0)).astype(dtype)


@pytest.mark.parametrize("first", ["last", "first"])
def test_the_product_of_four_sparse_layers_is_the_matrix_in_both_orders(first):
    """B2."""
    W = random_matrix(36, 24)
    mpo = MPO.from_matrix(W, (3, 2, 2, 3), (2, 3, 2, 2), (4, 9, 5))
    layers = stack(mpo, first)
    assert len(layers) == 4
    product = reduce(lambda done, layer: layer.matrix() @ done, layers[1:], layers[0].matrix())
    np.testing.assert_allclose(product.toarray(), mpo.to_matrix(), atol=1e-12)
    assert all(layer.matrix().nnz <= layer.core.size * layer.before * layer.after for layer in layers)
    rows = random_matrix(5, 24, seed=1)
    done = reduce(lambda vectors, layer: layer.apply(vectors), layers, rows)
    np.testing.assert_allclose(done, rows @ mpo.to_matrix().T, atol=1e-12)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_bond_features_are_the_vector_half_way(device, dtype):
    backend = backend_or_skip(device)
    W, rows = random_matrix(6, 7, dtype), random_matrix(4, 7, dtype, seed=1)
    mpo = MPO.from_matrix(W, (2, 3), (4, 2), 3, index=IndexOrder(pad=True, columns=(6, 5, 4, 3, 2, 1, 0))).to(backend)
    (late,), (early,) = (list(bond_features(mpo, backend.asarray(rows), first)) for first in ("last", "first"))
    a, b = (backend.to_host(tensor.array) for tensor in mpo.tensors)
    padded = np.concatenate([rows[:, ::-1], np.zeros((4, 1))], axis=1).reshape(4, 4, 2)
    small = 1e-4 if dtype.char in "fF" else 1e-12
    expected = np.einsum("mpj,bij->bimp", b[..., 0], padded)
    np.testing.assert_allclose(backend.to_host(late), expected, atol=small)
    np.testing.assert_allclose(backend.to_host(early), np.einsum("oim,bij->bomj", a[0], padded), atol=small)


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(LegError, match="symmetric blocks"):
        stack(Heisenberg(L=4).mpo())
    mpo = MPO.from_matrix(np.eye(4), (2, 2), (2, 2))
    with pytest.raises(SettingsError, match='Did you mean "first"'):
        stack(mpo, "firts")
    with pytest.raises(ShapeError, match="rows of 4 numbers"):
        next(bond_features(mpo, np.ones((3, 5))))
