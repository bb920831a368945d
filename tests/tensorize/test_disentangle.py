"""Gates across a cut: exact, orthogonal, and never a loss."""

import numpy as np
import pytest
from scipy.linalg import expm

from tnsim.errors import ShapeError
from tnsim.tensorize import Disentangler
from tnsim.tensorize.disentangle import DisentangledChain

RNG = np.random.default_rng


def planted(gate_angle):
    """A chain of rank 3 behind gates across its cut."""
    rng = RNG(1)
    inner = sum(np.kron(rng.standard_normal((8, 8)), rng.standard_normal((8, 8))) for _ in range(3))
    x = gate_angle * rng.standard_normal((4, 4))
    turn = expm(x - x.T)
    gate = np.kron(np.kron(np.eye(4), turn), np.eye(4))
    return gate @ inner @ gate.T


@pytest.mark.parametrize("matrix", [planted(0.3), RNG(0).standard_normal((64, 64))], ids=["planted", "noise"])
@pytest.mark.parametrize("params", [64 * 8, 64 * 16])
def test_at_equal_numbers_the_error_is_never_larger(matrix, params):
    """B19, B21: with the gates counted; gates are orthogonal, and the list of them rebuilds the matrix."""
    found = Disentangler().solve(matrix, (8, 8), (8, 8), params)
    assert found.numbers <= params and found.error <= found.plain_error
    error = np.linalg.norm(matrix - found.to_matrix()) / np.linalg.norm(matrix)
    assert abs(error - found.error) < 1e-10
    rebuilt = np.asarray(found.mpo.to_matrix())
    for side, legs, gate in found.gates():
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-12)
        assert legs == (1, 2)
        whole = np.kron(np.kron(np.eye(4), gate), np.eye(4))
        rebuilt = whole @ rebuilt if side == "out" else rebuilt @ whole
    np.testing.assert_allclose(rebuilt, found.to_matrix(), atol=1e-10)


def test_planted_gates_are_found_and_useless_ones_left_out():
    found = Disentangler(sweeps=200).solve(planted(0.3), (8, 8), (8, 8), 64 * 8)
    assert len(found.gates()) == 2 and found.error < 0.7 * found.plain_error
    plain = Disentangler().solve(np.kron(RNG(0).standard_normal((8, 8)), np.eye(8)), (8, 8), (8, 8), 64 * 6)
    assert isinstance(plain, DisentangledChain) and plain.gates() == [] and plain.error < 1e-12
    with pytest.raises(ShapeError, match="multiples of span"):
        Disentangler().solve(np.eye(15), (3, 5), (3, 5), 100)
