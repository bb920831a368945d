"""Copies with permuted axes, against NumPy: every order, sizes on both sides of a tile, conjugated or not."""

from itertools import permutations

import numpy as np
import pytest

from tnsim.symmetry import U1, Leg
from tnsim.tensor import from_dense, random_tensor, transpose

SHAPES = [(), (5,), (3, 40), (17, 1, 33), (2, 35, 4, 16), (1, 1), (3, 2, 2, 1, 5)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_every_order_of_a_dense_block(shape, dtype):
    rng = np.random.default_rng(0)
    array = rng.normal(size=shape) * (1 + 1j) if np.dtype(dtype).kind == "c" else rng.normal(size=shape)
    array = np.asarray(array, dtype=dtype)
    tensor = from_dense(array)
    for order in permutations(range(len(shape))):
        assert np.array_equal(transpose(tensor, order).to_dense(), array.transpose(order))


def test_every_order_of_blocks():
    leg = Leg(U1("Sz"), [(-1,), (0,), (1,)], [3, 20, 2])
    tensor = random_tensor([leg, leg, leg.dual, leg.dual], seed=1)
    for order in permutations(range(4)):
        assert np.array_equal(transpose(tensor, order).to_dense(), tensor.to_dense().transpose(order))
