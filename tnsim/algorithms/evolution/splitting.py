"""Products of exponentials that approximate the exponential of a sum, and of a Hamiltonian that depends on time.

Sources: T. Barthel, Y. Zhang, Ann. Phys. 418, 168165 (2020), equation 30a; M. Suzuki, Phys. Lett. A 146, 319 (1990);
S. Blanes, P. C. Moan, Appl. Numer. Math. 56, 1519 (2006) for the fourth order in time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tnsim.errors import SettingsError

ORDERS = (1, 2, 4)
SPLITTINGS = ("optimized", "suzuki")


def stage_lengths(order: int, splitting: str = "optimized") -> tuple[float, ...]:
    """Lengths of the stages of one step of length 1: first part, second part, first part, ...

    The optimized fourth order (Barthel and Zhang) and Suzuki's have eleven stages; the errors of the first are two
    to ten times smaller. Raises SettingsError for another order or name.

    >>> stage_lengths(2)
    (0.5, 1.0, 0.5)
    """
    if order not in ORDERS:
        raise SettingsError(f"order must be one of {', '.join(map(str, ORDERS))}, found {order!r}.")
    if splitting not in SPLITTINGS:
        raise SettingsError(f"splitting must be one of {', '.join(SPLITTINGS)}, found {splitting!r}.")
    if order == 1:
        return (1.0, 1.0)
    if order == 2:
        return (0.5, 1.0, 0.5)
    if splitting == "suzuki":
        outer = 1 / (4 - 4 ** (1 / 3))
        return join_steps([(p / 2, p, p / 2) for p in (outer, outer, 1 - 4 * outer, outer, outer)])
    a1, a2 = 0.095848502741203681182, -0.078111158921637922695
    b1, b2 = 0.42652466131587616168, -0.12039526945509726545
    half = (a1, b1, a2, b2, 0.5 - a1 - a2)
    return (*half, 1 - 2 * (b1 + b2), *half[::-1])


def join_steps(steps: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Stages of several steps; where one ends and the next begins with the same part, both become one stage.

    >>> join_steps([(0.5, 1.0, 0.5)] * 2)
    (0.5, 1.0, 1.0, 1.0, 0.5)
    """
    stages: list[float] = []
    for step in steps:
        if len(stages) % 2:
            stages[-1] += step[0]
            stages += step[1:]
        else:
            stages += step
    return tuple(stages)


def composition_lengths(stages: Sequence[float]) -> tuple[float, ...]:
    """The splitting of a sum of two parts as one of a sum of any number: lengths of steps that take the parts in
    order, in the opposite order, in order, ... The order is the same.

    Source: R. I. McLachlan, SIAM J. Sci. Comput. 16, 151 (1995).

    >>> composition_lengths((0.5, 1.0, 1.0, 1.0, 0.5)), composition_lengths((1.0, 1.0))
    ((0.5, 0.5, 0.5, 0.5), (1.0,))
    """
    lengths = [stages[0]]
    for stage in stages[1:-1]:
        lengths.append(stage - lengths[-1])
    return tuple(lengths)


def constant_parts(H: Callable[[float], Any], time: float, dt: float, order: int) -> list[tuple[Any, float]]:
    """(Hamiltonian, duration) pairs that replace H(t) from `time` to `time + dt`, the first acting first.

    Up to order 2 the midpoint; for order 4 two commutator-free exponentials of H at the Gauss points. Needs sums and
    multiples of what H returns.
    """
    if order <= 2:
        return [(H(time + dt / 2), dt)]
    near, far = 0.5 + np.sqrt(3) / 3, 0.5 - np.sqrt(3) / 3
    early, late = (H(time + (0.5 + side * np.sqrt(3) / 6) * dt) for side in (-1, 1))
    return [(early * float(near) + late * float(far), dt / 2), (early * float(far) + late * float(near), dt / 2)]
