"""In which steps an operator acts on a batch of vectors: the plans there are, and what each of them costs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from tnsim.errors import SettingsError

# (left, out, in, right) of every site
Shapes = tuple[tuple[int, int, int, int], ...]

# a state of this many bytes stays in the cache between two layers
_CACHE = 2**18
# of one core: products of large matrices, of small ones, memory, and one call of BLAS; only ratios matter
_FLOPS, _BYTES, _CALL, _STEP = 4e10, 8e9, 4e-7, 4e-6
_SMALL = 12
# up to so many sites every grouping is considered
_SITES_MAX = 10


@dataclass(frozen=True, kw_only=True)
class ApplyPlan:
    """groups: how many neighbouring sites are merged into each layer, left to right; first: the site whose layer acts
    first; block: rows that pass all layers together, 0 for all; again: merge in every call and keep nothing.

    One site a group is the chain, two groups are two products of matrices, one group is the whole matrix.

    >>> print(ApplyPlan(groups=(2, 2), block=16))
    2 + 2 sites merged, last first, 16 rows at a time
    """

    groups: tuple[int, ...]
    first: str = "last"
    block: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        if not self.groups or min(self.groups) < 1 or self.first not in ("last", "first") or self.block < 0:
            raise SettingsError(
                f'a plan has groups of at least one site, first = "last" or "first", block >= 0, found {self!r}.'
            )

    def __str__(self) -> str:
        if len(self.groups) == 1:
            what = "the whole matrix" + (", built in every call" if self.again else "")
        else:
            merged = " + ".join(map(str, self.groups)) + " sites merged"
            what = f"{merged if max(self.groups) > 1 else 'site by site'}, {self.first} first"
        return what + (f", {self.block} rows at a time" if self.block else "")


def merged_shapes(shapes: Shapes, groups: Sequence[int]) -> Shapes:
    """Shapes of the cores after merging."""
    if sum(groups) != len(shapes):
        raise SettingsError(f"groups of {' + '.join(map(str, groups))} sites do not make {len(shapes)} sites.")
    ends = [0]
    for count in groups:
        ends.append(ends[-1] + count)
    return tuple(
        (shapes[a][0], prod(s[1] for s in shapes[a:b]), prod(s[2] for s in shapes[a:b]), shapes[b - 1][3])
        for a, b in pairwise(ends)
    )


def kept_numbers(shapes: Shapes, plan: ApplyPlan) -> int:
    """Numbers that a prepared plan holds."""
    return 0 if plan.again else sum(prod(shape) for shape in merged_shapes(shapes, plan.groups))


def layer_sizes(shapes: Shapes, first: str) -> list[tuple[int, int, int, int]]:
    """(before, rows of the core, its columns, after) of every layer, in the order they act; see `stack`."""
    outs, ins = [s[1] for s in shapes], [s[2] for s in shapes]
    if first == "last":
        return [
            (prod(ins[:k]), shapes[k][0] * outs[k], ins[k] * shapes[k][3], prod(outs[k + 1 :]))
            for k in range(len(shapes) - 1, -1, -1)
        ]
    return [
        (prod(outs[:k]), outs[k] * shapes[k][3], shapes[k][0] * ins[k], prod(ins[k + 1 :])) for k in range(len(shapes))
    ]


def largest_state(shapes: Shapes, plan: ApplyPlan) -> int:
    """Numbers of one row in its widest intermediate form."""
    layers = layer_sizes(merged_shapes(shapes, plan.groups), plan.first)
    return max(before * max(m, k) * after for before, m, k, after in layers)


def estimated_seconds(shapes: Shapes, plan: ApplyPlan, rows: int, itemsize: int) -> float:
    """What a plan costs by counting flops, bytes and calls, with the figures of a usual core: good for an order."""
    merged = merged_shapes(shapes, plan.groups)
    block = min(plan.block or rows, rows)
    seconds = 0.0
    for before, m, k, after in layer_sizes(merged, plan.first):
        count, narrow = rows * before, min(m, k, after if after > 1 else block * before)
        flops, moved = 2 * count * m * k * after, count * (m + k) * after * itemsize
        in_cache = block * before * (m + k) * after * itemsize <= 2 * _CACHE
        calls = count if after > 1 else -(-rows // block)
        core = m * k * itemsize * (-(-rows // block))
        seconds += flops / (_FLOPS * min(1.0, narrow / _SMALL)) + (0.2 if in_cache else 1.0) * moved / _BYTES
        seconds += calls * _CALL + core / _BYTES
    seconds += -(-rows // block) * len(merged) * _STEP
    if plan.again:
        size = prod(s[1] for s in shapes) * prod(s[2] for s in shapes)
        seconds += 2 * size * max(s[0] for s in shapes) / _FLOPS + 6 * size * itemsize / _BYTES
    return seconds


def plans(shapes: Shapes, rows: int, itemsize: int, numbers_max: int) -> Iterator[ApplyPlan]:
    """Every plan worth a look whose kept cores have at most `numbers_max` numbers; the chain is always among them."""
    sites = len(shapes)
    for groups in _groupings(sites):
        for first in ("last", "first") if len(groups) > 1 else ("last",):
            plan = ApplyPlan(groups=groups, first=first)
            if max(groups) > 1 and kept_numbers(shapes, plan) > numbers_max:
                continue
            row = largest_state(shapes, plan) * itemsize
            for block in sorted({0, *(min(rows, max(1, size // row)) for size in (_CACHE, 4 * _CACHE, 16 * _CACHE))}):
                if block < rows:
                    yield ApplyPlan(groups=groups, first=first, block=block)
    if sites > 1:
        yield ApplyPlan(groups=(sites,), again=True)


def quick_plan(shapes: Shapes, rows: int, itemsize: int) -> ApplyPlan:
    """The plan of least estimated cost that holds no more numbers than twice the cores, and never the whole matrix.

    >>> print(quick_plan(((1, 64, 64, 8), (8, 64, 64, 1)), 256, 4))
    site by site, last first, 2 rows at a time
    """
    cores = sum(prod(shape) for shape in shapes)
    choices = [p for p in plans(shapes, rows, itemsize, 2 * cores) if len(p.groups) > 1 or len(shapes) == 1]
    return min(choices, key=lambda plan: estimated_seconds(shapes, plan, rows, itemsize))


def _groupings(sites: int) -> Iterator[tuple[int, ...]]:
    """All ways to merge neighbours; of long chains those of equal groups alone, as all would be too many."""
    if sites <= _SITES_MAX:
        yield from _compositions(sites)
        return
    size = 1
    while size < 2 * sites:
        count, rest = divmod(sites, min(size, sites))
        yield (*(min(size, sites),) * count, *((rest,) if rest else ()))
        size *= 2


def _compositions(total: int) -> Iterator[tuple[int, ...]]:
    """All ways to write a number as a sum, in order."""
    if total == 0:
        yield ()
    for head in range(1, total + 1):
        for tail in _compositions(total - head):
            yield (head, *tail)
