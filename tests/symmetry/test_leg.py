"""Legs, their fusion, and the table of allowed blocks."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

from tnsim.errors import LegError
from tnsim.symmetry import U1, Leg, Zn, fuse_legs, layout, trivial_leg

SZ = U1("Sz")


def test_equal_legs_are_one_object():
    leg = Leg(SZ, [(-1,), (1,)], [2, 3])
    assert Leg(SZ, [-1, 1], np.array([2, 3])) is leg
    assert leg.dual.dual is leg and leg.dual is not leg
    assert pickle.loads(pickle.dumps(leg)) is leg and copy.deepcopy(leg) is leg
    assert Leg(Zn(2), [0, 3], [1, 1]) is Leg(Zn(2), [0, 1], [1, 1])
    assert Leg(SZ, [[-1], [1]], [2, 3]) is leg


@pytest.mark.parametrize(
    ("charges", "dims", "flow", "words"),
    [
        ([(1,), (-1,)], [1, 1], 1, "ascend"),
        ([(1,), (1,)], [1, 1], 1, "ascend"),
        ([(1,)], [1, 1], 1, "one dimension per charge"),
        ([(1,)], [0], 1, "at least 1"),
        ([(1,)], [2.5], 1, "whole number"),
        ([(1,)], [1], 0, "flow"),
    ],
)
def test_ill_formed_legs(charges, dims, flow, words):
    with pytest.raises(LegError, match=words):
        Leg(SZ, charges, dims, flow)


def test_a_leg_is_frozen():
    with pytest.raises(AttributeError, match="frozen"):
        trivial_leg(2).flow = -1


def test_sectors_by_charge():
    leg = Leg(SZ, [-1, 0, 2], [2, 1, 3])
    assert leg.dim == 6 and leg.slice_of((2,)) == slice(3, 6)
    assert leg.index_of((5,)) is None
    with pytest.raises(LegError, match="no sector of charge"):
        leg.slice_of((5,))
    assert repr(leg) == "Leg(6 = {-1:2, 0:1, 2:3}, in)"
    assert Leg.from_keys(SZ, SZ.keys([(-1,), (0,)]), np.array([0, 2])) is Leg(SZ, [0], [2])


def test_layout_lists_the_allowed_blocks(structure):
    a, b, c, d = structure.legs
    for legs in ((a,), (a, b.dual), (a, b, c.dual), (a.dual, b, c, d.dual)):
        for charge in {structure.group.identity, structure.charge}:
            expected = [
                places
                for places in product(*(range(len(leg)) for leg in legs))
                if structure.group.total(
                    [leg.charges[p] for leg, p in zip(legs, places, strict=True)], [leg.flow for leg in legs]
                )
                == charge
            ]
            table = layout(legs, charge)
            assert [tuple(row) for row in table.indices.tolist()] == expected
            sizes = [np.prod([leg.dims[p] for leg, p in zip(legs, row, strict=True)]) for row in expected]
            np.testing.assert_array_equal(np.diff(table.offsets), sizes)
            assert table.size == sum(sizes)


def test_fusion_covers_every_state_once(structure):
    a, b, c, _ = structure.legs
    for legs in ((a,), (a, b.dual), (a, b, c.dual)):
        for flow in (1, -1):
            fused = fuse_legs(legs, flow)
            assert fused.leg.dim == np.prod([leg.dim for leg in legs]) and fused.leg.flow == flow
            filled = [np.zeros(d, dtype=int) for d in fused.leg.dims]
            for number, places in enumerate(product(*(range(len(leg)) for leg in legs))):
                size = int(np.prod([leg.dims[p] for leg, p in zip(legs, places, strict=True)]))
                start = fused.start[number]
                filled[fused.sector[number]][start : start + size] += 1
                total = structure.group.total(
                    [leg.charges[p] for leg, p in zip(legs, places, strict=True)], [flow * leg.flow for leg in legs]
                )
                assert fused.leg.charges[fused.sector[number]] == total
            assert all((part == 1).all() for part in filled)


def test_fusing_nothing_is_an_error():
    with pytest.raises(LegError, match="at least one leg"):
        fuse_legs(())


def test_many_threads_make_one_leg():
    group = U1("thread test")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: Leg(group, [n % 5, n % 5 + 1], [1, 2]), range(200)))
    assert all(made[n] is made[n % 5] for n in range(200))
