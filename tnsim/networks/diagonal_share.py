"""How much of a Hamiltonian stands on its diagonal, as seen by neighbouring sites: what an eigensolver is chosen by."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tnsim.networks.site_operator import SiteOperator


def diagonal_share(operators: Sequence[SiteOperator]) -> float:
    """Share of the diagonal in the variance of all that acts on two neighbours, over all of their states.

    1/3 for S.S of spins 1/2, near 1 for electrons that repel each other strongly, 0 where neighbours are not coupled.

    >>> from tnsim.models import Heisenberg, Hubbard
    >>> round(diagonal_share(Heisenberg(L=6).mpo().site_operators), 3)
    0.333
    >>> diagonal_share(Hubbard(L=6, U=8).mpo().site_operators) > 0.8
    True
    """
    pairs = [_variances(first, second) for first, second in zip(operators, operators[1:], strict=False)]
    diagonal, rest = np.sum(pairs, axis=0)
    return float(diagonal / (diagonal + rest)) if rest > 0 else 0.0


@lru_cache(maxsize=1024)
def _variances(first: SiteOperator, second: SiteOperator) -> tuple[float, float]:
    """Mean squares, over all states of two sites, of the diagonal of what acts on both (mean zero) and of the rest."""
    a, b = first.phys.dim, second.phys.dim
    pair = np.zeros((a * b, a * b), dtype=np.result_type(first.values, second.values))
    starts, ends = _from(first, first.unit_left[0]), _into(second, second.unit_right[1])
    for channel in starts.keys() & ends.keys():
        one_is_unit = channel in (first.unit_left[1], first.unit_right[1])
        # a term on one site belongs to two pairs
        pair += np.kron(starts[channel], ends[channel]) * (0.5 if one_is_unit else 1.0)
    diagonal = np.diag(pair).real
    rest = pair - np.diag(np.diag(pair))
    return float(diagonal.var()), float((abs(rest) ** 2).sum()) / len(pair)


def _from(operator: SiteOperator, channel: int) -> dict[int, np.ndarray]:
    """What stands between a left channel and each right one."""
    return _matrices(operator, operator.entries[:, 0] == channel, 1)


def _into(operator: SiteOperator, channel: int) -> dict[int, np.ndarray]:
    """What stands between each left channel and a right one."""
    return _matrices(operator, operator.entries[:, 1] == channel, 0)


def _matrices(operator: SiteOperator, chosen: np.ndarray, column: int) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    dim, dtype = operator.phys.dim, operator.values.dtype
    for entry, value in zip(operator.entries[chosen].tolist(), operator.values[chosen].tolist(), strict=True):
        found.setdefault(entry[column], np.zeros((dim, dim), dtype=dtype))[entry[2], entry[3]] += value
    return found
