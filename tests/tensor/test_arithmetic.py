"""Making, moving, adding and reshaping tensors, and what is refused."""

import numpy as np
import pytest

from tests.suites import arithmetic
from tests.suites.structures import STRUCTURES, dense
from tnsim.errors import BackendError, ChargeError, LegError, ShapeError
from tnsim.symmetry import U1, Leg, trivial_leg
from tnsim.tensor import Tensor, entries_of, eye, from_dense, from_entries, fuse, random_tensor, split, zeros

CHECKS = [arithmetic.check_making, arithmetic.check_moving, arithmetic.check_arithmetic, arithmetic.check_fusing]
SZ = Leg(U1("Sz"), [-1, 1], [1, 1])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_against_dense(check, backend, dtype, structure):
    check(backend, dtype, structure)


def test_from_dense_names_the_element_that_breaks_the_symmetry():
    flip = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert from_dense(flip, [SZ, SZ.dual], (-2,)).norm() == 1
    with pytest.raises(ChargeError, match=r"element \(0, 1\) = 1 breaks.*U\(1\) Sz"):
        from_dense(flip, [SZ, SZ.dual])
    small = np.array([[1.0, 1e-12], [0.0, 1.0]])
    assert dense(from_dense(small, [SZ, SZ.dual], tolerance=1e-10))[0, 1] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_from_dense_refuses_nan_where_the_symmetry_wants_zero(bad):
    with pytest.raises(ChargeError, match=r"element \(0, 1\)"):
        from_dense(np.array([[1.0, bad], [0.0, 1.0]]), [SZ, SZ.dual])


def test_from_dense_checks_shapes_and_takes_integers():
    with pytest.raises(ShapeError, match=r"dimensions \(2, 2\).*found \(3, 2\)"):
        from_dense(np.ones((3, 2)), [SZ, SZ.dual])
    assert from_dense([[1, 2], [3, 4]]).dtype == np.float64
    assert from_dense(np.float64(3.0)).item() == 3.0


def test_from_dense_without_legs_is_one_block_without_a_copy():
    tensor = from_dense(np.arange(6.0).reshape(2, 3))
    assert [leg.flow for leg in tensor.legs] == [1, -1]
    assert tensor.array.base is not None
    np.testing.assert_array_equal(tensor.array, np.arange(6.0).reshape(2, 3))


def test_an_unknown_array_type_is_refused():
    class Foreign:
        shape, dtype = (1,), np.dtype(float)

    with pytest.raises(BackendError, match="Foreign"):
        from_dense(Foreign())


def test_data_must_fit_the_blocks():
    with pytest.raises(ShapeError, match="stores 2 numbers"):
        Tensor([SZ, SZ.dual], np.ones(3))
    with pytest.raises(ChargeError, match="does not fit"):
        zeros([SZ, SZ.dual], (1, 2))


def test_sums_need_one_structure():
    x = random_tensor([SZ, SZ.dual], seed=0)
    with pytest.raises(LegError, match="one structure"):
        x + random_tensor([SZ.dual, SZ], seed=0)
    with pytest.raises(LegError, match="charge"):
        x + random_tensor([SZ, SZ.dual], (2,), seed=0)
    with pytest.raises(ShapeError, match="by a number"):
        x * np.ones(2)


def test_a_complex_tensor_is_not_made_real_silently():
    x = random_tensor([SZ, SZ.dual], dtype="D", seed=0)
    with pytest.raises(ShapeError, match="imaginary part"):
        x.astype("d")
    real = random_tensor([SZ, SZ.dual], seed=0)
    assert (real.astype("D").astype("d") - real).norm() == 0


def test_array_and_item_refuse_what_they_cannot_show():
    with pytest.raises(LegError, match="to_dense"):
        _ = random_tensor([SZ, SZ.dual]).array
    with pytest.raises(ShapeError, match="without legs"):
        random_tensor([SZ, SZ.dual]).item()


def test_fusing_needs_every_axis_once_and_no_empty_group():
    x = random_tensor([trivial_leg(2), trivial_leg(3)], seed=0)
    with pytest.raises(ShapeError, match="in one group"):
        fuse(x, [(0,)])
    with pytest.raises(LegError, match="at least one leg"):
        fuse(x, [(0, 1), ()])
    with pytest.raises(LegError, match="not the fusion"):
        split(x, 0, [trivial_leg(3), trivial_leg(3)])


def test_repr_tells_blocks_and_charge():
    text = repr(random_tensor([SZ, SZ.dual], (2,), seed=0))
    assert "1 block," in text and "charge (2,)" in text and "numpy" in text
    assert "2 blocks" in repr(eye(SZ))


def test_seeds_and_generators():
    legs = STRUCTURES[1].legs[:1]
    rng = np.random.default_rng(3)
    first, second = (random_tensor(legs, (1,), seed=rng) for _ in range(2))
    assert (first - second).norm() > 0
    assert (first - random_tensor(legs, (1,), seed=3)).norm() == 0


def test_entries_are_the_elements_that_are_not_zero(dtype, structure):
    legs, charge = structure.legs, structure.charge
    tensor = random_tensor(legs, charge, dtype=dtype, seed=3)
    tensor.data[::3] = 0
    places, values = entries_of(tensor)
    np.testing.assert_array_equal(places, np.argwhere(dense(tensor)))
    np.testing.assert_array_equal(values, dense(tensor)[tuple(places.T)])
    back = from_entries(np.concatenate([places, places])[::-1], np.concatenate([values, values])[::-1], legs, charge)
    np.testing.assert_array_equal(back.data, 2 * tensor.data)


def test_entries_that_do_not_fit_are_refused():
    one = np.ones(1)
    with pytest.raises(ChargeError, match=r"element \(0, 1\) = 1 breaks.*U\(1\) Sz"):
        from_entries(np.array([[0, 1]]), one, [SZ, SZ.dual])
    assert from_entries(np.array([[0, 1], [1, 1]]), np.array([0.0, 2.0]), [SZ, SZ.dual]).data.tolist() == [0.0, 2.0]
    for places in ([[0, 2]], [[-1, 0]], [[0]], [[0, 0], [1, 1]]):
        with pytest.raises(ShapeError, match="need as many indices, each in range"):
            from_entries(np.array(places), one, [SZ, SZ.dual])
