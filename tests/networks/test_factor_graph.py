"""Counts and marginals of factor graphs against enumeration and chromatic polynomials."""

from itertools import permutations, product

import numpy as np
import pytest

import tnsim as tn
from tnsim.errors import NumericalError, OperatorError, ShapeError

PETERSEN = [(i, (i + 1) % 5) for i in range(5)] + [(i, i + 5) for i in range(5)]
PETERSEN += [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
PUZZLE = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])


def count(graph: tn.FactorGraph, **settings) -> complex:
    return tn.ExactContraction(**settings).solve(graph.network()).value


def grids() -> np.ndarray:
    """All 4 x 4 Sudokus, as rows, columns and blocks that are permutations."""
    rows = np.array(list(permutations(range(1, 5))))
    found = rows[np.indices((24,) * 4).reshape(4, -1).T]
    blocks = found.reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 4, 4)
    return found[_distinct(found.swapaxes(1, 2)) & _distinct(blocks)]


def _distinct(groups: np.ndarray) -> np.ndarray:
    return (np.sort(groups, axis=2) == np.arange(1, 5)).all(axis=(1, 2))


@pytest.mark.parametrize("seed", range(3))
def test_solutions_of_random_formulas(seed):
    rng = np.random.default_rng(seed)
    clauses = [[int(v) * int(rng.choice([-1, 1])) for v in rng.integers(1, 11, size=3)] for _ in range(25)]
    expected = sum(
        all(any(values[abs(literal) - 1] == (literal > 0) for literal in clause) for clause in clauses)
        for values in product([0, 1], repeat=12)
    )
    assert expected > 0
    graph = tn.satisfiability(clauses, variables=12)
    assert count(graph) == expected
    assert count(graph, memory=tn.ExactContraction().plan(graph.network()).memory // 4) == expected


def test_formulas_at_their_edges():
    assert count(tn.satisfiability([], variables=3)) == 8
    assert count(tn.satisfiability([[]], variables=3)) == 0
    assert count(tn.satisfiability([[1, -1], [2, 2]])) == 2
    # whole numbers stay exact up to 2^53
    assert count(tn.satisfiability([range(1, 11)], variables=52)) == 2**52 - 2**42
    assert count(tn.satisfiability([[n, -n - 1] for n in range(1, 60)])) == 61
    with pytest.raises(OperatorError, match=r"literals are 1 to 2 .* clause \(1, 3\)"):
        tn.satisfiability([[1, 3]], variables=2)
    with pytest.raises(OperatorError, match=r"clause \(0, 1\)"):
        tn.satisfiability([[0, 1]])


@pytest.mark.parametrize("q", [2, 3, 4])
def test_chromatic_polynomials(q):
    tail = [1, -12, 67, -230, 529, -814, 775, -352]  # N. Biggs, Algebraic Graph Theory: the Petersen graph
    assert count(tn.colourings(PETERSEN, q)) == q * (q - 1) * (q - 2) * np.polyval(tail, q)
    for n in (3, 4, 9):
        cycle = [(k, (k + 1) % n) for k in range(n)]
        assert count(tn.colourings(cycle, q)) == (q - 1) ** n + (-1) ** n * (q - 1)
    assert count(tn.colourings([(1, 2), (2, 2)], q)) == 0


def test_a_large_grid_finds_a_good_path():
    edges = [((i, j), (i + di, j + dj)) for i, j in np.ndindex(7, 7) for di, dj in ((0, 1), (1, 0))]
    edges = [(a, b) for a, b in edges if max(b) < 7]
    rows = np.array([row for row in product(range(3), repeat=7) if 0 not in np.diff(row)])
    transfer = (rows[:, None] != rows[None]).all(axis=2).astype(int)
    found = tn.ExactContraction().solve(tn.colourings(edges, 3).network())
    assert found.value == np.linalg.matrix_power(transfer, 6).sum() == 41869995708
    assert found.plan.flops < 10**9  # the greedy path takes 7e12 and 25 GB


def test_sudokus_and_their_marginals():
    everything = grids()
    assert count(tn.sudoku(np.zeros((4, 4), dtype=int)), memory=10**6) == len(everything) == 288
    fitting = everything[((PUZZLE == 0) | (everything == PUZZLE)).all(axis=(1, 2))]
    found = tn.marginals(tn.sudoku(PUZZLE))
    assert count(tn.sudoku(PUZZLE)) == len(fitting) > 1
    for i, j in np.ndindex(4, 4):
        expected = [(fitting[:, i, j] == digit).mean() for digit in range(1, 5)]
        np.testing.assert_allclose(found[f"r{i + 1}c{j + 1}"], expected, atol=1e-14)


def test_weights_and_joint_marginals():
    rng = np.random.default_rng(4)
    ab, bcc, c = rng.random((2, 3)), rng.random((3, 2, 2)), rng.random(2)
    graph = tn.FactorGraph({"a": 2, "b": 3, "c": 2, "d": 5}, [("a b", ab), ("b c c", bcc), (["c"], c), ("", 0.5)])
    joint = tn.ExactContraction().solve(graph.network(open_variables="c a")).result.array
    np.testing.assert_allclose(joint, np.einsum("ab,bcc,c->ca", ab, bcc, c) * 2.5, rtol=1e-13)
    np.testing.assert_allclose(tn.marginals(graph)["d"], np.full(5, 0.2), rtol=1e-13)
    network = tn.FactorGraph({"a": 2}, [("a", [1j, 2])]).network(dtype=np.complex64)
    assert tn.ExactContraction().solve(network).value == 2 + 1j


def test_what_is_refused():
    with pytest.raises(OperatorError, match="unknown variable 'x'"):
        tn.FactorGraph({"a": 2}, [("x", [1, 2])])
    with pytest.raises(ShapeError, match=r"table of shape \(2, 3\), found \(2, 2\)"):
        tn.FactorGraph({"a": 2, "b": 3}, [("a b", np.eye(2))])
    with pytest.raises(ShapeError, match="table of numbers"):
        tn.FactorGraph({"a": 2}, [("a", ["x", "y"])])
    with pytest.raises(ShapeError, match="'a' has 0"):
        tn.FactorGraph({"a": 0}, [])
    with pytest.raises(ShapeError, match="'a' has 2.5"):
        tn.FactorGraph({"a": 2.5}, [])
    with pytest.raises(ShapeError, match="at least one variable or factor"):
        tn.FactorGraph({}, []).network()
    with pytest.raises(OperatorError, match="unknown variable 'q'"):
        tn.FactorGraph({"a": 2}, []).network(open_variables="q")
    with pytest.raises(OperatorError, match="complex dtype"):
        tn.FactorGraph({"a": 2}, [("a", [1j, 2])]).network()
    with pytest.raises(NumericalError, match="no assignment"):
        tn.marginals(tn.satisfiability([[1], [-1]]))
    with pytest.raises(OperatorError, match="weights of at least 0"):
        tn.marginals(tn.FactorGraph({"a": 2}, [("a", [-1, 2])]))
    with pytest.raises(ShapeError, match="4 x 4 grid"):
        tn.sudoku(np.zeros((9, 9)))
    with pytest.raises(ShapeError, match="4 x 4 grid"):
        tn.sudoku([[5, 0, 0, 0]] + [[0] * 4] * 3)
    with pytest.raises(ShapeError, match="at least 1 colour"):
        tn.colourings([(1, 2)], 0)
