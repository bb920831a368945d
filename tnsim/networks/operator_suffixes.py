"""What remains to be placed of a sum of strings, seen from every bond: the columns of the bond's matrix.

A suffix is what a string still has to come, from a site on. Suffixes at one bond are linearly independent,
and each is known by its transitions: operators on the next site times suffixes behind it. A string has one
transition; the tail of an exponential has two, its last operator or one step further.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tnsim.networks.operator_strings import Strings
from tnsim.networks.operator_terms import Expansion, Tail

# combinations of suffixes that stand for a dependent one are used where no number in them is larger
_LARGEST_COMBINATION = 1e3
_ROUNDING = 1e-13

_Weights = dict[int, complex]  # suffix: weight
_Transitions = dict[tuple[int, int], complex]  # (operator, suffix behind): weight


@dataclass(frozen=True)
class Suffixes:
    """Transitions of all suffixes at one bond: suffix n has those at first[n] ... first[n + 1] - 1.

    Suffix 0 is "only identities from here on". `single`: every suffix has one transition of weight 1.
    """

    first: np.ndarray
    operator: np.ndarray
    behind: np.ndarray
    weight: np.ndarray
    single: bool


def suffix_tables(expansion: Expansion) -> tuple[list[Suffixes], np.ndarray, np.ndarray]:
    """The suffixes at every bond, and the whole sum as suffixes of the first bond with their values.

    Cost O(strings * L) in vector operations.
    """
    length = len(expansion.bases)
    strings, values = expansion.strings, expansion.strings.values
    placed = _by_site(strings, length)
    current = np.zeros(len(strings), dtype=np.int64)
    tails = _Tails(expansion)
    tables: list[Suffixes] = []
    width = 1
    for i in range(length - 1, -1, -1):
        operator = np.zeros(len(strings), dtype=np.int64)
        operator[placed[i][0]] = placed[i][1]
        keys, place = np.unique(np.append(0, operator * width + current), return_inverse=True)
        current = place.ravel()[1:]
        extra = tails.step(keys, width)
        tables.append(_table(keys, width, extra))
        width = len(keys) + len(extra)
    columns = np.concatenate([current, np.fromiter(tails.start, dtype=np.int64, count=len(tails.start))])
    return tables[::-1], columns, np.concatenate([values, np.array(list(tails.start.values()), dtype=complex)])


def _by_site(strings: Strings, length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every site: which strings have an operator there, and which."""
    number, site, n = strings.placed
    order = np.argsort(site, kind="stable")
    bounds = np.searchsorted(site[order], np.arange(length + 1))
    return [(number[order[a:b]], n[order[a:b]]) for a, b in zip(bounds, bounds[1:], strict=False)]


def _table(keys: np.ndarray, width: int, extra: Sequence[_Transitions]) -> Suffixes:
    """Single transitions of the strings (packed in `keys`), then those of the exponentials."""
    pairs = np.array([pair for one in extra for pair in one], dtype=np.int64).reshape(-1, 2)
    weights = np.array([weight for one in extra for weight in one.values()], dtype=complex)
    counts = np.concatenate([np.ones(len(keys), dtype=np.int64), [len(one) for one in extra]]).astype(np.int64)
    return Suffixes(
        first=np.concatenate([[0], np.cumsum(counts)]),
        operator=np.concatenate([keys // width, pairs[:, 0]]),
        behind=np.concatenate([keys % width, pairs[:, 1]]),
        weight=np.concatenate([np.ones(len(keys), dtype=complex), weights]),
        single=not extra,
    )


class _Tails:
    """The suffixes of exponentials, built from the right end.

    running: for every tail its value as suffixes of the present bond; start: the same for "no exponential
    has begun yet". Close to the right end a tail may be a combination of other suffixes: it then gets none
    of its own.
    """

    def __init__(self, expansion: Expansion) -> None:
        self.terms = expansion.exponentials
        self.running: dict[Tail, _Weights] = {tail: {} for _, tail in expansion.exponentials}
        self.start: _Weights = {}

    def step(self, keys: np.ndarray, width: int) -> list[_Transitions]:
        """Move one site to the left, where strings have the suffixes `keys`; returns the suffixes to add."""
        if not self.terms:
            return []
        start: _Transitions = {(0, suffix): weight for suffix, weight in self.start.items()}
        for (first, tail), coefficient in self.terms.items():
            _add(start, first, self.running[tail], coefficient * tail.decay)
        wanted = [_tail_transitions(tail, behind) for tail, behind in self.running.items()] + [start]
        taken, combinations = _independent(wanted, keys, width)
        self.running = dict(zip(self.running, combinations, strict=False))
        self.start = combinations[-1]
        return taken


def _tail_transitions(tail: Tail, behind: _Weights) -> _Transitions:
    transitions: _Transitions = {(tail.last, 0): 1.0}
    for n, weight in tail.between:
        _add(transitions, n, behind, weight * tail.decay)
    return transitions


def _add(transitions: _Transitions, operator: int, behind: _Weights, factor: complex) -> None:
    for suffix, weight in behind.items():
        transitions[operator, suffix] = transitions.get((operator, suffix), 0.0) + factor * weight


def _independent(
    wanted: Sequence[_Transitions], keys: np.ndarray, width: int
) -> tuple[list[_Transitions], list[_Weights]]:
    """Which of the wanted suffixes must be added to those of the strings, and each as a combination."""
    known = {int(key): suffix for suffix, key in enumerate(keys)}
    codes = sorted({n * width + suffix for one in wanted for n, suffix in one} - known.keys())
    place = {code: k for k, code in enumerate(codes)}
    taken: list[_Transitions] = []
    rows: list[np.ndarray] = []
    inside: list[_Weights] = []
    combinations: list[_Weights] = []
    for one in wanted:
        row, part = np.zeros(len(codes), dtype=complex), {}
        for (n, suffix), weight in one.items():
            code = n * width + suffix
            if code in known:
                part[known[code]] = weight
            else:
                row[place[code]] = weight
        solution = _solve(rows, row)
        if solution is None:
            combinations.append({len(keys) + len(taken): 1.0})
            taken.append(one)
            rows.append(row)
            inside.append(part)
            continue
        for k, x in enumerate(solution.tolist()):
            for suffix, weight in inside[k].items():
                part[suffix] = part.get(suffix, 0.0) - x * weight
            part[len(keys) + k] = x
        combinations.append({suffix: weight for suffix, weight in part.items() if weight != 0})
    return taken, combinations


def _solve(rows: Sequence[np.ndarray], row: np.ndarray) -> np.ndarray | None:
    """Coefficients with which `rows` add up to `row`; None where they cannot."""
    largest = np.abs(row).max(initial=0.0)
    if largest == 0 or not rows:
        return np.zeros(len(rows)) if largest == 0 else None
    solution = np.zeros(len(rows), dtype=complex)
    linked = _linked(np.array(rows) != 0, row != 0)
    if not linked.any():
        return None
    solution[linked], *_ = np.linalg.lstsq(np.array(rows)[linked].T, row, rcond=None)
    error = np.abs(solution @ np.array(rows) - row).max()
    if error > _ROUNDING * largest or np.abs(solution).max() > _LARGEST_COMBINATION:
        return None
    return solution


def _linked(filled: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Which rows hang together with one through places that are filled; others, of other charge, add only rounding."""
    linked = np.zeros(len(filled), dtype=bool)
    while (new := filled[:, row].any(axis=1) & ~linked).any():
        linked |= new
        row = row | filled[new].any(axis=0)
    return linked
