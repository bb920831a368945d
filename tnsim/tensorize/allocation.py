"""Which layer becomes how small: choices among the sizes of each, by predicted costs."""

from collections.abc import Iterator, Sequence

import numpy as np

# of one layer: (numbers, predicted cost) of its sizes, from the dense one on
Sizes = Sequence[tuple[int, float]]


def lagrange(layers: Sequence[Sizes], budget: int) -> list[int]:
    """The size of every layer: least sum of costs at a common price of a number, the lowest that meets the budget.

    Sizes off the lower convex hull of (numbers, cost) are not taken, except by a last step that uses what is left over.

    >>> lagrange([[(100, 0.0), (50, 1.0), (25, 9.0)], [(100, 0.0), (50, 0.1), (25, 0.3)]], 125)
    [0, 2]
    """
    low, high = 0.0, 1.0
    while _numbers(layers, _at_price(layers, high)) > budget:
        high *= 4
        if high > 1e300:
            return [int(np.argmin([numbers for numbers, _ in sizes])) for sizes in layers]
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if _numbers(layers, _at_price(layers, middle)) <= budget else (middle, high)
    return _spend_the_rest(layers, _at_price(layers, high), budget)


def _at_price(layers: Sequence[Sizes], price: float) -> list[int]:
    return [min(range(len(s)), key=lambda n: (s[n][1] + price * s[n][0], s[n][0])) for s in layers]  # noqa: B023


def _numbers(layers: Sequence[Sizes], chosen: Sequence[int]) -> int:
    return sum(sizes[n][0] for sizes, n in zip(layers, chosen, strict=True))


def _spend_the_rest(layers: Sequence[Sizes], chosen: list[int], budget: int) -> list[int]:
    """Single layers larger while the budget allows it, that of most gain a number first."""
    while True:
        left = budget - _numbers(layers, chosen)
        steps = []
        for k, sizes in enumerate(layers):
            numbers, cost = sizes[chosen[k]]
            for n, (more, less) in enumerate(sizes):
                if 0 < more - numbers <= left and less < cost:
                    steps.append(((cost - less) / (more - numbers), k, n))
        if not steps:
            return chosen
        _, k, n = max(steps)
        chosen[k] = n


def cheapest_steps(layers: Sequence[Sizes], chosen: Sequence[int], open_: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """(layer, its next smaller size), the least predicted cost for a number saved first."""
    found = []
    for k, (sizes, n) in enumerate(zip(layers, chosen, strict=True)):
        if open_[k] and n + 1 < len(sizes):
            saved = max(sizes[n][0] - sizes[n + 1][0], 1)
            found.append(((sizes[n + 1][1] - sizes[n][1]) / saved, k, n + 1))
    for _, k, n in sorted(found):
        yield k, n
