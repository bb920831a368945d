"""Approximate contraction of any network of tensors: one after another is taken into a boundary MPS of open indices.

Source: C. T. Chubb, arXiv 2101.04125 (sweep-line contraction); S. Jahromi, R. Orus, Phys. Rev. B 99, 195105 (2019), for
boundaries of graphs that are no lattices. Every cut is made in canonical form, so it is the best one for the boundary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.algorithms.plane.exact_contraction import traced
from tnsim.algorithms.solution import Status
from tnsim.errors import OperatorError, SettingsError, ShapeError, check_fields, suggest
from tnsim.linalg import Truncation, lq, qr, svd
from tnsim.networks.scaling import scale_columns, scale_rows
from tnsim.networks.tensor_network import TensorNetwork, Words
from tnsim.symmetry import trivial_leg
from tnsim.tensor import Tensor, contract, contract_words, from_dense, transpose

_LEFT, _RIGHT = "|left", "|right"
# tensors with the fewest bonds that an order is tried from
_STARTS = 4


@dataclass(frozen=True)
class SweepSum:
    """The value phase * exp(log_value) of a closed network.

    values: ln|value| in the order and in the reversed one; trunc_err: discarded weights of all cuts, summed (the larger
    of both ways); error: an estimate, how far the values differ plus trunc_err; width: most indices that were open at
    once; order: in which tensors were taken in.
    """

    log_value: float
    phase: complex
    values: tuple[float, float]
    error: float
    trunc_err: float
    width: int
    status: Status
    order: tuple[str, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        sign = "" if abs(self.phase - 1) < 1e-12 else f", phase {self.phase:.6g}"
        lines = [
            f"SweepSum({self.status.name}): ln|value| = {self.log_value:.14g}{sign}",
            f"  error          {self.error:.1e} from two orders, discarded {self.trunc_err:.1e} in all",
            f"  width          {self.width} open indices at most",
        ]
        if not self.status.converged:
            lines.append(f"  advice         {self.status.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class SweepContraction:
    """Settings of an approximate contraction of any network without open indices.

    Cost O(chi^3 d^k) a tensor whose k largest groups of indices (taken in, or left open) have dimension d each, and of
    every exchange of two open indices that do not lie side by side, of which planar networks in a good order need none.
    Exact where nothing is discarded.

    >>> from tnsim.networks.factor_graph import colourings
    >>> ring = colourings([(1, 2), (2, 3), (3, 4), (4, 1)], colours=3).network()
    >>> round(float(np.exp(SweepContraction(truncation=Truncation(chi_max=8)).solve(ring).log_value)), 9)
    18.0
    """

    truncation: Truncation = field(metadata={"help": "chi_max and cutoffs of the boundary's bonds"})
    order: tuple[str, ...] = field(default=(), metadata={"help": "names of the tensors as taken in; none: a short cut"})
    tol: float = field(default=1e-8, metadata={"help": "converged: the error of ln|value| is below this"})

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.tol >= 0:
            raise SettingsError(f"tol is at least 0, found {self.tol}.")

    def solve(self, network: TensorNetwork) -> SweepSum:
        """The value of a network, in the order and in the reversed one.

        An error above tol is a status. Raises OperatorError for other things than a TensorNetwork, ShapeError for one
        with open indices, SettingsError for an order that does not name every tensor once.
        """
        if not isinstance(network, TensorNetwork):
            raise OperatorError(f"a TensorNetwork is contracted, found {type(network).__name__}.")
        if network.open_indices:
            raise ShapeError(
                f"the indices {' '.join(network.open_indices)} are open: close them, or see ExactContraction."
            )
        order = self._checked_order(network) or short_cut_order(network)
        first, second = (self._along(network, way) for way in (order, order[::-1]))
        values = (first.log_scale, second.log_scale)
        weight = max(first.weight, second.weight)
        finite = bool(np.isfinite(values).all())
        error = weight + (abs(values[0] - values[1]) if finite else 0.0 if values[0] == values[1] else np.inf)
        return SweepSum(
            values[0], first.phase, values, error, weight, first.width, self._judge(error, values[0]), tuple(order)
        )

    def _checked_order(self, network: TensorNetwork) -> list[str]:
        for name in self.order:
            if name not in network.tensors:
                raise SettingsError(f"the order names {name!r}. {suggest(name, network.tensors)}")
        if self.order and sorted(self.order) != sorted(network.tensors):
            raise SettingsError(
                f"the order names {len(self.order)} tensors, the network has {len(network.tensors)}: each stands once."
            )
        return list(self.order)

    def _along(self, network: TensorNetwork, order: Sequence[str]) -> "_Boundary":
        times = {name: time for time, name in enumerate(order)}
        last = {word: max(times[name] for name, _ in found) for word, found in network.places().items()}
        boundary = _Boundary(self.truncation)
        for name in order:
            words, tensor = traced(network.indices[name], network.tensors[name])
            boundary.take_in(words, tensor, last)
        return boundary

    def _judge(self, error: float, log_value: float) -> Status:
        if log_value == -np.inf:
            return Status("zero", True, "the value is zero, or its digits cancel.")
        if error <= self.tol:
            return Status("converged", True, "nothing to do; raise chi_max to lower the error.")
        return Status(
            "truncated", False, f"ln|value| is good to about {error:.0e}, above tol = {self.tol:.0e}: raise chi_max, "
            "or name the tensors in an order that leaves fewer indices open."
        )  # fmt: skip


class _Boundary:
    """Open indices as the sites of an MPS (left, index, right) of norm 1, times phase * exp(log_scale)."""

    def __init__(self, truncation: Truncation) -> None:
        self._truncation = truncation
        self._words: list[str] = []
        self._tensors: list[Tensor] = []
        self._center = 0
        self.phase, self.log_scale, self.weight, self.width = 1.0 + 0j, 0.0, 0.0, 0

    def take_in(self, words: Words, tensor: Tensor, last: dict[str, int]) -> None:
        """Sum over the indices that are open already, and leave the others open: what is summed next lies right."""
        shared = [word for word in self._words if word in words]
        new = sorted((word for word in words if word not in shared), key=lambda word: -last[word])
        if not shared:
            place, legs = len(self._words), (_LEFT, *words, _RIGHT)
            middle = _between_ones(tensor)
            self._move(place - 1)
            middle = transpose(middle, tuple(legs.index(word) for word in (_LEFT, *new, _RIGHT)))
        else:
            place = self._gather(shared)
            legs, middle = self._merged(place, len(shared))
            out = (_LEFT, *new, _RIGHT)
            middle = contract_words(legs, middle, words, tensor, out)
            del self._words[place : place + len(shared)], self._tensors[place : place + len(shared)]
        self._insert(place, new, self._normal(middle))
        self.width = max(self.width, len(self._words))

    def _normal(self, tensor: Tensor) -> Tensor:
        size = tensor.norm()
        self.log_scale += float(np.log(size)) if size > 0 else -np.inf
        return tensor * (1 / size) if size > 0 else tensor

    def _gather(self, shared: list[str]) -> int:
        """Bring indices side by side, towards the middle one; the place of the first."""
        middle = len(shared) // 2
        anchor = self._words.index(shared[middle])
        for count, word in enumerate(shared[middle + 1 :], start=1):
            for i in range(self._words.index(word), anchor + count, -1):
                self._exchange(i - 1, to_right=False)
        for count, word in enumerate(reversed(shared[:middle]), start=1):
            for i in range(self._words.index(word), anchor - count):
                self._exchange(i, to_right=True)
        first = anchor - middle
        self._move(first)
        return first

    def _exchange(self, i: int, *, to_right: bool) -> None:
        """Two neighbours change places; the centre goes on with the one that travels."""
        self._move(i if self._center <= i else i + 1)
        pair = contract("l s m, m t r -> l t s r", self._tensors[i], self._tensors[i + 1])
        u, spectrum, v = svd(pair, (0, 1), self._truncation)
        self.weight += spectrum.discarded_weight
        self._tensors[i : i + 2] = [u, scale_rows(v, spectrum)] if to_right else [scale_columns(u, spectrum), v]
        self._center = i + 1 if to_right else i
        self._words[i], self._words[i + 1] = self._words[i + 1], self._words[i]

    def _move(self, place: int) -> None:
        """The centre of orthogonality to a site."""
        place = min(max(place, 0), max(len(self._tensors) - 1, 0))
        while self._center < place and self._tensors:
            q, r = qr(self._tensors[self._center], (0, 1))
            self._tensors[self._center] = q
            self._center += 1
            self._tensors[self._center] = contract("l m, m s r -> l s r", r, self._tensors[self._center])
        while self._center > place:
            left, q = lq(self._tensors[self._center], (0,))
            self._tensors[self._center] = q
            self._center -= 1
            self._tensors[self._center] = contract("l s m, m r -> l s r", self._tensors[self._center], left)

    def _merged(self, place: int, count: int) -> tuple[Words, Tensor]:
        words = tuple(self._words[place : place + count])
        legs: Words = (_LEFT, words[0], _RIGHT)
        tensor = self._tensors[place]
        for k in range(1, count):
            bond = f"|{k}"
            tensor = contract_words(
                (*legs[:-1], bond), tensor, (bond, words[k], _RIGHT), self._tensors[place + k],
                (*legs[:-1], words[k], _RIGHT),
            )  # fmt: skip
            legs = (*legs[:-1], words[k], _RIGHT)
        return legs, tensor

    def _insert(self, place: int, new: list[str], middle: Tensor) -> None:
        """The sites of new indices; without any, what is left of the middle goes to a neighbour."""
        if not new:
            self._absorb(place, middle)
            return
        found, rest = [], middle
        for _ in new[:-1]:
            u, spectrum, v = svd(rest, (0, 1), self._truncation)
            self.weight += spectrum.discarded_weight
            found.append(u)
            rest = scale_rows(v, spectrum)
        self._words[place:place] = new
        self._tensors[place:place] = [*found, rest]
        self._center = place + len(new) - 1

    def _absorb(self, place: int, matrix: Tensor) -> None:
        if place > 0:
            self._tensors[place - 1] = contract("l s m, m r -> l s r", self._tensors[place - 1], matrix)
            self._center = place - 1
        elif self._tensors:
            self._tensors[0] = contract("l m, m s r -> l s r", matrix, self._tensors[0])
            self._center = 0
        else:
            value = complex(matrix.backend.to_host(matrix.data).sum()) if matrix.size else 0.0
            self.phase *= value / abs(value) if value else 1.0
            self.log_scale += float(np.log(abs(value))) if value else -np.inf
            self._center = 0


def short_cut_order(network: TensorNetwork) -> list[str]:
    """An order that leaves few indices open: greedy from several starts, the one with the smallest widest cut.

    Cost O(n^2) for n tensors and a start.
    """
    words = {name: set(found) for name, found in network.indices.items()}
    bits = {
        word: float(np.log2(max(2, network.tensors[f[0][0]].shape[f[0][1]]))) for word, f in network.places().items()
    }
    starts = sorted(words, key=lambda name: sum(bits[word] for word in words[name]))[:_STARTS]
    return min((_greedy(words, bits, start) for start in starts), key=lambda found: found[0])[1]


def _greedy(words: dict[str, set[str]], bits: dict[str, float], start: str) -> tuple[tuple[float, float], list[str]]:
    order, left, opened = [start], [name for name in words if name != start], {}
    opened = dict.fromkeys(sorted(words[start]), 0)
    widest = total = sum(bits[word] for word in opened)
    while left:
        # least growth of the cut; among equals what touches the index that has been open longest
        def growth(name: str) -> tuple[float, int]:
            shared = [opened[word] for word in words[name] if word in opened]
            change = sum(-bits[word] if word in opened else bits[word] for word in words[name])
            return change if shared or not opened else np.inf, min(shared, default=len(order))

        name = min(left, key=growth)
        for word in sorted(words[name]):
            if word in opened:
                del opened[word]
            else:
                opened[word] = len(order)
        left.remove(name)
        order.append(name)
        width = sum(bits[word] for word in opened)
        widest, total = max(widest, width), total + width
    return (widest, total), order


def _between_ones(tensor: Tensor) -> Tensor:
    """A tensor between two bonds of dimension 1."""
    ends = [trivial_leg(1, flow, tensor.group) for flow in (1, -1)]
    one = from_dense(np.ones((1, 1), dtype=tensor.dtype), ends).to(tensor.backend)
    words = tuple(f"|{k}" for k in range(tensor.ndim))
    return contract_words((_LEFT, _RIGHT), one, words, tensor, (_LEFT, *words, _RIGHT))
