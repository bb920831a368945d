"""Lowest eigenpairs of Krylov spaces."""

import numpy as np

from tnsim.backend import get_backend
from tnsim.linalg.lanczos import Krylov, lanczos


def test_the_lowest_pair_of_a_small_matrix_and_its_one_line():
    matrix = np.diag([3.0, -1.5, 0.25, 7.0]) + 0.1
    pair = lanczos(lambda x: matrix @ x, np.ones(4), get_backend("numpy"), Krylov(k_max=10))
    assert abs(pair.energy - np.linalg.eigvalsh(matrix)[0]) < 1e-12
    assert len(repr(pair)) < 160
    assert "array" not in repr(pair)
    assert f"energy={pair.energy!r}" in repr(pair)
