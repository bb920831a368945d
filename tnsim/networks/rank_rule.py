"""How many bond states each cut of a matrix keeps: the setting, its largest values, and the choice by a budget."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tnsim.errors import SettingsError, ShapeError, check_fields, suggest

Dims = Sequence[int]


@dataclass(frozen=True, kw_only=True)
class RankRule:
    """Ranks of the cuts of a matrix; one of ranks, tol, params, bytes, or none: then all but rounding is kept.

    >>> RankRule(ranks=8).fixed((4, 16, 4, 16))
    (4, 8, 8)
    """

    ranks: int | tuple[int, ...] | None = field(
        default=None, metadata={"help": "one bound for all cuts, or the rank of every cut"}
    )
    tol: float = field(default=0.0, metadata={"help": "error in the Frobenius norm, relative to the matrix"})
    params: int = field(default=0, metadata={"help": "numbers stored at most"})
    bytes: int = field(default=0, metadata={"help": "bytes stored at most"})
    method: str = field(default="svd", metadata={"help": "svd, or rsvd (randomised; needs ranks)"})
    seed: int = field(default=0, metadata={"help": "of the randomised decomposition"})

    def __post_init__(self) -> None:
        check_fields(self)
        given = [name for name in ("ranks", "tol", "params", "bytes") if getattr(self, name)]
        if self.ranks is not None and "ranks" not in given:
            raise SettingsError(f"a rank is at least 1, found ranks = {self.ranks!r}.")
        if len(given) > 1:
            raise SettingsError(f"one rule at a time chooses the ranks, found {' and '.join(given)}.")
        ranks = self.ranks if isinstance(self.ranks, tuple) else (self.ranks or 1,)
        if min(ranks) < 1:
            raise SettingsError(f"a rank is at least 1, found ranks = {self.ranks!r}.")
        if not 0 <= self.tol < 1:
            raise SettingsError(f"tol is relative to the matrix and lies in [0, 1), found {self.tol!r}.")
        for name in ("params", "bytes"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be negative, found {getattr(self, name)!r}.")
        if self.method not in ("svd", "rsvd"):
            raise SettingsError(f"unknown method {self.method!r}. {suggest(self.method, ['svd', 'rsvd'])}")
        if self.method == "rsvd" and self.ranks is None:
            raise SettingsError("the randomised decomposition (rsvd) needs ranks: it does not see all values.")

    @classmethod
    def of(cls, rule: "RankRule | int | Sequence[int] | None") -> "RankRule":
        """A rule, or what stands for one: a bound on all ranks, the rank of every cut, None for all but rounding."""
        if rule is None or isinstance(rule, RankRule):
            return rule or cls()
        if isinstance(rule, (int, np.integer)):
            return cls(ranks=int(rule))
        if isinstance(rule, Sequence):
            return cls(ranks=tuple(int(rank) for rank in rule))
        raise SettingsError(f"ranks are chosen by a RankRule, an integer, or one integer a cut, found {rule!r}.")

    def fixed(self, dims: Dims) -> tuple[int, ...] | None:
        """The ranks that are asked for, checked against the largest there are; None where another rule decides."""
        if self.ranks is None:
            return None
        largest = max_ranks(dims)
        if isinstance(self.ranks, tuple):
            if len(self.ranks) != len(largest):
                raise ShapeError(f"{len(dims)} sites have {len(largest)} cuts, found {len(self.ranks)} ranks.")
            for cut, (rank, most) in enumerate(zip(self.ranks, largest, strict=True)):
                if rank > most:
                    raise ShapeError(f"rank {rank} at cut {cut} is above the maximum, {most}: ask for at most {most}.")
            _check_reachable(self.ranks, dims)
            return self.ranks
        if largest and self.ranks > max(largest):
            cut = int(np.argmax(largest))
            raise ShapeError(
                f"rank {self.ranks} is above the maximum of every cut, at most {max(largest)} (cut {cut}): ask for at "
                f"most {max(largest)}."
            )
        return tuple(min(self.ranks, most) for most in largest)

    def budget(self, itemsize: int) -> int | None:
        """Numbers that may be stored; None where there is no such rule."""
        if not (self.params or self.bytes):
            return None
        return self.params or self.bytes // itemsize


def _check_reachable(ranks: tuple[int, ...], dims: Dims) -> None:
    """A cut has at most the rank of its neighbour times the size of the site between them."""
    bonds = (1, *ranks, 1)
    for cut, rank in enumerate(ranks):
        most = min(bonds[cut] * dims[cut], dims[cut + 1] * bonds[cut + 2])
        if rank > most:
            raise ShapeError(
                f"rank {rank} at cut {cut} is above the maximum, {most}, that ranks {bonds[cut]} and {bonds[cut + 2]} "
                f"beside it leave: ask for at most {most}, or raise those."
            )


def max_ranks(dims: Dims) -> tuple[int, ...]:
    """Largest rank of every cut: the smaller of the products left and right of it; dims = out * in of every site.

    >>> max_ranks((64, 64)), max_ranks((4, 16, 4, 16))
    ((64,), (4, 64, 16))
    """
    left = np.cumprod([int(d) for d in dims], dtype=object)
    return tuple(int(min(left[k], left[-1] // left[k])) for k in range(len(dims) - 1))


def count_params(dims: Dims, ranks: Sequence[int]) -> int:
    """Numbers in the cores of a chain: the sum of rank left * out * in * rank right.

    >>> count_params((4, 16, 4, 16), (4, 8, 8))
    912
    """
    bonds = (1, *ranks, 1)
    return sum(bonds[k] * d * bonds[k + 1] for k, d in enumerate(dims))


def ranks_within(budget: int, dims: Dims, values: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Ranks of least bound on the error whose cores hold at most `budget` numbers.

    values: singular values of every cut, descending. One threshold on the discarded weight is lowered for all cuts
    as far as it fits, then single cuts grow, the one that gains most a number first. Raises ShapeError where even
    rank 1 does not fit.
    """
    smallest = count_params(dims, [1] * len(values))
    if budget < smallest:
        raise ShapeError(f"a budget of {budget} numbers is below the smallest possible, {smallest} at rank 1.")
    tails = [np.append(np.cumsum((s**2)[::-1])[::-1], 0.0) for s in values]
    thresholds = np.unique(np.concatenate([[np.inf], *tails]))
    low, high = 0, len(thresholds) - 1
    while low < high:
        middle = (low + high) // 2
        fits = count_params(dims, _below(tails, thresholds[middle], dims)) <= budget
        low, high = (low, middle) if fits else (middle + 1, high)
    return _fill(_below(tails, thresholds[low], dims), budget, dims, values)


