"""How many singular values are kept: a value that states the rule, and the rule itself."""

from dataclasses import dataclass, field

import numpy as np

from tnsim.errors import SettingsError, check_fields


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """Which singular values survive a split. All limits hold at once; at least one value is kept.

    Singular values are taken relative to the norm of the whole tensor, so their squares add up to 1.

    >>> Truncation(chi_max=2).keep(np.array([0.8, 0.6, 1e-3]))
    array([0, 1])
    """

    chi_max: int = field(metadata={"help": "largest bond dimension; there is no silent default"})
    svd_min: float = field(default=1e-8, metadata={"help": "drop singular values below this (units of s)"})
    trunc_err: float = field(
        default=0.0, metadata={"help": "drop the smallest values while their summed squares stay below this"}
    )
    chi_min: int = field(default=1, metadata={"help": "keep at least this many values where there are so many"})
    degeneracy_tol: float = field(
        default=0.0, metadata={"help": "never cut between values closer than this ratio (0: cut anywhere)"}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.chi_max < 1:
            raise SettingsError(f"chi_max must be at least 1, found {self.chi_max!r}.")
        if not 1 <= self.chi_min <= self.chi_max:
            raise SettingsError(f"chi_min must lie between 1 and chi_max = {self.chi_max}, found {self.chi_min}.")
        for name in ("svd_min", "trunc_err", "degeneracy_tol"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise SettingsError(f"{name} must lie in [0, 1), found {value!r}.")

    def count(self, descending: np.ndarray) -> int:
        """How many of the values, sorted from large to small and normalised, are kept."""
        total = len(descending)
        kept = min(total, self.chi_max, max(self.chi_min, int(np.count_nonzero(descending > self.svd_min))))
        if self.trunc_err > 0:
            tail = np.concatenate([np.cumsum((descending**2)[::-1])[::-1], [0.0]])
            kept = min(kept, max(self.chi_min, int(np.argmax(tail <= self.trunc_err))))
        kept = max(kept, min(1, total))
        if self.degeneracy_tol > 0:
            while 1 < kept < total and descending[kept] > descending[kept - 1] * (1 - self.degeneracy_tol):
                kept -= 1
        return kept

    def keep(self, values: np.ndarray) -> np.ndarray:
        """Places of the kept values, in ascending order; ties are broken by place, so it is deterministic."""
        order = np.argsort(-values, kind="stable")
        return np.sort(order[: self.count(values[order])])


def wider_chi(chi: int) -> int:
    """The bond dimension that a result is looked at again with, 3/2 of its own, rounded up.

    >>> wider_chi(8), wider_chi(9)
    (12, 14)
    """
    return chi + (chi + 1) // 2


def discarded_weight(values: np.ndarray, kept: np.ndarray) -> float:
    """Sum of the dropped squares where all squares add up to 1.

    >>> round(discarded_weight(np.array([0.8, 0.6]), np.array([0])), 12)
    0.36
    """
    squares = values**2
    total = squares.sum()
    if total == 0:
        return 0.0
    dropped = np.ones(len(values), dtype=bool)
    dropped[kept] = False
    return float(squares[dropped].sum() / total)
