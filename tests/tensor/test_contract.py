"""Contractions: the suite on every backend, dtype and symmetry, and what is refused."""

import numpy as np
import pytest

from tests.suites import contractions
from tests.suites.structures import STRUCTURES
from tnsim.errors import BackendError, LegError, ShapeError
from tnsim.tensor import contract, from_dense, random_tensor, trace, transpose

CHECKS = [
    contractions.check_pairs,
    contractions.check_scalars_and_outer_products,
    contractions.check_many,
    contractions.check_no_blocks,
    contractions.check_transposes,
    contractions.check_traces,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_against_dense(check, backend, dtype, structure):
    check(backend, dtype, structure)


def test_mixed_dtypes_promote(backend):
    legs = STRUCTURES[1].legs
    x = random_tensor([legs[0], legs[1]], dtype="f", seed=1, backend=backend)
    y = random_tensor([legs[1].dual, legs[0]], dtype="D", seed=2, backend=backend)
    contractions.check("a b, b c -> a c", x, y)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("a b, b c", "one arrow"),
        ("a b, b c -> a c -> a", "one arrow"),
        ("a a, b c -> b c", "trace()"),
        ("a b, b c -> a d", "open legs here are 'a c'"),
        ("a b, b c -> a", "open legs here are 'a c'"),
        ("a b, b c -> a c c", "open legs"),
        ("a b, b b -> a", "trace()"),
        ("a, b c -> a b c", "1 legs"),
        ("a b -> b a", "names 1 tensors, 2 were given"),
        ("a b, b c, c d -> a d", "names 3 tensors, 2 were given"),
    ],
)
def test_bad_expressions_say_what_is_wrong(expression, words):
    x, y = from_dense(np.ones((2, 3))), from_dense(np.ones((3, 4)))
    with pytest.raises(ShapeError, match=words.replace("(", r"\(").replace(")", r"\)")):
        contract(expression, x, y)


def test_a_word_may_not_stand_three_times():
    x = from_dense(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="twice before the arrow"):
        contract("a b, b c, b d -> a c d", x, x, x)


def test_legs_must_fit():
    a, b, *_ = STRUCTURES[1].legs
    x = random_tensor([a, b], seed=0)
    with pytest.raises(LegError, match="axis 1 of the first tensor.*opposite flow"):
        contract("a b, b c -> a c", x, random_tensor([b, a], seed=0))
    with pytest.raises(LegError, match="equal sectors"):
        contract("a b, b c -> a c", x, random_tensor([a.dual, a], seed=0))
    with pytest.raises(LegError):
        trace(random_tensor([a, b.dual], seed=0), 0, 1)


def test_groups_may_not_be_mixed():
    with pytest.raises(LegError, match="one tensor has one group"):
        random_tensor([STRUCTURES[1].legs[0], STRUCTURES[2].legs[0]])
    x, y = random_tensor(STRUCTURES[1].legs[:1], (1,)), random_tensor(STRUCTURES[2].legs[:1], (1,))
    with pytest.raises(LegError, match="one tensor has one group"):
        contract("a, b -> a b", x, y)


def test_backends_may_not_be_mixed():
    x = from_dense(np.ones((2, 2)))
    with pytest.raises(BackendError, match="to"):
        contract("a b, b c -> a c", x, x.to("strict"))
    with pytest.raises(BackendError):
        x + x.to("strict")


def test_transposing_needs_every_axis_once():
    with pytest.raises(ShapeError, match="each of them once"):
        transpose(from_dense(np.ones((2, 2))), (0, 0))


def test_a_contraction_reads_nothing_from_the_device():
    from tests.strict_device import sync_budget

    a, b, *_ = STRUCTURES[1].legs
    x = random_tensor([a, b, a.dual], seed=0, backend="strict")
    y = random_tensor([b.dual, a, a.dual], seed=1, backend="strict")
    with sync_budget(0):
        contract("a b c, b c d -> d a", x, y)
