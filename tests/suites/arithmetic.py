"""Making tensors, moving them, sums, scales, norms and conjugates, fusing and splitting legs."""

import numpy as np

from tests.suites.structures import Maker, Structure, assert_same, dense, tolerance
from tnsim.backend import Backend, get_backend
from tnsim.tensor import (
    block_table,
    contract,
    diagonal,
    diagonal_of,
    eye,
    flip_leg,
    from_dense,
    fuse,
    random_tensor,
    split,
    zeros,
)


def check_making(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Round trips through dense arrays; zeros, identity and diagonal."""
    a, b, c, _ = structure.legs
    tensor = Maker(backend, dtype)(a, b.dual, c, charge=structure.charge)
    again = from_dense(tensor.to_dense(), tensor.legs, tensor.charge)
    assert again.backend is backend and (again - tensor).norm() == 0
    assert_same(zeros((a, b), structure.charge, dtype=dtype, backend=backend), np.zeros((a.dim, b.dim)), dtype)
    assert_same(eye(a, dtype=dtype, backend=backend), np.eye(a.dim), dtype)
    values = np.arange(1, c.dim + 1).astype(dtype)
    assert_same(diagonal(backend.asarray(values), c), np.diag(values), dtype)
    matrix = Maker(backend, dtype)(c.dual, c)
    np.testing.assert_array_equal(backend.to_host(diagonal_of(matrix)), np.diagonal(dense(matrix)))
    assert "block" in block_table(tensor) and len(block_table(tensor, limit=1).splitlines()) <= 4


def check_moving(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """The same seed gives the same numbers everywhere; moving there and back loses nothing."""
    legs = structure.legs[0], structure.legs[1].dual
    here = random_tensor(legs, structure.charge, dtype=dtype, seed=5, backend=backend)
    host = random_tensor(legs, structure.charge, dtype=dtype, seed=5, backend="numpy")
    np.testing.assert_array_equal(backend.to_host(here.data), host.data)
    moved = host.to(backend)
    assert moved.backend is backend
    assert (moved - here).norm() == 0
    assert here.to("numpy").backend is get_backend("numpy")
    np.testing.assert_array_equal(here.to("numpy").data, host.data)


def check_arithmetic(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Sums, scales, conjugates, norms and dtypes."""
    make = Maker(backend, dtype)
    legs = structure.legs[0], structure.legs[1].dual, structure.legs[2]
    x, y = make(*legs, charge=structure.charge), make(*legs, charge=structure.charge)
    full_x, full_y = dense(x), dense(y)
    assert_same(x + y, full_x + full_y, dtype)
    assert_same(x - y, full_x - full_y, dtype)
    assert_same(-x, -full_x, dtype)
    assert_same(2 * x * 0.5, full_x, dtype)
    assert_same(x * np.float64(3), 3 * full_x, dtype)
    assert_same(x / 4, full_x / 4, dtype)
    assert_same(x * 1j, 1j * full_x, np.result_type(dtype, np.complex64))
    conjugate = x.conj()
    assert_same(conjugate, full_x.conj(), dtype)
    assert conjugate.legs == tuple(leg.dual for leg in x.legs)
    assert abs(x.norm() - np.linalg.norm(full_x)) < tolerance(dtype) * 100
    squared = contract("a b c, a b c ->", conjugate, x).item()
    assert abs(squared - x.norm() ** 2) < tolerance(dtype) * 100
    copied = x.copy()
    copied.data[...] = 0
    assert x.norm() > 0
    for other in "fdFD":
        if np.dtype(other).kind == "c" or dtype.kind == "f":
            assert_same(x.astype(other), full_x.astype(other), other)


def check_fusing(backend: Backend, dtype: np.dtype, structure: Structure) -> None:
    """Fusing and splitting undo each other and commute with contraction."""
    make = Maker(backend, dtype)
    a, b, c, d = structure.legs
    x = make(a, b.dual, c, d.dual, charge=structure.charge)
    for groups in ([(0, 1), (2, 3)], [(2, 0), (3, 1)], [(0,), (1, 2), (3,)], [(3, 2, 1, 0)], [(1,), (0, 3, 2)]):
        for flows in (None, [-1] * len(groups)):
            fused = fuse(x, groups, flows)
            assert fused.charge == x.charge
            assert abs(fused.norm() - x.norm()) < tolerance(dtype) * x.norm()
            back = fused
            for axis in reversed(range(len(groups))):
                back = split(back, axis, [x.legs[n] for n in groups[axis]])
            order = [n for group in groups for n in group]
            assert_same(back, dense(x).transpose(order), dtype)
    for axis, leg in enumerate(x.legs):
        flipped = flip_leg(x, axis)
        assert flipped.legs[axis] is leg.flipped and flipped.legs[axis].flow == -leg.flow
        assert flipped.charge == x.charge and flipped.shape == x.shape
        pieces = [leg.slice_of(structure.group.dual(charge)) for charge in leg.flipped.charges]
        order = np.concatenate([np.arange(piece.start, piece.stop) for piece in pieces])
        assert_same(flipped, np.take(dense(x), order, axis=axis), dtype)
    y = make(c.dual, d, b)
    merged = contract(
        "a b f, f g -> a b g", fuse(x, [(0,), (1,), (2, 3)], [1, -1, 1]), fuse(y, [(0, 1), (2,)], [-1, 1])
    )
    assert_same(merged, dense(contract("a b c d, c d e -> a b e", x, y)), dtype)
    if not structure.group.moduli:
        assert_same(fuse(x, [(0, 1), (2, 3)]), dense(x).reshape(a.dim * b.dim, -1), dtype)
