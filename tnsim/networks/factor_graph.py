"""Factor graphs as networks of tensors: counting solutions, colourings, puzzles.

A variable is a copy tensor (one where all indices agree) with a leg to every factor; more than three legs are a chain
of copies of three. The contraction is the sum over all assignments of the product of the factors.

Source: S. Kourtis, C. Chamon, E. R. Mucciolo, A. E. Ruckenstein, SciPost Phys. 7, 060 (2019).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from tnsim.backend import Backend, default_backend, get_backend
from tnsim.errors import OperatorError, ShapeError, suggest
from tnsim.networks.tensor_network import Entry, TensorNetwork
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, from_dense

Factor = tuple[tuple[str, ...], np.ndarray]


class FactorGraph:
    """Variables with their numbers of values, and factors: (names, table), one axis of the table a name.

    A factor may name a variable twice; a factor of no variables is a number. Raises ShapeError for a table that does
    not fit its variables, OperatorError for unknown ones.

    >>> coins = FactorGraph({"a": 2, "b": 2}, [("a b", np.eye(2)), ("a", [0.25, 0.75])])
    >>> coins
    FactorGraph of 2 variables and 2 factors
    """

    def __init__(self, variables: Mapping[str, int], factors: Iterable[tuple[str | Sequence[str], Any]]) -> None:
        for name, count in variables.items():
            if not isinstance(count, int | np.integer) or count < 1:
                raise ShapeError(f"a variable has a whole number of values, at least one; {name!r} has {count}.")
        self.variables = {str(name): int(count) for name, count in variables.items()}
        self.factors: list[Factor] = [self._factor(names, table) for names, table in factors]

    def __repr__(self) -> str:
        return f"FactorGraph of {len(self.variables)} variables and {len(self.factors)} factors"

    def _factor(self, names: str | Sequence[str], table: Any) -> Factor:
        names = tuple(names.split() if isinstance(names, str) else map(str, names))
        table = np.asarray(table)
        if table.dtype.kind not in "biufc":
            raise ShapeError(f"the factor of {names} needs a table of numbers, found {table.dtype}.")
        for name in names:
            self._known(name)
        shape = tuple(self.variables[name] for name in names)
        if table.shape != shape:
            raise ShapeError(f"the factor of {names} needs a table of shape {shape}, found {table.shape}.")
        return names, table

    def _known(self, name: str) -> str:
        if name not in self.variables:
            raise OperatorError(f"unknown variable {name!r}. {suggest(name, self.variables)}")
        return name

    def network(
        self,
        open_variables: str | Sequence[str] = (),
        *,
        dtype: Any = np.float64,
        backend: str | Backend | None = None,
    ) -> TensorNetwork:
        """The network of the sum over all variables but the open ones, which are its open indices."""
        if not self.variables and not self.factors:
            raise ShapeError("a factor graph needs at least one variable or factor to make a network of.")
        names = open_variables.split() if isinstance(open_variables, str) else list(map(str, open_variables))
        library = default_backend() if backend is None else get_backend(backend)
        ends: dict[str, list[str]] = {name: [] for name in self.variables}
        tensors: dict[str, Entry] = {}
        for number, (members, table) in enumerate(self.factors):
            words = [f"{name}/{number}.{axis}" for axis, name in enumerate(members)]
            for name, word in zip(members, words, strict=True):
                ends[name].append(word)
            if table.dtype.kind == "c" and np.dtype(dtype).kind != "c":
                raise OperatorError(f"the factor of {members} is complex: give a complex dtype, found {dtype}.")
            legs = [trivial_leg(size) for size in table.shape]
            tensors[f"factor {number}"] = from_dense(table.astype(dtype), legs).to(library), words
        for name in names:
            ends[self._known(name)].append(name)
        for name, words in ends.items():
            for number, (copy, around) in enumerate(_copies(name, self.variables[name], words, dtype)):
                tensors[f"{name} {number}"] = copy.to(library), around
        return TensorNetwork(tensors, names)


def satisfiability(clauses: Iterable[Iterable[int]], variables: int | None = None) -> FactorGraph:
    """A formula in conjunctive normal form; the sum over all assignments is the number of its solutions (#SAT).

    clauses: literals as in DIMACS, 3 for variable "3" being 1 and -3 for it being 0; variables: their number, if some
    stand in no clause. A clause of n literals is a table of 2^n numbers.

    >>> satisfiability([[1, -2], [2, 3]])
    FactorGraph of 3 variables and 2 factors
    """
    formula = [tuple(clause) for clause in clauses]
    largest = max((abs(literal) for clause in formula for literal in clause), default=0)
    count = largest if variables is None else variables
    for clause in formula:
        if any(literal == 0 or abs(literal) > count for literal in clause):
            raise OperatorError(f"literals are 1 to {count} and their negatives, found the clause {clause}.")
    return FactorGraph({str(n + 1): 2 for n in range(count)}, [_clause(clause) for clause in formula])


def _clause(literals: tuple[int, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Zero where every literal fails, one elsewhere."""
    table = np.ones((2,) * len(literals))
    table[tuple(int(literal < 0) for literal in literals)] = 0
    return tuple(str(abs(literal)) for literal in literals), table


def colourings(edges: Iterable[tuple[Hashable, Hashable]], colours: int) -> FactorGraph:
    """A graph whose neighbours differ in colour; the sum is the chromatic polynomial at `colours`.

    Vertices are named by `str`; one without neighbours does not appear.

    >>> colourings([("a", "b"), ("b", "c")], colours=3)
    FactorGraph of 3 variables and 2 factors
    """
    if not isinstance(colours, int) or colours < 1:
        raise ShapeError(f"a colouring has at least 1 colour, found {colours!r}.")
    named = [(str(a), str(b)) for a, b in edges]
    differ = 1 - np.eye(colours)
    return FactorGraph({name: colours for edge in named for name in edge}, [(edge, differ) for edge in named])


def sudoku(rows: Sequence[Sequence[int]]) -> FactorGraph:
    """A 4 x 4 Sudoku with 0 for an empty cell; cell "r1c2" is in row 1, column 2, and value n stands for digit n + 1.

    >>> sudoku([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    FactorGraph of 16 variables and 14 factors
    """
    clues = np.asarray(rows)
    if clues.shape != (4, 4) or not np.isin(clues, range(5)).all():
        raise ShapeError(f"a 4 x 4 grid of digits 1 to 4, 0 for an empty cell, is needed, found {clues.tolist()}.")
    cells = np.array([[f"r{i}c{j}" for j in range(1, 5)] for i in range(1, 5)])
    blocks = cells.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    all_differ = np.zeros((4,) * 4)
    for order in permutations(range(4)):
        all_differ[order] = 1
    groups = [(list(group), all_differ) for group in (*cells, *cells.T, *blocks)]
    given = [([str(cells[i, j])], np.eye(4)[clues[i, j] - 1]) for i, j in np.argwhere(clues).tolist()]
    return FactorGraph({str(cell): 4 for cell in cells.flat}, [*groups, *given])


def _copies(name: str, size: int, ends: list[str], dtype: Any) -> Iterable[tuple[Tensor, list[str]]]:
    """A chain of copy tensors with `ends`; their legs point out of it, so that they fit those of factors."""
    waiting, links = list(ends), 0
    while len(waiting) > 3:
        after = f"{name}~{links}"
        yield _copy(size, 3, links > 0, dtype), [*waiting[:2], after]
        waiting, links = [after, *waiting[2:]], links + 1
    yield _copy(size, len(waiting), links > 0, dtype), waiting


def _copy(size: int, legs: int, linked: bool, dtype: Any) -> Tensor:
    """One where all indices agree (without legs: the number of values); the first leg may come from another copy."""
    array = np.zeros((size,) * legs, dtype=dtype)
    array[(np.arange(size),) * legs] = 1 if legs else size
    return from_dense(array, [trivial_leg(size, 1 if linked and n == 0 else -1) for n in range(legs)])
