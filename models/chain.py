"""Pairs of a chain or ring, and the hopping terms along them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tnsim.errors import SettingsError
from tnsim.networks.operator_sum import OperatorSum, plus_hc


class Pair(NamedTuple):
    """Two sites, the second `distance` after the first; `wraps` where the step closes the ring."""

    first: int
    second: int
    wraps: bool = False


def chain_pairs(L: int, distance: int = 1, *, periodic: bool = False) -> list[Pair]:
    """All pairs of a distance along the chain, each once.

    Raises SettingsError for a ring of L <= 2 distance sites, where a pair would be met twice.

    >>> [tuple(pair) for pair in chain_pairs(4, periodic=True)]
    [(0, 1, False), (1, 2, False), (2, 3, False), (3, 0, True)]
    """
    if distance < 1:
        raise SettingsError(f"neighbours on a chain are at least 1 apart, found {distance}.")
    if periodic and 2 * distance >= L:
        raise SettingsError(
            f"a ring of {L} sites meets pairs at distance {distance} twice: take L > {2 * distance}, or an open chain."
        )
    pairs = [Pair(i, i + distance) for i in range(L - distance)]
    return pairs + [Pair(i, (i + distance) % L, True) for i in range(L - distance, L) if periodic]


def add_hopping(
    H: OperatorSum,
    pairs: Iterable[Pair],
    t: float,
    species: Sequence[str] = ("",),
    *,
    name: str = "C",
    flux: float = 0.0,
) -> None:
    """Add -t sum (dag_second op_first + h.c.) for every kind of particle; a step that closes the ring gets exp(i flux).

    name and species: the operators are name + "dag" + kind, such as "Cdag_up".
    """
    for first, second, wraps in pairs if t else ():
        amplitude = -t * phase(flux if wraps else 0.0)
        for kind in species:
            H += plus_hc(amplitude, f"{name}dag{kind}", second, f"{name}{kind}", first)


def phase(angle: float) -> complex:
    """exp(i angle), real where it can be."""
    return 1.0 if angle == 0 else complex(np.exp(1j * angle))
