"""A cache of plans that forgets the oldest ones once all together take too much memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any


def plan_cache(limit: int) -> Callable[[Callable], Callable]:
    """Like `lru_cache`, for functions of positional arguments whose results tell their size as `nbytes`.

    limit: bytes of all results that are kept; the last one always is.

    >>> import numpy as np
    >>> @plan_cache(1000)
    ... def zeros(size):
    ...     return np.zeros(size)
    >>> zeros(100) is zeros(100), zeros(30) is zeros(30), zeros(100) is zeros(100)
    (True, True, True)
    """

    def decorate(make: Callable) -> Callable:
        kept: OrderedDict[tuple, Any] = OrderedDict()
        lock, total = threading.Lock(), 0

        @wraps(make)
        def cached(*key: Any) -> Any:
            nonlocal total
            with lock:
                if key in kept:
                    kept.move_to_end(key)
                    return kept[key]
            plan = make(*key)
            with lock:
                if key not in kept:
                    kept[key] = plan
                    total += plan.nbytes
                while total > limit and len(kept) > 1:
                    total -= kept.popitem(last=False)[1].nbytes
                return plan

        return cached

    return decorate
