"""The order in which a network is contracted, what that costs, and which indices are sliced to fit into memory.

Slicing an index fixes its value and sums over the values outside: every value is a smaller contraction of its own.
Numbers are counted by charge, so that the sizes are those of block-sparse tensors too.

Sources: opt_einsum, J. Open Source Softw. 3, 753 (2018) (paths); J. Gray, S. Kourtis, Quantum 5, 410 (2021) (slicing).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import prod

import numpy as np
from opt_einsum.paths import get_path_fn

from tnsim.errors import SettingsError
from tnsim.networks.tensor_network import TensorNetwork, Words
from tnsim.symmetry import Charge, Group, Leg

# (first piece, second piece) of every step: the tensors come first in their order, results go on counting
Path = tuple[tuple[int, int], ...]
# flops beyond which seconds are spent on a better path
LONG_SEARCH = 10**9


@dataclass(frozen=True)
class Piece:
    """Structure of a tensor on the way: its indices, legs and charge."""

    words: Words
    legs: tuple[Leg, ...]
    charge: Charge

    def size(self, sliced: Collection[str] = ()) -> int:
        """Stored numbers; with indices sliced, the most that any of their values leaves."""
        if not self.legs:
            return 1
        group = self.legs[0].group
        pairs = list(zip(self.words, self.legs, strict=True))
        inside = spread(tuple(leg for word, leg in pairs if word not in sliced), group)
        outside = spread(tuple(leg for word, leg in pairs if word in sliced), group)
        return max(inside.get(group.fuse(self.charge, group.dual(charge))[0], 0) for charge in outside)


@dataclass(frozen=True)
class ContractionPlan:
    """What a contraction will do, known before it starts.

    path: two pieces a step (the tensors come first in their order, results go on counting); sliced: indices that are
    fixed to one value a slice; slices: their number; flops: of all slices, a multiplication and an addition each (two
    to eight times that in complex numbers); largest: numbers of the largest result of a step within a slice; memory:
    most bytes that a slice takes beside the tensors given, and the result. With symmetries, the last two are bounds
    where indices of several sectors are sliced.
    """

    path: Path
    sliced: Words
    slices: int
    flops: int
    largest: int
    memory: int

    def __repr__(self) -> str:
        cut = f"{self.slices} by {' '.join(self.sliced)}" if self.sliced else "1"
        return (
            f"ContractionPlan: {len(self.path)} steps, {self.flops:.3g} flops, slices: {cut}; largest "
            f"intermediate {self.largest} numbers, {self.memory} bytes"
        )


def pieces_of(network: TensorNetwork) -> list[Piece]:
    """The structure of every tensor, traces taken."""
    return [_traced(network.indices[name], tensor.legs, tensor.charge) for name, tensor in network.tensors.items()]


def _traced(words: Words, legs: tuple[Leg, ...], charge: Charge) -> Piece:
    kept = [n for n, word in enumerate(words) if words.count(word) == 1]
    return Piece(tuple(words[n] for n in kept), tuple(legs[n] for n in kept), charge if kept else ())


def find_path(pieces: Sequence[Piece], output: Words, optimize: str | Callable) -> Path:
    """Pairwise steps by opt_einsum, or by any optimizer that is called as its own are."""
    # numbers, since sets of words have another order in every process
    number = {word: n for n, word in enumerate(dict.fromkeys(word for piece in pieces for word in piece.words))}
    inputs = [frozenset(number[word] for word in piece.words) for piece in pieces]
    dims = {number[word]: leg.dim for piece in pieces for word, leg in zip(piece.words, piece.legs, strict=True)}
    groups: Sequence[Sequence[int]] = [tuple(range(len(pieces)))]
    if len(pieces) > 2:
        optimizer = get_path_fn(optimize) if isinstance(optimize, str) else optimize
        groups = optimizer(inputs, frozenset(number[word] for word in output), dims, None)
    waiting, path = list(range(len(pieces))), []
    for group in groups:
        first, *others = [waiting.pop(place) for place in sorted(group, reverse=True)]
        for other in others:
            path.append((other, first))
            first = len(pieces) + len(path) - 1
        waiting.append(first)
    if len(waiting) > 1:
        raise SettingsError(f"the path that the optimizer gave leaves {len(waiting)} pieces: one should be left.")
    return tuple(path)


def joined(a: Piece, b: Piece) -> Piece:
    """The result of a step: free indices of a, then of b."""
    free = [(word, leg) for one, two in ((a, b), (b, a)) for word, leg in zip(one.words, one.legs, strict=True)
            if word not in two.words]  # fmt: skip
    charge: Charge = ()
    if free:
        charge = a.legs[0].group.fuse(a.charge, b.charge)[0] if a.legs and b.legs else a.charge or b.charge
    return Piece(tuple(word for word, _ in free), tuple(leg for _, leg in free), charge)


def walk(pieces: Sequence[Piece], path: Path) -> list[Piece]:
    """The pieces, and the results of all steps behind them."""
    found = list(pieces)
    for first, second in path:
        found.append(joined(found[first], found[second]))
    return found


def make_plan(network: TensorNetwork, optimize: str | Callable, budget: int | None, itemsize: int) -> ContractionPlan:
    """A path, and slices such that one of them takes at most `budget` bytes (None: no slices).

    Where the path of "auto" is a long one, that of "auto-hq" is tried too. The index that costs the fewest flops is
    sliced first, and one that turns out needless is put back. Raises SettingsError where no slicing fits.
    """
    tree = _grow(network, optimize, itemsize)
    if optimize == "auto" and tree.flops(()) > LONG_SEARCH:
        tree = min(tree, _grow(network, "auto-hq", itemsize), key=lambda one: one.flops(()))
    sliced = () if budget is None else _choose(tree, budget)
    peak, _ = tree.peak(sliced)
    return ContractionPlan(tree.path, sliced, tree.slices(sliced), tree.flops(sliced), tree.largest(sliced), peak)


@dataclass(frozen=True)
class _Tree:
    """All pieces of a contraction, in the order of its steps."""

    pieces: list[Piece]
    path: Path
    count: int
    output: Words
    itemsize: int
    sizes: dict[tuple[int, frozenset[str]], int] = field(default_factory=dict)

    @cached_property
    def dims(self) -> dict[str, int]:
        """Dimension of every index."""
        return {word: leg.dim for piece in self.pieces for word, leg in zip(piece.words, piece.legs, strict=True)}

    @cached_property
    def steps(self) -> list[tuple[frozenset[str], int]]:
        """The indices that every step touches, and its flops."""
        pairs = [(self.pieces[a], self.pieces[b]) for a, b in self.path]
        return [(frozenset(a.words + b.words), _flops(a, b)) for a, b in pairs]

    @cached_property
    def words(self) -> list[frozenset[str]]:
        return [frozenset(piece.words) for piece in self.pieces]

    def size(self, number: int, sliced: Words) -> int:
        """Numbers of a piece within a slice; remembered, since most pieces are left alone by most trials."""
        key = number, self.words[number].intersection(sliced)
        if key not in self.sizes:
            self.sizes[key] = self.pieces[number].size(sliced)
        return self.sizes[key]

    def slices(self, sliced: Words) -> int:
        return prod(self.dims[word] for word in sliced)

    def peak(self, sliced: Words) -> tuple[int, set[str]]:
        """Most bytes that a slice takes at one step, and the inner indices of the pieces that are there then.

        Counted are results that wait, slices of the tensors joined, a permuted copy of what a step joins and makes, and
        the sum of all slices. No index makes this larger when it is sliced.
        """
        sizes = [self.size(n, sliced) for n in range(len(self.pieces))]
        waiting: set[int] = set()
        worst, where = 0, waiting
        for number, (a, b) in enumerate(self.path, start=self.count):
            there = waiting | {a, b, number}
            now = sum(sizes[n] for n in there) + sizes[a] + sizes[b] + sizes[number] + sizes[-1]
            if now > worst:
                worst, where = now, there
            waiting = there - {a, b}
        words = {word for n in where for word in self.words[n]}
        return worst * self.itemsize, words - set(self.output) - set(sliced)

    def flops(self, sliced: Words) -> int:
        """Of all slices: a step is repeated for every value of the sliced indices that it does not touch."""
        return sum(flops * self.slices(tuple(w for w in sliced if w not in words)) for words, flops in self.steps)

    def largest(self, sliced: Words) -> int:
        """Numbers of the largest result of a step; of the tensor itself where there is no step."""
        return max(self.size(n, sliced) for n in range(self.count if self.path else 0, len(self.pieces)))


def _grow(network: TensorNetwork, optimize: str | Callable, itemsize: int) -> _Tree:
    pieces = pieces_of(network)
    path = find_path(pieces, network.open_indices, optimize)
    return _Tree(walk(pieces, path), path, len(pieces), network.open_indices, itemsize)


def _choose(tree: _Tree, budget: int) -> Words:
    inner = tuple(word for word, dim in tree.dims.items() if dim > 1 and word not in tree.output)
    least, _ = tree.peak(inner)
    sliced: Words = ()
    peak, candidates = tree.peak(sliced)
    if least > budget:
        raise SettingsError(
            f"memory is {budget} bytes, but one slice needs {least} even with every inner index sliced (unsliced: "
            f"{peak}): allow more, leave fewer indices open, or give another path."
        )
    while peak > budget:
        trials = [(*sliced, word) for word in sorted(candidates.intersection(inner))]
        sliced = min(trials, key=lambda trial: (max(tree.peak(trial)[0], budget), tree.flops(trial)))
        peak, candidates = tree.peak(sliced)
    for word in sliced:
        fewer = tuple(other for other in sliced if other != word)
        if tree.peak(fewer)[0] <= budget:
            sliced = fewer
    return sliced


@lru_cache(maxsize=65536)
def spread(legs: tuple[Leg, ...], group: Group) -> dict[Charge, int]:
    """How many states of a product of legs have each total charge (flow times charge)."""
    total = {group.identity: 1}
    for leg in legs:
        longer: dict[Charge, int] = {}
        for charge, dim in zip(leg.charges, leg.dims, strict=True):
            step = charge if leg.flow > 0 else group.dual(charge)
            for before, count in total.items():
                (after,) = group.fuse(before, step)
                longer[after] = longer.get(after, 0) + count * dim
        total = longer
    return total


def _flops(a: Piece, b: Piece) -> int:
    """Two for every product of numbers that are stored."""
    if not a.legs or not b.legs:
        return 2 * a.size() * b.size()
    group = a.legs[0].group
    bound = tuple(leg for word, leg in zip(a.words, a.legs, strict=True) if word in b.words)
    free = [tuple(leg for word, leg in zip(one.words, one.legs, strict=True) if word not in two.words)
            for one, two in ((a, b), (b, a))]  # fmt: skip
    left, middle, right = (spread(legs, group) for legs in (free[0], bound, free[1]))
    total = 0
    for charge, count in middle.items():
        (rest_a,) = group.fuse(a.charge, group.dual(charge))
        (rest_b,) = group.fuse(b.charge, charge)
        total += count * left.get(rest_a, 0) * right.get(rest_b, 0)
    return 2 * total


def bytes_of(network: TensorNetwork) -> int:
    """Bytes of a number of the result's dtype."""
    return np.result_type(*(tensor.dtype for tensor in network.tensors.values())).itemsize
