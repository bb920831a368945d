"""Exact contraction of networks: dense oracles with and without slices, costs as executed, and what is refused."""

import tracemalloc
from importlib import import_module

import numpy as np
import pytest

import tnsim as tn
from tests.exact.grids import value
from tests.suites.structures import STRUCTURES, Maker, Structure, assert_same, dense, oracle
from tnsim.algorithms.plane import exact_contraction
from tnsim.algorithms.plane.exact_contraction import _PATHS
from tnsim.backend import Backend, thread_count
from tnsim.errors import BackendError, LegError, NumericalError, OperatorError, SettingsError, ShapeError
from tnsim.networks.factor_graph import FactorGraph
from tnsim.networks.square_network import FiniteNetwork
from tnsim.symmetry import trivial_leg
from tnsim.tensor import contract_words, random_tensor, scalar, select

RING = "x a b c, c t t y d, d b e, e a f f ->y x"


def ring(backend: Backend, dtype: np.dtype, structure: Structure) -> list[tn.Tensor]:
    """A network with two open legs, two traces and a double bond's worth of loops."""
    make = Maker(backend, dtype)
    p, q, r, s = structure.legs
    charge = structure.charge
    return [
        make(p, q, r, s, charge=charge), make(s.dual, q, q.dual, r.dual, p), make(p.dual, r.dual, s, charge=charge),
        make(s.dual, q.dual, r, r.dual),
    ]  # fmt: skip


def network_of(expression: str, tensors: list[tn.Tensor]) -> tn.TensorNetwork:
    left, right = expression.split("->")
    return tn.TensorNetwork(list(zip(tensors, left.split(","), strict=True)), right)


