"""Free fermions on the pairs of a model: their one-particle matrix, and the facts that follow."""

from collections.abc import Iterable, Sequence

import numpy as np

from tnsim.models.chain import Pair, phase
from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.model import Fact

# states closer than this are not told apart by a ground-state search: no entropy is promised
RESOLVED = 1e-6


def hopping_matrix(L: int, pairs: Iterable[Pair], t: float, *, flux: float = 0.0) -> np.ndarray:
    """The one-particle matrix of `add_hopping`, for free fermions.

    >>> from tnsim.models.chain import chain_pairs
    >>> hopping_matrix(2, chain_pairs(2), 1.0).tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """
    matrix = np.zeros((L, L), dtype=complex if flux else float)
    for first, second, wraps in pairs:
        amplitude = -t * phase(flux if wraps else 0.0)
        matrix[second, first] += amplitude
        matrix[first, second] += np.conj(amplitude)
    return matrix


def free_facts(seas: Sequence[FermiSea], shift: float = 0.0) -> list[Fact]:
    """Energy, and middle entropy where the next state is well above, of one or more kinds of free fermions.

    >>> from tnsim.models.chain import chain_pairs
    >>> [fact.name for fact in free_facts([FermiSea(hopping_matrix(4, chain_pairs(4), 1.0), 2)])]
    ['energy', 'middle entropy']
    """
    items = [Fact("energy", sum(sea.energy for sea in seas) + shift, "exact", "free fermions")]
    if min(sea.gap for sea in seas) > RESOLVED:
        entropy = sum(sea.entropy(len(sea.levels) // 2) for sea in seas)
        items.append(Fact("middle entropy", entropy, "exact", "free fermions"))
    return items
