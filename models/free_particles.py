"""Facts that follow from free fermions."""

from collections.abc import Sequence

from tnsim.models.exact.free_fermions import FermiSea
from tnsim.models.model import Fact

# states closer than this are not told apart by a ground-state search: no entropy is promised
RESOLVED = 1e-6


def free_facts(seas: Sequence[FermiSea], shift: float = 0.0) -> list[Fact]:
    """Energy, and middle entropy where the next state is well above, of one or more kinds of free fermions.

    >>> import numpy as np
    >>> [fact.name for fact in free_facts([FermiSea(np.diag([1.0, 0.0, 3.0]), 2)])]
    ['energy', 'middle entropy']
    """
    items = [Fact("energy", sum(sea.energy for sea in seas) + shift, "exact", "free fermions")]
    if min(sea.gap for sea in seas) > RESOLVED:
        entropy = sum(sea.entropy(len(sea.levels) // 2) for sea in seas)
        items.append(Fact("middle entropy", entropy, "exact", "free fermions"))
    return items