def test_against_dense(backend, dtype, structure):
    tensors = ring(backend, dtype, structure)
    network, expected = network_of(RING, tensors), oracle(RING, *map(dense, tensors))
    whole = tn.ExactContraction().solve(network)
    assert_same(whole.result, expected, dtype)
    assert whole.plan.slices == whole.threads == 1 and not whole.plan.sliced
    cut = tn.ExactContraction(memory=whole.plan.memory * 3 // 4).solve(network)
    assert_same(cut.result, expected, dtype)
    assert cut.plan.slices > 1 and cut.plan.memory <= whole.plan.memory * 3 // 4
    assert cut.result.legs == whole.result.legs and cut.result.charge == whole.result.charge


@pytest.mark.parametrize(
    "expression", ["a b ->b a", "a b, ->b a", "a b, c c ->a b", "a a, c c ->", "a b, a b, c d, c d->"]
)
def test_small_and_disconnected_networks(backend, dtype, expression):
    make = Maker(backend, dtype)
    p, q, *_ = STRUCTURES[1].legs
    seen: set[str] = set()
    tensors = []
    for part in expression.split("->")[0].split(","):
        legs = []
        for word in part.split():
            legs.append((p if word in "ac" or "c c" in part else q) if word not in seen else None)
            legs[-1] = legs[-1] or (p if word in "ac" else q).dual
            seen.add(word)
        tensors.append(make(*legs) if legs else scalar(2, dtype=dtype, backend=backend))
    found = tn.ExactContraction().solve(network_of(expression, tensors)).result
    assert_same(found, oracle(expression, *map(dense, tensors)), dtype)


def grid(rows: int, columns: int, dim: int = 2) -> FiniteNetwork:
    """Random tensors between 0.5 and 1.5 on an open grid."""
    rng = np.random.default_rng(3)

    def site(i: int, j: int) -> tn.Tensor:
        shape = [1 if edge else dim for edge in (i == 0, j == columns - 1, i == rows - 1, j == 0)]
        legs = [trivial_leg(d, flow) for d, flow in zip(shape, (1, -1, -1, 1), strict=True)]
        return tn.from_dense(rng.random(shape) + 0.5, legs)

    return FiniteNetwork([[site(i, j) for j in range(columns)] for i in range(rows)])


def grid_network(network: FiniteNetwork) -> tn.TensorNetwork:
    """Bonds named by what is north, or west, of them; the edges closed by ones."""
    tensors = {}
    for i, row in enumerate(network.rows):
        for j, tensor in enumerate(row):
            words = [f"v{i},{j}", f"h{i},{j + 1}", f"v{i + 1},{j}", f"h{i},{j}"]
            tensors[f"{i},{j}"] = (tensor, words)
            for word, leg in zip(words, tensor.legs, strict=True):
                if leg.dim == 1:
                    tensors[f"edge {word}"] = (tn.from_dense(np.ones(1), [leg.dual]), [word])
    return tn.TensorNetwork(tensors)


def test_a_grid_in_slices():
    network, exact = grid_network(grid(6, 6)), value(grid(6, 6)).real
    whole = tn.ExactContraction().solve(network)
    assert whole.value == pytest.approx(exact, rel=1e-12)
    cut = tn.ExactContraction(memory=whole.plan.memory // 3).solve(network)
    assert cut.plan.slices > 1 and cut.plan.memory <= whole.plan.memory // 3
    assert cut.value == pytest.approx(exact, rel=1e-12)


def test_the_same_sum_from_any_number_of_threads():
    rng = np.random.default_rng(5)
    edges = [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)]
    edges += [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
    network = FactorGraph({str(n): 5 for n in range(10)}, [(pair, rng.random((5, 5))) for pair in edges]).network()
    contraction = tn.ExactContraction(memory=62_000)
    found = []
    try:
        for threads in (1, 3):
            tn.set_threads(threads)
            found.append(contraction.solve(network))
            assert thread_count() == threads
    finally:
        tn.set_threads(None)
    assert [one.threads for one in found] == [1, 3] and found[0].plan.slices >= 5
    assert found[0].value == found[1].value == pytest.approx(tn.ExactContraction().solve(network).value, rel=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
def test_flops_and_sizes_are_those_of_the_work_done(structure, monkeypatch):
    counted, sizes = [], []
    module = import_module("tnsim.tensor.contract")

    def counting(*arguments):
        with monkeypatch.context() as inside:
            inside.setattr(module, "execute", lambda plan, *rest: (counted.append(plan.flops), execute(plan, *rest))[1])
            result = contract_words(*arguments)
        sizes.append(result.size)
        return result

    execute = module.execute
    monkeypatch.setattr(exact_contraction, "contract_words", counting)
    network = network_of(RING, ring(tn.get_backend("numpy"), np.dtype("d"), structure))
    whole = tn.ExactContraction().solve(network).plan
    assert whole.flops == sum(counted) and whole.largest == max(sizes)
    counted.clear()
    sizes.clear()
    cut = tn.ExactContraction(memory=whole.memory * 3 // 4).solve(network).plan
    assert cut.flops == sum(counted) >= whole.flops and cut.largest >= max(sizes)


def test_the_memory_is_that_of_the_plan():
    network = grid_network(grid(5, 5, dim=4))
    for budget in (None, 400_000):
        contraction = tn.ExactContraction(memory=budget)
        contraction.solve(network)  # plans are made and cached
        tracemalloc.start()
        plan = contraction.solve(network).plan
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 0.4 * plan.memory < peak < plan.memory + 150_000


def test_paths_by_name_and_by_object():
    tensors = ring(tn.get_backend("numpy"), np.dtype("d"), STRUCTURES[1])
    for path in _PATHS:
        found = tn.ExactContraction(path=path).solve(network_of(RING, tensors)).result
        assert_same(found, oracle(RING, *map(dense, tensors)), np.float64)
    network, exact = grid_network(grid(3, 3)), value(grid(3, 3)).real

    def in_order(inputs, output, sizes, memory_limit=None):
        return [(0, 1)] * (len(inputs) - 1)

    for path in ("greedy", "auto-hq", in_order):
        assert tn.ExactContraction(path=path).solve(network).value == pytest.approx(exact, rel=1e-12)
    three_at_once = [(0, 1, 2)] + [(0,)] + [tuple(range(len(network.tensors) - 2))]
    found = tn.ExactContraction(path=lambda *_: three_at_once).solve(network)
    assert found.value == pytest.approx(exact, rel=1e-12)


def test_cotengra_finds_paths():
    cotengra = pytest.importorskip("cotengra")
    optimizer = cotengra.HyperOptimizer(max_repeats=4, parallel=False, methods=["greedy"])
    exact = value(grid(4, 4)).real
    found = tn.ExactContraction(path=optimizer).solve(grid_network(grid(4, 4)))
    assert found.value == pytest.approx(exact, rel=1e-12)


def test_selecting_is_indexing(backend, dtype, structure):
    p, q, r, _ = structure.legs
    tensor = random_tensor([p, q.dual, r], structure.charge, dtype=dtype, seed=1, backend=backend)
    for axis in range(3):
        for place in range(tensor.shape[axis]):
            assert_same(select(tensor, axis, place), dense(tensor).take([place], axis), dtype)
    with pytest.raises(ShapeError, match="places 0 to"):
        select(tensor, 0, p.dim)


def test_networks_that_are_refused():
    A, B = tn.from_dense(np.ones((2, 3))), tn.from_dense(np.ones((3, 2)))
    with pytest.raises(ShapeError, match="index 'a' stands once, on leg 0 of 'A'"):
        tn.TensorNetwork({"A": (A, "a b"), "B": (B, "b c")}, "c")
    with pytest.raises(ShapeError, match="index 'b' stands 3 times, on leg 1 of 'A' and leg 0 of 'B' and leg 0 of 'C'"):
        tn.TensorNetwork({"A": (A, "a b"), "B": (B, "b a"), "C": (B, "b c")}, "c")
    with pytest.raises(
        LegError, match=r"index 'a' joins leg 0 of 'A' and leg 0 of 'B', .* Leg\(2, in\) and Leg\(3, in\)"
    ):
        tn.TensorNetwork({"A": (A, "a b"), "B": (B, "a c")}, "b c")
    with pytest.raises(ShapeError, match="'b' stands on leg 1 of 'A' and leg 0 of 'B', and 1 times"):
        tn.TensorNetwork({"A": (A, "a b"), "B": (B, "b c")}, "a b c")
    with pytest.raises(ShapeError, match="'z' stands on no tensor"):
        tn.TensorNetwork([(A, "a b"), (B, "b c")], "a c z")
    with pytest.raises(ShapeError, match="'a' stands on leg 0 of '0', and 2 times"):
        tn.TensorNetwork([(A, "a b"), (B, "b c")], "a c a")
    with pytest.raises(ShapeError, match="tensor 'A' has 2 legs, 1 indices"):
        tn.TensorNetwork({"A": (A, "a")})
    with pytest.raises(ShapeError, match="at least one tensor"):
        tn.TensorNetwork([])
    with pytest.raises(OperatorError, match="tensor '1' needs a pair"):
        tn.TensorNetwork([(A, "a b"), (np.ones(3), "b")], "a")
    with pytest.raises(NumericalError, match="tensor '0' holds NaN"):
        tn.TensorNetwork([(A * float("nan"), "a b")], "a b")
    with pytest.raises(BackendError, match="'1' lies on strict"):
        tn.TensorNetwork([(A, "a b"), (B.to("strict"), "b c")], "a c")


def test_settings_that_are_refused(monkeypatch):
    network = network_of(RING, ring(tn.get_backend("numpy"), np.dtype("d"), STRUCTURES[0]))
    with pytest.raises(SettingsError, match=r"memory is 100 bytes, but one slice needs \d+ even with every"):
        tn.ExactContraction(memory=100).solve(network)
    with pytest.raises(SettingsError, match="at least 1 byte, found 0"):
        tn.ExactContraction(memory=0)
    with pytest.raises(SettingsError, match='Did you mean "greedy"'):
        tn.ExactContraction(path="gredy")
    with pytest.raises(SettingsError, match="leaves 3 pieces"):
        tn.ExactContraction(path=lambda *_: [(0, 1)]).plan(network)
    with pytest.raises(SettingsError, match="memory must be"):
        tn.ExactContraction(memory="1 GB")
    with pytest.raises(OperatorError, match="a TensorNetwork is contracted, found list"):
        tn.ExactContraction().plan([])
    huge = tn.from_dense(np.full(2, 1e200))
    with pytest.raises(NumericalError, match="overflows float64"):
        tn.ExactContraction().solve(tn.TensorNetwork([(huge, "a"), (huge.conj(), "a")]))
    monkeypatch.setattr(exact_contraction, "machine_memory", lambda: 1500)
    with pytest.raises(SettingsError, match=r"the machine has 1.5e\+03: with memory=1500 it takes \d+ slices by"):
        tn.ExactContraction().plan(network)
