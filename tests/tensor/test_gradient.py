"""Gradients of the operations on tensors, against finite differences, and the tape itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.strict_device import sync_budget
from tests.suites.gradients import check, overlap_with, random_like
from tests.suites.structures import STRUCTURES
from tnsim.errors import ShapeError
from tnsim.symmetry import Group, Leg
from tnsim.tensor import Tensor, from_dense, inner, random_tensor, scalar
from tnsim.tensor import gradient as g
from tnsim.tensor.tape import Node, at_once, backward, checkpoint, value_and_gradient, variable

DOUBLE = [np.dtype("d"), np.dtype("D")]


@pytest.fixture(params=DOUBLE, ids=["float64", "complex128"])
def dtype(request):
    return request.param


@pytest.fixture
def make(structure, dtype, backend):
    """Random tensors from the legs of the structure; a bar is the dual leg."""
    a, b, c, d = structure.legs
    named = {"a": a, "b": b, "c": c, "d": d, "A": a.dual, "B": b.dual, "C": c.dual, "D": d.dual}

    def made(word, seed, charge=None):
        return random_tensor([named[x] for x in word], charge, dtype=dtype, seed=seed, backend=backend)

    return made


def test_contractions(make, structure):
    x, y, z = make("abC", 1, structure.charge), make("cBd", 2), make("AD", 3)
    check(lambda x, y: overlap_with(g.contract("a b c, c b d -> d a", x, y), 9), x, y)
    check(lambda x, y, z: overlap_with(g.contract("a b c, c e d, a d -> e b", x, y, z), 9), x, y, z)
    check(lambda x: overlap_with(g.contract("a b c, d e -> d a b e c", x, z), 9), x)
    check(lambda x: g.real(g.contract("a b c, a b c -> ", x, x.conj())), x)


def test_copies(make, structure):
    x = make("aBcD", 1, structure.charge)
    check(lambda x: overlap_with(g.transpose(x, (2, 0, 3, 1)), 9), x)
    check(lambda x: overlap_with(g.fuse(x, [(2, 0), (3,), (1,)]), 9), x)
    check(lambda x: overlap_with(g.fuse(x, [(2, 0), (1, 3)], [-1, 1]), 9), x)
    legs = x.legs[1:3]
    check(lambda x: overlap_with(g.split(g.fuse(x, [(0,), (1, 2), (3,)]), 1, legs), 9), x)
    check(lambda x: overlap_with(g.trace(x, 1, 2), 9), make("bAac", 4))


def test_sums_and_numbers(make, structure):
    x, y = make("aB", 1), make("aB", 2)
    factor = 0.3 - 0.2j if x.dtype.kind == "c" else 0.3
    check(lambda x, y: overlap_with(x * factor - y.conj().conj() / 2 + x, 9), x, y)
    check(lambda x, y: g.norm(x - y), x, y)
    check(lambda x: overlap_with(g.unit(x), 9), x)
    check(lambda x, y: overlap_with(g.scaled(y, g.contract("a b, a b -> ", x, x.conj())), 9), x, y)
    check(lambda x, y: g.real(g.ratio(*(g.contract("a b, a b -> ", x, z.conj()) for z in (y, x)))), x, y)


def test_a_constant_added_on_either_side():
    x, y = from_dense(np.array([1.0, 2.0])), from_dense(np.array([3.0, 5.0]))
    check(lambda x: g.norm(y + x), x)
    check(lambda x: g.norm(x - y), x)


def test_relabelled_legs(dtype):
    structure = next(entry for entry in STRUCTURES if entry.name == "Z2")
    x = random_tensor(structure.legs[:2], structure.charge, dtype=dtype, seed=1)
    check(lambda x: overlap_with(g.relabelled(x, [leg.dual for leg in x.legs]), 9), x)


def test_real_tensors_that_meet_complex_ones_have_real_gradients():
    x, y = random_tensor(STRUCTURES[1].legs[:2], seed=1), random_tensor(STRUCTURES[1].legs[:2], dtype="D", seed=2)
    check(lambda x, y: g.real(g.contract("a b, a b -> ", x, y.conj())), x, y)


def test_without_nodes_nothing_is_recorded():
    x = from_dense(np.array([3.0, 4.0]))
    for made in (g.unit(x), g.norm(x), g.scaled(x, scalar(2.0)), g.contract("a, a -> ", x, x.conj())):
        assert type(made) is Tensor


def test_what_a_value_does_not_depend_on_has_gradient_zero():
    x, y = from_dense(np.array([3.0, 4.0])), from_dense(np.array([1.0]))
    _, (_, slope) = value_and_gradient(lambda x, y: g.norm(x), x, y)
    assert slope.array.tolist() == [0.0]


def test_a_checkpoint_keeps_its_inputs_only_and_gives_the_same(make):
    x, y = make("aB", 1), make("bA", 2)
    runs = []

    def steps(x, y):
        runs.append(type(x) is Node)
        product = g.contract("a b, b c -> a c", x, y)
        return g.unit(product), g.norm(product)

    def function(x, y, through):
        for _ in range(3):
            matrix, size = checkpoint(steps, x, y) if through else steps(x, y)
            x = g.scaled(g.contract("a b, b c -> a c", matrix, x), size)
        return g.norm(x)

    value, gradients = value_and_gradient(lambda x, y: function(x, y, False), x, y)
    runs.clear()
    again, others = value_and_gradient(lambda x, y: function(x, y, True), x, y)
    assert runs == [False] * 3 + [True] * 3
    assert again == value
    for first, second in zip(gradients, others, strict=True):
        assert (first - second).norm() <= 1e-13 * first.norm()


def test_a_gradient_taken_at_once_leaves_nothing_between(make):
    x, y, constant = make("aB", 1), make("bA", 2), make("aB", 3)

    def size(x, y, z):
        return g.norm(g.contract("a b, b c -> a c", x + z, y))

    def total(x, y, way):
        return sum((way(x * (n + 1.0), y) * (n - 0.5) for n in (1, 2)), start=g.norm(x))

    def direct(x, y):
        return size(x, y, constant)

    def now(x, y):
        found = at_once(size, x, y, constant)
        assert [node.value.norm() for node in found.operation.inputs] == [x.value.norm(), y.value.norm()]
        return found

    value, gradients = value_and_gradient(lambda x, y: total(x, y, direct), x, y)
    again, others = value_and_gradient(lambda x, y: total(x, y, now), x, y)
    assert again == value
    for first, second in zip(gradients, others, strict=True):
        assert (first - second).norm() <= 1e-13 * first.norm() and first.dtype == second.dtype
    assert type(at_once(size, x, y, constant)) is Tensor
    with pytest.raises(ShapeError, match="real number"):
        at_once(lambda x: x, variable(x))


def test_a_tape_may_be_asked_twice(make):
    x = make("aB", 1)
    node = variable(x)
    image = g.unit(node)
    probe = random_like(x, 5)
    (first,), (second,) = (backward([image], [probe], [node]) for _ in range(2))
    assert (first - second).norm() == 0
    (double,) = backward([image], [probe * 2.0], [node])
    assert abs(inner(double, double) - 4 * inner(first, first)) < 1e-12


def test_gradients_with_respect_to_what_lies_between():
    x = variable(from_dense(np.array([1.0, 2.0])))
    middle = x * 3.0
    end = middle * 2.0
    one = from_dense(np.ones(2))
    assert [found.array.tolist() for found in backward([end], [one], [middle, x])] == [[2.0, 2.0], [6.0, 6.0]]


def test_only_real_numbers_have_gradients():
    x = random_tensor(STRUCTURES[0].legs[:2], dtype="D", seed=1)
    with pytest.raises(ShapeError, match="a real number"):
        value_and_gradient(lambda x: g.contract("a b, a b -> ", x, x.conj()), x)
    with pytest.raises(ShapeError, match="a real number"):
        value_and_gradient(g.unit, x)


@pytest.mark.parametrize("charge", [(0,), (1,)])
def test_graded_tensors(dtype, charge):
    """Odd legs anticommute, and so do odd tensors; gradients are those of the numbers in them."""
    N = Group(("N",), (0,), fermionic=(0,))
    sectors = ([-1, 0, 1], [1, 2, 2]), ([0, 1], [2, 1]), ([0, 1, 2], [1, 2, 1]), ([-1, 0, 1, 2], [1, 1, 2, 1])
    legs = {name: Leg(N, [(q,) for q in qs], dims) for name, (qs, dims) in zip("abcd", sectors, strict=True)}
    legs |= {name.upper(): leg.dual for name, leg in legs.items()}

    def made(word, seed, charge=None):
        return random_tensor([legs[x] for x in word], charge, dtype=dtype, seed=seed)

    structure = SimpleNamespace(charge=charge)
    test_contractions(made, structure)
    test_copies(made, structure)
    test_sums_and_numbers(made, structure)
    x, y = made("abC", 1, (1,)), made("cBd", 2, (1,))
    check(lambda x, y: overlap_with(g.contract("a b c, c b d -> d a", x, y), 9), x, y)
    check(lambda x, y: overlap_with(g.contract("c b d, a b c -> d a", y, x), 9), x, y)
    z = made("BCA", 3, tuple(-q for q in charge))
    check(lambda x: g.real(g.contract("a b c, b c a -> ", x, z)), made("abc", 4, charge))


def test_a_gradient_reads_the_device_once():
    x = random_tensor(STRUCTURES[1].legs[:2], seed=1, backend="strict")

    def function(x):
        product = g.unit(g.contract("a b, c b -> a c", x, x.conj()))
        return g.ratio(g.norm(g.scaled(product, g.norm(x))), g.norm(x))

    with sync_budget(1):
        value_and_gradient(function, x)
