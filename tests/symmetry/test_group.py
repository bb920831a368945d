"""Groups, charges and their packed keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tnsim.errors import ChargeError
from tnsim.kernels.cpu import layout
from tnsim.symmetry import TRIVIAL, U1, FermionParity, Group, Zn

fuse_key = layout.fuse_key.py_func
GROUPS = [TRIVIAL, U1("Sz"), Zn(2, "P"), Zn(3, "Q"), U1("N") * Zn(2, "P"), FermionParity()]
GROUPS.append(U1("N") * U1("Sz") * Zn(4, "k"))


def charges_of(group: Group) -> st.SearchStrategy:
    return st.tuples(*(st.integers(-200, 200) if n == 0 else st.integers(0, n - 1) for n in group.moduli))


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@given(data=st.data())
def test_fusion_is_an_abelian_group(group, data):
    a, b, c = (data.draw(charges_of(group)) for _ in range(3))

    def add(x, y):
        (z,) = group.fuse(x, y)
        return z

    assert add(a, b) == add(b, a)
    assert add(add(a, b), c) == add(a, add(b, c))
    assert add(a, group.identity) == a
    assert add(a, group.dual(a)) == group.identity
    assert group.total([a, b, c], [1, -1, 1]) == add(add(a, group.dual(b)), c)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@given(data=st.data())
def test_keys_follow_charges(group, data):
    a, b = data.draw(charges_of(group)), data.draw(charges_of(group))
    assert group.charges(group.keys([a, b]).tolist()) == (a, b)
    assert (group.key(a) < group.key(b)) == (a < b)
    (fused,) = group.fuse(a, b)
    assert fuse_key(group.key(a), group.key(b), 1, group.moduli_array) == group.key(fused)
    (difference,) = group.fuse(a, group.dual(b))
    assert fuse_key(group.key(a), group.key(b), -1, group.moduli_array) == group.key(difference)


def test_charges_are_reduced_and_checked():
    assert Zn(3).charge(-1) == (2,)
    assert (U1() * Zn(2)).charge([np.int64(5), 3]) == (5, 1)
    with pytest.raises(ChargeError, match="2 components, found"):
        (U1() * Zn(2)).charge(1)
    with pytest.raises(ChargeError, match="too large"):
        (U1("a") * U1("b")).key((2**40, 0))
    for bad in ((1,), (-2,)):
        with pytest.raises(ChargeError, match="moduli"):
            Group(("x",), bad)
    with pytest.raises(ChargeError, match="one name per component"):
        Group(("x", "y"), (0,))


def test_groups_are_values():
    assert U1("N") * Zn(2, "P") == Group(("N", "P"), (0, 2))
    assert len({U1("Sz"), U1("Sz"), U1("N")}) == 2
    assert repr(TRIVIAL) == "trivial" and repr(U1("N") * Zn(2, "P")) == "U(1) N x Z_2 P"


@pytest.mark.parametrize("value", [("up", "down"), (0.5, 1), (1, None)])
def test_a_charge_is_made_of_whole_numbers(value):
    with pytest.raises(ChargeError, match="is made of whole numbers, found"):
        (U1("N") * U1("2Sz")).charge(value)