def _below(tails: Sequence[np.ndarray], threshold: float, dims: Dims) -> list[int]:
    """Smallest ranks whose discarded weight is at most the threshold, as far as those beside them leave room."""
    bonds = [1, *(max(1, int(np.argmax(tail <= threshold))) for tail in tails), 1]
    for k in range(len(tails)):
        bonds[k + 1] = min(bonds[k + 1], bonds[k] * dims[k])
    for k in range(len(tails), 0, -1):
        bonds[k] = min(bonds[k], bonds[k + 1] * dims[k])
    return bonds[1:-1]


def _fill(ranks: list[int], budget: int, dims: Dims, values: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Raise single ranks while the budget allows it."""
    while True:
        here, best = count_params(dims, ranks), None
        for cut in range(len(ranks)):
            wider = [rank + (k == cut) for k, rank in enumerate(ranks)]
            cost = count_params(dims, wider) - here
            bonds = (1, *wider, 1)
            reachable = bonds[cut + 1] <= min(bonds[cut] * dims[cut], dims[cut + 1] * bonds[cut + 2])
            if reachable and here + cost <= budget and ranks[cut] < len(values[cut]):
                gain = float(values[cut][ranks[cut]] ** 2) / cost
                if gain > 0 and (best is None or gain > best[0]):
                    best = gain, wider
        if best is None:
            return tuple(ranks)
        ranks = best[1]
